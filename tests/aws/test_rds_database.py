"""A database in RDS is dumped too, asked after a recovery, and entered with a token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from strongroom.app.databases import client_of, connection_of, found_programs, newest
from strongroom.app.machine import Run, this_machine
from strongroom.app.rds_check import checker
from strongroom.clock import ManualClock
from strongroom.config.environment import Environment
from strongroom.config.places import Flags
from strongroom.config.settings import load_settings
from strongroom.errors import StrongroomError, UsageError
from strongroom.model.events import ignore
from tests.cli.harness import Program
from tests.support.postgres import PostgresServer, running_server
from tests.support.rds_server import RdsServer
from tests.support.rds_sources import full_instance

pytestmark = pytest.mark.spec("C8")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run a server, which plays that of an instance."""
    with running_server(18) as one:
        one.sql("CREATE DATABASE app")
        one.sql("CREATE DATABASE rdsadmin ALLOW_CONNECTIONS true")
        one.sql("CREATE TABLE t AS SELECT generate_series(1, 9) AS n", "app")
        yield one


def describe(program: Program, connection: str, *more: str) -> None:
    """Write a configuration of an instance with databases."""
    text = "\n".join(
        [
            "version = 1",
            "[sources.db]",
            'type = "postgres"',
            f"connection = {{ {connection} }}",
            'rds = { instance = "shop-db" }',
            *more,
        ]
    )
    (program.folder / "strongroom.toml").write_text(text)


def run_of(program: Program) -> Run:
    """Return what commands of a program work with."""
    settings = load_settings(Flags(), Environment(program.environment, program.folder))
    return Run(settings, this_machine(), ignore)


def programs(server: PostgresServer) -> str:
    """Return the line that names the programs of a server."""
    return f"programs = [{json.dumps(str(server.programs))}]"


def test_dump_and_settings_are_one_snapshot(
    rds: RdsServer, server: PostgresServer, tmp_path: Path
) -> None:
    """AWS's own database is left out; where AWS does not answer, the dump is saved all the same."""
    full_instance(rds.home)
    program = Program(tmp_path)
    program.environment |= rds.variables
    program.good("init")
    describe(program, server.connection(), programs(server))
    program.good("backup", "db")
    listed = program.good("ls", "latest").out
    assert "/rds/db/settings.json" in listed
    assert "/postgres/db/app/toc.dat" in listed
    assert "rdsadmin/" not in listed
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    done = program.run("backup", "db", env=nobody)
    assert done.code == 3, done
    assert "rds/db" in done.err + done.out
    assert "t" in program.good("dump", "latest", "--database", "app").out


def test_the_new_one_is_asked(rds: RdsServer, server: PostgresServer, tmp_path: Path) -> None:
    """By the users that are configured, at its own host and port; a missing database is a no."""
    del rds
    program = Program(tmp_path)
    describe(program, 'host = "old.host", user = "postgres", name = "app"', programs(server))
    check = checker(run_of(program), "db")
    assert check is not None
    said = check(str(server.folder), 5432)
    assert said.startswith("PostgreSQL 18")
    assert "app" in said
    describe(program, 'user = "postgres"', programs(server), 'databases = ["app", "shop"]')
    check = checker(run_of(program), "db")
    assert check is not None
    with pytest.raises(StrongroomError, match="no database 'shop'"):
        check(str(server.folder), 5432)
    describe(program, 'host = "old.host"')
    assert checker(run_of(program), "db") is None


def test_a_token_is_for_host_port_and_user(rds: RdsServer, tmp_path: Path) -> None:
    """It is signed here, for a quarter of an hour, and asks for TLS."""
    program = Program(tmp_path)
    program.environment |= rds.variables
    token = "password = { rds_iam = true }"
    describe(program, f'host = "db.aws", port = 6432, user = "backup", {token}')
    connection = connection_of(run_of(program), run_of(program).settings.databases["db"])
    assert connection.sslmode == "require"
    signed = urlsplit(f"https://{connection.password}")
    asked = parse_qs(signed.query)
    assert signed.netloc == "db.aws:6432"
    assert asked["Action"] == ["connect"]
    assert asked["DBUser"] == ["backup"]
    assert asked["X-Amz-Expires"] == ["900"]
    assert "eu-west-2/rds-db" in asked["X-Amz-Credential"][0]
    describe(program, f'host = "db.aws", {token}')
    run = run_of(program)
    with pytest.raises(UsageError, match="host and a user"):
        connection_of(run, run.settings.databases["db"])
    describe(program, f'host = "db.aws", user = "u", sslmode = "prefer", {token}')
    assert program.run("config", "check").code == 2


def test_programs_that_begin_late_get_a_new_token(
    rds: RdsServer, server: PostgresServer, tmp_path: Path
) -> None:
    """A backup of several databases takes longer than a token is good for."""
    program = Program(tmp_path)
    program.environment |= rds.variables
    known = 'host = "db.aws", user = "backup", password = { rds_iam = true }'
    describe(program, known, programs(server))
    run, clock = run_of(program), ManualClock()
    run = replace(run, machine=replace(run.machine, clock=clock))
    settings = run.settings.databases["db"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    client = client_of(run, settings, newest(found_programs(run, settings)), scratch)
    file = scratch / "password"
    first = file.read_bytes()
    assert client.fresh is not None
    clock.sleep(599)
    client.fresh()
    assert file.read_bytes() == first
    clock.sleep(1)
    file.write_text("old")
    client.fresh()
    assert b"Action=connect" in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
