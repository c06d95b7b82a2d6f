"""Whatever goes wrong ends with its exit code and one clear sentence, and nothing is listed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.harness import Program, Result
from tests.postgres.conftest import ServerOf
from tests.postgres.kit import (
    check_repository,
    children_of,
    configure,
    databases,
    is_running,
    only,
    snapshots,
    spoiled,
    started,
    stopped_in_the_middle,
    wait_for,
)
from tests.support.postgres import PASSWORD, PostgresServer, programs_of, running_server

pytestmark = pytest.mark.spec("C1", "C3")


def refused(program: Program, code: int, *words: str) -> Result:
    """Back up, which must end with this code, these words in one line, and no snapshot."""
    result = program.run("backup", "db")
    assert result.code == code, result
    (line,) = [line for line in result.err.splitlines() if line.startswith("error: ")]
    for word in words:
        assert word in line
    assert snapshots(program) == 0
    assert "Traceback" not in result.err
    assert not list((program.cache / "scratch").iterdir())
    check_repository(program)
    return result


_ROWS = "f=$(ls $out/[0-9]*.dat | head -1)"


@pytest.mark.trial(28)
@pytest.mark.parametrize(
    ("mischief", "words"),
    [
        (f'{_ROWS}; truncate -s -5 "$f"; put', ["dat is cut short"]),
        (f'{_ROWS}; truncate -s -20000 "$f"; put', ["dat is cut short"]),
        (f'{_ROWS}; truncate -s 0 "$f"; put', ["dat is cut short"]),
        (f'{_ROWS}; rm "$f"; put', ["reading it back", "No such file"]),
        ("truncate -s -100 $out/toc.dat; put", ["reading it back"]),
        ("truncate -s 0 $out/toc.dat; put", ["reading it back"]),
        ("rm $out/toc.dat; put", ["reading it back"]),
        ('rm "$(ls $out/blob_* | head -1)"; put', ["reading it back", "No such file"]),
        ('f=$(ls $out/*.toc); sed -i "\\$d" "$f"; put', ["2 large objects came"]),
        (
            """f=$(ls $out/*.toc); rm $out/blob_$(tail -1 "$f" | cut -d' ' -f1).dat
            sed -i "\\$d" "$f"; put""",
            ["2 large objects came, and the database has 3"],
        ),
        ("touch $out/7777.dat; put", ["7777.dat came, and nothing names it"]),
        ("put; exit 1", ["pg_dump ended with 1"]),
        ("put; kill -9 $$", ["pg_dump was killed by SIGKILL"]),
        ("put; echo 'pg_dump: error: the last word' >&2; exit 7", ["ended with 7: the last word"]),
    ],
)
def test_a_dump_that_is_not_whole_is_never_saved(
    server: PostgresServer, program: Program, mischief: str, words: list[str]
) -> None:
    """Cut short, a file missing or too many, an exit code after the last byte, killed."""
    server.make_app()
    server.sql("SELECT lo_from_bytea(0, 'x') FROM generate_series(1, 3)", "app")
    folder = spoiled(server, program.folder / "programs", mischief)
    configure(program, server, programs=folder, more=only("app"))
    try:
        refused(program, 1, "'app'", *words)
    finally:
        server.sql("SELECT lo_unlink(oid) FROM pg_largeobject_metadata", "app")


def test_a_wrong_password(server: PostgresServer, program: Program) -> None:
    """Exit code 14; the server is named, and no password is shown."""
    server.sql("CREATE ROLE with_password LOGIN PASSWORD 'the secret'")
    wrong = program.folder / "wrong"
    wrong.write_text("not the secret\n")
    wrong.chmod(0o600)
    connection = server.connection(user="with_password")
    configure(program, server, connection=f'{connection}, password = {{ file = "{wrong}" }}')
    result = refused(program, 14, "password authentication failed", str(server.folder))
    assert "not the secret" not in result.err
    configure(program, server, connection=f'{connection}, password = {{ env = "NOT_SET" }}')
    result = program.run("backup", "db")
    assert result.code == 2
    assert "is empty, or not set" in result.err


def test_a_server_that_is_not_there(program: Program, server: PostgresServer) -> None:
    """Exit code 14."""
    configure(program, server, connection=f'host = "{program.folder}", user = "postgres"')
    refused(program, 14, "connection to server", str(program.folder))


@pytest.mark.trial(21)
def test_a_server_newer_than_the_programs(server: PostgresServer, program: Program) -> None:
    """Exit code 14, and the package to install; nothing is dumped by a program that is too old."""
    configure(program, server, programs=str(programs_of(15)))
    refused(program, 14, "postgresql-client-18", "15.")


def test_a_table_that_may_not_be_read(server: PostgresServer, program: Program) -> None:
    """Exit code 1, the table, and the right to grant."""
    server.make_app()
    server.sql("CREATE ROLE limited LOGIN")
    server.sql("CREATE TABLE hidden (a int); GRANT SELECT ON t TO limited", "app")
    configure(program, server, connection=server.connection(user="limited"), more=only("app"))
    refused(program, 1, "permission denied for table hidden", "pg_read_all_data")


def test_rows_that_would_be_left_out(server: PostgresServer, program: Program) -> None:
    """Row-level security that applies to the role is an error, never a part of the rows."""
    server.make_app()
    server.sql("CREATE ROLE limited LOGIN; GRANT pg_read_all_data TO limited")
    server.sql("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "app")
    configure(program, server, connection=server.connection(user="limited"), more=only("app"))
    refused(program, 1, "row-level security", "BYPASSRLS")


def test_a_database_that_is_not_there(server: PostgresServer, program: Program) -> None:
    """Exit code 15, and those that are."""
    configure(program, server, more=only("appp"))
    refused(program, 15, "'appp'", "postgres")


def test_no_room_for_the_dump(server: PostgresServer, program: Program) -> None:
    """A folder that cannot be made is said before anything is dumped."""
    (program.folder / "file").write_text("")
    configure(program, server, more='scratch = "file/below"')
    result = program.run("backup", "db")
    assert result.code == 14
    assert "no room for dumps" in result.err


def test_passwords_of_roles_that_cannot_be_read(server: PostgresServer, program: Program) -> None:
    """They are missing, which is incomplete, unless the configuration accepts it."""
    server.make_app()
    server.sql("CREATE ROLE limited LOGIN")
    server.sql("GRANT SELECT ON t TO limited", "app")
    connection = server.connection(user="limited")
    configure(program, server, connection=connection, more=only("app"))
    result = program.run("backup", "db")
    assert result.code == 3
    assert "role_passwords = false" in result.err
    accepted = f"{only('app')}\nrole_passwords = false"
    configure(program, server, connection=connection, more=accepted)
    program.good("backup", "db")
    text = program.good("dump", "latest", "/postgres/db/globals.sql").out
    assert "CREATE ROLE limited" in text
    assert "SCRAM" not in text


def test_a_database_without_connections_is_missing(
    server: PostgresServer, program: Program
) -> None:
    """All databases are asked for, and one that allows no connections is not all."""
    server.sql("CREATE DATABASE closed ALLOW_CONNECTIONS false")
    configure(program, server)
    result = program.run("backup", "db")
    assert result.code == 3
    assert "postgres/db/closed" in result.err


@pytest.mark.spec("C4")
@pytest.mark.parametrize(
    ("mischief", "word"),
    [
        ("kill -9 $$", "pg_restore was killed by SIGKILL"),
        ("exit 1", "pg_restore ended with 1"),
        ('{psql} -c "DELETE FROM t WHERE g = 7"', "public.t has 1,999 rows, and its dump 2,000"),
        ('{psql} -c "DROP TABLE t"', 'relation "public.t" does not exist'),
    ],
)
def test_a_restore_that_is_not_whole_leaves_no_database(
    server: PostgresServer, program: Program, mischief: str, word: str
) -> None:
    """Exit code 21 and why; also where pg_restore said that all is well."""
    server.make_app()
    psql = f'{server.programs}/psql -X -q -d "$into"'
    folder = spoiled(
        server, program.folder / "programs", mischief.format(psql=psql), program="pg_restore"
    )
    configure(program, server, programs=folder, more=only("app"))
    program.good("backup", "db")
    result = program.run("restore", "latest", "--database", "app", "--to-database", "again")
    assert result.code == 21, result
    assert word in result.err
    assert "removed again" in result.err
    assert "again" not in server.sql("SELECT datname FROM pg_database")


@pytest.mark.spec("C4", "C9")
def test_a_client_with_a_known_hole_restores_nothing(
    server_of: Callable[[int], PostgresServer], program: Program
) -> None:
    """It saves, but to restore, and to write SQL, it is refused with exit code 6; the files of the
    dump can be had all the same.
    """
    server = server_of(15)
    server.make_app()
    folder = program.folder / "old"
    folder.mkdir()
    for name in ("pg_dump", "pg_dumpall", "pg_restore", "psql"):
        says = f'[ "$1" = --version ] && echo "{name} (PostgreSQL) 15.13" && exit'
        (folder / name).write_text(f'#!/bin/sh\n{says}\nexec {server.programs / name} "$@"\n')
        (folder / name).chmod(0o755)
    configure(program, server, programs=str(folder), more=only("app"))
    program.good("backup", "db")
    for words in (
        ("restore", "latest", "--database", "app", "--to-database", "new"),
        ("dump", "latest", "--database", "app"),
    ):
        result = program.run(*words)
        assert result.code == 6, result
        assert f"pg_restore 15.13 in {folder} has CVE-2025-8715" in result.err
        assert "Install 15.14" in result.err
    to = program.folder / "files"
    program.good("dump", "latest", "--database", "app", "--format", "directory", "--to", to)
    assert (to / "toc.dat").exists()
    assert "new" not in server.sql("SELECT datname FROM pg_database").splitlines()
    server.clear()


@pytest.mark.spec("C4")
def test_an_interrupted_restore_leaves_no_database(
    server: PostgresServer, program: Program
) -> None:
    """SIGTERM while pg_restore works: exit code 143, and the new database is gone."""
    server.make_app()
    folder = spoiled(server, program.folder / "programs", "exec sleep 300", program="pg_restore")
    configure(program, server, programs=folder, more=only("app"))
    program.good("backup", "db")
    restore = started(program, "restore", "latest", "--database", "app", "--to-database", "again")
    try:
        wait_for(lambda: "sleep" in {name for _, name in children_of(restore.pid)})
        restore.terminate()
        _, err = restore.communicate(timeout=60)
    finally:
        restore.kill()
    assert restore.returncode == 143, err
    assert "again" not in server.sql("SELECT datname FROM pg_database")


def test_pg_dump_killed_in_the_middle(server: PostgresServer, program: Program) -> None:
    """Exit code 1, the signal, no snapshot and no scratch."""
    server.make_app()
    configure(program, server, more=only("app"))
    with stopped_in_the_middle(program, server, "app") as (backup, dumping):
        os.kill(dumping, signal.SIGKILL)
        _, err = backup.communicate(timeout=60)
    assert backup.returncode == 1
    assert b"pg_dump was killed by SIGKILL" in err
    assert snapshots(program) == 0
    assert not list((program.cache / "scratch").iterdir())


def test_the_server_killed_in_the_middle(program: Program) -> None:
    """Exit code 14: the server is gone."""
    with running_server(16) as server:
        server.make_app()
        configure(program, server, more=only("app"))
        with stopped_in_the_middle(program, server, "app") as (backup, _):
            server.process.send_signal(signal.SIGQUIT)
            _, err = backup.communicate(timeout=60)
    assert backup.returncode == 14, err
    assert b"error: dumping 'app'" in err
    assert snapshots(program) == 0


def test_an_interruption_leaves_no_process_and_no_file(
    server: PostgresServer, program: Program
) -> None:
    """SIGTERM ends pg_dump too; the exit code is 143."""
    server.make_app()
    configure(program, server, more=only("app"))
    with stopped_in_the_middle(program, server, "app") as (backup, dumping):
        backup.send_signal(signal.SIGTERM)
        backup.communicate(timeout=60)
        assert backup.returncode == 143
        wait_for(lambda: not is_running(dumping))
    assert snapshots(program) == 0
    assert not list((program.cache / "scratch").iterdir())


def test_what_a_killed_backup_left_goes_with_the_next(
    server: PostgresServer, program: Program
) -> None:
    """Nobody can remove anything when killed; pg_dump ends by itself, the next backup cleans up."""
    server.make_app()
    configure(program, server, more=only("app"))
    with stopped_in_the_middle(program, server, "app") as (backup, dumping):
        backup.kill()
        backup.communicate(timeout=60)
        wait_for(lambda: not is_running(dumping))
    (left,) = (program.cache / "scratch").iterdir()
    assert snapshots(program) == 0
    check_repository(program)
    program.good("backup", "db")
    assert not left.exists()


@pytest.mark.spec("C9")
def test_a_dump_that_cannot_go_back_is_told_of(server_of: ServerOf, program: Program) -> None:
    """A server of 15 and programs of 18 only: the backup and the doctor warn, and a restore leaves
    nothing and says what to do.
    """
    server, newer = server_of(15), server_of(18)
    marks = "SELECT count(*) > 0 FROM pg_attribute WHERE attoptions::text LIKE '%pg_attver%'"
    server.make_app()
    try:
        configure(program, server, programs=str(newer.programs), more=only("app"))
        made = program.good("backup", "db")
        assert "postgresql-client-15" in made.err
        assert "warning programs" in program.run("doctor", "postgres", "db").out
        refused = program.run("restore", "latest", "--database", "app", "--to-database", "again")
        assert refused.code == 21
        assert "programs of this server's version" in refused.err
        assert databases(server)[-1] == "app"
        configure(program, newer, programs=str(newer.programs), more=only("app"))
        done = program.run("restore", "latest", "--database", "app", "--to-database", "again")
        if server.sql(marks) == "t" and newer.sql(marks) == "f":  # depends on their releases
            assert "(pg_attver)" in made.err
            assert done.code == 21
            assert "bring the client programs up to date" in done.err
        else:
            assert done.code == 0
    finally:
        server.clear()
        newer.clear()


@pytest.mark.trial(26)
@pytest.mark.spec("C2")
def test_no_argument_and_no_variable_holds_a_password(
    server: PostgresServer, program: Program, tmp_path: Path
) -> None:
    """It is in a private file of the scratch folder, gone at the end."""
    server.make_app()
    quoted = PASSWORD.replace("'", "''")
    server.sql(f"CREATE ROLE with_password LOGIN SUPERUSER PASSWORD '{quoted}'")
    seen = tmp_path / "seen"
    mischief = f'(cat /proc/$$/cmdline; env; stat -c "%a %n" "$PGPASSFILE") > {seen}; put'
    folder = spoiled(server, program.folder / "programs", mischief)
    command = program.folder / "password"
    command.write_text(PASSWORD)
    command.chmod(0o600)
    shown = []
    for password in (
        f'file = "{command}"',
        'env = "THE_PASSWORD"',
        f'command = "cat {command}"',
    ):
        connection = f"{server.connection(user='with_password')}, password = {{ {password} }}"
        configure(program, server, connection=connection, programs=folder, more=only("app"))
        result = program.good("backup", "db", env={"THE_PASSWORD": PASSWORD, "PGHOST": "nowhere"})
        shown.append(seen.read_text(errors="replace") + result.out + result.err)
    for text in shown:
        assert "secret" not in text
        assert "PGHOST" not in text
        assert "THE_PASSWORD" not in text
        (line,) = [line for line in text.splitlines() if line.startswith("600 ")]
        assert not Path(line.removeprefix("600 ")).exists()


@pytest.mark.spec("C2")
def test_the_variables_of_the_guide(server: PostgresServer, program: Program) -> None:
    """Without a file, DB_* make the source db, with a warning; a file is not overruled by them."""
    server.make_app()
    quoted = PASSWORD.replace("'", "''")
    server.sql(f"CREATE ROLE with_password LOGIN SUPERUSER PASSWORD '{quoted}'")
    variables: dict[str, str | None] = {
        "DB_HOST": str(server.folder),
        "DB_PORT": "5432",
        "DB_NAME": "app",
        "DB_USER": "with_password",
        "DB_PASSWORD": PASSWORD,
        "PATH": f"{server.programs}:{os.environ['PATH']}",
    }
    result = program.good("backup", "db", env=variables)
    assert "warning: the database password comes from DB_PASSWORD" in result.err
    assert "/postgres/db/app/toc.dat" in program.good("ls", "latest").out
    configure(program, server, more=only("app"))
    contradicted = program.good("backup", "db", env={**variables, "DB_HOST": "elsewhere"})
    assert "DB_HOST=elsewhere is not used" in contradicted.err
    bad = program.run("backup", "db", env={**variables, "DB_PORT": "many"})
    assert bad.code == 2
    assert "DB_PORT 'many' is no port" in bad.err


@pytest.mark.spec("C2")
def test_a_service_file_says_where(server: PostgresServer, program: Program) -> None:
    """What is in it need not be said again."""
    server.make_app()
    services = program.folder / "services"
    services.write_text(f"[app]\nhost={server.folder}\nuser=postgres\ndbname=app\n")
    configure(program, server, connection='service = "app"', more=only("app"))
    program.good("backup", "db", env={"PGSERVICEFILE": str(services)})
    record = program.good("dump", "latest", "/postgres/db/app/backup.json").out
    assert json.loads(record)["database"] == "app"
