"""Keeps what a dump takes in scratch small: whoever writes is held where it would be too much.

What was read is given back; where that is not possible, when its file is whole. A thread watches
the free space, because saving may wait for a store as long as it likes, and a dump does not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from strongroom.errors import RefusedError
from strongroom.model.fs import Fs
from strongroom.model.spawn import Attended
from strongroom.sources.postgres.following import Follower

MOST: Final = 1 << 30  # bytes that a dump may take on a disk until it is held
MOST_IN_MEMORY: Final = 256 << 20
LEAST: Final = 4 << 20  # with less a dump does not go on
_SHARE: Final = 4  # of what is free, a quarter
LEAST_FREE: Final = LEAST * _SHARE  # with less on the disk no dump begins
_EVERY: Final = 0.01  # seconds


class Room:
    """What a dump may take; made by ``watched``, used by one thread."""

    def __init__(self, fs: Fs, scratch: int, where: Path, child: Attended, most: int) -> None:
        self._fs = fs
        self._scratch = scratch
        self._where = where
        self._child = child
        self._most = most
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._allowance = 0
        self._floor = 0
        self.held = False
        self._allow()

    def make(self, follower: Follower, *, all_of_it: bool) -> None:
        """Give back what was read, if that is worth it; let a dump go on for which there is room.

        ``all_of_it``: the last look was for that, and began when the dump was held.
        ``RefusedError`` if no room can be made.
        """
        if self.held:
            if all_of_it and not follower.unread:
                follower.release()
                self._allow()
                with self._lock:
                    self.held = False
                    self._child.go_on()
        elif follower.standing > self._allowance // 2:
            follower.release()

    def watch(self) -> None:
        """Hold the dump when too little is free, until ``end``."""
        while not self._ended.wait(_EVERY):
            with self._lock:
                if not self.held and self._fs.free_bytes(self._scratch) < self._floor:
                    self._child.hold()
                    self.held = True

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()

    def _allow(self) -> None:
        """Say from what is free now how much the dump may take until it is held."""
        free = self._fs.free_bytes(self._scratch)
        self._allowance = min(self._most, free // _SHARE)
        self._floor = free - self._allowance
        if self._allowance < LEAST:
            raise RefusedError(
                f"no room for the dump: {self._where} has {free:,} bytes free",
                hint="Name a folder with more room: scratch = '/path', in the source.",
            )


@contextmanager
def watched(fs: Fs, scratch: int, where: Path, child: Attended, most: int = MOST) -> Iterator[Room]:
    """Watch over a dump for as long as the block lasts; ``scratch``: a descriptor of the folder.

    ``most``: the bytes that it may take, however much is free.
    """
    room = Room(fs, scratch, where, child, most)
    thread = threading.Thread(target=room.watch, name="room")
    thread.start()
    try:
        yield room
    finally:
        room.end()
        thread.join()
