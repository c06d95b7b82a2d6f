"""pg_dump's custom format, made of its directory format: one file, for ``pg_restore``.

Both begin with the same table of contents (PostgreSQL's ``pg_backup_archiver.c``, versions 1.14 to
1.16, those of pg_dump 12 to 18): a head, then entries. Each of them ends with what belongs to the
format: a file name (``pg_backup_directory.c``), or the place of its data (``pg_backup_custom.c``).
Data is a block: a type, the number of its entry, pieces with their lengths, and a length of 0;
large objects have their number before their pieces, and a 0 after the last. Places are known
before, since sizes are; so the whole is written in one go, and ``pg_restore --jobs`` can seek.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.errors import DamageError, StrongroomError

_MAGIC: Final = b"PGDMP"
_OLDEST: Final = (1, 14)
_WITH_ALGORITHM: Final = (1, 15)
_WITH_RELKIND: Final = (1, 16)
_NEWEST: Final = (1, 16)
_FORMAT_AT: Final = 10  # behind the magic, three bytes of version, two of sizes
_CUSTOM: Final = 1
_TAR: Final = 3  # what a directory calls itself
_TIMES: Final = 7
_HEAD_TEXTS: Final = 3
_TEXTS_TO_SECTION: Final = 4
_TEXTS_TO_KIND: Final = 6
_PLACE_SET: Final = 2
_NO_DATA: Final = 3
_ROWS: Final = 1
_LARGE_OBJECTS: Final = 3
_PIECE: Final = 1 << 16
_INT: Final = struct.Struct("<BI")  # a sign and four bytes
_PLACE: Final = struct.Struct("<BQ")


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of the dump; ``oid`` if it is a large object."""

    path: Path
    size: int
    oid: int | None = None

    @property
    def length(self) -> int:
        """How long it is in pieces."""
        pieces = -(-self.size // _PIECE)
        own = _INT.size if self.oid is not None else 0
        return own + self.size + (pieces + 1) * _INT.size


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry: its bytes up to what belongs to the format, and its data."""

    number: int
    data: bytes
    file: str
    members: Sequence[_Member]

    @property
    def is_large_objects(self) -> bool:
        """Whether its data is a list of large objects."""
        return self.file.endswith(".toc")

    @property
    def length(self) -> int:
        """How long its block is."""
        end = _INT.size if self.is_large_objects else 0
        return 1 + _INT.size + sum(member.length for member in self.members) + end


def custom_pieces(folder: Path) -> Iterator[bytes]:
    """Yield the custom format of a dump; ``DamageError`` if its contents are not understood."""
    data = (folder / "toc.dat").read_bytes()
    try:
        head, entries = _read(data, folder)
    except (struct.error, IndexError, ValueError, OSError) as error:
        raise DamageError(f"the table of contents of the dump cannot be read: {error}") from error
    place = len(head) + sum(len(one.data) + _PLACE.size for one in entries)
    yield head
    for entry in entries:
        if not entry.file:
            yield entry.data + _PLACE.pack(_NO_DATA, 0)
            continue
        yield entry.data + _PLACE.pack(_PLACE_SET, place)
        place += entry.length
    for entry in entries:
        if entry.file:
            yield from _block(entry)


def _block(entry: _Entry) -> Iterator[bytes]:
    kind = _LARGE_OBJECTS if entry.is_large_objects else _ROWS
    yield bytes([kind]) + _INT.pack(0, entry.number)
    for member in entry.members:
        if member.oid is not None:
            yield _INT.pack(0, member.oid)
        left = member.size
        with member.path.open("rb") as file:
            while left:
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise DamageError(f"{member.path.name} of the dump is shorter than it was")
                left -= len(piece)
                yield _INT.pack(0, len(piece)) + piece
        yield _INT.pack(0, 0)
    if entry.is_large_objects:
        yield _INT.pack(0, 0)


class _Cursor:
    """Reads what pg_dump writes, from the start."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = _FORMAT_AT + 1

    def number(self) -> int:
        """Read an integer."""
        negative, value = _INT.unpack_from(self.data, self.at)
        self.at += _INT.size
        return -value if negative else int(value)

    def text(self) -> bytes | None:
        """Read a text; None where there is none."""
        length = self.number()
        if length < 0:
            return None
        start, self.at = self.at, self.at + length
        if self.at > len(self.data):
            msg = "it is cut short"
            raise ValueError(msg)
        return self.data[start : self.at]

    def skip(self, numbers: int = 0, texts: int = 0) -> None:
        """Pass over integers, then texts."""
        for _ in range(numbers):
            self.number()
        for _ in range(texts):
            self.text()


def _read(data: bytes, folder: Path) -> tuple[bytes, list[_Entry]]:
    version = (data[5], data[6])
    if not data.startswith(_MAGIC) or not _OLDEST <= version <= _NEWEST:
        raise StrongroomError(
            f"the dump is of version {version[0]}.{version[1]}, which is not known here",
            hint="Take it as a directory: --format directory --to FOLDER.",
        )
    if data[8:_FORMAT_AT] != bytes([4, 8]) or data[_FORMAT_AT] != _TAR:
        msg = "its numbers have other sizes, or it is of another format"
        raise ValueError(msg)
    cursor = _Cursor(data)
    if version >= _WITH_ALGORITHM:
        cursor.at += 1
    else:
        cursor.skip(numbers=1)
    cursor.skip(_TIMES, _HEAD_TEXTS)
    count = cursor.number()
    head = data[:_FORMAT_AT] + bytes([_CUSTOM]) + data[_FORMAT_AT + 1 : cursor.at]
    entries = [_entry(cursor, version, folder) for _ in range(count)]
    if cursor.at != len(data):
        msg = "something follows its last entry"
        raise ValueError(msg)
    return head, entries


def _entry(cursor: _Cursor, version: tuple[int, int], folder: Path) -> _Entry:
    start = cursor.at
    number = cursor.number()
    cursor.skip(numbers=1)  # whether it has data
    cursor.skip(texts=_TEXTS_TO_SECTION)
    cursor.skip(numbers=1)  # section
    cursor.skip(texts=_TEXTS_TO_KIND)
    if version >= _WITH_RELKIND:
        cursor.skip(numbers=1)
    cursor.skip(texts=2)  # owner, and a word from old times
    while cursor.text() is not None:
        pass  # what it depends on
    data = cursor.data[start : cursor.at]
    file = (cursor.text() or b"").decode("ascii")
    return _Entry(number, data, file, list(_members(folder, file)))


def _members(folder: Path, file: str) -> Iterator[_Member]:
    if not file:
        return
    if "/" in file:
        msg = "a file of it has a slash in its name"
        raise ValueError(msg)
    path = folder / file
    if not file.endswith(".toc"):
        yield _Member(path, path.stat().st_size)
        return
    for line in path.read_text("ascii").splitlines():
        oid, _, name = line.partition(" ")
        blob = folder / Path(name).name
        yield _Member(blob, blob.stat().st_size, int(oid))
