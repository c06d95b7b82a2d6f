"""Rows go to ``pg_restore`` through pipes: no folder has to hold them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest

from tests.cli.harness import Program
from tests.postgres.kit import configure, databases, only, spoiled
from tests.support.compare_databases import described, differences
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("C4")

WORDS = ("restore", "latest", "--database", "wide", "--to-database", "again")
TABLE = """
CREATE TABLE {0} (id int PRIMARY KEY, t text);
INSERT INTO {0} SELECT g, repeat(md5(g::text || '{0}'), 8) FROM generate_series(1, {1}) g;
"""


def make_wide(server: PostgresServer, program: Program) -> None:
    """Make a database with large tables and small ones, and save it."""
    server.sql("CREATE DATABASE wide")
    rows = {"a": 6000, "b": 20_000, "c": 9000, "d": 10, "e": 12_000}
    server.sql("".join(TABLE.format(*one) for one in rows.items()), "wide")
    server.sql("SELECT lo_from_bytea(0, 'large object')", "wide")
    configure(program, server, more=f"{only('wide')}\njobs = 3")
    program.good("backup", "db")


@contextmanager
def room(free: int) -> Iterator[None]:
    """Let every disk have so many bytes free."""
    usage = shutil.disk_usage("/")._replace(free=free)
    with mock.patch.object(shutil, "disk_usage", return_value=usage):
        yield


def test_a_restore_needs_no_room(each_server: PostgresServer, program: Program) -> None:
    """Rows are never on a disk, and come back whole, by several programs; one table too, into a
    new database and into one that exists.
    """
    server = each_server
    make_wide(server, program)
    with room(10):
        program.good(*WORDS)
        program.good(*WORDS[:-1], "part", "--table", "b")
    assert differences(described(server, "wide"), described(server, "again")) == []
    count = "SELECT count(*), sum(length(t)) FROM b"
    assert server.sql(count, "part") == server.sql(count, "wide")
    server.sql("DROP TABLE b", "part")
    with room(10):
        program.good(*WORDS[:-1], "part", "--table", "b", "--no-confirm")
    assert server.sql(count, "part") == server.sql(count, "wide")
    assert not list((program.cache / "scratch").iterdir())


@pytest.mark.parametrize(
    "mischief", ["kill -9 $$", "exec sleep 0.1", "head -c 100000 > /dev/null; exit 1"]
)
def test_a_reader_that_ends_early(server: PostgresServer, program: Program, mischief: str) -> None:
    """Nothing waits for a program that reads no more: exit code 21, and no database."""
    make_wide(server, program)
    folder = program.folder / "programs"
    spoiled(server, folder, "true", program="pg_restore")
    script = f"""\
#!/bin/sh
case " $*" in *" --format=custom "*) ;; *) exec {server.programs}/pg_restore "$@";; esac
{mischief}
"""
    (folder / "pg_restore").write_text(script)
    configure(program, server, programs=str(folder), more=only("wide"))
    result = program.run(*WORDS)
    assert result.code == 21, result
    assert databases(server)[-1] == "wide"


def test_damage_on_the_way(server: PostgresServer, program: Program) -> None:
    """A chunk that cannot be read back: no database, and what is damaged is said.

    Exit code 21, or 4 where the chunk was wanted before there was a database.
    """
    make_wide(server, program)
    pack = max((program.repository / "packs").rglob("*"), key=lambda one: one.stat().st_size)
    pack.chmod(0o644)
    with pack.open("r+b") as file:
        file.seek(pack.stat().st_size // 2)
        file.write(bytes(64))
    result = program.run(*WORDS)
    assert result.code in {4, 21}, result
    assert "damaged" in result.err
    assert databases(server)[-1] == "wide"


def test_contents_of_a_version_that_nobody_here_knows(
    server: PostgresServer, program: Program
) -> None:
    """What ``pg_restore`` can read is restored from a folder, without what belongs to the database
    as a whole, which is told; a part of it cannot be chosen, and it needs room.
    """
    server.make_app()
    server.sql("COMMENT ON DATABASE app IS 'said of it'")
    folder = program.folder / "programs"
    unknown, known = (
        f"printf '\\{minor}' | dd of=%s bs=1 seek=6 conv=notrunc 2>&-" for minor in (176, 20)
    )
    spoiled(server, folder, f"{unknown % '$out/toc.dat'}\nput")
    real = server.programs / "pg_restore"
    (folder / "pg_restore").write_text(
        f"""\
#!/bin/sh
for last; do :; done
[ ! -f "$last/toc.dat" ] || {known % '"$last/toc.dat"'}
exec {real} "$@"
"""
    )
    configure(program, server, programs=str(folder), more=only("app"))
    program.good("backup", "db")
    words = ("restore", "latest", "--database", "app", "--to-database")
    done = program.good(*words, "again")
    assert "of the database itself are not restored" in done.err
    assert server.sql("SELECT count(*) > 0 FROM t", "again") == "t"
    with room(10):
        assert program.run(*words, "other").code == 6
    assert program.run(*words, "other", "--table", "t").code == 1
    assert "other" not in databases(server)
    assert not list((program.cache / "scratch").iterdir())
