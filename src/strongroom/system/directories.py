"""Directories held by descriptor: any depth, any length of path, few descriptors.

A ``Directory`` knows its parent and its name there. Its descriptor is open while it is in use and
as long as there is room; later it is opened again through the parents, one component at a time, no
symbolic link followed, and only if it is still the directory that it was.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Final

from strongroom.model.fs import Fs

_OPEN: Final = os.O_PATH | os.O_DIRECTORY
_CLOSED: Final = -1


class Directory:
    """One directory; only ``Directories`` makes and changes one."""

    __slots__ = ("fd", "identity", "name", "parent", "users")

    def __init__(self, parent: Directory | None, name: bytes, identity: tuple[int, int]) -> None:
        self.parent = parent
        self.name = name
        self.identity = identity
        self.fd = _CLOSED
        self.users = 0


def path_of(directory: Directory) -> bytes:
    """Return the names from the top to a directory, joined."""
    names = []
    here = directory
    while here.parent is not None:
        names.append(here.name)
        here = here.parent
    return b"/".join(reversed(names))


class Directories:
    """Every directory that one walk or one restore has to do with; safe in any thread."""

    def __init__(self, fs: Fs, *, most_open: int = 128) -> None:
        self._fs = fs
        self._most_open = most_open
        self._open: OrderedDict[Directory, None] = OrderedDict()
        self._tops: list[Directory] = []
        self._lock = Lock()

    def top(self, fd: int) -> Directory:
        """Take over an open descriptor; it stays open until ``close``."""
        found = self._fs.fstat(fd)
        top = Directory(None, b"", (found.device, found.inode))
        top.fd = fd
        self._tops.append(top)
        return top

    def enter(self, parent: Directory, name: bytes, *, flags: int = _OPEN) -> Directory:
        """Open the directory ``name`` of ``parent``; OSError if that is no directory."""
        with self.use(parent) as parent_fd:
            fd = self._fs.open(name, flags | os.O_DIRECTORY, dir_fd=parent_fd)
        try:
            found = self._fs.fstat(fd)
        except OSError:
            self._fs.close(fd)
            raise
        directory = Directory(parent, name, (found.device, found.inode))
        with self._lock:
            self._keep(directory, fd)
        return directory

    @contextmanager
    def use(self, directory: Directory) -> Iterator[int]:
        """Give the descriptor, which stays open meanwhile."""
        fd = self.take(directory)
        try:
            yield fd
        finally:
            self.give_back(directory)

    def take(self, directory: Directory) -> int:
        """Give the descriptor, which stays open until it is given back."""
        with self._lock:
            if directory.fd == _CLOSED:
                self._open_again(directory)
            elif directory.parent is not None:
                self._open.move_to_end(directory)
            directory.users += 1
            return directory.fd

    def give_back(self, directory: Directory) -> None:
        """Say that the descriptor is no longer needed."""
        with self._lock:
            directory.users -= 1

    def close(self) -> None:
        """Close every descriptor; nothing can be opened again afterwards."""
        with self._lock:
            for directory in [*self._open, *self._tops]:
                self._close(directory)
            self._open.clear()
            self._tops.clear()

    def _open_again(self, directory: Directory) -> None:
        closed = []
        above: Directory | None = directory
        while above is not None and above.fd == _CLOSED:
            closed.append(above)
            above = above.parent
        if above is None:
            raise OSError(errno.EBADF, "the directories are closed")
        parent_fd = above.fd
        for below in reversed(closed):
            fd = self._fs.open(below.name, _OPEN, dir_fd=parent_fd)
            self._keep(below, fd)
            found = self._fs.fstat(fd)
            if (found.device, found.inode) != below.identity:
                self._drop(below)
                raise OSError(errno.ESTALE, "another directory has its name now", below.name)
            parent_fd = fd

    def _keep(self, directory: Directory, fd: int) -> None:
        """Remember an open descriptor, and close the one that was not used for longest."""
        directory.fd = fd
        self._open[directory] = None
        if len(self._open) > self._most_open:
            for oldest in self._open:
                if not oldest.users and oldest is not directory:
                    self._drop(oldest)
                    return

    def _drop(self, directory: Directory) -> None:
        del self._open[directory]
        self._close(directory)

    def _close(self, directory: Directory) -> None:
        fd, directory.fd = directory.fd, _CLOSED
        with suppress(OSError):  # nothing was written through it that could be lost
            self._fs.close(fd)
