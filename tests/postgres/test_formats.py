"""pg_dump's formats, one made of the other, as PostgreSQL's own programs make and read them."""

from __future__ import annotations

import contextlib
import io
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import DamageError, StrongroomError, UsageError
from strongroom.postgres.custom import FolderFiles, custom_pieces
from strongroom.postgres.toc import Packed, toc_of
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
    command = [str(server.programs / "pg_dump"), *options, f"--file={to}", "-d", connection]
    subprocess.run(command, check=True, capture_output=True)
    return to


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a dump, without its contents, which tell the time."""
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name != "toc.dat"}


def contents(server: PostgresServer, dump: Path) -> list[bytes]:
    """Return what pg_restore makes of a dump as SQL, without words about the dump itself."""
    command = [str(server.programs / "pg_restore"), "--file=-", str(dump)]
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
        ours = tmp_path / f"custom-{level}"
        ours.write_bytes(b"".join(custom_pieces(FolderFiles(plain), level)))
        assert contents(server, ours) == sql
        again = tmp_path / f"again-{level}"
        unpack_custom(io.BytesIO(ours.read_bytes()).read, into(again))
        assert files_of(again) == wanted
        assert (again / "toc.dat").read_bytes() == (plain / "toc.dat").read_bytes()
    assert (tmp_path / "custom-3").stat().st_size < (tmp_path / "custom-0").stat().st_size


def made_dump(packed: Packed, *, rows: bytes = b"1\ta\n\\.\n\n\n") -> bytes:
    """Return a small dump in the custom format, as pg_dump 16 makes it."""

    def number(value: int) -> bytes:
        return struct.pack("<BI", 0, value)

    def words(*texts: bytes) -> bytes:
        return b"".join(number(len(one)) + one for one in texts)

    head = b"PGDMP\x01\x0f\x00\x04\x08\x01" + bytes([packed])
    head += b"".join(map(number, [1, 2, 3, 4, 5, 126, 0])) + words(b"app", b"16.1", b"16.2")
    entry = number(7) + number(1) + words(b"0", b"9", b"t", b"TABLE DATA") + number(3)
    entry += words(b"", b"", b"COPY s.t (a) FROM stdin;", b"s", b"", b"") + words(b"me", b"false")
    end = struct.pack("<BI", 1, 1)
    data = rows
    if packed is Packed.ZSTD:
        data = zstandard.compress(rows)
    block = b"\1" + number(7) + number(len(data)) + data + number(0)
    return head + number(1) + entry + end + b"\1" + bytes(8) + block


def test_what_is_compressed_with_zstd(tmp_path: Path) -> None:
    """Of pg_dump 16 and newer; the files are uncompressed, and rows are counted."""
    target = tmp_path / "x"
    found = unpack_custom(io.BytesIO(made_dump(Packed.ZSTD)).read, into(target))
    assert (target / "7.dat").read_bytes() == b"1\ta\n\\.\n\n\n"
    assert found.rows == {7: 1}
    assert toc_of((target / "toc.dat").read_bytes()).packed is Packed.NOT
    assert (found.toc.database, found.toc.major) == ("app", 16)
    folder = tmp_path / "folder"
    folder.mkdir()
    contents = (target / "toc.dat").read_bytes()
    (folder / "toc.dat").write_bytes(contents[:11] + bytes([Packed.ZSTD]) + contents[12:])
    (folder / "7.dat.zst").write_bytes(zstandard.compress(b"\\.\n\n\n"))
    assert unpack_directory(folder, into(tmp_path / "y")).rows == {7: 0}


@pytest.mark.parametrize("cut", range(1, 12))
@pytest.mark.parametrize("packed", [Packed.NOT, Packed.ZSTD])
def test_a_small_dump_cut_short(packed: Packed, cut: int) -> None:
    """Nothing that lacks an end is whole; nor is what goes on behind its end."""
    data = made_dump(packed)
    for spoiled in (data[:-cut], data + b"\0" * cut):
        with pytest.raises(DamageError, match="damaged"):
            unpack_custom(io.BytesIO(spoiled).read, nowhere)


def test_rows_without_their_end() -> None:
    """What was cut before it was packed again is found too."""
    for packed in (Packed.NOT, Packed.ZSTD):
        data = made_dump(packed, rows=b"1\ta\n")
        with pytest.raises(DamageError, match=r"s\.t in the dump are cut short"):
            unpack_custom(io.BytesIO(data).read, nowhere)


def test_lz4_is_said_and_not_guessed() -> None:
    """With what to do instead."""
    with pytest.raises(UsageError, match="LZ4") as error:
        unpack_custom(io.BytesIO(made_dump(Packed.LZ4)).read, nowhere)
    assert "gzip" in error.value.hint


def test_a_large_object_cannot_lead_elsewhere(tmp_path: Path) -> None:
    """The list of large objects in a folder is somebody's word."""
    data = made_dump(Packed.NOT).replace(
        struct.pack("<BI", 0, 10) + b"TABLE DATA", struct.pack("<BI", 0, 5) + b"BLOBS"
    )
    target = tmp_path / "x"
    with pytest.raises(DamageError):
        unpack_custom(io.BytesIO(data).read, nowhere)
    whole = data[: data.rindex(b"\1" + struct.pack("<BI", 0, 7))]
    block = b"\3" + struct.pack("<BI", 0, 7) + struct.pack("<BI", 0, 0)
    unpack_custom(io.BytesIO(whole + block).read, into(target))
    (target / "blobs.toc").write_text("5 ../../etc/passwd\n")
    with pytest.raises(DamageError, match="names no large object"):
        unpack_directory(target, nowhere)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_are_a_dump_or_damage(data: bytes, at: int) -> None:
    """Bytes that pg_dump never wrote are an error of ours, not a crash, and take no memory."""
    whole = made_dump(Packed.NOT)
    for hostile in (data, whole[:12] + data, whole[:at] + data + whole[at + len(data) :]):
        with contextlib.suppress(StrongroomError):
            unpack_custom(io.BytesIO(hostile).read, nowhere)
