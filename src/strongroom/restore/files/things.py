"""What is being restored, as something whose attributes can be set."""

from __future__ import annotations

from strongroom.model.fs import Fs
from strongroom.system.directories import Directory, path_of


class OpenThing:
    """An open file or directory; of a directory the path is put together when it is needed."""

    __slots__ = ("_fd", "_fs", "_path")

    def __init__(self, fs: Fs, fd: int, path: bytes | Directory) -> None:
        self._fs = fs
        self._fd = fd
        self._path = path

    @property
    def path(self) -> bytes:
        """See ``Thing``."""
        return self._path if isinstance(self._path, bytes) else path_of(self._path)

    def chown(self, uid: int, gid: int) -> None:
        """See ``Thing``."""
        self._fs.fchown(self._fd, uid, gid)

    def chmod(self, mode: int) -> None:
        """See ``Thing``."""
        self._fs.fchmod(self._fd, mode)

    def set_xattr(self, name: bytes, value: bytes) -> None:
        """See ``Thing``."""
        self._fs.set_xattr(self._fd, name, value)

    def utime(self, mtime_ns: int) -> None:
        """See ``Thing``."""
        self._fs.futime(self._fd, mtime_ns)


class NamedThing:
    """A link, FIFO, socket or device: something that is not opened."""

    __slots__ = ("_dir_fd", "_fs", "_name", "_path")

    def __init__(self, fs: Fs, name: bytes, dir_fd: int, path: bytes) -> None:
        self._fs = fs
        self._name = name
        self._dir_fd = dir_fd
        self._path = path

    @property
    def path(self) -> bytes:
        """See ``Thing``."""
        return self._path

    def chown(self, uid: int, gid: int) -> None:
        """See ``Thing``."""
        self._fs.chown(self._name, uid, gid, dir_fd=self._dir_fd)

    def chmod(self, mode: int) -> None:
        """See ``Thing``."""
        self._fs.chmod(self._name, mode, dir_fd=self._dir_fd)

    def set_xattr(self, name: bytes, value: bytes) -> None:
        """See ``Thing``."""
        self._fs.set_xattr_at(self._name, name, value, dir_fd=self._dir_fd)

    def utime(self, mtime_ns: int) -> None:
        """See ``Thing``."""
        self._fs.utime(self._name, mtime_ns, dir_fd=self._dir_fd)
