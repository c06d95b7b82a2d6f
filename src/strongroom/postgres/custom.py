"""pg_dump's custom format, made of its directory format: one file, for ``pg_restore``.

Both begin with the same table of contents (``contents.py``). Each of its entries ends with what
belongs to the format: a file name (``pg_backup_directory.c``), or the place of its data
(``pg_backup_custom.c``). Data is a block: a type, the number of its entry, pieces with their
lengths, and a length of 0; large objects have their number before their pieces, and a 0 after the
last. Places are known before, since sizes are; so the whole is written in one go, and
``pg_restore --jobs`` can seek.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.errors import DamageError
from strongroom.postgres.contents import FORMAT_AT, INT, Contents, read_contents

_CUSTOM: Final = 1
_PLACE_SET: Final = 2
_NO_DATA: Final = 3
_ROWS: Final = 1
_LARGE_OBJECTS: Final = 3
_PIECE: Final = 1 << 16
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
        own = INT.size if self.oid is not None else 0
        return own + self.size + (pieces + 1) * INT.size


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
        end = INT.size if self.is_large_objects else 0
        return 1 + INT.size + sum(member.length for member in self.members) + end


def custom_pieces(folder: Path) -> Iterator[bytes]:
    """Yield the custom format of a dump; ``DamageError`` if its contents are not understood."""
    contents = read_contents((folder / "toc.dat").read_bytes())
    try:
        entries = _entries(contents, folder)
    except (IndexError, ValueError, OSError) as error:
        raise DamageError(f"the table of contents of the dump cannot be read: {error}") from error
    head = contents.head[:FORMAT_AT] + bytes([_CUSTOM]) + contents.head[FORMAT_AT + 1 :]
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
    yield bytes([kind]) + INT.pack(0, entry.number)
    for member in entry.members:
        if member.oid is not None:
            yield INT.pack(0, member.oid)
        left = member.size
        with member.path.open("rb") as file:
            while left:
                piece = file.read(min(_PIECE, left))
                if not piece:
                    raise DamageError(f"{member.path.name} of the dump is shorter than it was")
                left -= len(piece)
                yield INT.pack(0, len(piece)) + piece
        yield INT.pack(0, 0)
    if entry.is_large_objects:
        yield INT.pack(0, 0)


def _entries(contents: Contents, folder: Path) -> list[_Entry]:
    return [
        _Entry(one.number, one.data, one.file, list(_members(folder, one.file)))
        for one in contents.entries
    ]


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
