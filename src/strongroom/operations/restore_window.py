"""Some entries of a restore in a row: which file needs which chunk, and who finishes it."""

from __future__ import annotations

import threading
from typing import NamedTuple

from strongroom.model.entry import EXTENT, HOLE, Entry
from strongroom.model.source import OpenFile


class LargeFile:
    """A file restored in pieces; finished by whoever writes the last one."""

    def __init__(self, entry: Entry, file: OpenFile, pieces: int) -> None:
        self.entry = entry
        self._file = file
        self._left = pieces
        self._lock = threading.Lock()
        self._ended = False

    def write(self, offset: int, data: memoryview) -> bool:
        """Write a piece; True if it was the last and the file is complete now."""
        self._file.write(offset, data)
        with self._lock:
            if self._ended:
                return False
            self._left -= 1
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
