"""pg_dump's custom format, made of its directory format: one file, for ``pg_restore``.

Behind the table of contents (``toc.py``) stands the data of one entry after the other
(PostgreSQL's ``pg_backup_custom.c``). Each is a block: a type, the number of its entry, pieces with
their lengths, and a length of 0; large objects have their number before their pieces, and a 0 after
the last. Uncompressed, places are known before, since sizes are; so the whole is written in one go,
and ``pg_restore --jobs`` can seek. Compressed, each table and each large object by itself, it looks
for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from zlib_ng import zlib_ng

from strongroom.errors import DamageError
from strongroom.postgres.toc import (
    CONTENTS,
    NO_DATA,
    NUMBER,
    PLACE,
    PLACE_SET,
    PLACE_UNKNOWN,
    Form,
    Packed,
    Toc,
    TocEntry,
    toc_of,
)

ROWS: Final = 1
_OIDS: Final = 1 << 32
LARGE_OBJECTS: Final = 3
_PIECE: Final = 1 << 16


class DumpFiles(Protocol):
    """The files of a dump in the directory format, wherever they are."""

    def size(self, name: str) -> int:
        """Return the bytes in a file; ``DamageError`` if it is not there."""
        ...

    def read(self, name: str) -> bytes:
        """Return a small file; ``DamageError``."""
        ...

    def each(self, names: Sequence[str]) -> Iterator[Iterator[bytes]]:
        """Yield the bytes of one file after the other, in pieces; each is read before the next."""
        ...


class FolderFiles:
    """``DumpFiles`` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def size(self, name: str) -> int:
        """See ``DumpFiles``."""
        try:
            return (self._folder / name).stat().st_size
        except OSError as error:
            raise _lacking(name, error) from error

    def read(self, name: str) -> bytes:
        """See ``DumpFiles``."""
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise _lacking(name, error) from error

    def each(self, names: Sequence[str]) -> Iterator[Iterator[bytes]]:
        """See ``DumpFiles``."""
        for name in names:
            try:
                with (self._folder / name).open("rb") as file:
                    yield iter(partial(file.read, _PIECE), b"")
            except OSError as error:
                raise _lacking(name, error) from error


def _lacking(name: str, error: OSError) -> DamageError:
    return DamageError(f"{name} of the dump cannot be read: {(error.strerror or '').lower()}")


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of the dump; ``oid`` if it is a large object."""

    name: str
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


def custom_pieces(files: DumpFiles, level: int = 0) -> Iterator[bytes]:
    """Yield the custom format of a dump; ``DamageError`` if its contents are not understood.

    ``level``: how hard to compress it, from 1 to 9; 0: not at all.
    """
    yield from custom_of(toc_of(files.read(CONTENTS)), files, level)


def custom_of(
    toc: Toc, files: DumpFiles, level: int = 0, only: Collection[int] | None = None
) -> Iterator[bytes]:
    """As ``custom_pieces``, of contents that were read.

    ``only``: the numbers of the entries whose data is wanted, if not of all.
    """
    if toc.packed is not Packed.NOT:
        raise DamageError("the files of the dump are compressed, and no backup makes such")
    blocks = [
        _Block(entry, list(_members(files, entry)))
        if entry.file and (only is None or entry.number in only)
        else None
        for entry in toc.entries
    ]
    head = toc.head(Form.CUSTOM, Packed.GZIP if level else Packed.NOT)
    place = len(head) + sum(len(one.data) + PLACE.size for one in toc.entries)
    yield head
    for entry, block in zip(toc.entries, blocks, strict=True):
        if block is None:
            yield entry.data + PLACE.pack(NO_DATA, 0)
        elif level:
            yield entry.data + PLACE.pack(PLACE_UNKNOWN, 0)
        else:
            yield entry.data + PLACE.pack(PLACE_SET, place)
            place += block.length
    written = [block for block in blocks if block is not None]
    contents = files.each([member.name for block in written for member in block.members])
    for block in written:
        yield from _written(block, contents, level)


def _written(block: _Block, contents: Iterator[Iterator[bytes]], level: int) -> Iterator[bytes]:
    is_list = block.entry.is_large_objects
    yield bytes([LARGE_OBJECTS if is_list else ROWS]) + NUMBER.pack(0, block.entry.number)
    for member in block.members:
        if member.oid is not None:
            negative = member.oid >= _OIDS // 2  # as pg_dump has it, for which it is an int
            yield NUMBER.pack(negative, _OIDS - member.oid if negative else member.oid)
        for piece in _packed(_whole(member, next(contents)), level):
            if piece:
                yield NUMBER.pack(0, len(piece)) + piece
        yield NUMBER.pack(0, 0)
    if is_list:
        yield NUMBER.pack(0, 0)


class _Packer(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _packed(pieces: Iterator[bytes], level: int) -> Iterator[bytes]:
    if not level:
        yield from pieces
        return
    packer: _Packer = zlib_ng.compressobj(level)
    for piece in pieces:
        yield packer.compress(piece)
    yield packer.flush()


def _whole(member: _Member, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes of a member cut as its length says; ``DamageError`` if there are others."""
    held, left = b"", member.size
    for piece in pieces:
        left -= len(piece)
        held = held + piece if held else piece
        whole = len(held) - len(held) % _PIECE
        for start in range(0, whole, _PIECE):
            yield held[start : start + _PIECE]
        held = held[whole:]
    if left:
        raise DamageError(f"{member.name} of the dump has not the size that it had")
    if held:
        yield held


def _members(files: DumpFiles, entry: TocEntry) -> Iterator[_Member]:
    if not entry.is_large_objects:
        yield _Member(entry.file, files.size(entry.file))
        return
    for oid, name in listed_objects(entry, files.read(entry.file)):
        yield _Member(name, files.size(name), oid)


def listed_objects(entry: TocEntry, data: bytes) -> Iterator[tuple[int, str]]:
    """Yield number and file of each large object in a list of them; ``DamageError``."""
    for line in data.decode("ascii", "replace").splitlines():
        oid, _, name = line.partition(" ")
        if not (oid.isascii() and oid.isdigit()) or name != f"blob_{oid}.dat":
            raise DamageError(f"{entry.file} of the dump has a line that names no large object")
        yield int(oid), name
