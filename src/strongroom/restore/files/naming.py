"""Giving restored things their names: new ones, or in the place of what is there."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final, Literal

from strongroom.model.fs import Fs

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_NO_SUCH_CALL: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
PARTIAL: Final = b".strongroom-partial-"
_LEFT_BEHIND: Final = re.compile(re.escape(PARTIAL) + rb"[0-9a-f]{16}-[0-9]+")

Overwrite = Literal["always", "if-changed", "never"]
REPLACING: Final = frozenset[Overwrite | None]({"always", "if-changed"})


class Names:
    """Knows whether names that are taken may be replaced; safe in any thread."""

    def __init__(self, fs: Fs, unique: bytes, *, replace: bool) -> None:
        self._fs = fs
        self._replace = replace
        self._prefix = PARTIAL + unique
        self._counter = count(1)

    def temporary(self) -> bytes:
        """Return a name that nobody else uses."""
        return b"%s-%d" % (self._prefix, next(self._counter))

    def open_new(self, name: bytes, dir_fd: int, mode: int) -> int:
        """Open a file that must not be there yet."""
        return self._fs.open(name, _NEW, dir_fd=dir_fd, mode=mode)

    def create(self, name: bytes, dir_fd: int, mode: int) -> tuple[int, bytes]:
        """Open a new file for writing, under its name, or under another until ``settle``."""
        try:
            return self.open_new(name, dir_fd, mode), name
        except FileExistsError:
            if not self._replace:
                raise
        name = self.temporary()
        return self.open_new(name, dir_fd, mode), name

    def make(self, name: bytes, make: Callable[[bytes], None]) -> bytes:
        """Make something that is no file in the same way; the name it has until ``settle``."""
        try:
            make(name)
        except FileExistsError:
            if not self._replace:
                raise
            name = self.temporary()
            make(name)
        return name

    def settle(self, present: bytes, name: bytes, dir_fd: int) -> None:
        """Give something finished its name; OSError if a directory has it."""
        if present == name:
            return
        if self._replace:
            self._fs.rename(present, name, old_dir_fd=dir_fd, dir_fd=dir_fd)
            return
        rename_to_new(self._fs, present, name, old_dir_fd=dir_fd, dir_fd=dir_fd)

    def discard(self, present: bytes, dir_fd: int) -> None:
        """Remove something unfinished, if it is there."""
        with suppress(FileNotFoundError):
            self._fs.unlink(present, dir_fd=dir_fd)


def rename_to_new(fs: Fs, present: bytes, name: bytes, *, old_dir_fd: int, dir_fd: int) -> None:
    """Rename to a name that nothing has; ``FileExistsError`` if something does.

    Where a file system cannot do that in one call, nobody else may write there meanwhile.
    """
    try:
        fs.rename_new(present, name, old_dir_fd=old_dir_fd, dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in _NO_SUCH_CALL:
            raise
        try:
            fs.stat(name, dir_fd=dir_fd)
        except FileNotFoundError:
            fs.rename(present, name, old_dir_fd=old_dir_fd, dir_fd=dir_fd)
        else:
            raise FileExistsError(errno.EEXIST, "exists already", name) from None


def remove_left_behind(fs: Fs, dir_fd: int) -> None:
    """Remove the unfinished files of restores that were killed; OSError if that fails.

    A restore that still runs into the same directory would lose its files.
    """
    for name in fs.names(dir_fd):
        if _LEFT_BEHIND.fullmatch(name) and not stat.S_ISDIR(fs.stat(name, dir_fd=dir_fd).mode):
            fs.unlink(name, dir_fd=dir_fd)
