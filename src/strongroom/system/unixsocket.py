"""Unix sockets: one listener for a name, for the same user only."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

MOST_LENGTH: Final = 100  # of a path; the system takes 107 bytes
_CREDENTIALS: Final = struct.Struct("=iII")
_MODE: Final = 0o600
_WAITING: Final = 64
_WAKES: Final = 1.0  # seconds


class InUseError(Exception):
    """Another process listens there."""


class Listener:
    """Listens at a path, with mode 0600, as long as it is not closed; ``InUseError``, ``OSError``.

    Who listens holds a lock beside the socket, which ends with the process. So what a process that
    died left behind is replaced, and a socket that somebody listens at never is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lock = path.with_name(f"{path.name}.lock")
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._begin()
        except BaseException:
            self._socket.close()
            os.close(self._lock)
            raise

    def _begin(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUseError(str(self._path)) from error
        self._path.unlink(missing_ok=True)
        before = os.umask(0o777 & ~_MODE)
        try:
            self._socket.bind(str(self._path))
        finally:
            os.umask(before)
        self._socket.listen(_WAITING)
        self._socket.settimeout(_WAKES)

    def accept(self) -> socket.socket:
        """Wait for somebody, and return the connection.

        It wakes up now and then: a signal that comes just before the wait would not end it.
        """
        while True:
            with suppress(TimeoutError):
                return self._socket.accept()[0]

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._path.unlink()
        self._socket.close()
        os.close(self._lock)


def peer_user(connection: socket.socket) -> int:
    """Return the user id of the process at the other end, as the kernel knows it."""
    size = _CREDENTIALS.size
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    user: int = _CREDENTIALS.unpack(found)[1]
    return user
