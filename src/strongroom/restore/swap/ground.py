"""The folders of a swap: the target, and in the work folder what is staged and what was there.

Every path is taken one component at a time, relative to an open directory, and no link is followed.

The work folder holds ``journal`` (see ``journal``), ``staged/``, ``undo/``, and ``meanwhile/``,
``meanwhile-2/`` and so on with what somebody else put where something had to go. In each of them a
thing has the path that it has in the target.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Final, NamedTuple

from strongroom.errors import RefusedError, RestoreError
from strongroom.model.fs import Fs, Stat
from strongroom.restore.files.extras import Below
from strongroom.restore.files.naming import rename_to_new
from strongroom.restore.files.places import PRIVATE
from strongroom.system.causes import cause_of
from strongroom.system.directories import Directories, Directory

STAGED: Final = b"staged"
UNDO: Final = b"undo"
MEANWHILE: Final = b"meanwhile"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
_LOOK: Final = os.O_PATH | os.O_DIRECTORY
_MOST_OPEN: Final = 256
_NOT_NAMES: Final = frozenset({b"", b".", b".."})


class Root:
    """One folder by whose paths things are found; for one thread."""

    def __init__(
        self, fs: Fs, directories: Directories, top: Directory, folder: bytes, shown: bytes
    ) -> None:
        self._fs = fs
        self._directories = directories
        self._below = Below(directories, top)
        self._folder = folder
        self._path = shown

    def where(self, path: bytes = b"") -> str:
        """Return the whole path of something, for people."""
        return shown(self._path + b"/" + path if path else self._path)

    @contextmanager
    def at(self, path: bytes) -> Iterator[tuple[int, bytes]]:
        """Give the open directory that a path is in, and its name there; OSError."""
        parent, _, name = self._inner(path).rpartition(b"/")
        with self._directories.use(self._below.find(parent)) as dir_fd:
            yield dir_fd, name or b"."

    def look(self, path: bytes) -> Stat | None:
        """Return what is there; None for nothing, also where a directory on the way is missing."""
        try:
            with self.at(path) as (dir_fd, name):
                return self._fs.stat(name, dir_fd=dir_fd)
        except FileNotFoundError:
            return None

    def names(self, path: bytes) -> list[tuple[bytes, Stat]]:
        """Return the sorted names in a directory, and what each is; OSError."""
        with self.at(path) as (dir_fd, name):
            fd = self._fs.open(name, _FOLDER, dir_fd=dir_fd)
        try:
            return [(name, self._fs.stat(name, dir_fd=fd)) for name in sorted(self._fs.names(fd))]
        finally:
            self._fs.close(fd)

    def make_way(self, path: bytes) -> None:
        """Make the directories that lead to a path, those that are missing; private ones."""
        parent = self._inner(path).rpartition(b"/")[0]
        missing: list[bytes] = []
        while parent:
            try:
                self._below.find(parent)
            except FileNotFoundError:
                parent, _, name = parent.rpartition(b"/")
                missing.append(name)
            else:
                break
        for name in reversed(missing):
            with self._directories.use(self._below.find(parent)) as dir_fd:
                self._fs.mkdir(name, PRIVATE, dir_fd=dir_fd)
            parent = parent + b"/" + name if parent else name

    def make_itself(self) -> None:
        """Make the folder itself, unless it is there."""
        self.make_way(b"any")

    def _inner(self, path: bytes) -> bytes:
        if not self._folder:
            return path
        return self._folder + b"/" + path if path else self._folder


class Ground:
    """The open folders of one swap; ``opened`` makes one."""

    def __init__(self, fs: Fs, names: _Names, target_fd: int, work_fd: int) -> None:
        self.fs = fs
        self.names = names
        self.work_fd = work_fd
        self._directories = Directories(fs, most_open=_MOST_OPEN)
        work = self._directories.top(work_fd)
        target = self._directories.top(target_fd)
        self._work = work
        self.work_identity = work.identity
        self.device = target.identity[0]
        self.target = Root(fs, self._directories, target, b"", names.target)
        self.staged = self.folder(STAGED)
        self.undo = self.folder(UNDO)

    def folder(self, name: bytes) -> Root:
        """Return a folder in the work folder."""
        shown_at = self.names.work + b"/" + name
        return Root(self.fs, self._directories, self._work, name, shown_at)

    def move(self, path: bytes, old: Root, new: Root) -> None:
        """Rename something to where nothing is; ``FileExistsError`` if something is."""
        with old.at(path) as (old_fd, name), new.at(path) as (fd, new_name):
            rename_to_new(self.fs, name, new_name, old_dir_fd=old_fd, dir_fd=fd)

    def sync(self) -> None:
        """Make everything durable that was done on this file system so far; OSError."""
        self.fs.syncfs(self.work_fd)

    def close(self) -> None:
        """Close every directory."""
        self._directories.close()


class _Names(NamedTuple):
    """Where the folders are. ``inside``: the work folder's path in the target, if it is there."""

    target: bytes
    work: bytes
    inside: bytes


