"""A day's changes cost about what changed."""

from __future__ import annotations

import pytest

from tests.cli.harness import Program
from tests.postgres.kit import configure, only
from tests.support.postgres import PostgresServer


@pytest.mark.trial(3)
@pytest.mark.spec("C1")
def test_a_day_of_changes_stores_little(server: PostgresServer, program: Program) -> None:
    """One percent of pgbench's accounts changed, a stretch of them, or added: less than three
    percent of the rows are new. Twenty transactions anywhere: a chunk or two for each row.
    """
    server.sql("CREATE DATABASE bench")
    server.pgbench("--initialize", "--scale=5", "--quiet", "bench")
    configure(program, server, more=only("bench"))
    first = program.good("backup", "db", "--json").record("summary")["data_added"]
    assert first > 40_000_000

    def added() -> int:
        summary = program.good("backup", "db", "--json").record("summary")
        return int(summary["data_added"])

    assert added() < first / 500
    accounts = "pgbench_accounts"
    server.sql(f"UPDATE {accounts} SET abalance = aid WHERE aid BETWEEN 1e5 AND 105e3", "bench")
    assert 0 < added() < first * 3 / 100
    more = f"SELECT aid + 500000, bid, 0, filler FROM {accounts} WHERE aid <= 5000"
    server.sql(f"INSERT INTO {accounts} {more}", "bench")
    assert 0 < added() < first * 3 / 100
    server.pgbench("--transactions=20", "--no-vacuum", "bench")
    assert 0 < added() < 20 * 3 * 30_000
    sums = "SELECT sum(abalance), count(*), min(filler) FROM pgbench_accounts"
    before = server.sql(sums, "bench")
    program.good("restore", "latest", "--database", "bench", "--to-database", "bench_again")
    assert server.sql(sums, "bench_again") == before
