"""A day's changes cost about what changed."""

from __future__ import annotations

import pytest

from tests.cli.harness import Program
from tests.postgres.kit import configure, only
from tests.support.postgres import PostgresServer


@pytest.mark.spec("C1")
def test_a_day_of_changes_stores_little(server: PostgresServer, program: Program) -> None:
    """One percent of pgbench's accounts changed, a stretch of them, and twenty transactions
    anywhere: less than five percent of the rows are new; without changes, next to nothing.
    """
    server.sql("CREATE DATABASE bench")
    server.pgbench("--initialize", "--scale=5", "--quiet", "bench")
    configure(program, server, more=only("bench"))
    first = program.good("backup", "db", "--json").record("summary")
    assert first["data_added"] > 40_000_000
    same = program.good("backup", "db", "--json").record("summary")
    assert same["data_added"] < first["data_added"] / 500
    changed = "UPDATE pgbench_accounts SET abalance = aid WHERE aid BETWEEN 1e5 AND 105e3"
    server.sql(changed, "bench")
    server.pgbench("--transactions=20", "--no-vacuum", "bench")
    third = program.good("backup", "db", "--json").record("summary")
    assert 0 < third["data_added"] < first["data_added"] / 20
    sums = "SELECT sum(abalance), count(*), min(filler) FROM pgbench_accounts"
    before = server.sql(sums, "bench")
    program.good("restore", "latest", "--database", "bench", "--to-database", "bench_again")
    assert server.sql(sums, "bench_again") == before
