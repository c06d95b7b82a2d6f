"""What happens to a dump, its server or us while it is made and saved."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from strongroom.system.memory import available_memory
from tests.cli.harness import COMMAND, Program
from tests.postgres.kit import (
    check_repository,
    children_of,
    configure,
    is_running,
    only,
    snapshots,
    spoiled,
    started,
    stopped_in_the_middle,
    wait_for,
    wrapped,
)
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("C1", "C3")

MEMORY = "/dev/shm"  # noqa: S108 - it is where rows may stand
_NAMESPACES = (("unshare", "--mount"), ("unshare", "--user", "--map-root-user", "--mount"))


@pytest.fixture
def large(server: PostgresServer) -> PostgresServer:
    """Return a server whose database ``app`` has two tables of 40 MB each, and a little one."""
    server.make_app()
    for name in ("wide", "long"):
        server.sql(
            f"CREATE TABLE {name} AS SELECT g, repeat(md5(g::text), 12) AS text "
            "FROM generate_series(1, 100000) g",
            "app",
        )
    return server


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _refused(program: Program, codes: set[int], *words: str) -> None:
    result = program.run("backup", "db")
    assert result.code in codes, result
    (line,) = [line for line in result.err.splitlines() if line.startswith("error: ")]
    for word in words:
        assert word in line
    assert snapshots(program) == 0
    assert not list((program.cache / "scratch").iterdir())
    check_repository(program)


def test_rows_stand_in_memory_on_their_way(server: PostgresServer, program: Program) -> None:
    """Where there is plenty of it and no folder is named; nothing is left there."""
    server.make_app()
    seen = program.folder / "seen"
    body = f'echo "$@" >> {seen}\nexec "$real" "$@"'
    programs = wrapped(server, program.folder / "p", body)
    plenty = min(available_memory(), shutil.disk_usage(MEMORY).free) > 4 << 30
    for named in ("", f"\nscratch = '{program.folder}/named'"):
        configure(program, server, programs=programs, more=only("app") + named)
        program.good("backup", "db")
    first, second = (
        Path(word.removeprefix("--file="))
        for word in seen.read_text().split()
        if word.startswith("--file=/")
    )
    assert second.is_relative_to(program.folder / "named")
    assert first.is_relative_to(MEMORY if plenty else program.cache / "scratch")
    assert not first.exists()


def test_a_worker_of_pg_dump_killed(large: PostgresServer, program: Program) -> None:
    """One of its programs dies in the middle of a table: pg_dump says so, nothing is listed."""
    body = """\
"$real" "$@" &
leader=$!
until [ "$worker" ]; do read worker more < /proc/$leader/task/$leader/children; done
kill -9 $worker
wait $leader"""
    configure(program, large, programs=wrapped(large, program.folder / "p", body), more=only("app"))
    _refused(program, {1}, "'app'", "pg_dump ended with 1")


def test_a_backend_of_the_server_ended(large: PostgresServer, program: Program) -> None:
    """An administrator ends the connection that a table comes through: what pg_dump says of it.

    Whether the program that had it tells first, or the one that misses it, is chance.
    """
    body = f"""\
"$real" "$@" &
dump=$!
until {large.programs}/psql -XAtq -h {large.folder} -U postgres -c "SELECT
  pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%'" | grep -q t; do :; done
wait $dump"""
    configure(program, large, programs=wrapped(large, program.folder / "p", body), more=only("app"))
    _refused(program, {1, 14}, "dumping 'app'")


@pytest.mark.parametrize("seed", range(6))
def test_anything_killed_at_any_time(large: PostgresServer, program: Program, seed: int) -> None:
    """Any program, or we ourselves: listed only if we said that all is well; the next works."""
    chance = random.Random(seed)
    configure(program, large, more=only("app"))
    backup = started(program, "backup", "db")
    with suppress(subprocess.TimeoutExpired):
        backup.wait(chance.uniform(0.3, 2))
    below = [pid for pid, _ in children_of(backup.pid)]
    below += [pid for parent in below for pid, _ in children_of(parent)]
    with suppress(ProcessLookupError):
        os.kill(chance.choice([*below, backup.pid]), signal.SIGKILL)
    _, err = backup.communicate(timeout=60)
    assert backup.returncode in {0, 1, 14, -signal.SIGKILL}, err
    assert b"Traceback" not in err
    wait_for(lambda: not any(map(is_running, below)))
    listed = snapshots(program)
    assert listed == (backup.returncode == 0) or backup.returncode == -signal.SIGKILL
    if not listed:
        check_repository(program)
    program.good("backup", "db")
    assert snapshots(program) >= listed + 1
    assert not list((program.cache / "scratch").iterdir())
    program.good("verify", "--read-data")


def test_a_table_dropped_while_the_dump_waits_for_it(
    server: PostgresServer, program: Program
) -> None:
    """Exit code 1 and the table."""
    server.make_app()
    configure(program, server, more=only("app"))
    with stopped_in_the_middle(program, server, "app", "DROP TABLE t; COMMIT;\n") as (backup, _):
        pass
    assert backup.returncode == 1
    assert snapshots(program) == 0
    check_repository(program)


def test_a_table_that_stays_locked(server: PostgresServer, program: Program) -> None:
    """The dump does not wait for ever: exit code 1 and the table."""
    server.make_app()
    body = """\
