"""A store in a folder, on anything from a laptop's disk to a network share."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from strongroom.errors import ObjectExistsError, ObjectMissingError, RangeError, StoreError
from strongroom.model.fs import Buffer, Fs, Stat
from strongroom.model.randomness import Randomness
from strongroom.model.store import ObjectInfo
from strongroom.storage.arguments import check_range, flat, listing_prefix, object_key
from strongroom.storage.local_directories import Directories, Path
from strongroom.storage.local_errors import NoRootError, store_errors
from strongroom.storage.local_files import NewFiles, UnsupportedError
from strongroom.storage.local_tree import Tree

_ABANDONED_NS: Final = 24 * 3600 * 1_000_000_000  # no put takes a day
_OPEN_OBJECT: Final = os.O_RDONLY | os.O_NONBLOCK  # a FIFO must not make anybody wait


class LocalStore:
    """Each object is a file (0400) below a root folder; directories are 0700, whatever the umask.

    Safe in any number of threads and processes. Directories are made when a put needs them and
    never removed. Nothing is done before the first call, and only ``create_root`` makes the root;
    while that is missing, ``get`` finds no object and everything else is a StoreError.

    More than ``Store`` asks: when ``put`` raises ObjectExistsError, the object that has the key
    survives a power cut as well.
    """

    def __init__(self, fs: Fs, path: str, randomness: Randomness) -> None:
        self._fs = fs
        self._url = path
        self._directories = Directories(fs, os.fsencode(path))
        self._tree = Tree(fs, self._directories, path)
        self._new_files = NewFiles(fs, randomness)

    @property
    def url(self) -> str:
        """See ``Store``: the path of the root, as it was given."""
        return self._url

    def exists(self) -> bool:
        """Return whether the root folder is there."""
        with store_errors(f"cannot open {self._url}"):
            try:
                with self._directories.lease(()):
                    return True
            except NoRootError:
                return False

    def create_root(self) -> None:
        """Make the root folder and what is missing above it (0700), durably."""
        with store_errors(f"cannot make {self._url}"):
            self._directories.make_root()

    def get(self, key: str) -> bytes:
        """See ``Store``."""
        with self._opened(key) as (fd, size):
            data = self._read(fd, 0, size)
        if len(data) != size:
            raise StoreError(f"{self._url}/{key} shrank while it was read; objects never change")
        return data

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """See ``Store``."""
        check_range(offset, length)
        with self._opened(key) as (fd, size):
            data = self._read(fd, offset, length) if offset + length <= size else b""
        if len(data) != length or offset > size:
            raise RangeError(
                f"object {self._url}/{key} has {size} bytes: "
                f"{length} bytes from {offset} are not all there"
            )
        return data

    def size(self, key: str) -> int:
        """See ``Store``."""
        above, name = _path(key)
        with self._reading(key), self._directories.lease(above) as directory:
            return self._size(self._fs.stat(name, dir_fd=directory), key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        return self._tree.objects(_top(prefix))

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        above, name = _path(key)
        failed = f"cannot store {self._url}/{key}"
        with store_errors(failed), self._directories.lease_durable(above) as directory:
            try:
                self._new_files.put(directory, name, flat(value))
            except FileExistsError:
                self._directories.fsync(directory)
                raise ObjectExistsError(f"object {self._url}/{key} exists already") from None
            except UnsupportedError as error:
                raise StoreError(
                    f"{failed}: this file system can neither link a file nor rename one without "
                    "replacing another, so it cannot hold a repository safely",
                    hint="Use a file system that can, such as ext4, XFS, Btrfs or ZFS, or an "
                    "object store.",
                ) from error
            try:
                self._directories.fsync(directory)
            except OSError:
                with suppress(OSError):
                    self._fs.unlink(name, dir_fd=directory)
                raise

    def delete(self, key: str) -> None:
        """See ``Store``; where the object was there, its end survives a power cut."""
        above, name = _path(key)
        with store_errors(f"cannot delete {self._url}/{key}"):
            try:
                with self._directories.lease(above) as directory:
                    self._fs.unlink(name, dir_fd=directory)
                    self._directories.fsync(directory)
            except NoRootError:
                raise
            except FileNotFoundError:
                return

    def time_ns(self) -> int:
        """See ``Store``: the clock of the file system, which may be that of another machine."""
        with store_errors(f"cannot write in {self._url}"), self._directories.lease(()) as directory:
            return self._new_files.time_ns(directory)

    def sync(self, prefixes: Sequence[str]) -> None:
        """See ``Store``."""
        wanted: dict[Path, None] = {}  # each once
        for top in map(_top, prefixes):
            for path, _ in self._tree.directories(top):
                wanted[path] = None
            if top in wanted:
                wanted.update(dict.fromkeys(top[:depth] for depth in range(len(top))))
        for path in wanted:
            failed = f"cannot sync {self._tree.place(path)}"
            with store_errors(failed), self._directories.lease(path) as directory:
                self._directories.fsync(directory)

    def sweep(self) -> int:
        """Remove the temporary files that no put can still be writing; return how many.

        They are older than a day by the clock of the file system, which also set their times.
        """
        now_ns: int | None = None
        removed = 0
        for path, content in self._tree.directories(()):
            failed = f"cannot sweep {self._tree.place(path)}"
            with store_errors(failed), self._directories.lease(path) as directory:
                for name in content.temporaries:
                    now_ns = self._new_files.time_ns(directory) if now_ns is None else now_ns
                    removed += self._sweep(name, directory, now_ns - _ABANDONED_NS)
        return removed

    def close(self) -> None:
        """Close every descriptor; a later call opens what it needs."""
        self._directories.close()

    def _sweep(self, name: bytes, directory: int, before_ns: int) -> int:
        try:
            if self._fs.stat(name, dir_fd=directory).mtime_ns >= before_ns:
                return 0
            self._fs.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return 0  # its put just ended, or somebody else sweeps
        return 1

    @contextmanager
    def _opened(self, key: str) -> Iterator[tuple[int, int]]:
        """Lend the descriptor of an object, and its size in bytes."""
        above, name = _path(key)
        with self._reading(key):
            with self._directories.lease(above) as directory:
                fd = self._fs.open(name, _OPEN_OBJECT, dir_fd=directory)
            try:
                yield fd, self._size(self._fs.fstat(fd), key)
            finally:
                self._fs.close(fd)

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        with store_errors(f"cannot read {self._url}/{key}"):
            try:
                yield
            except FileNotFoundError:
                raise ObjectMissingError(f"no object {self._url}/{key}") from None

    def _size(self, found: Stat, key: str) -> int:
        if not stat.S_ISREG(found.mode):
            raise StoreError(f"{self._url}/{key} is not a file, so it is no object")
        return found.size

    def _read(self, fd: int, offset: int, length: int) -> bytes:
        """Return ``length`` bytes, fewer only at the end of the file."""
        data = self._fs.pread(fd, length, offset)
        if len(data) == length or not data:
            return data
        pieces = [data]
        while data:
            offset += len(data)
            length -= len(data)
            data = self._fs.pread(fd, length, offset)
            pieces.append(data)
        return b"".join(pieces)


def _path(key: str) -> tuple[Path, bytes]:
    """Split a key into its directory and its name there."""
    *above, name = object_key(key).encode("ascii").split(b"/")
    return tuple(above), name


def _top(prefix: str) -> Path:
    """Turn the prefix of a listing into a directory."""
    return tuple(listing_prefix(prefix).encode("ascii").split(b"/")[:-1])
