"""The real file system: Linux, with ``/proc`` mounted.

Every method is one call of ``os`` wherever that can be, since a backup makes a million of them.
Where the kernel has no call relative to a directory descriptor, the name goes through
``/proc/self/fd``, which leads to the very directory that is open, wherever it may have moved.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import Final

from strongroom.model.fs import Buffer, Stat

_OPEN_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW
_RENAME_NOREPLACE: Final = 1
_PUNCH_HOLE: Final = 0x01 | 0x02  # FALLOC_FL_KEEP_SIZE: the file stays as long as it is
_NO_HOLES: Final = frozenset({errno.ENOSYS, errno.EOPNOTSUPP, errno.ENODEV})
_SET_SIGNAL: Final = 10  # F_SETSIG
_NO_LEASES: Final = frozenset({errno.EINVAL, errno.EACCES, errno.EPERM, errno.ENOLCK})
_NO_ATTRIBUTES: Final = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP})
_SYNC_FILE_RANGE_WRITE: Final = 2


def _libc_function(libc: object, name: str) -> Callable[..., int]:
    """Return a function of the C library, or one that fails with ENOSYS."""

    def missing(*_arguments: object) -> int:
        ctypes.set_errno(errno.ENOSYS)
        return -1

    found: Callable[..., int] = getattr(libc, name, missing)
    return found


_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_syncfs: Final = _libc_function(_LIBC, "syncfs")
_sync_file_range: Final = _libc_function(_LIBC, "sync_file_range")
_renameat2: Final = _libc_function(_LIBC, "renameat2")
_fallocate: Final = _libc_function(_LIBC, "fallocate64")

_stat_fields = attrgetter(
    "st_mode",
    "st_ino",
    "st_dev",
    "st_nlink",
    "st_uid",
    "st_gid",
    "st_size",
    "st_mtime_ns",
    "st_ctime_ns",
    "st_rdev",
    "st_blocks",
)
_tuple = tuple.__new__  # Stat(...) would run a Python function for every file of a backup


class PosixReading:
    """See ``FileReading``."""

    def open(self, name: bytes, flags: int, *, dir_fd: int | None = None, mode: int = 0o600) -> int:
        """See ``FileReading``."""
        return os.open(name, flags | _OPEN_FLAGS, mode, dir_fd=dir_fd)

    def close(self, fd: int) -> None:
        """See ``FileReading``."""
        os.close(fd)

    def read(self, fd: int, size: int) -> bytes:
        """See ``FileReading``."""
        return os.read(fd, size)

    def readinto(self, fd: int, buffer: memoryview) -> int:
        """See ``FileReading``."""
        return os.readv(fd, (buffer,))

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """See ``FileReading``."""
        return os.pread(fd, size, offset)

    def seek_data(self, fd: int, offset: int) -> int | None:
        """See ``FileReading``."""
        try:
            return os.lseek(fd, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return None
            raise

    def seek_hole(self, fd: int, offset: int) -> int:
        """See ``FileReading``."""
        return os.lseek(fd, offset, os.SEEK_HOLE)

    def seek(self, fd: int, offset: int) -> None:
        """See ``FileReading``."""
        os.lseek(fd, offset, os.SEEK_SET)

    def fstat(self, fd: int) -> Stat:
        """See ``FileReading``."""
        return _tuple(Stat, _stat_fields(os.fstat(fd)))

    def stat(self, name: bytes, *, dir_fd: int | None = None) -> Stat:
        """See ``FileReading``."""
        return _tuple(Stat, _stat_fields(os.stat(name, dir_fd=dir_fd, follow_symlinks=False)))

    def names(self, fd: int) -> list[bytes]:
        """See ``FileReading``.

        Opens the directory anew: two threads that read through one descriptor would share its
        position, and each would miss names.
        """
        return os.listdir(b"/proc/self/fd/%d" % fd)  # noqa: PTH208 - names are bytes

    def readlink(self, name: bytes, *, dir_fd: int | None = None) -> bytes:
        """See ``FileReading``."""
        return os.readlink(name, dir_fd=dir_fd)

    def try_lock(self, fd: int) -> bool:
        """See ``FileReading``."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def drop_cache(self, fd: int) -> None:
        """See ``FileReading``."""
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def free_bytes(self, fd: int) -> int:
        """See ``FileReading``."""
        space = os.fstatvfs(fd)
        return space.f_bavail * space.f_frsize