for word; do
  shift
  case $word in --lock-wait-timeout=60s) word=--lock-wait-timeout=300ms;; esac
  set -- "$@" "$word"
done
exec "$real" "$@\""""
    folder = wrapped(server, program.folder / "p", body)
    configure(program, server, programs=folder, more=only("app"))
    with stopped_in_the_middle(program, server, "app") as (backup, _):
        _, err = backup.communicate(timeout=60)
    assert backup.returncode == 1, err
    assert b"canceling statement due to" in err
    check_repository(program)


def test_a_database_removed_in_between(server: PostgresServer, program: Program) -> None:
    """After it was looked for, before its turn: exit code 14, and its name."""
    server.make_app()
    server.sql("CREATE DATABASE passing")
    drop = f"psql -X -q -h {server.folder} -U postgres -c 'DROP DATABASE passing'"
    mischief = f"{server.programs}/{drop}"
    folder = spoiled(server, program.folder / "p", mischief, program="pg_dumpall")
    configure(program, server, programs=folder, more=only("app", "passing"))
    _refused(program, {14}, 'database "passing" does not exist')


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL])
def test_we_end_while_the_dump_is_held(
    server: PostgresServer, program: Program, by: signal.Signals
) -> None:
    """A stopped pg_dump ends with us, whether we can do anything about it or not."""
    server.make_app()
    configure(program, server, more=only("app"))
    with stopped_in_the_middle(program, server, "app") as (backup, dumping):
        os.killpg(dumping, signal.SIGSTOP)
        wait_for(lambda: _state(dumping) == "T")
        backup.send_signal(by)
        backup.communicate(timeout=60)
        assert backup.returncode == (130 if by == signal.SIGINT else -by)
        wait_for(lambda: not is_running(dumping))
    assert snapshots(program) == 0
    check_repository(program)


def test_a_database_goes_through_a_scratch_that_is_smaller(
    large: PostgresServer, program: Program
) -> None:
    """80 MB through 24, where the system lets us make such a disk: pg_dump is held meanwhile."""
    scratch = program.folder / "small"
    scratch.mkdir()
    configure(program, large, more=f"{only('app')}\nscratch = '{scratch}'\nrow_counts = true")
    size = 24 << 20
    mount = f'mount -t tmpfs -o size={size} tmpfs "$1" && shift && exec "$@"'
    for namespace in _NAMESPACES:
        if shutil.which(namespace[0]) is None:
            continue
        command = [*namespace, "sh", "-c", mount, "sh", str(scratch), *COMMAND, "backup", "db"]
        done = subprocess.run(
            command,
            cwd=program.folder,
            env={**program.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if b"mount:" not in done.stderr and b"unshare:" not in done.stderr:
            break
    else:
        program.good("backup", "db")
        return
    assert done.returncode == 0, done.stderr
    record = json.loads(program.good("dump", "latest", "/postgres/db/app/backup.json").out)
    assert {table["name"]: table["rows"] for table in record["tables"]} == {
        "t": 2_000,
        "wide": 100_000,
        "long": 100_000,
    }
    sql = program.good("dump", "latest", "--database", "app", "--format", "custom")
    assert len(sql.raw) > 3 * size


@pytest.mark.parametrize("wanted", [True, False])
def test_rows_are_counted_in_the_same_snapshot(
    server: PostgresServer, program: Program, *, wanted: bool
) -> None:
    """If asked for, the server's count of each table is in the record, beside that of the dump."""
    server.sql("CREATE DATABASE app_2")
    server.sql("CREATE TABLE t AS SELECT generate_series(1, 2000) g", "app_2")
    server.sql('CREATE SCHEMA "o\'d""d"; CREATE TABLE "o\'d""d"."t\\" AS SELECT 1 AS a', "app_2")
    server.sql("CREATE TABLE parted (a int) PARTITION BY LIST (a)", "app_2")
    server.sql("CREATE TABLE part PARTITION OF parted FOR VALUES IN (1)", "app_2")
    server.sql("INSERT INTO parted VALUES (1), (1)", "app_2")
    configure(program, server, more=f"{only('app_2')}\nrow_counts = {str(wanted).lower()}")
    program.good("backup", "db")
    record = json.loads(program.good("dump", "latest", "/postgres/db/app_2/backup.json").out)
    found = {table["name"]: (table["rows"], table["counted"]) for table in record["tables"]}
    counts = {"t": 2_000, "t\\": 1, "part": 2}
    assert found == {name: (rows, rows if wanted else None) for name, rows in counts.items()}


def test_a_dump_with_other_rows_than_the_server_counts(
    server: PostgresServer, program: Program
) -> None:
    """A row is missing in the middle, which nothing else can find: exit code 1 and the table."""
    server.make_app()
    mischief = "f=$(ls $out/[0-9]*.dat | head -1); sed -i 7d $f; put"
    folder = spoiled(server, program.folder / "p", mischief)
    configure(program, server, programs=folder, more=f"{only('app')}\nrow_counts = true")
    words = "public.t has 2,000 rows in the server, and its dump 1,999"
    _refused(program, {1}, words)
