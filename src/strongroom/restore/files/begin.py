"""Where a restore into a directory begins."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from strongroom.errors import RefusedError, StrongroomError
from strongroom.model.fs import Fs
from strongroom.model.randomness import Randomness
from strongroom.model.source import Report
from strongroom.restore.files.attributes import PERMISSIONS, Attributes, Ground
from strongroom.restore.files.comparing import Comparison
from strongroom.restore.files.extras import Looking
from strongroom.restore.files.naming import REPLACING, Names, Overwrite, remove_left_behind
from strongroom.restore.files.owners import Owners
from strongroom.restore.files.places import LOST_AND_FOUND, PRIVATE, Place, Places, foreign_ground
from strongroom.restore.files.present import Present
from strongroom.restore.files.shortfalls import Shortfalls
from strongroom.restore.files.target import FilesTarget
from strongroom.restore.files.tools import Tools
from strongroom.system.causes import cause_of
from strongroom.system.directories import Directories, Directory

_MOST_OPEN: Final = 256
_BASE: Final = os.O_RDONLY | os.O_DIRECTORY
_UNNAMED: Final = os.O_TMPFILE | os.O_WRONLY
_NO_UNNAMED: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT})


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """``overwrite``: what happens to what is there; None: nothing may be there.

    ``always`` and ``if-changed``: what is in the way gives way, but for directories; with the
    latter what is right already is not written again. ``never``: what is there stays as it is.
    ``owners`` decides who things belong to. ``durable``: whether it must survive a power cut.
    """

    overwrite: Overwrite | None = None
    owners: Owners | None = None
    durable: bool = True


def begin(
    fs: Fs, path: bytes, report: Report, randomness: Randomness, options: TargetOptions
) -> FilesTarget:
    """Open the directory ``path`` for a restore, or make it; nothing else is changed yet.

    ``RefusedError`` if something is in the way that may not be replaced.
    """
    shown = path.decode("utf-8", "backslashreplace")
    try:
        base_fd = _open_or_make(fs, path)
        try:
            if options.overwrite is None:
                _check_empty(fs, base_fd, shown)
            elif options.overwrite in REPLACING:
                remove_left_behind(fs, base_fd)
            ground = _ground_of(fs, base_fd)
        except BaseException:
            fs.close(base_fd)
            raise
    except NotADirectoryError as error:
        raise RefusedError(f"{shown} is not a directory") from error
    except OSError as error:
        raise StrongroomError(f"{shown} cannot be restored into: {cause_of(error)}") from error
    directories = Directories(fs, most_open=_MOST_OPEN)
    replace = options.overwrite in REPLACING
    names = Names(fs, randomness.take(8).hex().encode(), replace=replace)
    shortfalls = Shortfalls()
    attributes = Attributes(options.owners or Owners(), shortfalls)
    tools = Tools(fs, directories, names, attributes, shortfalls, report)
    base = Place(directories.top(base_fd), ground)
    places = Places(fs, directories, base, options.overwrite)
    present = Present(tools, options.overwrite)
    return FilesTarget(tools, places, present, durable=options.durable)


@contextmanager
def begin_looking(fs: Fs, path: bytes) -> Iterator[Looking]:
    """Open the directory ``path`` to look at what is in it; ``StrongroomError``."""
    with _opened(fs, path) as (directories, base):
        yield Looking(fs, directories, base)


@contextmanager
def begin_comparison(fs: Fs, path: bytes, attributes: Attributes) -> Iterator[Comparison]:
    """Open the directory ``path`` to compare what is in it; ``StrongroomError``.

    ``attributes`` are those of the restore, which knows what could not be set.
    """
    with _opened(fs, path) as (directories, base):
        yield Comparison(fs, directories, base, attributes)


@contextmanager
def _opened(fs: Fs, path: bytes) -> Iterator[tuple[Directories, Directory]]:
    directories = Directories(fs, most_open=_MOST_OPEN)
    try:
        base = directories.top(fs.open(path + b"/.", _BASE))
    except OSError as error:
        shown = path.decode("utf-8", "backslashreplace")
        raise StrongroomError(f"{shown} cannot be read: {cause_of(error)}") from error
    try:
        yield directories, base
    finally:
        directories.close()


def _open_or_make(fs: Fs, path: bytes) -> int:
    """Open a directory, also one behind a symbolic link; make it if it is missing."""
    itself = path + b"/."
    try:
        return fs.open(itself, _BASE)
    except FileNotFoundError:
        names = path.rstrip(b"/").split(b"/")
        for depth in range(1, len(names) + 1):
            if any(names[:depth]):
                with suppress(FileExistsError):
                    fs.mkdir(b"/".join(names[:depth]), PRIVATE)
        return fs.open(itself, _BASE)


def _check_empty(fs: Fs, base_fd: int, shown: str) -> None:
    if set(fs.names(base_fd)) - {LOST_AND_FOUND}:
        raise RefusedError(
            f"{shown} is not empty",
            hint="Name a new or an empty directory, or allow that what is there is replaced.",
        )


def _ground_of(fs: Fs, base_fd: int) -> Ground:
    """Find out what a new file gets by itself, from one that never has a name."""
    ground = foreign_ground(fs.xattrs(base_fd))
    if ground.inherits:
        return ground
    try:
        fd = fs.open(b".", _UNNAMED, dir_fd=base_fd, mode=PERMISSIONS)
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return ground
        raise
    try:
        found = fs.fstat(fd)
    finally:
        fs.close(fd)
    return Ground((found.uid, found.gid), PERMISSIONS & ~found.mode, inherits=False)