@contextmanager
def opened(fs: Fs, target: bytes, work: bytes) -> Iterator[Ground]:
    """Open the folders for a new swap; ``RefusedError`` unless one file system has both."""
    target, work = _plain(target), _plain(work)
    with _telling(target, work), ExitStack() as fds:
        work_fd = _keep(fs, fds, fs.open(work + b"/.", _FOLDER))
        target_fd = _keep(fs, fds, fs.open(target + b"/.", _FOLDER))
        inside = work[len(target) + 1 :] if work.startswith(target + b"/") else b""
        if inside and not _leads_to(fs, target_fd, inside, work_fd):
            inside = b""  # by way of a link
        ground = Ground(fs, _Names(target, work, inside), target_fd, work_fd)
        fds.pop_all()
    with closing(ground):
        if ground.work_identity[0] != ground.device:
            raise RefusedError(
                f"{shown(work)} is on another file system than {shown(target)}",
                hint="Nothing was changed. Stage in a folder on the file system of the target.",
            )
        yield ground


@contextmanager
def opened_again(
    fs: Fs, work: bytes, work_fd: int, target: bytes, inside: bytes
) -> Iterator[Ground]:
    """Open the folders of a swap that has begun; takes ``work_fd`` over.

    Where the work folder lies in the target, the target is found from there: both may have moved.
    ``RefusedError`` if the work folder is not where it was in the target.
    """
    work = _plain(work)
    with _telling(target, work), ExitStack() as fds:
        _keep(fs, fds, work_fd)
        end = b"/" + inside
        if inside and work.endswith(end):
            target = work.removesuffix(end)
        if inside:
            target_fd = _keep(fs, fds, _above(fs, work_fd, inside.count(b"/") + 1))
        else:
            target_fd = _keep(fs, fds, fs.open(target + b"/.", _FOLDER))
        if inside and not _leads_to(fs, target_fd, inside, work_fd):
            raise RefusedError(
                f"{shown(work)} is no longer at {shown(inside)!r} in the folder that it belongs to",
                hint="Nothing was changed. Move it back to where it was.",
            )
        ground = Ground(fs, _Names(target, work, inside), target_fd, work_fd)
        fds.pop_all()
    with closing(ground):
        yield ground


def open_work(fs: Fs, work: bytes) -> int:
    """Open a work folder; ``RestoreError`` if that cannot be done."""
    try:
        return fs.open(_plain(work) + b"/.", _FOLDER)
    except OSError as error:
        raise RestoreError(
            f"{shown(work)} cannot be opened: {cause_of(error)}", hint="Nothing was changed."
        ) from error


@contextmanager
def _telling(target: bytes, work: bytes) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RestoreError(
            f"{shown(target)} with {shown(work)} cannot be opened: {cause_of(error)}",
            hint="Nothing was changed.",
        ) from error


def _keep(fs: Fs, fds: ExitStack, fd: int) -> int:
    fds.callback(fs.close, fd)
    return fd


def _leads_to(fs: Fs, target_fd: int, inside: bytes, work_fd: int) -> bool:
    """Whether a path in the target leads to a folder without any link."""
    fd = fs.open(b".", _LOOK, dir_fd=target_fd)
    try:
        for name in inside.split(b"/"):
            below = fs.open(name, _LOOK, dir_fd=fd)
            fs.close(fd)
            fd = below
        found, wanted = fs.fstat(fd), fs.fstat(work_fd)
    except (FileNotFoundError, NotADirectoryError):
        return False
    finally:
        fs.close(fd)
    return (found.device, found.inode) == (wanted.device, wanted.inode)


def _above(fs: Fs, fd: int, levels: int) -> int:
    """Open the directory so many levels above another."""
    here = fs.open(b".", _LOOK, dir_fd=fd)
    for _ in range(levels):
        try:
            above = fs.open(b"..", _LOOK, dir_fd=here)
        finally:
            fs.close(here)
        here = above
    return here


def _plain(path: bytes) -> bytes:
    return os.path.abspath(path)  # noqa: PTH100 - bytes, and no link is resolved


def is_path(path: bytes) -> bool:
    """Whether a path names something below where it begins, whatever is there."""
    return b"\0" not in path and not _NOT_NAMES.intersection(path.split(b"/"))


def shown(path: bytes) -> str:
    """Return a path for people."""
    return path.decode("utf-8", "backslashreplace")
