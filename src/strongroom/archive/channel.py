"""Bytes from one thread to another, of which only so many may wait."""

from __future__ import annotations

from collections import deque
from threading import Condition
from typing import Final

MOST_WAITING: Final = 4 << 20


class Abandoned(Exception):  # noqa: N818 - it is an answer
    """The other side has given up."""


class Channel:
    """One writer, one reader; each may give up, which the other is told of at its next call."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        self._ended = False
        self._abandoned = False
        self._changed = Condition()
        self._piece = memoryview(b"")

    def put(self, data: bytes) -> None:
        """Hand over bytes, and wait while there are too many; ``Abandoned``."""
        with self._changed:
            while self._waiting >= self._most and not self._abandoned:
                self._changed.wait()
            if self._abandoned:
                raise Abandoned
            if data:
                self._pieces.append(data)
                self._waiting += len(data)
                self._changed.notify()

    def end(self) -> None:
        """Say that nothing comes any more, and that this is right."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def abandon(self) -> None:
        """Give up, from either side; any number of times."""
        with self._changed:
            self._abandoned = True
            self._pieces.clear()
            self._changed.notify_all()

    def read(self, size: int, /) -> bytes:
        """Return 1 to ``size`` bytes, none at the end; ``Abandoned``."""
        if not self._piece or self._abandoned:
            with self._changed:
                while not (self._pieces or self._ended or self._abandoned):
                    self._changed.wait()
                if self._abandoned:
                    raise Abandoned
                if not self._pieces:
                    return b""
                piece = self._pieces.popleft()
                self._waiting -= len(piece)
                self._changed.notify()
            self._piece = memoryview(piece)
        data = bytes(self._piece[:size])
        self._piece = self._piece[size:]
        return data
