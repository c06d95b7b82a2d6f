"""Opening what is to be read, without ever waiting for it or being led astray."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final, NamedTuple

from strongroom.clock import Clock
from strongroom.model.fs import Fs, Stat
from strongroom.sources.files.walk import VANISHED, Found
from strongroom.system.causes import cause_of

REPLACED: Final = "replaced by something else while being read"
_READ: Final = os.O_RDONLY | os.O_NONBLOCK
_READ_QUIETLY: Final = _READ | os.O_NOATIME
_TYPE: Final = 0o170000
_VANISHED: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
_REPLACED: Final = frozenset({errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.EISDIR})
_LEASE_TRIES: Final = 40
_LEASE_PAUSE: Final = 0.05
_new = tuple.__new__  # a NamedTuple's own constructor is a Python function


class Opened(NamedTuple):
    """An open regular file, what it was then, and a time before anything of it was read."""

    fd: int
    stat: Stat
    began_ns: int


class Opener:
    """Opens regular files for reading, and leaves their access times alone where it may."""

    def __init__(self, fs: Fs, clock: Clock) -> None:
        self._fs = fs
        self._clock = clock
        self._strangers: set[int] = set()

    def open(self, found: Found, dir_fd: int) -> Opened:
        """Open a file and look at it; OSError if there is no regular file of that name any more.

        A FIFO or device that took its place is opened without waiting, and not read.
        """
        began_ns = self._clock.now_ns()
        fd = self._open(found, dir_fd)
        try:
            opened = self._fs.fstat(fd)
        except OSError:
            self.close(fd)
            raise
        if opened[0] & _TYPE != stat.S_IFREG:
            self.close(fd)
            raise OSError(errno.ELOOP, REPLACED)
        return _new(Opened, (fd, opened, began_ns))

    def close(self, fd: int) -> None:
        """Close what was only read: nothing can be lost by it any more."""
        try:  # noqa: SIM105 - for every file
            self._fs.close(fd)
        except OSError:
            pass

    def _open(self, found: Found, dir_fd: int) -> int:
        owner = found.stat.uid
        if owner not in self._strangers:
            try:
                return self._fs.open(found.name, _READ_QUIETLY, dir_fd=dir_fd)
            except PermissionError as error:
                if error.errno != errno.EPERM:
                    raise
                self._strangers.add(owner)  # only an owner or root may keep the access time
            except BlockingIOError:
                pass
        for _ in range(_LEASE_TRIES):
            try:
                return self._fs.open(found.name, _READ, dir_fd=dir_fd)
            except BlockingIOError:  # another program has a lease on it, and is told to end it
                self._clock.sleep(_LEASE_PAUSE)
        return self._fs.open(found.name, _READ, dir_fd=dir_fd)


def why(error: OSError) -> str:
    """Say in a few words why something was not read."""
    if error.errno in _VANISHED:
        return VANISHED
    return REPLACED if error.errno in _REPLACED else cause_of(error)


def said(error: OSError) -> OSError:
    """Return the same error with a message for people."""
    return OSError(error.errno, why(error))
