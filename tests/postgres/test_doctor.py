"""``doctor postgres``: what it says is what a backup does, and what it tells to run mends it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.harness import Program, Result
from tests.postgres.conftest import ServerOf
from tests.postgres.kit import configure, only, wait_for
from tests.support.postgres import PASSWORD, PostgresServer, programs_of

pytestmark = pytest.mark.spec("F4", "C1")
WEAK = 'weak "x"'
OLDER = [pytest.param(one, marks=pytest.mark.slow) for one in (15, 16)]  # answer as 18 does
each_of = pytest.mark.parametrize("each_server", [*OLDER, 18], indirect=True)


@pytest.fixture
def weak(each_server: PostgresServer, program: Program) -> PostgresServer:
    """Return each server with a database and a role without any right, which is to save it."""
    return made_weak(each_server, program)


def made_weak(server: PostgresServer, program: Program, more: str = "") -> PostgresServer:
    """Make a database and a role without any right, and configure it."""
    server.make_app()
    server.sql(f'CREATE ROLE "{WEAK.replace(chr(34), chr(34) * 2)}" LOGIN')
    as_weak(program, server, more)
    return server


def as_weak(program: Program, server: PostgresServer, more: str = "") -> None:
    """Write a configuration with the weak role, which leaves the passwords of roles out."""
    connection = server.connection(user=WEAK.replace('"', '\\"'))
    text = f"{only('app')}\n{more or 'role_passwords = false'}"
    configure(program, server, connection=connection, more=text)


def checked(program: Program, code: int, *words: str) -> dict[str, dict[str, object]]:
    """Run the doctor, which must end with this code; what it found, by check."""
    result = program.run("doctor", "postgres", "--json", *words)
    assert result.code == code, result
    found = {one["check"]: one for one in result.records if one["message_type"] == "finding"}
    assert result.records[-1]["code"] == code
    return found


def mended(program: Program, server: PostgresServer, check: str, code: int) -> str:
    """A backup ends with the code that the doctor says; what it tells to run makes both good."""
    found = checked(program, code)
    assert found[check]["level"] == "problem"
    assert program.run("backup", "db").code == code
    fix = str(found[check]["fix"])
    server.sql(fix, "app")
    good(program)
    return fix


def good(program: Program) -> dict[str, dict[str, object]]:
    """The doctor finds no problem, and a backup is whole."""
    found = checked(program, 0)
    assert not [one for one in found.values() if one["level"] == "problem"]
    program.good("backup", "db")
    return found


@contextmanager
def psql(server: PostgresServer, sql: str, until: str) -> Iterator[None]:
    """Hold a session that did this; ``until`` is true when it has."""
    command = [str(server.programs / "psql"), "-X", "-h", str(server.folder), "-U", "postgres"]
    child = subprocess.Popen([*command, "app"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert child.stdin is not None
    try:
        child.stdin.write(f"{sql};\n".encode())
        child.stdin.flush()
        wait_for(lambda: server.sql(f"SELECT {until}", "app") == "t")
        yield
    finally:
        child.kill()
        child.communicate()


@each_of
def test_a_role_without_rights(weak: PostgresServer, program: Program) -> None:
    """Each thing that it cannot read is named, with the statement that lets it."""
    server = weak
    server.sql('CREATE SEQUENCE hidden_sequence; CREATE TABLE "odd ; t" (a int)', "app")
    fix = mended(program, server, "readable", 1)
    assert fix == 'GRANT pg_read_all_data TO "weak ""x""";'
    text = str(good(program)["readable"]["text"])
    assert "everything in it can be read" in text

    server.sql("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "app")
    found = checked(program, 1)
    assert "public.t" in str(found["row security"]["text"])
    assert mended(program, server, "row security", 1) == 'ALTER ROLE "weak ""x""" BYPASSRLS;'

    server.sql("SELECT lo_from_bytea(4711, 'x'), lo_from_bytea(4712, 'y')", "app")
    found = checked(program, 1)
    assert "4711, 4712" in str(found["large objects"]["text"])
    mended(program, server, "large objects", 1)


def test_tables_that_cannot_be_read_are_named(server: PostgresServer, program: Program) -> None:
    """Five of them, and how many more; what an extension brings is not among them."""
    made_weak(server, program)
    server.sql("GRANT SELECT ON t TO PUBLIC; CREATE EXTENSION vector", "app")
    good(program)
    for number in range(7):
        server.sql(f"CREATE TABLE hidden_{number} (a int)", "app")
    server.sql("ALTER EXTENSION vector ADD TABLE hidden_6", "app")
    (found,) = [one for one in checked(program, 1).values() if one["level"] == "problem"]
    assert found["text"] == (
        "cannot be read: tables public.hidden_0, public.hidden_1, public.hidden_2, "
        "public.hidden_3, public.hidden_4 and 1 more"
    )
    assert found["database"] == "app"
    server.sql("REVOKE USAGE ON SCHEMA public FROM PUBLIC", "app")
    assert str(checked(program, 1)["readable"]["text"]).endswith("and 2 more"), "t as well"


@each_of
def test_passwords_of_roles(weak: PostgresServer, program: Program) -> None:
    """Unsaid: a backup would be incomplete; wanted: it would fail; left out: fine."""
    server = weak
    server.sql("GRANT SELECT ON t TO PUBLIC", "app")
    good(program)
    for said, code in (("", 3), ("role_passwords = true", 1)):
        as_weak(program, server, said or "jobs = 2")
        found = checked(program, code)["role passwords"]
        assert "role_passwords = false" in str(found["fix"])
        assert program.run("backup", "db").code == code
    grant, _, _ = str(checked(program, 1)["role passwords"]["fix"]).partition("; or")
    server.sql(grant)
    checked(program, 0)
    program.good("backup", "db")


@each_of
def test_a_database_that_cannot_be_entered(weak: PostgresServer, program: Program) -> None:
    """No right to connect, no connections allowed, no such database: each with its code."""
    server = weak
    server.sql("GRANT SELECT ON t TO PUBLIC", "app")
    server.sql("REVOKE CONNECT ON DATABASE app FROM PUBLIC")
    mended(program, server, "databases", 14)
    server.sql("ALTER DATABASE app CONNECTION LIMIT 1")
    assert "4 connections, and 1 are allowed" in str(checked(program, 14)["databases"]["text"])
    mended(program, server, "databases", 14)
    server.sql("CREATE DATABASE closed ALLOW_CONNECTIONS false")
    as_weak(program, server)
    configure(program, server, more="databases = ['app', 'closed', 'none']")
    checked(program, 14)
    configure(program, server, more="databases = ['app', 'none']")
    assert checked(program, 15)["databases"]["database"] == "none"
    assert program.run("backup", "db").code == 15
    configure(program, server)
    assert (
        checked(program, 3)["databases"]["fix"] == 'ALTER DATABASE "closed" ALLOW_CONNECTIONS true;'
    )
    assert program.run("backup", "db").code == 3
    server.sql("ALTER DATABASE app CONNECTION LIMIT -1; DROP DATABASE closed")


def test_connections_that_are_missing(server: PostgresServer, program: Program) -> None:
    """Of the role, and of the server: a dump needs one more than its jobs, and one for its hold."""
    made_weak(server, program)
    server.sql("GRANT SELECT ON t TO PUBLIC", "app")
    server.sql('ALTER ROLE "weak ""x""" CONNECTION LIMIT 2')
    found = checked(program, 14)["connections"]
    assert "2 jobs needs 4" in str(found["text"])
    assert program.run("backup", "db").code == 14
    server.sql(str(found["fix"]))
    good(program)
    as_weak(program, server, "role_passwords = false\njobs = 60")
    found = checked(program, 14)["connections"]
    assert "60 jobs needs 62" in str(found["text"])


@pytest.mark.parametrize("level", ["ok", "warning"])
def test_locks_that_a_dump_would_wait_for(
    server: PostgresServer, program: Program, level: str
) -> None:
    """The process and its table, with what ends it."""
    made_weak(server, program)
    server.sql("GRANT SELECT ON t TO PUBLIC", "app")
    mode = "ACCESS EXCLUSIVE" if level == "warning" else "ROW EXCLUSIVE"
    held = "EXISTS (SELECT FROM pg_locks WHERE granted AND relation = 't'::regclass)"
    with psql(server, f"BEGIN; LOCK TABLE t IN {mode} MODE", held):
        found = checked(program, 0)
        assert ("locks" in found) == (level == "warning")
        if level == "warning":
            assert "on t" in str(found["locks"]["text"])
            fix = str(found["locks"]["fix"]).removeprefix("wait, or ")
            assert server.sql(fix) == "t"
            wait_for(lambda: server.sql(f"SELECT {held}", "app") == "f")
            assert "locks" not in checked(program, 0)


def test_what_is_only_unwise(server_of: ServerOf, program: Program) -> None:
    """Unlogged tables are noted; what concerns restores, or would be missing, is warned of."""
    server = server_of(15)
    try:
        made_weak(server, program)
        server.sql("GRANT SELECT ON t TO PUBLIC; CREATE UNLOGGED TABLE u (a int)", "app")
        server.sql("GRANT SELECT ON u TO PUBLIC; CREATE EXTENSION hstore", "app")
        found = checked(program, 0)
        assert found["unlogged"]["level"] == "ok"
        assert "public.u" in str(found["unlogged"]["text"])
        assert "extensions" not in found
        assert found["restore"]["fix"] == 'ALTER ROLE "weak ""x""" CREATEDB;'
        assert "postgres" in str(found["owners"]["text"])
        server.sql(str(found["restore"]["fix"]))
        server.sql(str(found["owners"]["fix"]).partition(" or ")[0])
        server.sql("UPDATE pg_extension SET extversion = '0.1' WHERE extname = 'hstore'", "app")
        subscription = "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p"
        server.sql(f"{subscription} WITH (connect = false, slot_name = NONE)", "app")
        found = checked(program, 3)
        assert found["restore"]["level"] == "ok"
        assert "owners" not in found
        assert "hstore 0.1" in str(found["extensions"]["text"])
        assert "subscription 's' is not saved" in str(found["left out"]["text"])
        assert program.run("backup", "db").code == 3
    finally:
        server.clear()


def test_the_password_and_who_can_read_it(server: PostgresServer, program: Program) -> None:
    """Its file, or that of clients, which they pass by; a wrong one is exit code 14."""
    server.make_app()
    quoted = PASSWORD.replace("'", "''")
    server.sql(f"CREATE ROLE with_password LOGIN SUPERUSER PASSWORD '{quoted}'")
    secret = program.folder / "secret"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    connection = f'{server.connection(user="with_password")}, password = {{ file = "{secret}" }}'
    configure(program, server, connection=connection, more=only("app"))
    found = checked(program, 0)["password"]
    assert found["fix"] == f"chmod 600 {secret}"
    subprocess.run(str(found["fix"]).split(), check=True)
    assert checked(program, 0)["password"]["level"] == "ok"
    secret.write_text("wrong")
    result = program.run("doctor", "postgres")
    assert result.code == 14
    assert "password authentication failed" in result.out
    assert PASSWORD not in result.out
    configure(program, server, more=only("app"))
    own = program.home / ".pgpass"
    own.write_text("")
    own.chmod(0o644)
    assert checked(program, 0)["password"]["fix"] == f"chmod 600 {own}"
    own.chmod(0o600)
    assert checked(program, 0)["password"]["level"] == "ok"


@pytest.mark.trial(21)
def test_programs(server: PostgresServer, program: Program) -> None:
    """Too old: the package; none: the package; with a known hole: the one that has it no more."""
    server.make_app()
    configure(program, server, programs=str(programs_of(15)), more=only("app"))
    assert "postgresql-client-18" in str(checked(program, 14)["programs"]["fix"])
    configure(program, server, programs="/nowhere", more=only("app"))
    assert "postgresql-client" in str(checked(program, 14)["programs"]["fix"])
    old = program.folder / "old"
    old.mkdir()
    for name in ("pg_dump", "pg_dumpall", "pg_restore", "psql"):
        real = server.programs / name
        version = 'case "$1" in --version) echo "pg_dump (PostgreSQL) 18.3"; exit;; esac'
        (old / name).write_text(f'#!/bin/sh\n{version}\nexec {real} "$@"\n')
        (old / name).chmod(0o755)
    configure(program, server, programs=str(old), more=only("app"))
    found = checked(program, 0)["programs"]
    assert found["level"] == "warning"
    assert "CVE-2026-6477" in str(found["text"])
    assert "18.4 has not" in str(found["text"])
    configure(program, server, more=only("app"))
    assert checked(program, 0)["programs"]["level"] == "ok"


def test_a_server_that_is_not_there(program: Program) -> None:
    """One line, and exit code 14."""
    (program.folder / "strongroom.toml").write_text(
        f'version = 1\n[sources.db]\ntype = "postgres"\n'
        f'connection = {{ host = "{program.folder}" }}'
    )
    assert checked(program, 14)["connection"]["level"] == "problem"


def lines(result: Result) -> list[str]:
    """Return the first word of each line."""
    return [line.split()[0] for line in result.out.splitlines()]


def test_for_people(server: PostgresServer, program: Program) -> None:
    """A line a check, with the fix; quiet: only what is not fine."""
    made_weak(server, program)
    result = program.run("doctor", "postgres", "db")
    assert result.code == 1
    assert "problem 'app' readable: cannot be read: tables public.t. Fix: GRANT" in result.out
    assert result.out.splitlines()[-1].startswith("1 problem, ")
    assert set(lines(result)[:-1]) == {"ok", "warning", "problem"}
    quiet = program.run("doctor", "postgres", "--quiet")
    assert set(lines(quiet)) == {"warning", "problem"}
    assert not list((program.cache / "scratch").iterdir())
    assert not program.run("snapshots", "--json").records[:-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dbb",), "Did you mean 'db'?"),
        (("documents",), "is not of type postgres"),
    ],
)
def test_a_source_that_is_none(program: Program, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, and the nearest name."""
    (program.folder / "strongroom.toml").write_text(
        'version = 1\n[sources.db]\ntype = "postgres"\n[sources.documents]\ntype = "files"\n'
        'paths = ["/x"]\n'
    )
    result = program.run("doctor", "postgres", *words)
    assert result.code == 2
    assert said in result.err
    Path(program.folder / "strongroom.toml").unlink()
    result = program.run("doctor", "postgres")
    assert result.code == 2
    assert "no source of databases is described" in result.err


def test_an_environment(server: PostgresServer, program: Program) -> None:
    """Its name stands for the sources in it."""
    server.make_app()
    (program.folder / "strongroom.toml").write_text(
        f"""\
version = 1
[sources.db]
type = "postgres"
connection = {{ {server.connection()} }}
databases = ["app"]
programs = ["{server.programs}"]
[environments.one]
[environments.two.sources.db]
databases = ["none"]
"""
    )
    checked(program, 0, "one")
    assert checked(program, 15, "two")["databases"]["source"] == "two.db"
    assert "problem two.db 'none' databases" in program.run("doctor", "postgres").out
