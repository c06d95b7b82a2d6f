"""Some entries of a restore in a row: which file needs which chunk, and who finishes it."""

from __future__ import annotations

import threading
from typing import NamedTuple

from strongroom.model.entry import EXTENT, HOLE, Entry
from strongroom.model.fs import Buffer
from strongroom.model.source import OpenFile
from strongroom.repository.reader import ReadChunk


class LargeFile:
    """A file restored in pieces; finished by whoever writes the last one.

    One thread writes at a time: the kernel lets no more into a file, and the others would spin.
    """

    def __init__(self, entry: Entry, file: OpenFile, pieces: int) -> None:
        self.entry = entry
        self._file = file
        self._left = pieces
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._ended = False

    def write(self, offset: int, data: Buffer, pieces: int = 1) -> bool:
        """Write pieces that follow each other; True if the file is complete now."""
        with self._turn:
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
    """Pieces on their way into files: what follows each other in both is written by one call."""

    def __init__(self) -> None:
        self.finished = 0
        self._file: LargeFile | None = None
        self._frame = memoryview(b"")
        self._begins = self._ends = self._pieces = 0
        self._shift = 0  # what the place in the file is more than that in the frame

    def add(self, piece: Piece, chunk: ReadChunk) -> None:
        """Take a piece; whatever it does not follow is written first."""
        file, offset, length = piece
        at = chunk.at
        in_frame = at == self._ends and chunk.frame is self._frame
        if not in_frame or file is not self._file or offset - at != self._shift:
            self.flush()
            self._file, self._frame = file, chunk.frame
            self._begins, self._shift = at, offset - at
        self._ends = at + length
        self._pieces += 1

    def flush(self) -> None:
        """Write what is waiting; ``finished`` counts the files that are complete by that."""
        if self._file is not None:
            data = self._frame[self._begins : self._ends]
            place = self._begins + self._shift
            self.finished += self._file.write(place, data, self._pieces)
        self._file, self._pieces = None, 0


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
