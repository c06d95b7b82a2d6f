"""Reading back what was restored: from the disk, against the entry it was restored from."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Final

from strongroom.model.entry import HOLE, Entry, EntryKind, Extent
from strongroom.model.fs import Buffer, Fs, Stat
from strongroom.model.source import Difference
from strongroom.restore.files.attributes import Attributes
from strongroom.restore.files.extras import Below
from strongroom.restore.files.present import DEVICES, TYPES, foreign, plan_of
from strongroom.system.causes import cause_of
from strongroom.system.directories import Directories, Directory

IdOf = Callable[[memoryview], bytes]

_READ: Final = os.O_RDONLY | os.O_NONBLOCK
_PIECE: Final = 1 << 20
_NOT_NAMES: Final = frozenset({b"", b".", b".."})


class Comparison:
    """Compares things below a directory with entries; ``differences`` is safe in any thread."""

    def __init__(
        self, fs: Fs, directories: Directories, base: Directory, attributes: Attributes
    ) -> None:
        self._fs = fs
        self._directories = directories
        self._below = Below(directories, base)
        self._attributes = attributes
        self._lock = Lock()
        self._groups: dict[bytes, tuple[int, int]] = {}

    def differences(
        self, entry: Entry, pieces: Sequence[Extent] | None, id_of: IdOf
    ) -> list[Difference]:
        """Return what is not as the entry says.

        ``pieces`` is what a file must hold, in order; None: its bytes are not looked at.
        """
        parent, _, name = entry.path.rpartition(b"/")
        if name in _NOT_NAMES or _NOT_NAMES & set(parent.split(b"/") if parent else ()):
            return [Difference("it has no name that can be restored", of_bytes=True)]
        try:
            with self._lock:
                directory = self._below.find(parent)
            with self._directories.use(directory) as dir_fd:
                return list(self._compare(entry, pieces, id_of, name, dir_fd))
        except FileNotFoundError:
            return [Difference("it is not there", of_bytes=True)]
        except OSError as error:
            return [Difference(f"it cannot be read ({cause_of(error)})", of_bytes=True)]

    def _compare(
        self, entry: Entry, pieces: Sequence[Extent] | None, id_of: IdOf, name: bytes, dir_fd: int
    ) -> Iterator[Difference]:
        found = self._fs.stat(name, dir_fd=dir_fd)
        kind = EntryKind(entry.kind)
        if stat.S_IFMT(found.mode) != TYPES[kind]:
            yield Difference("it is another kind of thing", of_bytes=True)
            return
        yield from self._attributes_of(entry, found, name, dir_fd)
        if entry.link and not self._is_of_group(entry.link, found):
            yield Difference("it is not one file with its other names")
        if kind in DEVICES and found.rdev != os.makedev(*entry.rdev):
            yield Difference("another device")
        if kind == EntryKind.SYMLINK and self._fs.readlink(name, dir_fd=dir_fd) != entry.target:
            yield Difference("another target of the link", of_bytes=True)
        if TYPES[kind] == stat.S_IFREG:
            if found.size != entry.size:
                yield Difference("another size", of_bytes=True)
            elif pieces is not None and not self._holds(name, dir_fd, pieces, id_of):
                yield Difference("other content", of_bytes=True)

    def _attributes_of(
        self, entry: Entry, found: Stat, name: bytes, dir_fd: int
    ) -> Iterator[Difference]:
        plan = plan_of(self._attributes, entry)
        if plan.owner is not None and plan.owner != (found.uid, found.gid):
            yield Difference("another owner")
        if plan.mode is not None and plan.mode != stat.S_IMODE(found.mode):
            yield Difference("another mode")
        if found.mtime_ns != entry.mtime_ns:
            yield Difference("another time of change")
        xattrs = self._fs.xattrs_at(name, dir_fd=dir_fd)
        if not set(entry.xattrs) <= set(xattrs) or foreign(xattrs, entry):
            yield Difference("other extended attributes")

    def _is_of_group(self, link: bytes, found: Stat) -> bool:
        here = found.device, found.inode
        with self._lock:
            return self._groups.setdefault(link, here) == here

    def _holds(self, name: bytes, dir_fd: int, pieces: Sequence[Extent], id_of: IdOf) -> bool:
        fs = self._fs
        fd = fs.open(name, _READ, dir_fd=dir_fd)
        try:
            fs.drop_cache(fd)
            offset = 0
            for chunk_id, length in pieces:
                if chunk_id == HOLE:
                    if not _is_zero(fs, fd, offset, length):
                        return False
                else:
                    data = read_piece(fs, fd, offset, length)
                    if len(data) != length or id_of(memoryview(data)) != chunk_id:
                        return False
                offset += length
        finally:
            fs.close(fd)
        return True


def read_piece(fs: Fs, fd: int, offset: int, length: int) -> Buffer:
    """Read a piece; it is shorter only at the end of the file."""
    data: Buffer = fs.pread(fd, length, offset)
    while len(data) < length:
        more = fs.pread(fd, length - len(data), offset + len(data))
        if not more:
            break
        data = bytes(data) + more
    return data


def _is_zero(fs: Fs, fd: int, offset: int, length: int) -> bool:
    """Whether a part of a file reads as zeros; what is a hole is not read."""
    end = offset + length
    while offset < end:
        try:
            start = fs.seek_data(fd, offset)
        except OSError:
            start = offset  # a file system that knows no holes
        if start is None or start >= end:
            return True
        data = read_piece(fs, fd, start, min(_PIECE, end - start))
        if not data or bytes(data).strip(b"\0"):
            return False
        offset = start + len(data)
    return True
