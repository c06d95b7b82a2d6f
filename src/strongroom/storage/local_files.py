"""How a local store gives a name to a complete file, in the best way the file system has.

1. Unnamed file, ``linkat``: a crash leaves nothing behind.
2. File with a temporary name, ``link``, ``unlink``.
3. File with a temporary name, ``renameat2`` that does not replace.

All three write and fsync the file before it has its name, and none ever replaces another file.
What is left of 2 and 3 after a crash has a name of ``temporary_name``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from strongroom.model.fs import Fs
from strongroom.model.randomness import Randomness
from strongroom.storage.arguments import TEMPORARY_PREFIX
from strongroom.storage.local_errors import FsyncError, modes_may_be_missing

FILE_MODE: Final = 0o400
_UNNAMED: Final = os.O_TMPFILE | os.O_WRONLY
_NAMED: Final = os.O_CREAT | os.O_EXCL | os.O_WRONLY

_NO_UNNAMED_FILES: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOSYS})
_NO_LINKS: Final = frozenset(
    {errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK, errno.EINVAL, errno.ENOSYS, errno.EXDEV}
)
_NO_LINKS_OF_UNNAMED: Final = _NO_LINKS | {errno.ENOENT}  # no /proc
_NO_CAREFUL_RENAME: Final = frozenset(
    {errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.EXDEV}
)


class UnsupportedError(Exception):
    """The file system lacks a call; ``__cause__`` is what it answered."""


class NewFiles:
    """Makes files that are complete, durable and unchangeable when they get their name."""

    def __init__(self, fs: Fs, randomness: Randomness) -> None:
        self._fs = fs
        self._randomness = randomness
        self._ways = (self._put_unnamed, self._put_linked, self._put_renamed)
        self._best = 0  # the first way that is not known to be unsupported

    def put(self, directory: int, name: bytes, value: memoryview) -> None:
        """Store ``value`` as ``name``, which is durable after an fsync of the directory.

        Raises FileExistsError if the name is taken, and then, as after any other error, leaves
        nothing of its own; UnsupportedError if no way is safe here.
        """
        for way in range(self._best, len(self._ways)):
            try:
                self._ways[way](directory, name, value)
            except UnsupportedError:
                if way == len(self._ways) - 1:
                    raise
            except FileExistsError:
                self._best = way
                raise
            else:
                self._best = way
                return

    def temporary_name(self) -> bytes:
        """Return a name that no object can have and no other file has."""
        return TEMPORARY_PREFIX.encode() + self._randomness.take(16).hex().encode()

    def time_ns(self, directory: int) -> int:
        """Return the time by the clock of the file system, in nanoseconds since 1970."""
        with self._temporary(directory) as (fd, temporary):
            now_ns = self._fs.fstat(fd).mtime_ns
            self._discard(directory, temporary)
        return now_ns

    def _put_unnamed(self, directory: int, name: bytes, value: memoryview) -> None:
        with _otherwise_unsupported(_NO_UNNAMED_FILES):
            fd = self._fs.open(b".", _UNNAMED, dir_fd=directory, mode=FILE_MODE)
        try:
            self._fill(fd, value)
            with _otherwise_unsupported(_NO_LINKS_OF_UNNAMED):
                self._fs.link_fd(fd, name, dir_fd=directory)
        finally:
            self._close(fd)

    def _put_linked(self, directory: int, name: bytes, value: memoryview) -> None:
        with self._temporary(directory) as (fd, temporary):
            self._fill(fd, value)
            try:
                with _otherwise_unsupported(_NO_LINKS):
                    self._fs.link(temporary, name, old_dir_fd=directory, dir_fd=directory)
            except FileExistsError:
                # An NFS client whose first reply was lost gets this for its own link.
                if self._fs.fstat(fd).links < 2:  # noqa: PLR2004 - the temporary name and ours
                    raise
            self._discard(directory, temporary)

    def _put_renamed(self, directory: int, name: bytes, value: memoryview) -> None:
        with self._temporary(directory) as (fd, temporary):
            self._fill(fd, value)
            with _otherwise_unsupported(_NO_CAREFUL_RENAME):
                self._fs.rename_new(temporary, name, old_dir_fd=directory, dir_fd=directory)

    @contextmanager
    def _temporary(self, directory: int) -> Iterator[tuple[int, bytes]]:
        """Lend a new file and its temporary name, which goes only if there is an error."""
        temporary = self.temporary_name()
        try:
            fd = self._fs.open(temporary, _NAMED, dir_fd=directory, mode=FILE_MODE)
        except FileExistsError as error:  # says nothing about the name that is wanted
            raise OSError(errno.EAGAIN, "the temporary name is taken") from error
        try:
            yield fd, temporary
        except BaseException:
            self._discard(directory, temporary)
            raise
        finally:
            self._close(fd)

    def _discard(self, directory: int, temporary: bytes) -> None:
        with suppress(OSError):  # left for a sweep
            self._fs.unlink(temporary, dir_fd=directory)

    def _fill(self, fd: int, value: memoryview) -> None:
        with modes_may_be_missing():  # whatever the umask took away
            self._fs.fchmod(fd, FILE_MODE)
        rest = value
        while rest:
            written = self._fs.write(fd, rest)
            if written == 0:
                raise OSError(errno.EIO, "the file takes no more bytes")
            rest = rest[written:]
        try:
            self._fs.fsync(fd)
        except OSError as error:
            raise FsyncError(error.errno, error.strerror) from error

    def _close(self, fd: int) -> None:
        with suppress(OSError):  # an fsync has told of every error before
            self._fs.close(fd)


@contextmanager
def _otherwise_unsupported(answers: frozenset[int]) -> Iterator[None]:
    """Turn the answers of a file system that cannot do this into UnsupportedError."""
    try:
        yield
    except OSError as error:
        if error.errno in answers:
            raise UnsupportedError from error
        raise
