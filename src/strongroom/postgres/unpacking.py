"""A dump of anybody, in pg_dump's custom or directory format, as the files that a backup has.

They are uncompressed. The custom format (``custom.py`` has its blocks) is read as a stream,
whatever the places in it say. Compressed data is that of one table or one large object at a time:
zlib in the custom format, files of gzip (RFC 1952) in a directory, frames of zstd in both. LZ4 is
not known here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, cast

import zstandard
from zlib_ng import zlib_ng

from strongroom.errors import DamageError, UsageError
from strongroom.postgres.custom import LARGE_OBJECTS, ROWS, listed_objects
from strongroom.postgres.toc import (
    CONTENTS,
    Cursor,
    Form,
    Packed,
    Read,
    Toc,
    TocEntry,
    read_toc,
    text,
    toc_of,
)

END: Final = b"\\.\n\n\n"  # of the rows of a table, as COPY has it
_OIDS: Final = 1 << 32
_PIECE: Final = 1 << 20
_LONGEST_PIECE: Final = 256 << 20
_MOST_WINDOW: Final = 1 << 27
_BEHIND: Final = "something stands behind the end of what is compressed"
_STEP: Final = 1024  # a block of zstd gives at most 128 KiB for four bytes
_ANY_ZLIB: Final = 47  # window bits, and 32: zlib's head or gzip's
_LARGEST_CONTENTS: Final = 4 << 30
_SUFFIXES: Final = {Packed.NOT: "", Packed.GZIP: ".gz", Packed.ZSTD: ".zst"}
_BAD: Final = (
    cast(type[Exception], zlib_ng.error),
    zstandard.ZstdError,
    struct.error,
    ValueError,
    OverflowError,
)

Write = Callable[[bytes], object]
Receive = Callable[[str], AbstractContextManager[Write]]
"""Begins the file of a name, which ends with the block."""


@dataclass(slots=True)
class Unpacked:
    """What a dump holds; ``rows`` of each table whose data is COPY, by the number of its entry."""

    toc: Toc
    rows: dict[int, int] = field(default_factory=dict)


def unpack_custom(read: Read, receive: Receive) -> Unpacked:
    """Give the files of a directory to ``receive``, read from a dump in the custom format.

    ``DamageError`` unless all of it is there and nothing else; ``UsageError`` for LZ4.
    """
    cursor = Cursor(read)
    toc = read_toc(cursor, Form.CUSTOM)
    found = Unpacked(toc)
    left = {entry.number: entry for entry in toc.entries if entry.file}
    try:
        while left:
            kind = cursor.take(1)[0]
            number = cursor.number()
            entry = left.pop(number, None)
            if entry is None or kind != (LARGE_OBJECTS if entry.is_large_objects else ROWS):
                msg = f"it holds data of an entry {number}, which its contents do not name so"
                raise ValueError(msg)
            _receive_entry(cursor, entry, found, receive)
            cursor.cut()
        if not cursor.ended():
            msg = "something stands behind its end"
            raise ValueError(msg)
    except _BAD as error:
        raise DamageError(f"the dump is damaged: {error}") from error
    _receive_contents(toc, receive)
    return found


def unpack_directory(folder: Path, receive: Receive) -> Unpacked:
    """Give the files of a directory that ``pg_dump`` made, uncompressed; see ``unpack_custom``."""
    toc = toc_of(_small(folder / CONTENTS))
    found = Unpacked(toc)
    for entry in toc.entries:
        if not entry.file:
            continue
        if entry.is_large_objects:
            listed = _small(folder / entry.file)
            with receive(entry.file) as write:
                write(listed)
            for _, name in listed_objects(entry, listed):
                _receive_file(folder, name, toc.packed, receive)
        else:
            lines = _Rows(entry)
            _receive_file(folder, entry.file, toc.packed, receive, lines)
            lines.note(found)
    _receive_contents(toc, receive)
    return found


def _receive_contents(toc: Toc, receive: Receive) -> None:
    with receive(CONTENTS) as write:
        write(toc.head(Form.DIRECTORY, Packed.NOT))
        for entry in toc.entries:
            write(entry.data + text(entry.file.encode("ascii")))


# -- the custom format


def _receive_entry(cursor: Cursor, entry: TocEntry, found: Unpacked, receive: Receive) -> None:
    packed = found.toc.packed
    if not entry.is_large_objects:
        lines = _Rows(entry)
        with receive(entry.file) as write:
            for data in _opened(packed, _pieces(cursor)):
                lines.add(data)
                write(data)
        lines.note(found)
        return
    listed = []
    while number := cursor.number():
        oid = number % _OIDS  # pg_dump writes one beyond 2^31 as a negative number
        cursor.cut()
        name = f"blob_{oid}.dat"
        listed.append(f"{oid} {name}\n")
        with receive(name) as write:
            for data in _opened(packed, _pieces(cursor)):
                write(data)
    with receive(entry.file) as write:
        write("".join(listed).encode("ascii"))


def _pieces(cursor: Cursor) -> Iterator[bytes]:
    while length := cursor.number():
        cursor.cut()
        if not 0 < length <= _LONGEST_PIECE:
            msg = f"a piece of it has {length:,} bytes"
            raise ValueError(msg)
        while length:
            data = cursor.take(min(length, _PIECE))
            length -= len(data)
            yield data


# -- the directory format


def _receive_file(
    folder: Path, name: str, packed: Packed, receive: Receive, lines: _Rows | None = None
) -> None:
    path = folder / (name + _suffix(packed))
    try:
        with path.open("rb") as file, receive(name) as write:
            pieces = iter(lambda: file.read(_PIECE), b"")
            for data in _opened(packed, pieces):
                if lines is not None:
                    lines.add(data)
                write(data)
    except FileNotFoundError as error:
        raise DamageError(f"the dump lacks {path.name}, which its contents name") from error
    except _BAD as error:
        raise DamageError(f"{path.name} of the dump is damaged: {error}") from error


def _small(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_CONTENTS:
            raise DamageError(f"{path.name} of the dump is larger than any")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DamageError(f"the dump lacks {path.name}") from error


# -- both


class _Rows:
    """Counts rows: a line each, since line ends in values are escaped; the end must be there."""

    def __init__(self, entry: TocEntry) -> None:
        self._entry = entry
        self._lines = 0
        self._tail = b""

    def add(self, data: bytes) -> None:
        self._lines += data.count(b"\n")
        self._tail = (self._tail + data)[-len(END) :]

    def note(self, found: Unpacked) -> None:
        """Write down how many there were; ``DamageError`` where the end is missing."""
        entry = self._entry
        if not entry.copies:
            return  # its data is INSERT, or its own words
        if self._tail != END:
            raise DamageError(f"the rows of {entry.schema}.{entry.tag} in the dump are cut short")
        found.rows[entry.number] = self._lines - END.count(b"\n")


def _suffix(packed: Packed) -> str:
    if packed not in _SUFFIXES:
        raise UsageError(
            "the dump is compressed with LZ4, which is not known here",
            hint="Make it anew with --compress=gzip, or import what pg_restore makes of it.",
        )
    return _SUFFIXES[packed]


class _Decoder(Protocol):
    """One stream that is being opened."""

    @property
    def ended(self) -> bool:
        """Whether its end was seen, and nothing behind it."""
        ...

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what comes of some more of it, a bounded part at a time."""
        ...


