"""Environments and databases: each has its own server and password; what may be restored where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.postgres import PASSWORD, PostgresServer

pytestmark = pytest.mark.spec("C2", "C4", "E1", "E2")


def estate(program: Program, server: PostgresServer, *, programs: str = "", more: str = "") -> None:
    """Describe two environments: one database each, on one server."""
    (program.folder / "strongroom.toml").write_text(
        f"""\
version = 1
project = "shop"
[sources.db]
type = "postgres"
connection = {{ {server.connection()} }}
databases = ["{{project}}_{{environment}}"]
programs = [{json.dumps(programs or str(server.programs))}]
[environments.production]
protected = true
[environments.drill]
only = []
restore_from = ["production"]
[environments.staging]
{more}
"""
    )


def make_shops(server: PostgresServer) -> None:
    """Make the databases of both, with a number of rows that tells them apart."""
    for name, rows in (("production", 7), ("staging", 3)):
        server.sql(f"CREATE DATABASE shop_{name}")
        server.sql(f"CREATE TABLE t AS SELECT generate_series(1, {rows})", f"shop_{name}")


def test_a_database_goes_into_another_environment(server: PostgresServer, program: Program) -> None:
    """The guide's words: backup ENV database; then into the environment that takes it."""
    make_shops(server)
    estate(program, server)
    program.good("backup", "production", "database")
    program.good("backup", "staging", "database")
    environment = ("snapshots", "--environment", "production", "--type", "database", "--json")
    listed = program.good(*environment)
    (snapshot,) = [one for one in listed.records if one["message_type"] == "snapshot"]
    assert snapshot["sources"] == ["production.db"]
    words = ("--database", "shop_production", "--to-database", "rehearsal")
    done = program.good("restore", "latest@production", *words, "--environment", "drill", "--json")
    assert done.record("plan")["environment"] == "drill"
    assert server.sql("SELECT count(*) FROM t", "rehearsal") == "7"

    others = ("--database", "shop_staging", "--to-database", "other", "--environment", "drill")
    refused = program.run("restore", "latest", *others)
    assert refused.code == 6
    assert "takes the data of drill, production only" in refused.err
    both = program.run("restore", "latest", *others, "--server", "staging.db")
    assert both.code == 2
    assert "other" not in server.sql("SELECT datname FROM pg_database").split()


def test_a_protected_environment_wants_its_name(server: PostgresServer, program: Program) -> None:
    """However its server is named, and also where nothing is named; a dry run asks for nothing."""
    make_shops(server)
    estate(program, server)
    program.good("backup", "production", "database")
    words = ("restore", "latest", "--database", "shop_production", "--to-database", "again")
    for more in (
        (),
        ("--environment", "production"),
        ("--server", "production.db"),
        ("--confirm", "yes"),
    ):
        refused = program.run(*words, *more)
        assert refused.code == 6, refused
        assert "--confirm production" in refused.err
        assert "again" not in server.sql("SELECT datname FROM pg_database").split()
    program.good(*words, "--dry-run")
    program.good(*words, "--confirm", "production")
    assert server.sql("SELECT count(*) FROM t", "again") == "7"


def test_whatever_changes_a_protected_environment(server: PostgresServer, program: Program) -> None:
    """The place of a database, the way back, a table, and roles: the name of the environment."""
    make_shops(server)
    server.sql("CREATE ROLE gone")
    estate(program, server)
    program.good("backup", "production", "database")
    server.sql("DROP ROLE gone; DROP DATABASE shop_staging")
    database = ("--database", "shop_production")
    for words in (
        ("latest", *database, "--replace"),
        (*database, "--undo", "--server", "production.db"),
        ("latest", *database, "--replace"),
        (*database, "--undo", "--environment", "production"),
        ("latest", *database, "--table", "t", "--to-database", "part"),
        ("latest", "--globals"),
    ):
        for wrong in ((), ("--no-confirm",), ("--confirm", "shop_production")):
            refused = program.run("restore", *words, *wrong)
            assert refused.code == 6, (words, wrong, refused)
            assert "--confirm production" in refused.err
        program.good("restore", *words, "--dry-run")
        program.good("restore", *words, "--confirm", "production")
    assert server.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'gone'") == "1"


@pytest.mark.parametrize("kind", ["file", "env", "command"])
def test_no_password_of_an_environment_shows_anywhere(
    server: PostgresServer, program: Program, tmp_path: Path, kind: str
) -> None:
    """Not in arguments or the environment of any child, not in output, errors, logs or JSON."""
    make_shops(server)
    canary = PASSWORD.replace("secret", "c4n4ry")
    quoted = canary.replace("'", "''")
    server.sql(f"CREATE ROLE with_password LOGIN SUPERUSER PASSWORD '{quoted}'")
    secret, seen = tmp_path / "secret", tmp_path / "seen"
    secret.write_text(canary)
    secret.chmod(0o600)
    said = {
        "file": f'file = "{secret}"',
        "env": 'env = "STAGING_PASSWORD"',
        "command": f'command = "cat {secret}"',
    }
    connection = f"{server.connection(user='with_password')}, password = {{ {said[kind]} }}"
    folder = tmp_path / "watched"
    folder.mkdir()
    for name in ("pg_dump", "pg_dumpall", "pg_restore", "psql"):
        script = folder / name
        watch = f"(tr '\\0' ' ' </proc/$$/cmdline; echo; env; echo ran {name}) >>{seen}"
        script.write_text(f'#!/bin/sh\n{watch}\nexec {server.programs / name} "$@"\n')
        script.chmod(0o755)
    more = f"[environments.staging.sources.db]\nconnection = {{ {connection} }}"
    estate(program, server, programs=str(folder), more=more)
    env: dict[str, str | None] = {"STAGING_PASSWORD": canary if kind == "env" else None}
    restore = ("restore", "latest", "--database", "shop_staging", "--to-database")
    runs = [
        program.good("--debug", "backup", "staging", "database", env=env),
        program.good("backup", "staging", "--json", env=env),
        program.good(*restore, "again", "--json", env=env),
        program.run("--debug", *restore, "again", env=env),
        program.good("config", "show", env=env),
        program.good("config", "show", "--json", env=env),
        program.good("config", "check", env=env),
    ]
    server.sql("REVOKE ALL ON SCHEMA public FROM PUBLIC", "shop_staging")
    server.sql("ALTER ROLE with_password PASSWORD 'another'")
    runs.append(program.run("--debug", "backup", "staging", env=env))
    assert runs[3].code == 6
    assert runs[-1].code == 14
    watched = seen.read_text(errors="replace")
    for name in ("pg_dump", "pg_dumpall", "pg_restore", "psql"):
        assert f"ran {name}\n" in watched
    assert "c4n4ry" not in watched
    assert "STAGING_PASSWORD" not in watched
    for result in runs:
        assert "c4n4ry" not in result.out + result.err
    kept = [path for path in program.home.rglob("*") if path.is_file()]
    assert all(b"c4n4ry" not in path.read_bytes() for path in kept)
    assert kept
