"""Whatever is killed or in the way: the database is as it was, or as the snapshot has it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cli.harness import Program
from tests.postgres.kit import (
    beside,
    configure,
    databases,
    killed_at,
    only,
    spoiled,
    started,
    wait_for,
)
from tests.postgres.test_swap import REPLACE, UNDO
from tests.postgres.writer import writing
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("C4")

RESUME = ("restore", "--database", "app", "--resume", "--no-confirm")
SAVED, LATER = "2000", "2001"


def rows(server: PostgresServer, database: str = "app") -> str:
    """Return how many rows the table has: ``SAVED`` in the snapshot, ``LATER`` after it."""
    return server.sql("SELECT count(*) FROM t", database)


def prepare(server: PostgresServer, program: Program, *, connection: str = "") -> None:
    """Make ``app``, save it, and write a row more."""
    server.make_app()
    configure(program, server, connection=connection, more=only("app"))
    program.good("backup", "db")
    server.sql("INSERT INTO t VALUES (0)", "app")


@contextmanager
def session(server: PostgresServer, user: str = "postgres") -> Iterator[subprocess.Popen[bytes]]:
    """Stay connected to ``app``."""
    psql = subprocess.Popen(
        [server.programs / "psql", "-X", "-h", server.folder, "-U", user, "app"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    there = f"SELECT count(*) FROM pg_stat_activity WHERE datname = 'app' AND usename = '{user}'"
    wait_for(lambda: server.sql(there) == "1")
    try:
        yield psql
    finally:
        psql.kill()
        psql.communicate()


def one_run_killed(server: PostgresServer, program: Program, line: int) -> str:
    """Replace ``app`` by a program that is killed before it sends a line; what it had sent."""
    folder = program.folder / f"killed-{line}"
    configure(program, server, programs=killed_at(server, folder, line), more=only("app"))
    killed = started(program, *REPLACE, "--no-confirm")
    killed.communicate(timeout=60)
    assert killed.returncode == (-signal.SIGKILL if line else 0)
    gone = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'strongroom'"
    wait_for(lambda: server.sql(gone) == "0")
    configure(program, server, more=only("app"))
    return (folder / "lines").read_text()


def check_and_clear(server: PostgresServer, program: Program) -> str:
    """Check what a killed restore left, finish or undo it, and remove what stands beside."""
    names = databases(server)
    assert "app" in names
    ready, filling = beside(server, "app", "ready"), beside(server, "app", "restore")
    before = beside(server, "app", "before")
    if before:
        assert (rows(server), rows(server, before[0])) == (SAVED, LATER)
        program.good(*UNDO, "--no-confirm")
        found = "swapped"
    elif ready:
        assert (rows(server), rows(server, ready[0])) == (LATER, SAVED)
        assert program.run(*UNDO, "--no-confirm").code == 6
        program.good(*RESUME)
        assert rows(server) == SAVED
        program.good(*UNDO, "--no-confirm")
        found = "ready"
    else:
        assert program.run(*RESUME).code == 15
        found = "filling" if filling else "nothing"
        if filling:
            assert program.run(*UNDO, "--no-confirm").code == 6
    assert rows(server) == LATER
    for name in databases(server):
        if name != "app":
            server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    return found


def test_a_kill_at_each_step_of_the_swap(server: PostgresServer, program: Program) -> None:
    """Killed before each line that goes to the server when all was counted: the old database has
    its name or the new one has it, whole; what is left is finished or undone.
    """
    prepare(server, program)
    lines = one_run_killed(server, program, 0).splitlines()
    assert check_and_clear(server, program) == "swapped"
    first = 1 + next(n for n, line in enumerate(lines) if "RENAME TO" in line)
    assert sum("RENAME TO" in line for line in lines[first - 1 :]) == 3
    found = []
    for line in range(first, len(lines) + 1):
        one_run_killed(server, program, line)
        found.append(check_and_clear(server, program))
    assert sorted(set(found)) == ["filling", "ready", "swapped"]
    assert found == sorted(found, key=["filling", "ready", "swapped"].index)
    program.good(*REPLACE, "--no-confirm")
    assert rows(server) == SAVED


@pytest.mark.slow
def test_a_kill_at_each_step_before_the_swap(server: PostgresServer, program: Program) -> None:
    """As above, from the first line to the end of the counting."""
    prepare(server, program)
    lines = one_run_killed(server, program, 0).splitlines()
    check_and_clear(server, program)
    for line in range(1, 1 + next(n for n, one in enumerate(lines) if "RENAME TO" in one)):
        one_run_killed(server, program, line)
        assert check_and_clear(server, program) in {"nothing", "filling"}


def test_a_restore_that_was_killed_is_told_of(server: PostgresServer, program: Program) -> None:
    """The next one names what is left and how to remove it, and does its work beside it."""
    prepare(server, program)
    lines = one_run_killed(server, program, 0).splitlines()
    check_and_clear(server, program)
    first = next(n for n, line in enumerate(lines, 1) if line.startswith("ANALYZE"))
    one_run_killed(server, program, first)
    (left,) = beside(server, "app", "restore")
    told = program.good(*REPLACE, "--no-confirm")
    assert f'DROP DATABASE "{left}"' in told.err
    assert left in databases(server)
    assert rows(server) == SAVED


def test_the_server_crashes_while_it_is_filled(server: PostgresServer, program: Program) -> None:
    """A backend is killed, and the server starts again: exit code 21, nothing is left of it."""
    prepare(server, program)
    backend = "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
    mischief = f'exec {server.programs}/psql -X -d "$into" -c "SELECT pg_sleep(60)"'
    folder = spoiled(server, program.folder / "programs", mischief, program="pg_restore")
    configure(program, server, programs=folder, more=only("app"))
    restore = started(program, *REPLACE, "--no-confirm")
    try:
        wait_for(lambda: server.sql(backend) != "")
        os.kill(int(server.sql(backend)), signal.SIGKILL)
        _, errors = restore.communicate(timeout=60)
    finally:
        restore.kill()
    assert restore.returncode == 21, errors
    assert b"server closed the connection" in errors
    assert databases(server) == ["app"]
    assert rows(server) == LATER


def test_somebody_is_connected_whom_we_may_not_disconnect(
    server: PostgresServer, program: Program
) -> None:
    """A superuser in the database, and a restore by its owner: the plan warns, the swap is not
    made, what was restored stays, and takes its place when nobody is in the way.
    """
    server.sql("CREATE ROLE deployer LOGIN CREATEDB")
    server.make_app()
    server.sql("ALTER DATABASE app OWNER TO deployer; ALTER TABLE t OWNER TO deployer", "app")
    server.sql("ALTER SCHEMA public OWNER TO deployer", "app")
    prepare_as = server.connection(user="deployer", name="postgres")
    configure(program, server, connection=prepare_as, more=f"{only('app')}\nrole_passwords = false")
    program.good("backup", "db")
    server.sql("INSERT INTO t VALUES (0)", "app")
    with session(server):
        result = program.run(*REPLACE, "--no-confirm")
        assert result.code == 21, result
        assert "may not disconnect: postgres" in result.err
        assert "not to be disconnected by 'deployer': postgres" in result.out
        assert databases(server) == ["app", *beside(server, "app", "ready")]
        assert rows(server) == LATER
    with session(server, "deployer"):
        program.good(*RESUME)
        there = "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE 'app%'"
        assert server.sql(there) == "0"
    assert rows(server) == SAVED


def test_what_a_server_would_refuse_is_known_before(
    server: PostgresServer, program: Program
) -> None:
    """No right to make databases, one that is somebody else's, prepared transactions: exit code 6
    and what to do, before anything is read.
    """
    server.sql("CREATE ROLE limited LOGIN; GRANT pg_read_all_data TO limited")
    prepare(server, program)
    told = f"{only('app')}\nrole_passwords = false"
    configure(program, server, connection=server.connection(user="limited"), more=told)
    result = program.run(*REPLACE, "--no-confirm")
    assert result.code == 6, result
    assert 'ALTER ROLE "limited" CREATEDB' in result.err
    server.sql("ALTER ROLE limited CREATEDB")
    result = program.run(*REPLACE, "--no-confirm")
    assert result.code == 6, result
    assert "belongs to 'postgres'" in result.err
    configure(program, server, more=only("app"))
    server.sql("BEGIN; INSERT INTO t VALUES (-1); PREPARE TRANSACTION 'two'", "app")
    result = program.run(*REPLACE, "--no-confirm")
    assert result.code == 6, result
    assert "prepared transactions" in result.err
    assert databases(server) == ["app"]
    server.sql("COMMIT PREPARED 'two'", "app")
    program.good(*REPLACE, "--no-confirm")
    assert rows(server, *beside(server, "app", "before")) == "2002"


def test_the_name_is_taken_meanwhile(server: PostgresServer, program: Program) -> None:
    """Somebody else makes a database of that name while ours is filled: theirs is not touched,
    ours stays whole, and can take its place when that is asked for.
    """
    prepare(server, program)
    make = f'{server.programs}/psql -X -q -d "$into" -c "CREATE DATABASE fresh"'
    mischief = f"{make} 2>/dev/null || true"  # each pg_restore tries, and one of them does
    folder = spoiled(server, program.folder / "programs", mischief, program="pg_restore")
    configure(program, server, programs=folder, more=only("app"))
    result = program.run("restore", "latest", "--database", "app", "--to-database", "fresh")
    assert result.code == 21, result
    assert 'database "fresh" already exists' in result.err
    (ready,) = beside(server, "fresh", "ready")
    assert f'DROP DATABASE "{ready}"' in result.err
    assert server.sql("SELECT count(*) FROM pg_class WHERE relname = 't'", "fresh") == "0"
    resume = ("restore", "--database", "fresh", "--resume")
    assert program.run(*resume).code == 6
    program.good(*resume, "--no-confirm")
    assert rows(server, "fresh") == SAVED


def test_a_restore_that_is_interrupted_keeps_the_old_one(
    server: PostgresServer, program: Program
) -> None:
    """A killed pg_restore, or a row that is missing in the end: exit code 21, the old one stays."""
    prepare(server, program)
    for number, mischief in enumerate(
        ("kill -9 $$", f'{server.programs}/psql -X -q -d "$into" -c "DELETE FROM t WHERE g = 7"')
    ):
        folder = program.folder / f"programs-{number}"
        programs = spoiled(server, folder, mischief, program="pg_restore")
        configure(program, server, programs=programs, more=only("app"))
        assert program.run(*REPLACE, "--no-confirm").code == 21
        assert databases(server) == ["app"]
        assert rows(server) == LATER


def test_an_application_goes_on_through_swap_and_undo(
    each_server: PostgresServer, program: Program
) -> None:
    """It is disconnected once or twice, connects again, and finds what was restored; after undo
    what it had before. Each write that was confirmed is in one of the two databases.
    """
    server = each_server
    server.make_app()
    server.sql("CREATE TABLE log (n int)", "app")
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    with writing(server) as writer:
        wait_for(lambda: len(writer.written) > 20)
        program.good(*REPLACE, "--no-confirm")
        restored_at = writer.written[-1][1]
        wait_for(lambda: writer.written[-1][1] > restored_at + 20)
        program.good(*UNDO, "--no-confirm")
        undone_at = writer.written[-1][1]
        wait_for(lambda: writer.written[-1][1] > undone_at + 20)
    (undone,) = beside(server, "app", "undone")
    one, other = (_numbers(server, name) for name in ("app", undone))
    assert {number for _, number in writer.written} <= one | other
    assert not one & other
    assert min(one) < min(other) < max(other) < max(one)
    assert 2 <= len(writer.errors) <= 6, writer.errors
    said = re.compile(
        "terminating connection due to administrator command|"
        'database "app" does not exist|server closed the connection|connection to server was lost'
    )
    for error in writer.errors:
        assert said.search(error), error
    assert writer.longest_pause() < 3


def _numbers(server: PostgresServer, database: str) -> set[int]:
    return set(map(int, server.sql("SELECT n FROM log", database).split()))


def test_an_interruption_before_the_names_are_changed(
    server: PostgresServer, program: Program
) -> None:
    """SIGTERM while the renames wait for their end: exit code 143, the old one is as it was, and
    what is ready is named.
    """
    prepare(server, program)
    lines = one_run_killed(server, program, 0).splitlines()
    check_and_clear(server, program)
    commit = len(lines) - next(n for n, line in enumerate(reversed(lines)) if "COMMIT" in line)
    folder = killed_at(server, program.folder / "interrupted", commit, by="TERM")
    configure(program, server, programs=folder, more=only("app"))
    interrupted = started(program, *REPLACE, "--no-confirm")
    _, errors = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 143, errors
    assert rows(server) == LATER
    (ready,) = beside(server, "app", "ready")
    assert ready.encode() in errors
    assert b"--resume" in errors
    configure(program, server, more=only("app"))
    program.good(*RESUME)
    assert rows(server) == SAVED
