"""The attributes of directories that stay where they are: read, and set back exactly."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from strongroom.model.fs import Fs, Stat
from strongroom.restore.files.present import without_labels
from strongroom.restore.files.shortfalls import reason_of
from strongroom.restore.files.things import NamedThing

_MAY_CHANGE: Final = stat.S_IWUSR | stat.S_IXUSR


class Dress(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a directory looks like; without ``mtime_ns`` its time is left as it comes."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int | None
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


def read_dress(fs: Fs, dir_fd: int, name: bytes) -> Dress:
    """Read the attributes of a directory; ``NotADirectoryError`` if it is none."""
    found = _directory(fs, dir_fd, name)
    xattrs = without_labels(fs.xattrs_at(name, dir_fd=dir_fd))
    return Dress(stat.S_IMODE(found.mode), found.uid, found.gid, found.mtime_ns, tuple(xattrs))


def without_time(dress: Dress) -> Dress:
    """Return the same attributes, with the time left as it comes."""
    return msgspec.structs.replace(dress, mtime_ns=None)


def put_on(fs: Fs, dir_fd: int, name: bytes, wanted: Dress) -> Iterator[tuple[str, str]]:
    """Set what differs; yield what this user may not set, and why. Other failures are OSError.

    The owner first, which can take bits of the mode away, and the time last.
    """
    now = read_dress(fs, dir_fd, name)
    thing = NamedThing(fs, name, dir_fd, b"")
    if (now.uid, now.gid) != (wanted.uid, wanted.gid):
        yield from _try("owner", lambda: thing.chown(wanted.uid, wanted.gid))
        now = read_dress(fs, dir_fd, name)
    if now.mode != wanted.mode:
        yield from _try("mode", lambda: thing.chmod(wanted.mode))
    if now.xattrs != wanted.xattrs:
        yield from _try("extended attributes", lambda: _set_xattrs(fs, dir_fd, name, now, wanted))
    if wanted.mtime_ns is not None:
        mtime_ns = wanted.mtime_ns
        if fs.stat(name, dir_fd=dir_fd).mtime_ns != mtime_ns:
            yield from _try("time", lambda: thing.utime(mtime_ns))


def open_up(fs: Fs, dir_fd: int, name: bytes) -> None:
    """Let the owner of a directory change what is in it; a no-op for anything else."""
    with suppress(FileNotFoundError):
        found = fs.stat(name, dir_fd=dir_fd)
        if stat.S_ISDIR(found.mode) and found.mode & _MAY_CHANGE != _MAY_CHANGE:
            with suppress(PermissionError):  # another's: whether it can be changed will show
                fs.chmod(name, stat.S_IMODE(found.mode) | stat.S_IRWXU, dir_fd=dir_fd)


def _set_xattrs(fs: Fs, dir_fd: int, name: bytes, now: Dress, wanted: Dress) -> None:
    kept = {key for key, _ in wanted.xattrs}
    for key, _ in now.xattrs:
        if key not in kept:
            fs.remove_xattr_at(name, key, dir_fd=dir_fd)
    for key, value in wanted.xattrs:
        if (key, value) not in now.xattrs:
            fs.set_xattr_at(name, key, value, dir_fd=dir_fd)


def _try(what: str, act: Callable[[], None]) -> Iterator[tuple[str, str]]:
    try:
        act()
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP}:
            raise
        yield what, reason_of(error)


def _directory(fs: Fs, dir_fd: int, name: bytes) -> Stat:
    found = fs.stat(name, dir_fd=dir_fd)
    if not stat.S_ISDIR(found.mode):
        raise NotADirectoryError(errno.ENOTDIR, "it is no longer a directory", name)
    return found