class PosixWriting:
    """See ``FileWriting``."""

    def write(self, fd: int, data: Buffer) -> int:
        """See ``FileWriting``."""
        return os.write(fd, data)

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        """See ``FileWriting``."""
        return os.pwrite(fd, data, offset)

    def begin_writing(self, fd: int, offset: int, size: int) -> None:
        """See ``FileWriting``. What goes wrong is told by ``fsync`` or ``syncfs``."""
        _sync_file_range(fd, ctypes.c_int64(offset), ctypes.c_int64(size), _SYNC_FILE_RANGE_WRITE)

    def truncate(self, fd: int, size: int) -> None:
        """See ``FileWriting``."""
        os.ftruncate(fd, size)

    def fsync(self, fd: int) -> None:
        """See ``FileWriting``."""
        os.fsync(fd)

    def syncfs(self, fd: int) -> None:
        """See ``FileWriting``."""
        if _syncfs(fd) != 0:
            raise _last_error(b"/proc/self/fd/%d" % fd)


class PosixFollowing:
    """See ``Following``."""

    def has_writer(self, fd: int) -> bool | None:
        """See ``Following``; by a lease (fcntl(2)), which the kernel refuses while there is one.

        It is given back at once. Whoever opens the file for writing in this very moment waits so
        long, and the signal that says so to us is one that is ignored; the usual one kills.
        """
        try:
            fcntl.fcntl(fd, _SET_SIGNAL, signal.SIGURG)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno in _NO_LEASES:
                return None
            raise
        return False

    def punch(self, fd: int, offset: int, size: int) -> bool:
        """See ``Following``."""
        if _fallocate(fd, _PUNCH_HOLE, ctypes.c_int64(offset), ctypes.c_int64(size)) == 0:
            return True
        if ctypes.get_errno() in _NO_HOLES:
            return False
        raise _last_error(b"/proc/self/fd/%d" % fd)


class PosixNaming:
    """See ``Naming``."""

    def mkdir(self, name: bytes, mode: int, *, dir_fd: int | None = None) -> None:
        """See ``Naming``."""
        os.mkdir(name, mode, dir_fd=dir_fd)

    def unlink(self, name: bytes, *, dir_fd: int | None = None) -> None:
        """See ``Naming``."""
        os.unlink(name, dir_fd=dir_fd)

    def rmdir(self, name: bytes, *, dir_fd: int | None = None) -> None:
        """See ``Naming``."""
        os.rmdir(name, dir_fd=dir_fd)

    def link_fd(self, fd: int, name: bytes, *, dir_fd: int) -> None:
        """See ``Naming``; ``FileNotFoundError`` also where ``/proc`` is not mounted."""
        os.link(b"/proc/self/fd/%d" % fd, name, dst_dir_fd=dir_fd, follow_symlinks=True)

    def link(self, old: bytes, name: bytes, *, old_dir_fd: int, dir_fd: int) -> None:
        """See ``Naming``."""
        os.link(old, name, src_dir_fd=old_dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)

    def symlink(self, target: bytes, name: bytes, *, dir_fd: int) -> None:
        """See ``Naming``."""
        os.symlink(target, name, dir_fd=dir_fd)

    def mknod(self, name: bytes, mode: int, rdev: int, *, dir_fd: int) -> None:
        """See ``Naming``."""
        os.mknod(name, mode, rdev, dir_fd=dir_fd)

    def rename(self, old: bytes, name: bytes, *, old_dir_fd: int, dir_fd: int) -> None:
        """See ``Naming``."""
        os.rename(old, name, src_dir_fd=old_dir_fd, dst_dir_fd=dir_fd)

    def rename_new(self, old: bytes, name: bytes, *, old_dir_fd: int, dir_fd: int) -> None:
        """See ``Naming``; EINVAL where the file system cannot do it, ENOSYS where libc cannot."""
        if _renameat2(old_dir_fd, old, dir_fd, name, _RENAME_NOREPLACE) != 0:
            raise _last_error(old, name)


