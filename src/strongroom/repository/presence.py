"""Which sessions of this host have a process: known by a lock that ends with it, however it ends.

A collector that finds a session of a dead process gives it up at once and waits for no time to
pass. Nothing depends on it: the store lets only one of COMMIT and ABORT have the key, so a wrong
answer costs a backup that has to be run again, and never data.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final, Protocol

from strongroom.model.fs import Fs

_FLAGS: Final = os.O_RDWR | os.O_CREAT


class Held(Protocol):
    """Says that somebody is at work, until it is let go or the process ends."""

    def let_go(self) -> None:
        """The session has its decision; any number of times."""
        ...


class Presence(Protocol):
    """Who is at work on this host."""

    def hold(self, session: bytes) -> Held:
        """Say that this process works on a session, before anybody else can know of it."""
        ...

    def is_dead(self, session: bytes) -> bool:
        """Whether a process of this host worked on a session, and has ended."""
        ...

    def forget(self, session: bytes) -> None:
        """A session has its decision, by whomever."""
        ...


class _Nothing:
    def let_go(self) -> None:
        """There is nothing to let go of."""


class Unknown:
    """A ``Presence`` that knows of nobody: whoever is silent may be at work."""

    def hold(self, session: bytes) -> Held:
        """See ``Presence``."""
        del session
        return _Nothing()

    def is_dead(self, session: bytes) -> bool:
        """See ``Presence``."""
        del session
        return False

    def forget(self, session: bytes) -> None:
        """See ``Presence``."""


class _HeldFile:
    def __init__(self, fs: Fs, fd: int, path: bytes) -> None:
        self._fs = fs
        self._fd: int | None = fd
        self._path = path

    def let_go(self) -> None:
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        with contextlib.suppress(OSError):  # the next collector removes it
            self._fs.unlink(self._path)
        self._fs.close(fd)


class FilePresence:
    """A ``Presence`` in files below ``root`` (absolute), one for each session, locked.

    Where the folder cannot be used nobody is known, and collectors wait as they do for other hosts.
    """

    def __init__(self, fs: Fs, root: bytes) -> None:
        self._fs = fs
        self._root = root

    def hold(self, session: bytes) -> Held:
        """See ``Presence``."""
        path = self._path(session)
        try:
            for end in range(1, len(path)):
                if path[end : end + 1] == b"/":
                    with contextlib.suppress(FileExistsError):
                        self._fs.mkdir(path[:end], 0o700)
            fd = self._fs.open(path, _FLAGS)
        except OSError:
            return _Nothing()
        try:
            locked = self._fs.try_lock(fd)
        except OSError:
            locked = False
        held = _HeldFile(self._fs, fd, path)
        if not locked:  # this file system knows no locks: better no file than one that misleads
            held.let_go()
        return held

    def is_dead(self, session: bytes) -> bool:
        """See ``Presence``."""
        try:
            fd = self._fs.open(self._path(session), os.O_RDWR)
        except OSError:
            return False
        try:
            return self._fs.try_lock(fd)
        except OSError:
            return False
        finally:
            self._fs.close(fd)

    def forget(self, session: bytes) -> None:
        """See ``Presence``."""
        with contextlib.suppress(OSError):  # it is there the next time, and does no harm
            self._fs.unlink(self._path(session))

    def _path(self, session: bytes) -> bytes:
        return self._root + b"/" + session.hex().encode()
