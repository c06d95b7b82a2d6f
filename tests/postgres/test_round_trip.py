"""What was in a database is in the one that is restored: catalogue and rows, on each server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from strongroom.postgres.names import folder_name, identifier
from tests.cli.harness import Program
from tests.postgres.kit import configure, only
from tests.support.compare_databases import described, differences
from tests.support.odd_database import ODD_NAME, make_odd_database
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("C1", "C4", "C9")


def test_an_odd_database_comes_back(each_server: PostgresServer, program: Program) -> None:
    """Every kind of object, odd names and values: into a new database, and through SQL too."""
    server = each_server
    make_odd_database(server)
    configure(program, server, more=only(ODD_NAME))
    program.good("backup", "db")
    before = described(server, ODD_NAME)
    new, by_sql = "new \"x\" = 'y'\n/%", "by_sql"
    done = program.good("restore", "latest", "--database", ODD_NAME, "--to-database", new)
    assert "as many in each as in its dump" in done.out
    assert differences(before, described(server, new)) == []
    assert len(before["rows"]) > 15

    server.sql(f"CREATE DATABASE {by_sql} OWNER reader TEMPLATE template0")
    sql = program.good("dump", "latest", "--database", ODD_NAME)
    server.sql(sql.out, by_sql)
    assert differences(before, described(server, by_sql)) == []

    file = program.folder / "custom"
    custom = program.good("dump", "latest", "--database", ODD_NAME, "--format", "custom")
    file.write_bytes(custom.raw)
    for name, jobs in (("by_custom", "3"), ("by_pipe", "1")):
        server.sql(f"CREATE DATABASE {name} OWNER reader TEMPLATE template0")
        server.restore(file, name, jobs)
        assert differences(before, described(server, name)) == []

    folder = program.folder / "dump"
    directory = ("--format", "directory", "--to", folder)
    program.good("dump", "latest", "--database", ODD_NAME, *directory)
    listed = subprocess.run(
        [server.programs / "pg_restore", "--list", folder], capture_output=True, check=True
    )
    assert b"MATERIALIZED VIEW DATA public kept" in listed.stdout
    assert not list((program.cache / "scratch").iterdir())
    program.good("verify", "--read-data")


@pytest.mark.parametrize(
    "each_server",
    [pytest.param(15, marks=pytest.mark.slow), pytest.param(16, marks=pytest.mark.slow), 18],
    indirect=True,
)
def test_each_encoding_comes_back(each_server: PostgresServer, program: Program) -> None:
    """The new databases have encoding and locale of the old ones, and the same bytes."""
    server, names = each_server, []
    kinds = [
        ("LATIN1", "LOCALE 'C'", "é"),
        ("EUC_JP", "LOCALE 'C'", "漢"),
        ("SQL_ASCII", "LOCALE 'C'", "é漢"),
        ("UTF8", "LOCALE 'C.UTF-8'", "é漢"),
    ]
    if server.major >= 17:
        kinds.append(("UTF8", "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'", "é漢"))
    if server.major == 15:  # the others are built without ICU
        kinds.append(("UTF8", "LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'", "é漢"))
    for number, (encoding, locale, text) in enumerate(kinds):
        names.append(f"enc_{number}")
        like = f"TEMPLATE template0 ENCODING '{encoding}' {locale}"
        server.sql(f"CREATE DATABASE {names[-1]} {like}")
        rows = f"CREATE TABLE t{text} (a text); INSERT INTO t{text} VALUES ('{text}')"
        server.sql(rows, names[-1])
        if encoding == "SQL_ASCII":  # where any bytes are text
            raw = (
                "SET client_encoding = SQL_ASCII; INSERT INTO \"té漢\" VALUES (E'\\xff\\xfe\\\\.')"
            )
            server.sql(raw.replace("té漢", f"t{text}"), names[-1])
    configure(program, server, more=only(*names))
    program.good("backup", "db")
    for name in names:
        program.good("restore", "latest", "--database", name, "--to-database", f"{name}_2")
        assert differences(described(server, name), described(server, f"{name}_2")) == []


def test_all_databases_and_the_globals(each_server: PostgresServer, program: Program) -> None:
    """Without names, all that can be connected to; roles with their passwords beside them."""
    server = each_server
    server.sql("CREATE ROLE kept_role LOGIN PASSWORD 'x'")
    server.sql('CREATE DATABASE "globals.sql"')
    server.sql(f"CREATE DATABASE {identifier(ODD_NAME)}")
    configure(program, server)
    program.good("backup", "db")
    found = {
        record["path"]
        for record in program.good("ls", "latest", "--json").records
        if "path" in record
    }
    tops = {path.split("/")[3] for path in found}
    assert "globals.sql" in tops
    assert "globals%2Esql" in tops
    assert {folder_name(ODD_NAME), "postgres"} <= tops
    assert "template1" not in tops
    globals_sql = program.good("dump", "latest", "/postgres/db/globals.sql").out
    assert "ALTER ROLE kept_role" in globals_sql
    assert "SCRAM-SHA-256$" in globals_sql


def test_the_record_says_what_the_dump_corresponds_to(
    server: PostgresServer, program: Program
) -> None:
    """LSN and time of its snapshot, the versions, and each table with its rows."""
    server.sql("CREATE DATABASE recorded")
    server.sql("CREATE TABLE t AS SELECT generate_series(1, 77)", "recorded")
    configure(program, server, more=only("recorded"))
    before = server.sql("SELECT pg_current_wal_lsn()")
    program.good("backup", "db")
    after = server.sql("SELECT pg_current_wal_lsn()")
    record = json.loads(program.good("dump", "latest", "/postgres/db/recorded/backup.json").out)
    assert server.sql(f"SELECT '{record['lsn']}'::pg_lsn BETWEEN '{before}' AND '{after}'") == "t"
    assert record["server"].startswith(f"{server.major}.")
    assert record["major"] == server.major
    (table,) = record["tables"]
    assert (table["schema"], table["name"], table["rows"]) == ("public", "t", 77)


def test_a_database_that_exists_is_never_touched(server: PostgresServer, program: Program) -> None:
    """Refused with exit code 6 and the command that would restore beside it."""
    server.sql("CREATE DATABASE standing")
    server.sql("CREATE TABLE t AS SELECT 1 AS a", "standing")
    configure(program, server, more=only("standing"))
    program.good("backup", "db")
    server.sql("INSERT INTO t VALUES (2)", "standing")
    refused = program.run(
        "restore", "latest", "--database", "standing", "--to-database", "standing"
    )
    assert refused.code == 6
    assert "--to-database standing_restored" in refused.err
    assert server.sql("SELECT count(*) FROM t", "standing") == "2"


def test_a_restore_that_fails_leaves_nothing(server: PostgresServer, program: Program) -> None:
    """A role that is not there: exit code 21, no new database, and what to do; then it works."""
    server.sql("CREATE ROLE passing; CREATE DATABASE owned")
    server.sql("CREATE TABLE t AS SELECT 1 AS a; ALTER TABLE t OWNER TO passing", "owned")
    configure(program, server, more=only("owned"))
    program.good("backup", "db")
    server.sql("DROP TABLE t; DROP ROLE passing", "owned")
    words = ("restore", "latest", "--database", "owned", "--to-database", "owned_2")
    failed = program.run(*words)
    assert failed.code == 21, failed
    assert 'role "passing" does not exist' in failed.err
    assert "globals.sql" in failed.err
    assert "owned_2" not in server.sql("SELECT datname FROM pg_database")
    program.good(*words, "--no-owner")
    assert server.sql("SELECT count(*) FROM t", "owned_2") == "1"


def test_a_dry_run_of_a_restore_makes_nothing(server: PostgresServer, program: Program) -> None:
    """The plan names database, time, LSN and server; nothing is made."""
    server.sql("CREATE DATABASE planned")
    configure(program, server, more=only("planned"))
    program.good("backup", "db")
    words = ("restore", "latest", "--database", "planned", "--to-database", "planned_2")
    told = program.good(*words, "--dry-run")
    assert "LSN" in told.out
    assert "planned_2" in told.out
    assert "planned_2" not in server.sql("SELECT datname FROM pg_database")
    assert program.run("restore", "latest", "--database", "none", "--to-database", "x").code == 15


def test_files_and_several_servers_in_one_snapshot(
    server_of: Callable[[int], PostgresServer], program: Program
) -> None:
    """Each source has a folder of its own; a database of the same name is asked for by source,
    and goes to another server when that is named.
    """
    old, new = server_of(16), server_of(18)
    for server in (old, new):
        server.make_app()
    old.sql("DELETE FROM t WHERE g > 5", "app")
    configure(program, old, more=only("app"))
    program.make_files(a="1")
    with (program.folder / "strongroom.toml").open("a") as file:
        file.write(
            f"""\
[sources.second]
type = "postgres"
connection = {{ {new.connection()} }}
programs = ["{new.programs}"]
databases = ["app"]
[sources.documents]
type = "files"
paths = ["documents"]
"""
        )
    program.good("backup")
    words = ("restore", "latest", "--database", "app", "--to-database", "moved")
    several = program.run(*words)
    assert several.code == 2
    assert "db, second" in several.err
    assert program.run(*words, "--source", "db", "--server", "none").code == 2
    program.good(*words, "--source", "db", "--server", "second")
    assert new.sql("SELECT count(*) FROM t", "moved") == "5"
    assert "documents/a" in program.good("ls", "latest").out
    assert program.run("backup", "--dry-run").code == 2
    program.good("backup", "documents", "--dry-run")
    for server in (old, new):
        server.clear()
