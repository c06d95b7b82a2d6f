"""Writing a tar archive as a stream: the same entries give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from strongroom.archive.headers import (
    can_hold,
    link_of,
    member_headers,
    padding,
    sparse_headers,
)
from strongroom.archive.sparse import map_of, map_of_zeros, map_text
from strongroom.model.entry import SPARSE, Entry, EntryKind
from strongroom.model.fs import Buffer

PIECE: Final = 512 * 1024
RECORD: Final = 10_240  # what tar programs read at a time; the archive is a multiple of it
END: Final = bytes(1024)
_FILE: Final = int(EntryKind.FILE)
_ZEROS: Final = bytes(PIECE)

Extents = Iterable[tuple[int, int, bool]]
ReadInto = Callable[[int, memoryview], int]
Observe = Callable[[Buffer], object]


def _ignore(_data: Buffer) -> None:
    pass


class TarWriter:
    """Writes members one after the other; ``out`` gets pieces that nobody changes afterwards."""

    def __init__(self, out: Callable[[Buffer], object]) -> None:
        self._out = out
        self._parts: list[Buffer] = []
        self._held = 0
        self._given = 0

    @property
    def size(self) -> int:
        """Bytes of the archive so far: where the next member begins."""
        return self._given + self._held

    def add(self, entry: Entry, data: bytes = b"") -> bool:
        """Add an entry with all its bytes; False, and nothing added, for a kind tar does not have.

        An entry whose ``link`` is another path becomes a hard link to that member, without bytes.
        """
        if not can_hold(entry):
            return False
        if entry.kind != _FILE or link_of(entry):
            data = b""
        if entry.flags & SPARSE and self._add_sparse(entry, data):
            return True
        size = len(data)
        parts = (member_headers(entry, size), data, padding(size))
        self._parts += parts
        self._held += len(parts[0]) + size + len(parts[2])
        if self._held >= PIECE:
            self._flush()
        return True

    def add_large(
        self, entry: Entry, extents: Extents, readinto: ReadInto, observe: Observe = _ignore
    ) -> tuple[int, int]:
        """Add a file in pieces; return how many of its bytes were there, and its size.

        Its size is where the extents end, for that is said before the bytes come: a file that turns
        out to be shorter is filled up with zeros, one that grew is cut. ``observe`` sees every byte
        of the file in its order, zeros of holes too. What ``readinto`` raises passes through and
        leaves an archive that is good for nothing: let it return 0 instead.
        """
        parts, size = map_of(extents)
        found = size
        if parts.data == size:
            self._put(member_headers(entry, size))
            if size:
                found = self._copy(0, size, readinto, observe)
        else:
            text = map_text(parts, size)
            self._put(sparse_headers(entry, len(text) + parts.data, size))
            self._put(text)
            at = 0
            for offset, length in parts:
                _zeros(offset - at, observe)
                count = self._copy(offset, length, readinto, observe)
                at = offset + length
                if count < length:
                    found = min(found, offset + count)
            _zeros(size - at, observe)
        self._put(padding(parts.data))
        return found, size

    def finish(self) -> None:
        """Write the end of the archive; nothing can be added afterwards."""
        self._put(END)
        self._put(bytes(-self.size % RECORD))
        self._flush()

    def _add_sparse(self, entry: Entry, data: bytes) -> bool:
        """Add a small file with holes where its zeros are; False if there are none."""
        parts = map_of_zeros(data)
        if parts.data == len(data):
            return False
        text = map_text(parts, len(data))
        self._put(sparse_headers(entry, len(text) + parts.data, len(data)))
        self._put(text)
        view = memoryview(data)
        for offset, length in parts:
            self._put(view[offset : offset + length])
        self._put(padding(parts.data))
        return True

    def _copy(self, offset: int, length: int, readinto: ReadInto, observe: Observe) -> int:
        """Copy a part of a file; the number of bytes that were there, without the zeros."""
        found = 0
        while found < length:
            buffer = bytearray(min(PIECE, length - found))
            view = memoryview(buffer)
            count = readinto(offset + found, view)
            observe(view)
            self._put(view.toreadonly())
            found += count
            if count < len(buffer):
                self._fill(length - (found - count) - len(buffer), observe)
                return found
        return found

    def _fill(self, length: int, observe: Observe) -> None:
        for start in range(0, length, PIECE):
            zeros = memoryview(_ZEROS)[: min(PIECE, length - start)]
            observe(zeros)
            self._put(zeros)

    def _put(self, data: Buffer) -> None:
        self._parts.append(data)
        self._held += len(data)
        if self._held >= PIECE:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._parts)
        self._parts.clear()
        self._given += len(data)
        self._held = 0
        if data:
            self._out(data)


def _zeros(length: int, observe: Observe) -> None:
    for start in range(0, length, PIECE):
        observe(memoryview(_ZEROS)[: min(PIECE, length - start)])
