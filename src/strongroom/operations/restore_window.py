"""Some entries of a restore in a row: which file needs which chunk, and who finishes it."""

from __future__ import annotations

import threading
from typing import Final, NamedTuple

from strongroom.model.entry import EXTENT, HOLE, Entry
from strongroom.model.fs import Buffer
from strongroom.model.source import OpenFile

_ALONE: Final = 32 << 10  # bytes from which on a piece is written by itself


class LargeFile:
    """A file restored in pieces; finished by whoever writes the last one."""

    def __init__(self, entry: Entry, file: OpenFile, pieces: int) -> None:
        self.entry = entry
        self._file = file
        self._left = pieces
        self._lock = threading.Lock()
        self._ended = False

    def write(self, offset: int, data: Buffer, pieces: int = 1) -> bool:
        """Write pieces that follow each other; True if the file is complete now."""
        self._file.write(offset, data)
        with self._lock:
            if self._ended:
                return False
            self._left -= pieces
            last = self._left == 0
            self._ended = last
        if last:
            self._file.finish()
        return last

    def finish_empty(self) -> None:
        """Complete a file that consists of holes."""
        self._ended = True
        self._file.finish()

    def abandon(self) -> None:
        """Give the file up; nothing stays under its name."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        self._file.abandon()


class Piece(NamedTuple):
    """Where a chunk belongs, and how long it must be."""

    file: LargeFile
    offset: int
    length: int


class Joined:
    """Pieces on their way into files; small ones that follow each other are written together.

    A call for each page of a file costs more than to put pages together; for large ones it is the
    other way round.
    """

    def __init__(self) -> None:
        self.finished = 0
        self._file: LargeFile | None = None
        self._begins = 0
        self._ends = 0
        self._waiting: list[memoryview] = []

    def add(self, piece: Piece, data: memoryview) -> None:
        """Take a piece; whatever it does not follow is written first."""
        if piece.length >= _ALONE:
            self.finished += piece.file.write(piece.offset, data)
            return
        if piece.file is not self._file or piece.offset != self._ends:
            self.flush()
            self._file, self._begins = piece.file, piece.offset
        self._waiting.append(data)
        self._ends = piece.offset + piece.length

    def flush(self) -> None:
        """Write what is waiting; ``finished`` counts the files that are complete by that."""
        waiting, self._waiting = self._waiting, []
        if self._file is not None and waiting:
            data = waiting[0] if len(waiting) == 1 else b"".join(waiting)
            self.finished += self._file.write(self._begins, data, len(waiting))
        self._file = None


class Window:
    """Some entries in a row: who needs which chunk."""

    def __init__(self) -> None:
        self.small: dict[bytes, list[Entry]] = {}
        self.pieces: dict[bytes, list[Piece]] = {}
        self.large: list[LargeFile] = []

    def chunk_ids(self) -> list[bytes]:
        """Every chunk needed, in the order of the tree."""
        return [*self.small, *self.pieces]

    def abandon(self) -> None:
        """Give up the large files that are not complete."""
        for file in self.large:
            file.abandon()


def is_small(entry: Entry) -> bool:
    """Whether an entry is one chunk that is written at once."""
    return (
        entry.depth == 0
        and len(entry.content) == EXTENT.size
        and not entry.content.startswith(HOLE)
    )
