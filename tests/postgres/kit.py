"""What the tests of databases share: a configuration, and names that no other test uses."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from strongroom.crypto.keytext import text_to_key
from strongroom.repository.records import SlotKind
from strongroom.repository.slots import Secret
from strongroom.storage.local import LocalStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.cli.harness import COMMAND, Program
from tests.support.invariants import check_invariants
from tests.support.kit import Kit
from tests.support.postgres import PostgresServer


def configure(
    program: Program,
    server: PostgresServer,
    *,
    connection: str = "",
    programs: str = "",
    more: str = "",
) -> None:
    """Write a configuration with the source ``db``: a server, its own programs, and more lines."""
    (program.folder / "strongroom.toml").write_text(
        f"""\
version = 1
[sources.db]
type = "postgres"
connection = {{ {connection or server.connection()} }}
programs = [{json.dumps(programs or str(server.programs))}]
{more}
"""
    )


def only(*names: str) -> str:
    """Return the line that names databases."""
    quoted = ", ".join(json.dumps(name) for name in names)
    return f"databases = [{quoted}]"


def snapshots(program: Program) -> int:
    """Return how many snapshots are listed as good."""
    return len([one for one in program.good("snapshots", "--json").records if "id" in one])


def spoiled(server: PostgresServer, folder: Path, mischief: str, program: str = "pg_dump") -> str:
    """Return a folder of programs of which one does its work, and then what ``mischief`` says.

    What only looks is left alone. ``pg_dump`` dumps into ``$out`` beside the folder that it should;
    ``put`` moves that into place. ``$into`` says how to connect to the database that ``pg_restore``
    restored into.
    """
    folder.mkdir()
    for name in {"pg_dump", "pg_dumpall", "pg_restore", "psql"} - {program}:
        _script(folder / name, f'exec {server.programs / name} "$@"')
    real = server.programs / program
    _script(
        folder / program,
        f"""\
case "$1" in --version|--list|--file=/dev/null|--file=-) exec {real} "$@";; esac
for word; do
  shift
  case {program}$word in
    pg_dump--file=*) to=${{word#--file=}}; out=$to.made; word=--file=$out;;
    *dbname=*) into=$word;;
  esac
  set -- "$@" "$word"
done
put() {{ for one in $out/*; do mv "$one" $to/; done; }} # mv of several looks for them again
{real} "$@" || exit
{mischief}""",
    )
    return str(folder)


def wrapped(server: PostgresServer, folder: Path, body: str) -> str:
    """Return a folder of programs of which ``pg_dump`` is a script; in it ``$real`` is the one."""
    folder.mkdir()
    for name in ("pg_dumpall", "pg_restore", "psql"):
        _script(folder / name, f'exec {server.programs / name} "$@"')
    real = server.programs / "pg_dump"
    _script(
        folder / "pg_dump",
        f'real={real}\ncase "$1" in --version) exec $real "$@";; esac\n{body}',
    )
    return str(folder)


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def killed_at(server: PostgresServer, folder: Path, line: int, by: str = "KILL") -> str:
    """Return a folder of programs; whoever sends the line of that number to psql is killed for it.

    Counted are lines that begin a statement which changes something or ends one that does, in all
    sessions together, 0: none; ``folder/lines`` has those that were sent.
    """
    folder.mkdir()
    lines, real = folder / "lines", server.programs / "psql"
    lines.touch()
    for name in ("pg_dump", "pg_dumpall", "pg_restore"):
        _script(folder / name, f'exec {server.programs / name} "$@"')
    _script(
        folder / "psql",
        f"""\
while IFS= read -r line; do
  case $line in ALTER*|ANALYZE*|BEGIN*|COMMIT*|CREATE*|ROLLBACK*|SELECT\\ 1*|SELECT\\ \\'*)
    echo "$line" >> {lines}
    [ $(wc -l < {lines}) -ge {line} ] && [ {line} -gt 0 ] && kill -{by} $PPID && exit;;
  esac
  printf '%s\\n' "$line"
done | {real} "$@\"""",
    )
    return str(folder)


def databases(server: PostgresServer) -> list[str]:
    """Return the databases that tests and the program made, sorted."""
    rows = json.loads(server.sql("SELECT json_agg(datname) FROM pg_database"))
    return sorted(set(rows) - {"postgres", "template0", "template1"})


def beside(server: PostgresServer, name: str, part: str) -> list[str]:
    """Return the databases beside one: those put aside (``before``), ready, undone."""
    return [one for one in databases(server) if one.startswith(f"{name}__{part}_")]


def started(program: Program, *words: str) -> subprocess.Popen[bytes]:
    """Start the program in a process of its own."""
    return subprocess.Popen(
        [*COMMAND, *words],
        cwd=program.folder,
        env=program._environment(None),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@contextmanager
def stopped_in_the_middle(
    program: Program, server: PostgresServer, database: str, end: str = ""
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Give a backup at work, and its ``pg_dump``, which waits for a table that somebody locked.

    Whoever locked it says ``end`` and goes when the block ends; without it, it is killed.
    """
    lock = subprocess.Popen(
        [server.programs / "psql", "-X", "-h", server.folder, "-U", "postgres", database],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert lock.stdin is not None
    lock.stdin.write(b"BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE;\n")
    lock.stdin.flush()
    wait_for(lambda: server.sql("SELECT count(*) FROM pg_locks WHERE mode ~ '^AccessE'") != "0")
    backup = started(program, "backup", "db")
    try:
        wait_for(lambda: server.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0")
        (dumping,) = [pid for pid, name in children_of(backup.pid) if name == "pg_dump"]
        yield backup, dumping
        if end:
            lock.communicate(end.encode(), timeout=60)
            backup.communicate(timeout=60)
    finally:
        for one in (backup, lock):
            one.kill()
            one.communicate()


def children_of(pid: int) -> list[tuple[int, str]]:
    """Return the children of a process, with their names."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")
                if int(fields[2].split()[1]) == pid:
                    found.append((int(folder.name), fields[0].partition("(")[2]))
    return found


def is_running(pid: int) -> bool:
    """Whether a process is there, and more than a name that nobody took note of."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def wait_for(happened: Callable[[], bool]) -> None:
    """Wait until something is so; fails after a minute."""
    for _ in range(1200):
        if happened():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen within a minute")


def check_repository(program: Program) -> None:
    """Call the invariants after a fault that nothing may have been committed by."""
    store = LocalStore(PosixFs(), str(program.repository), SystemRandomness())
    with closing(store):
        kit = Kit(store, program.folder / "invariants")
        kit.secrets = [Secret(SlotKind.KEY_FILE, text_to_key(program.key_file.read_text()))]
        check_invariants(kit, {})
