"""Small files of this host: caches, last walks, what is remembered of repositories.

All of it is disposable for correctness. Files are 0600 in folders 0700; a write replaces a whole
file by rename, so a reader sees the old or the new one.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import stat
from collections.abc import Iterator, Sequence
from typing import Final

from strongroom.model.fs import Buffer, Fs
from strongroom.model.randomness import Randomness

_READ: Final = 1 << 20
_ALIGNED: Final = 8
_TEMPORARY: Final = re.compile(rb".+\.new-[0-9a-f]{16}", re.DOTALL)


class LocalFiles:
    """Named files below ``root`` (absolute); names use ``/``. Errors are ``OSError``."""

    def __init__(self, fs: Fs, root: bytes, randomness: Randomness) -> None:
        self._fs = fs
        self._root = root
        self._randomness = randomness

    def below(self, name: str) -> LocalFiles:
        """The same, for the folder ``name``."""
        return LocalFiles(self._fs, self._root + b"/" + name.encode(), self._randomness)

    def read(self, name: str) -> bytes | None:
        """Return a whole file; None if there is none."""
        return self.read_bounded(name, 1 << 40)

    def read_bounded(self, name: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes of a file; None if there is none."""
        try:
            fd = self._fs.open(self._path(name), os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            parts: list[bytes] = []
            while limit > 0 and (part := self._fs.read(fd, min(_READ, limit))):
                parts.append(part)
                limit -= len(part)
            return b"".join(parts)
        finally:
            self._fs.close(fd)

    def blocks(self, name: str, size: int = _READ) -> Iterator[bytes]:
        """Yield a file in pieces; nothing if there is none."""
        try:
            fd = self._fs.open(self._path(name), os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            while part := self._fs.read(fd, size):
                yield part
        finally:
            self._fs.close(fd)

    def write(self, name: str, data: Buffer, *, durable: bool = False) -> None:
        """Replace a file; if ``durable``, a power cut leaves the old one or the new one."""
        with self.replacing(name) as file:
            file.write(data)
            if durable:
                file.fsync()

    @contextlib.contextmanager
    def replacing(self, name: str) -> Iterator[NewFile]:
        """Write a new file; it takes the place of ``name`` when the block ends without an error."""
        path = self._path(name)
        temporary = b"%s.new-%s" % (path, self._randomness.take(8).hex().encode())
        self._make_parents(path)
        fd = self._fs.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
        try:
            try:
                yield NewFile(self._fs, fd)
            finally:
                self._fs.close(fd)
            here = self._fs.open(b"/", os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._fs.rename(temporary, path, old_dir_fd=here, dir_fd=here)
            finally:
                self._fs.close(here)
        except BaseException:
            with contextlib.suppress(OSError):
                self._fs.unlink(temporary)
            raise

    def mapped(self, parts: Sequence[Buffer]) -> list[memoryview]:
        """Write parts into a file without a name and map it: memory that the system can take back.

        The views are read-only, begin at multiples of 8 bytes, and end with the process.
        """
        path = b"%s/mapped.new-%s" % (self._root, self._randomness.take(8).hex().encode())
        self._make_parents(path)
        fd = self._fs.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=0o600)
        try:
            self._fs.unlink(path)
            file = NewFile(self._fs, fd)
            for part in parts:
                file.write(part)
                file.write(bytes(-len(part) % _ALIGNED))
            size = sum(len(part) + -len(part) % _ALIGNED for part in parts)
            whole = memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ)) if size else b""
        finally:
            self._fs.close(fd)
        views = []
        start = 0
        for part in parts:
            views.append(memoryview(whole)[start : start + len(part)])
            start += len(part) + -len(part) % _ALIGNED
        return views

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._fs.unlink(self._path(name))

    def sweep(self, before_ns: int) -> None:
        """Remove what writers that died left behind before a moment; what cannot go stays."""
        self._sweep(self._root, before_ns)

    def _sweep(self, folder: bytes, before_ns: int) -> None:
        with contextlib.suppress(OSError):
            fd = self._fs.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                for name in self._fs.names(fd):
                    found = self._fs.stat(name, dir_fd=fd)
                    if stat.S_ISDIR(found.mode):
                        self._sweep(folder + b"/" + name, before_ns)
                    elif _TEMPORARY.fullmatch(name) and found.mtime_ns < before_ns:
                        self._fs.unlink(name, dir_fd=fd)
            finally:
                self._fs.close(fd)

    def _path(self, name: str) -> bytes:
        return self._root + b"/" + name.encode()

    def _make_parents(self, path: bytes) -> None:
        missing: list[bytes] = []
        folder = path.rpartition(b"/")[0]
        while folder:
            try:
                self._fs.mkdir(folder, 0o700)
                break
            except FileExistsError:
                break
            except FileNotFoundError:
                missing.append(folder)
                folder = folder.rpartition(b"/")[0]
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                self._fs.mkdir(folder, 0o700)


class NewFile:
    """A file being written."""

    def __init__(self, fs: Fs, fd: int) -> None:
        self._fs = fs
        self._fd = fd

    def write(self, data: Buffer) -> None:
        """Append all of ``data``."""
        view = memoryview(data)
        while view:
            view = view[self._fs.write(self._fd, view) :]

    def fsync(self) -> None:
        """Make what was written durable."""
        self._fs.fsync(self._fd)


class FileCache:
    """An ``ObjectCache`` in files; what cannot be read or written is as if it were not there."""

    def __init__(self, files: LocalFiles) -> None:
        self._files = files

    def get(self, key: str) -> bytes | None:
        """See ``ObjectCache``."""
        try:
            return self._files.read(key)
        except OSError:
            return None

    def put(self, key: str, value: bytes) -> None:
        """See ``ObjectCache``."""
        with contextlib.suppress(OSError):
            self._files.write(key, value)

    def forget(self, key: str) -> None:
        """See ``ObjectCache``."""
        with contextlib.suppress(OSError):
            self._files.remove(key)