class _Zlib:
    def __init__(self) -> None:
        self._decoder = zlib_ng.decompressobj(_ANY_ZLIB)

    @property
    def ended(self) -> bool:
        return bool(self._decoder.eof)

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data:
            yield self._decoder.decompress(data, _PIECE)
            if self._decoder.unused_data:
                raise ValueError(_BEHIND)
            data = self._decoder.unconsumed_tail


class _Zstd:
    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW).decompressobj()

    @property
    def ended(self) -> bool:
        return bool(self._decoder.eof)

    def decode(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _STEP):
            if self._decoder.eof:
                raise ValueError(_BEHIND)
            yield self._decoder.decompress(data[start : start + _STEP])
            if self._decoder.unused_data:
                raise ValueError(_BEHIND)


def _opened(packed: Packed, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what is in compressed pieces; ``ValueError`` where it ends too early or goes on."""
    _suffix(packed)
    if packed is Packed.NOT:
        yield from pieces
        return
    decoder: _Decoder | None = None
    for piece in pieces:
        if decoder is None:
            decoder = _Zlib() if packed is Packed.GZIP else _Zstd()
        if decoder.ended:
            raise ValueError(_BEHIND)
        yield from decoder.decode(piece)
    if decoder is not None and not decoder.ended:
        msg = "its compressed data is cut short"
        raise ValueError(msg)
