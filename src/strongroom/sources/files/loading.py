"""Capturing small files and everything that is no file."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple, TypeVar, cast

from strongroom.clock import Clock
from strongroom.model.entry import CHANGED_WHILE_READ, SPARSE
from strongroom.model.fs import Fs, Stat
from strongroom.model.source import Item, Loaded, Problem
from strongroom.sources.files.entries import Attributes, EntryMaker, fitting
from strongroom.sources.files.opening import REPLACED, Opener, why
from strongroom.sources.files.tokens import settled, token_of
from strongroom.sources.files.walk import Found
from strongroom.system.causes import cause_of
from strongroom.system.directories import Directories

_GREW: Final = "grew too large while the backup ran"
CHANGED: Final = "changed while being read"
_TYPE: Final = 0o170000
_FIRST_READ: Final = 1 << 16  # of a file that shows no size
_PAGE: Final = bytes(4096)
_BLOCK: Final = 512
_directory = attrgetter("handle.directory")
_new = tuple.__new__  # a NamedTuple's own constructor is a Python function
_MOST: Final = 8  # times the size from which on files are opened and not loaded


T = TypeVar("T", int, bytes)


class _Read(NamedTuple):
    """A regular file as read. ``cause``: what is wrong with it, empty if nothing is."""

    found: Stat
    data: bytes
    xattrs: Attributes
    began_ns: int
    cause: str
    changed: bool


class Loader:
    """Loads items; safe in any thread."""

    def __init__(
        self, fs: Fs, clock: Clock, directories: Directories, maker: EntryMaker, large: int
    ) -> None:
        self._fs = fs
        self._clock = clock
        self._directories = directories
        self._maker = maker
        self.opener = Opener(fs, clock)
        self._large = large

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """Capture each item; those of one directory are best given together."""
        return self._each(items, self._capture)

    def look(self, items: Sequence[Item]) -> list[Loaded]:
        """Say what each item is, without reading what it contains."""
        return self._each(items, self._look)

    def _each(self, items: Sequence[Item], capture: Callable[[Item, int], Loaded]) -> list[Loaded]:
        loaded = []
        for directory, group in groupby(items, key=_directory):
            try:
                dir_fd = self._directories.take(directory)
            except OSError as error:
                loaded += [lost(item, why(error)) for item in group]
                continue
            try:
                loaded += [capture(item, dir_fd) for item in group]
            finally:
                self._directories.give_back(directory)
        return loaded

    def _look(self, item: Item, dir_fd: int) -> Loaded:
        walked = cast(Found, item.handle)
        found = walked.stat
        try:
            if found.mode & _TYPE != stat.S_IFREG:
                return self._special(item, walked, dir_fd)
            xattrs, cause = attributes(partial(self._fs.xattrs_at, dir_fd=dir_fd), walked.name)
        except OSError as error:
            return lost(item, why(error))
        entry = self._maker.file(item.path, found, found.size, walked.link, xattrs, 0)
        problem = Problem(item.path, cause, missing=False) if cause else None
        return Loaded(item, entry, b"", b"", problem)

    def _capture(self, item: Item, dir_fd: int) -> Loaded:
        found = cast(Found, item.handle)
        try:
            if found.stat[0] & _TYPE == stat.S_IFREG:
                return self._file(item, found, dir_fd)
            return self._special(item, found, dir_fd)
        except OSError as error:
            return lost(item, why(error))

    def _file(self, item: Item, walked: Found, dir_fd: int) -> Loaded:
        read = self._read(walked, dir_fd)
        if read is not None and read.changed:
            read = self._read(walked, dir_fd)
        if read is None:
            return lost(item, _GREW)
        found, size = read.found, len(read.data)
        link = current_link(walked, found, item.path)
        flags = CHANGED_WHILE_READ if read.changed else 0
        if found.blocks * _BLOCK < size and _PAGE in read.data:
            flags |= SPARSE
        entry = self._maker.file(item.path, found, size, link, read.xattrs, flags)
        if read.cause:
            problem = Problem(item.path, read.cause, missing=False)
            return Loaded(item, entry, read.data, b"", problem)
        token = token_of(found, link) if settled(found, read.began_ns) else b""
        return _new(Loaded, (item, entry, read.data, token, None))

    def _read(self, walked: Found, dir_fd: int) -> _Read | None:
        """Read a file once; None if it is far larger now than what is loaded whole."""
        fd, before, began_ns = self.opener.open(walked, dir_fd)
        try:
            if before.size > self._large * _MOST:
                return None
            data, cause = self._read_all(fd, before.size)
            xattrs, attributes_cause = attributes(self._fs.xattrs, fd)
            after = self._fs.fstat(fd)
        finally:
            self.opener.close(fd)
        if cause or differs(before, after):
            return _Read(after, data, xattrs, began_ns, cause or CHANGED, changed=True)
        return _new(_Read, (after, data, xattrs, began_ns, attributes_cause, False))

    def _read_all(self, fd: int, size: int) -> tuple[bytes, str]:
        """Read to the end, or as far as was to be expected; then say what is wrong."""
        read = self._fs.read
        data = read(fd, size + 1 if size else _FIRST_READ)
        if len(data) == size:
            return data, ""
        most = size or self._large
        parts = []
        got = 0
        while data:
            parts.append(data)
            got += len(data)
            if got > most:
                cause = CHANGED if size else f"shows no size; only its first {most} bytes are saved"
                return b"".join(parts)[:most], cause
            data = read(fd, most + 1 - got)
        return b"".join(parts), ""

    def _special(self, item: Item, walked: Found, dir_fd: int) -> Loaded:
        fs, name = self._fs, walked.name
        began_ns = self._clock.now_ns()
        target = b""
        if stat.S_ISLNK(walked.stat.mode):
            try:
                target = fs.readlink(name, dir_fd=dir_fd)
            except OSError as error:
                return lost(item, REPLACED if error.errno == errno.EINVAL else why(error))
        xattrs, cause = attributes(partial(fs.xattrs_at, dir_fd=dir_fd), name)
        found = fs.stat(name, dir_fd=dir_fd)
        if found.mode & _TYPE != walked.stat.mode & _TYPE:
            return lost(item, REPLACED)
        link = current_link(walked, found, item.path)
        entry = self._maker.special(item.path, found, target, link, xattrs)
        if cause:
            return Loaded(item, entry, b"", b"", Problem(item.path, cause, missing=False))
        token = token_of(found, link) if settled(found, began_ns) else b""
        return Loaded(item, entry, b"", token, None)


def attributes(
    read: Callable[[T], Sequence[tuple[bytes, bytes]]], what: T
) -> tuple[Attributes, str]:
    """Read extended attributes; with nothing read, say why."""
    try:
        xattrs = fitting(read(what))
    except OSError as error:
        return (), f"its extended attributes are not saved: {cause_of(error)}"
    if xattrs is None:
        return (), "its extended attributes are not saved: they are larger than 1 MiB"
    return xattrs, ""


def current_link(walked: Found, found: Stat, path: bytes) -> bytes:
    """Return what the entry's ``link`` is, now that the thing may be another one."""
    if found[3] == 1 or not walked.link:
        return b""
    same = found.inode == walked.stat.inode and found.device == walked.stat.device
    return walked.link if same else path


def differs(before: Stat, after: Stat) -> bool:
    """Whether a file was changed between the two; how many blocks it takes may settle later."""
    return before[:-1] != after[:-1]


def lost(item: Item, cause: str) -> Loaded:
    """Return an item that could not be captured."""
    return Loaded(item, None, b"", b"", Problem(item.path, cause))
