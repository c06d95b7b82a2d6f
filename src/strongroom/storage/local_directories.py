"""The open directories of a local store, shared by its threads."""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from strongroom.model.fs import Fs
from strongroom.storage.local_errors import (
    FsyncError,
    NoRootError,
    RemovedError,
    modes_may_be_missing,
)

DIRECTORY_MODE: Final = 0o700
_OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_MOST_OPEN: Final = 64  # of the 1,024 descriptors that a process usually has

Path = tuple[bytes, ...]  # the names from the root down; the root itself is ()


@dataclass(slots=True)
class _Opened:
    fd: int
    linked: bool  # a link count that tells when the directory is removed
    users: int = 0
    kept: bool = True


class Directories:
    """Descriptors by path, opened when they are needed; the root stays open until ``close``.

    Every component is opened without following symbolic links, each relative to the one above,
    so that a store stays where it is while somebody moves or replaces what leads to it.
    """

    def __init__(self, fs: Fs, root: bytes, *, most_open: int = _MOST_OPEN) -> None:
        self._fs = fs
        self._root = root
        self._most_open = most_open
        self._kept: OrderedDict[Path, _Opened] = OrderedDict()
        self._durable: set[Path] = {()}
        self._failure: OSError | None = None
        self._lock = threading.Lock()

    @contextmanager
    def lease(self, path: Path) -> Iterator[int]:
        """Lend the descriptor of a directory, which is not closed meanwhile.

        Raises NoRootError, FileNotFoundError for any directory below; RemovedError if what was
        done with it failed and it was removed since it was opened. After that, and after ESTALE,
        every directory is opened anew, so that another try can succeed.
        """
        opened = self._take(path)
        try:
            yield opened.fd
        except OSError as error:
            removed = self._is_removed(opened)
            if removed or error.errno == errno.ESTALE:
                self.close()
            if removed:
                raise RemovedError(errno.ESTALE, "its directory was removed meanwhile") from error
            raise
        finally:
            self._give_back(opened)

    @contextmanager
    def lease_durable(self, path: Path) -> Iterator[int]:
        """As ``lease``; makes what is missing, and the names down to it survive a power cut.

        Raises FsyncError if an fsync has failed before: nothing can become durable then.
        """
        self._check_no_failure()
        if path not in self._durable:
            for depth in range(1, len(path) + 1):
                self._make_durable(path[:depth])
        with self.lease(path) as fd:
            yield fd

    def check_not_removed(self, path: Path) -> None:
        """Raise FileNotFoundError if a directory that is lent just now was removed meanwhile.

        The C library lets the names in a removed directory end early, as if there were no more.
        """
        with self._lock:
            opened = self._kept.get(path)
        if opened is not None and self._is_removed(opened):
            raise FileNotFoundError(errno.ENOENT, "the directory was removed")

    def fsync(self, fd: int) -> None:
        """Make the names in a directory durable; after one failure every later call fails.

        The kernel reports a failure once and then takes the lost change for written.
        """
        self._check_no_failure()
        try:
            self._fs.fsync(fd)
        except OSError as error:
            self._failure = error
            self._check_no_failure()

    def make_root(self) -> None:
        """Make the root, and what is missing above it, durably; existing ones stay as they are."""
        root = self._root.rstrip(b"/") or b"/."
        if not self._is_there(root):
            self._make(root)

    def close(self) -> None:
        """Close what is open, or, where it is in use, as soon as it is not; open anew if asked."""
        with self._lock:
            dropped = list(self._kept.values())
            self._kept.clear()
            self._durable = {()}
            for opened in dropped:
                opened.kept = False
            unused = [opened.fd for opened in dropped if opened.users == 0]
        self._close_all(unused)

    def _check_no_failure(self) -> None:
        if self._failure is not None:
            raise FsyncError(self._failure.errno, self._failure.strerror) from self._failure

    def _take(self, path: Path) -> _Opened:
        with self._lock:
            opened = self._kept.get(path)
            if opened is not None:
                opened.users += 1
                self._kept.move_to_end(path)
                return opened
        fd = self._open(path)
        return self._keep(path, _Opened(fd, linked=self._fs.fstat(fd).links > 0))

    def _keep(self, path: Path, fresh: _Opened) -> _Opened:
        """Share ``fresh``, or what another thread opened meanwhile, and close what is too many."""
        with self._lock:
            opened = self._kept.setdefault(path, fresh)
            opened.users += 1
            unneeded = [] if opened is fresh else [fresh.fd]
            for old in list(self._kept):
                if len(self._kept) <= self._most_open:
                    break
                if old and self._kept[old].users == 0:
                    unneeded.append(self._kept.pop(old).fd)
        self._close_all(unneeded)
        return opened

    def _give_back(self, opened: _Opened) -> None:
        with self._lock:
            opened.users -= 1
            over = opened.users == 0 and not opened.kept
        if over:
            self._close_all([opened.fd])

    def _close_all(self, fds: list[int]) -> None:
        for fd in fds:
            with suppress(OSError):  # nothing was written through it
                self._fs.close(fd)

    def _is_removed(self, opened: _Opened) -> bool:
        return opened.linked and self._fs.fstat(opened.fd).links == 0

    def _open(self, path: Path) -> int:
        if path:
            with self.lease(path[:-1]) as parent:
                return self._fs.open(path[-1], _OPEN_DIRECTORY, dir_fd=parent)
        try:
            return self._fs.open(self._root + b"/.", _OPEN_DIRECTORY)
        except FileNotFoundError as error:
            raise NoRootError(error.errno, error.strerror) from error

    def _make_durable(self, path: Path) -> None:
        """Make a directory unless it is there, and durable all names beside it.

        Also what another process made: that one may have died before its own fsync.
        """
        *above, name = path
        with self.lease(tuple(above)) as parent:
            self._make_one(name, parent)
            names = self._fs.names(parent)
            self.fsync(parent)
        self._durable.update((*above, beside) for beside in names)

    def _make_one(self, name: bytes, parent: int) -> None:
        try:
            self._fs.mkdir(name, DIRECTORY_MODE, dir_fd=parent)
        except FileExistsError:
            return
        with modes_may_be_missing():  # whatever the umask took away
            self._fs.chmod(name, DIRECTORY_MODE, dir_fd=parent)

    def _is_there(self, path: bytes) -> bool:
        try:
            self._fs.close(self._fs.open(path + b"/.", _OPEN_DIRECTORY))
        except FileNotFoundError:
            return False
        return True

    def _make(self, path: bytes) -> None:
        above, _, name = path.rpartition(b"/")
        above = above.rstrip(b"/") or (b"/." if path.startswith(b"/") else b".")
        if not self._is_there(above):
            self._make(above)
        parent = self._fs.open(above + b"/.", _OPEN_DIRECTORY)
        try:
            self._make_one(name, parent)
            self.fsync(parent)
        finally:
            self._fs.close(parent)
