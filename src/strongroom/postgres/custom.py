"""pg_dump's custom format, made of its directory format: one file, for ``pg_restore``.

Behind the table of contents (``toc.py``) stands the data of one entry after the other
(PostgreSQL's ``pg_backup_custom.c``). Each is a block: a type, the number of its entry, pieces with
their lengths, and a length of 0; large objects have their number before their pieces, and a 0 after
the last. Uncompressed, places are known before, since sizes are; so the whole is written in one go,
and ``pg_restore --jobs`` can seek. Compressed, each table and each large object by itself, it looks
for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from zlib_ng import zlib_ng

from strongroom.errors import DamageError
from strongroom.postgres.toc import (
    NO_DATA,
    NUMBER,
    PLACE,
    PLACE_SET,
    PLACE_UNKNOWN,
    Form,
    Packed,
    TocEntry,
    toc_of,
)

ROWS: Final = 1
LARGE_OBJECTS: Final = 3
_PIECE: Final = 1 << 16


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
        own = NUMBER.size if self.oid is not None else 0
        return own + self.size + (pieces + 1) * NUMBER.size


@dataclass(frozen=True, slots=True)
class _Block:
    """The data of an entry."""

    entry: TocEntry
    members: Sequence[_Member]

    @property
    def length(self) -> int:
        """How long it is."""
        end = NUMBER.size if self.entry.is_large_objects else 0
        return 1 + NUMBER.size + sum(member.length for member in self.members) + end


def custom_pieces(folder: Path, level: int = 0) -> Iterator[bytes]:
    """Yield the custom format of a dump; ``DamageError`` if its contents are not understood.

    ``level``: how hard to compress it, from 1 to 9; 0: not at all.
    """
    toc = toc_of(_contents(folder))
    if toc.packed is not Packed.NOT:
        raise DamageError("the files of the dump are compressed, and no backup makes such")
    try:
        blocks = {
            entry.number: _Block(entry, list(_members(folder, entry)))
            for entry in toc.entries
            if entry.file
        }
    except (OSError, ValueError) as error:
        raise DamageError(f"the dump lacks what its contents name: {error}") from error
    head = toc.head(Form.CUSTOM, Packed.GZIP if level else Packed.NOT)
    place = len(head) + sum(len(one.data) + PLACE.size for one in toc.entries)
    yield head
    for entry in toc.entries:
        block = blocks.get(entry.number)
        if block is None:
            yield entry.data + PLACE.pack(NO_DATA, 0)
        elif level:
            yield entry.data + PLACE.pack(PLACE_UNKNOWN, 0)
        else:
            yield entry.data + PLACE.pack(PLACE_SET, place)
            place += block.length
    for entry in toc.entries:
        if entry.number in blocks:
            yield from _written(blocks[entry.number], level)


def _contents(folder: Path) -> bytes:
    try:
        return (folder / "toc.dat").read_bytes()
    except OSError as error:
        raise DamageError(f"the table of contents of the dump cannot be read: {error}") from error


def _written(block: _Block, level: int) -> Iterator[bytes]:
    is_list = block.entry.is_large_objects
    yield bytes([LARGE_OBJECTS if is_list else ROWS]) + NUMBER.pack(0, block.entry.number)
    for member in block.members:
        if member.oid is not None:
            yield NUMBER.pack(0, member.oid)
        for piece in _packed(member, level):
            if piece:
                yield NUMBER.pack(0, len(piece)) + piece
        yield NUMBER.pack(0, 0)
    if is_list:
        yield NUMBER.pack(0, 0)


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _packed(member: _Member, level: int) -> Iterator[bytes]:
    if not level:
        yield from _bytes(member)
        return
    packer: _Packer = zlib_ng.compressobj(level)
    for piece in _bytes(member):
        yield packer.compress(piece)
    yield packer.flush()


def _bytes(member: _Member) -> Iterator[bytes]:
    left = member.size
    with member.path.open("rb") as file:
        while left:
            piece = file.read(min(_PIECE, left))
            if not piece:
                raise DamageError(f"{member.path.name} of the dump is shorter than it was")
            left -= len(piece)
            yield piece


def _members(folder: Path, entry: TocEntry) -> Iterator[_Member]:
    path = folder / entry.file
    if not entry.is_large_objects:
        yield _Member(path, path.stat().st_size)
        return
    for line in path.read_text("ascii").splitlines():
        oid, _, name = line.partition(" ")
        blob = folder / Path(name).name
        yield _Member(blob, blob.stat().st_size, int(oid))