class PosixAttributes:
    """See ``Attributes``."""

    def fchmod(self, fd: int, mode: int) -> None:
        """See ``Attributes``."""
        os.fchmod(fd, mode)

    def fchown(self, fd: int, uid: int, gid: int) -> None:
        """See ``Attributes``."""
        os.fchown(fd, uid, gid)

    def futime(self, fd: int, mtime_ns: int) -> None:
        """See ``Attributes``."""
        os.utime(fd, ns=(mtime_ns, mtime_ns))

    def chown(self, name: bytes, uid: int, gid: int, *, dir_fd: int) -> None:
        """See ``Attributes``."""
        os.chown(name, uid, gid, dir_fd=dir_fd, follow_symlinks=False)

    def chmod(self, name: bytes, mode: int, *, dir_fd: int) -> None:
        """See ``Attributes``; what a symbolic link leads to is never touched."""
        fd = os.open(name, os.O_PATH | _OPEN_FLAGS, dir_fd=dir_fd)
        try:
            os.chmod(b"/proc/self/fd/%d" % fd, mode)  # noqa: PTH101 - names are bytes
        finally:
            os.close(fd)

    def utime(self, name: bytes, mtime_ns: int, *, dir_fd: int) -> None:
        """See ``Attributes``."""
        os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=dir_fd, follow_symlinks=False)

    def xattrs(self, fd: int) -> Sequence[tuple[bytes, bytes]]:
        """See ``Attributes``."""
        return _pairs(partial(os.listxattr, fd), partial(os.getxattr, fd))

    def xattrs_at(self, name: bytes, *, dir_fd: int) -> Sequence[tuple[bytes, bytes]]:
        """See ``Attributes``."""
        path = b"/proc/self/fd/%d/%s" % (dir_fd, name)
        return _pairs(
            partial(os.listxattr, path, follow_symlinks=False),
            partial(os.getxattr, path, follow_symlinks=False),
        )

    def set_xattr(self, fd: int, name: bytes, value: bytes) -> None:
        """See ``Attributes``."""
        os.setxattr(fd, name, value)

    def set_xattr_at(self, name: bytes, key: bytes, value: bytes, *, dir_fd: int) -> None:
        """See ``Attributes``."""
        os.setxattr(b"/proc/self/fd/%d/%s" % (dir_fd, name), key, value, follow_symlinks=False)

    def remove_xattr_at(self, name: bytes, key: bytes, *, dir_fd: int) -> None:
        """See ``Attributes``."""
        os.removexattr(b"/proc/self/fd/%d/%s" % (dir_fd, name), key, follow_symlinks=False)


class PosixFs(PosixReading, PosixWriting, PosixFollowing, PosixNaming, PosixAttributes):
    """The file system of this machine; an ``Fs`` without state, safe in any thread."""


def _pairs(
    names: Callable[[], list[str]], value: Callable[[str], bytes]
) -> Sequence[tuple[bytes, bytes]]:
    """Read each attribute; one that vanished since it was listed is left out."""
    try:
        found = names()
    except OSError as error:
        if error.errno in _NO_ATTRIBUTES:
            return ()
        raise
    if not found:
        return ()
    pairs = []
    for name in found:
        try:
            pairs.append((os.fsencode(name), value(name)))
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
    pairs.sort()
    return pairs


def _last_error(name: bytes, second_name: bytes | None = None) -> OSError:
    """Return what the libc call that just failed in this thread left in ``errno``."""
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), name, None, second_name)
