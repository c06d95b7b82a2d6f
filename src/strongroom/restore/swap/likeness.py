"""Whether what is there is what is wanted, byte for byte: two things of a disk are compared."""

from __future__ import annotations

import os
import stat
from typing import Final, NamedTuple

from strongroom.model.fs import Fs, Stat
from strongroom.restore.files.comparing import read_piece
from strongroom.restore.files.present import without_labels
from strongroom.restore.swap.plan import Kind

_READ: Final = os.O_RDONLY | os.O_NONBLOCK
_PIECE: Final = 1 << 20


class Spot(NamedTuple):
    """Something by its name in an open directory, and what it is."""

    dir_fd: int
    name: bytes
    found: Stat


def same_type(one: Stat, other: Stat) -> bool:
    """Whether both are files, directories, links and so on."""
    return stat.S_IFMT(one.mode) == stat.S_IFMT(other.mode)


def kind_of_change(fs: Fs, present: Spot, wanted: Spot) -> Kind:
    """Compare two things of the same type; OSError if the wanted one cannot be read."""
    if not _same_content(fs, present, wanted):
        return Kind.CHANGED
    return Kind.SAME if _same_attributes(fs, present, wanted) else Kind.METADATA


def _same_attributes(fs: Fs, present: Spot, wanted: Spot) -> bool:
    one, other = present.found, wanted.found
    facts = (one.mode, one.uid, one.gid, one.mtime_ns)
    if facts != (other.mode, other.uid, other.gid, other.mtime_ns):
        return False
    there = without_labels(fs.xattrs_at(present.name, dir_fd=present.dir_fd))
    return there == without_labels(fs.xattrs_at(wanted.name, dir_fd=wanted.dir_fd))


def _same_content(fs: Fs, present: Spot, wanted: Spot) -> bool:
    """Compare what things hold; what is there and cannot be read is not what is wanted."""
    kind = stat.S_IFMT(wanted.found.mode)
    if kind == stat.S_IFREG:
        return present.found.size == wanted.found.size and _same_bytes(fs, present, wanted)
    if kind == stat.S_IFLNK:
        target = fs.readlink(wanted.name, dir_fd=wanted.dir_fd)
        return fs.readlink(present.name, dir_fd=present.dir_fd) == target
    return kind not in {stat.S_IFCHR, stat.S_IFBLK} or present.found.rdev == wanted.found.rdev


def _same_bytes(fs: Fs, present: Spot, wanted: Spot) -> bool:
    if not wanted.found.size:
        return True
    present_fd = wanted_fd = None
    try:
        present_fd = _opened(fs, present, OSError)
        # A mode that its own owner cannot read; it can still be moved.
        wanted_fd = _opened(fs, wanted, PermissionError)
        if present_fd is None or wanted_fd is None:
            return False
        return _equal(fs, present_fd, wanted_fd, wanted.found.size)
    finally:
        for fd in (present_fd, wanted_fd):
            if fd is not None:
                fs.close(fd)


def _opened(fs: Fs, spot: Spot, excused: type[OSError]) -> int | None:
    try:
        return fs.open(spot.name, _READ, dir_fd=spot.dir_fd)
    except excused:
        return None


def _equal(fs: Fs, present_fd: int, wanted_fd: int, size: int) -> bool:
    for offset in range(0, size, _PIECE):
        wanted = read_piece(fs, wanted_fd, offset, _PIECE)
        try:
            present = read_piece(fs, present_fd, offset, _PIECE)
        except OSError:
            return False
        if present != wanted:
            return False
    return True
