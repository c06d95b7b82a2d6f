"""One thing in a tar archive that is being read: what it is, and its bytes while it is its turn."""

from __future__ import annotations

from collections.abc import Iterator

from strongroom.archive.headers import BLOCK
from strongroom.archive.sparse import SparseMap
from strongroom.archive.tarinput import TarInput
from strongroom.model.entry import Entry


class Member:
    """One thing in an archive. ``offset``: where its first header begins.

    ``entry`` has no content; its ``link`` is the path of the member that it is a hard link to,
    and it then has no bytes of its own. Bytes can be had once, until the next member is asked for:
    ValueError later. ``stored``: how many the archive holds, those of holes not.
    """

    __slots__ = ("_begun", "_input", "_left", "_parts", "entry", "offset", "stored")

    def __init__(
        self,
        entry: Entry,
        offset: int,
        source: TarInput,
        stored: int = 0,
        parts: SparseMap | None = None,
    ) -> None:
        self.entry = entry
        self.offset = offset
        self.stored = stored
        self._input: TarInput | None = source
        self._left = stored
        self._parts = parts
        self._begun = False

    def pieces(self) -> Iterator[tuple[int, memoryview]]:
        """Yield (offset in the file, bytes) in ascending order; what is between is holes."""
        source = self._begin()
        for offset, length in [(0, self.stored)] if self._parts is None else self._parts:
            at = offset
            for piece in source.pieces(length):
                self._left -= len(piece)
                yield at, piece
                self._check()
                at += len(piece)

    def extents(self) -> Iterator[tuple[int, int, bool]]:
        """Yield (offset, length, is data) from 0 to the end of the file; the rest is holes."""
        at = 0
        for offset, length in [(0, self.stored)] if self._parts is None else self._parts:
            if offset > at:
                yield at, offset - at, False
            if length:
                yield offset, length, True
            at = offset + length
        if at < self.entry.size:
            yield at, self.entry.size - at, False

    def read(self) -> bytes:
        """Return all bytes of the file, zeros of holes too; look at ``entry.size`` before."""
        if self._parts is None:
            data = self._begin().take(self.stored)
            self._left = 0
            return data
        whole = bytearray(self.entry.size)
        for offset, piece in self.pieces():
            whole[offset : offset + len(piece)] = piece
        return bytes(whole)

    def leave(self) -> None:
        """Pass over what was not read, and the rest of its last block; for the reader."""
        source = self._check()
        source.skip(self._left)
        source.skip(-source.offset % BLOCK)
        self._input = None

    def _begin(self) -> TarInput:
        source = self._check()
        if self._begun:
            msg = "the bytes of a member can be had only once"
            raise ValueError(msg)
        self._begun = True
        return source

    def _check(self) -> TarInput:
        if self._input is None:
            msg = "the bytes of a member were gone when the next one was asked for"
            raise ValueError(msg)
        return self._input
