"""The file-system port: the POSIX calls that strongroom makes, each with the meaning of ``os``.

Sources, targets and the local store reach the disk only through an ``Fs``, so that a test can
make any single call fail, or stop the process before or after it. Names are bytes, relative to
the directory descriptor ``dir_fd``; no call follows a symbolic link in the last component unless
it says so. Every error is an ``OSError``. Descriptors are plain integers and are not inherited.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

Buffer = bytes | bytearray | memoryview


class Stat(NamedTuple):
    """What ``lstat`` says of one name; times in nanoseconds since 1970, sizes in bytes."""

    mode: int
    inode: int
    device: int
    links: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    ctime_ns: int
    rdev: int
    blocks: int


class FileReading(Protocol):
    """Open, look and read."""

    def open(self, name: bytes, flags: int, *, dir_fd: int | None = None, mode: int = 0o600) -> int:
        """``openat`` with ``O_CLOEXEC`` and ``O_NOFOLLOW`` added; the descriptor."""
        ...

    def close(self, fd: int) -> None:
        """``close``."""
        ...

    def read(self, fd: int, size: int) -> bytes:
        """``read``; fewer bytes than asked only at the end, or for a pipe."""
        ...

    def readinto(self, fd: int, buffer: memoryview) -> int:
        """``readv`` into one writable buffer; the number of bytes read, 0 at the end."""
        ...

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """``pread``."""
        ...

    def seek_data(self, fd: int, offset: int) -> int | None:
        """The start of the next data at or after ``offset``; None where only a hole follows."""
        ...

    def seek_hole(self, fd: int, offset: int) -> int:
        """The start of the next hole at or after ``offset``; the end of the file is one."""
        ...

    def seek(self, fd: int, offset: int) -> None:
        """``lseek`` to an absolute offset."""
        ...

    def fstat(self, fd: int) -> Stat:
        """``fstat``."""
        ...

    def stat(self, name: bytes, *, dir_fd: int | None = None) -> Stat:
        """``fstatat`` with ``AT_SYMLINK_NOFOLLOW``."""
        ...

    def names(self, fd: int) -> list[bytes]:
        """The names in an open directory, unsorted, without ``.`` and ``..``.

        They may be too few, without an error, if the directory was removed: ``fstat`` tells, by a
        link count of 0. Safe in any number of threads at once.
        """
        ...

    def readlink(self, name: bytes, *, dir_fd: int | None = None) -> bytes:
        """``readlinkat``."""
        ...

    def try_lock(self, fd: int) -> bool:
        """``flock`` for writing, without waiting; False if another descriptor holds it.

        It ends with the descriptor, so also with the process, however that ends.
        """
        ...

    def drop_cache(self, fd: int) -> None:
        """``posix_fadvise`` with ``DONTNEED``: what is read next comes from the disk."""
        ...

    def free_bytes(self, fd: int) -> int:
        """Bytes that an unprivileged writer may still use on this file system."""
        ...


class FileWriting(Protocol):
    """Create, write and make durable."""

    def write(self, fd: int, data: Buffer) -> int:
        """``write``; the number of bytes taken, which may be fewer than offered."""
        ...

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        """``pwrite``; the number of bytes taken."""
        ...

    def begin_writing(self, fd: int, offset: int, size: int) -> None:
        """Let the system begin to bring this part to the disk; nothing is durable by that.

        ``sync_file_range``; where there is none it begins when it likes.
        """
        ...

    def truncate(self, fd: int, size: int) -> None:
        """``ftruncate``."""
        ...

    def fsync(self, fd: int) -> None:
        """``fsync`` of a file or directory; a failure must never be tried again."""
        ...

    def syncfs(self, fd: int) -> None:
        """``syncfs`` of the file system that holds ``fd``."""
        ...


class Following(Protocol):
    """Files that somebody else writes."""

    def has_writer(self, fd: int) -> bool | None:
        """Whether anybody has this file open for writing; None where the system does not tell.

        ``fd`` must be open for reading only. A file that is just being made may have none yet.
        """
        ...

    def punch(self, fd: int, offset: int, size: int) -> bool:
        """Give back the room of these bytes, which are zeros then; the file stays as long as it is.

        False where the file system cannot do that.
        """
        ...


class Naming(Protocol):
    """Give and take names."""

    def mkdir(self, name: bytes, mode: int, *, dir_fd: int | None = None) -> None:
        """``mkdirat``."""
        ...

    def unlink(self, name: bytes, *, dir_fd: int | None = None) -> None:
        """``unlinkat``."""
        ...

    def rmdir(self, name: bytes, *, dir_fd: int | None = None) -> None:
        """``unlinkat`` with ``AT_REMOVEDIR``."""
        ...

    def link_fd(self, fd: int, name: bytes, *, dir_fd: int) -> None:
        """Name an open (unnamed) file; ``FileExistsError`` if the name is taken."""
        ...

    def link(self, old: bytes, name: bytes, *, old_dir_fd: int, dir_fd: int) -> None:
        """``linkat`` without following; ``FileExistsError`` if the name is taken."""
        ...

    def symlink(self, target: bytes, name: bytes, *, dir_fd: int) -> None:
        """``symlinkat``."""
        ...

    def mknod(self, name: bytes, mode: int, rdev: int, *, dir_fd: int) -> None:
        """``mknodat``; also for FIFOs and sockets."""
        ...

    def rename(self, old: bytes, name: bytes, *, old_dir_fd: int, dir_fd: int) -> None:
        """``renameat``: replaces what has the new name."""
        ...

    def rename_new(self, old: bytes, name: bytes, *, old_dir_fd: int, dir_fd: int) -> None:
        """``renameat2`` with ``RENAME_NOREPLACE``; ``FileExistsError`` if the name is taken."""
        ...


class Attributes(Protocol):
    """Owner, mode, times and extended attributes, always of the name or descriptor itself."""

    def fchmod(self, fd: int, mode: int) -> None:
        """``fchmod``."""
        ...

    def fchown(self, fd: int, uid: int, gid: int) -> None:
        """``fchown``."""
        ...

    def futime(self, fd: int, mtime_ns: int) -> None:
        """``futimens`` with the access time set to the same value."""
        ...

    def chown(self, name: bytes, uid: int, gid: int, *, dir_fd: int) -> None:
        """``fchownat`` with ``AT_SYMLINK_NOFOLLOW``."""
        ...

    def chmod(self, name: bytes, mode: int, *, dir_fd: int) -> None:
        """``fchmodat``; only for names that are no symbolic link."""
        ...

    def utime(self, name: bytes, mtime_ns: int, *, dir_fd: int) -> None:
        """``utimensat`` with ``AT_SYMLINK_NOFOLLOW``."""
        ...

    def xattrs(self, fd: int) -> Sequence[tuple[bytes, bytes]]:
        """Every extended attribute of an open file, sorted by name; none where unsupported."""
        ...

    def xattrs_at(self, name: bytes, *, dir_fd: int) -> Sequence[tuple[bytes, bytes]]:
        """As ``xattrs``, of a name that cannot be opened (symbolic link, FIFO, device)."""
        ...

    def set_xattr(self, fd: int, name: bytes, value: bytes) -> None:
        """``fsetxattr``."""
        ...

    def set_xattr_at(self, name: bytes, key: bytes, value: bytes, *, dir_fd: int) -> None:
        """``lsetxattr`` of a name that cannot be opened."""
        ...

    def remove_xattr_at(self, name: bytes, key: bytes, *, dir_fd: int) -> None:
        """``lremovexattr``; ENODATA if it is not there."""
        ...


class Fs(FileReading, FileWriting, Following, Naming, Attributes, Protocol):
    """The whole port."""
