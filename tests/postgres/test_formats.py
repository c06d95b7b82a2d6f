"""pg_dump's formats, one made of the other, as PostgreSQL's own programs make and read them."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.postgres.custom import custom_pieces
from strongroom.postgres.unpacking import Receive, Write, unpack_custom, unpack_directory
from tests.support.odd_database import ODD_NAME, make_odd_database
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("B9")


def into(folder: Path) -> Receive:
    """Return what takes files into a new folder."""
    folder.mkdir()

    @contextmanager
    def receive(name: str) -> Iterator[Write]:
        with (folder / name).open("xb") as file:
            yield file.write

    return receive


@contextmanager
def nowhere(_name: str) -> Iterator[Write]:
    """Take a file, and keep nothing of it."""
    yield len


def dump(server: PostgresServer, database: str, to: Path, *options: str) -> Path:
    """Dump a database with the programs of its server."""
    name = database.replace("\\", "\\\\").replace("'", "\\'")
    connection = f"host={server.folder} user=postgres dbname='{name}'"
    command = [server.programs / "pg_dump", *options, f"--file={to}", "-d", connection]
    subprocess.run(command, check=True, capture_output=True)
    return to


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a dump, without its contents, which tell the time."""
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name != "toc.dat"}


def contents(server: PostgresServer, dump: Path) -> list[bytes]:
    """Return what pg_restore makes of a dump as SQL, without words about the dump itself."""
    command = [server.programs / "pg_restore", "--file=-", dump]
    done = subprocess.run(command, check=True, capture_output=True)
    passing = (b"\\restrict", b"\\unrestrict")  # a word of chance in each
    return [one for one in done.stdout.splitlines() if not one.startswith(passing)]


@pytest.mark.parametrize("each_server", [15, 18], indirect=True)
def test_each_format_is_made_of_the_other(each_server: PostgresServer, tmp_path: Path) -> None:
    """Byte for byte the files that pg_dump writes, of whatever it wrote, and back again."""
    server = each_server
    make_odd_database(server)
    plain = dump(server, ODD_NAME, tmp_path / "plain", "-Fd", "-Z0")
    wanted = files_of(plain)
    assert any(name.startswith("blob_") for name in wanted)
    sql = contents(server, plain)
    rows = {}
    for name, options in {
        "custom": ("-Fc",),
        "custom not packed": ("-Fc", "-Z0"),
        "folder": ("-Fd",),
        "folder not packed": ("-Fd", "-Z0"),
    }.items():
        made = dump(server, ODD_NAME, tmp_path / name, *options)
        target = tmp_path / f"{name} unpacked"
        if options[0] == "-Fc":
            with made.open("rb") as file:
                found = unpack_custom(file.read, into(target))
        else:
            found = unpack_directory(made, into(target))
        assert files_of(target) == wanted, name
        assert contents(server, target) == sql, name
        assert found.toc.database == ODD_NAME
        assert found.toc.major == server.major
        rows[name] = found.rows
    assert len({tuple(one.items()) for one in rows.values()}) == 1
    for level in (0, 3):
        file = tmp_path / f"custom-{level}"
        file.write_bytes(b"".join(custom_pieces(plain, level)))
        assert contents(server, file) == sql
        again = tmp_path / f"again-{level}"
        unpack_custom(io.BytesIO(file.read_bytes()).read, into(again))
        assert files_of(again) == wanted
        assert (again / "toc.dat").read_bytes() == (plain / "toc.dat").read_bytes()
    assert (tmp_path / "custom-3").stat().st_size < (tmp_path / "custom-0").stat().st_size
