"""Looking through a work folder, and deleting it; no link is followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from strongroom.model.fs import Fs
from strongroom.restore.swap.dress import open_up
from strongroom.restore.swap.ground import STAGED, UNDO, Root
from strongroom.restore.swap.journal import NEW_NAME, Standing
from strongroom.system.directories import Directories

_DROPPED: Final = b"dropped"  # what was in undo/, from the moment that nobody can roll back
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY


def holds_anything(fs: Fs, work_fd: int, folder: bytes) -> bool:
    """Whether there is anything but directories in a folder of the work folder; OSError."""
    with _root(fs, work_fd, folder) as root:
        waiting = [b""] if root.look(b"") is not None else []
        while waiting:
            here = waiting.pop()
            for name, found in root.names(here):
                if not stat.S_ISDIR(found.mode):
                    return True
                waiting.append(here + b"/" + name if here else name)
    return False


def clear(fs: Fs, work: bytes) -> None:
    """Delete what a swap left in its work folder, and that if nothing else is in it; OSError."""
    work_fd = fs.open(work + b"/.", _FOLDER)
    try:
        with suppress(FileNotFoundError, FileExistsError):
            fs.rename(UNDO, _DROPPED, old_dir_fd=work_fd, dir_fd=work_fd)
        for folder in (_DROPPED, UNDO, STAGED):
            _delete(fs, work_fd, folder)
        for name in (NEW_NAME, *(standing.value for standing in Standing)):
            with suppress(FileNotFoundError):
                fs.unlink(name, dir_fd=work_fd)
    finally:
        fs.close(work_fd)
    try:
        fs.rmdir(work)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise


def _delete(fs: Fs, work_fd: int, folder: bytes) -> None:
    """Delete a folder with all that is in it, if it is there."""
    with _root(fs, work_fd, folder) as root:
        if root.look(b"") is None:
            return
        folders = [b""]
        for here in folders:  # it grows
            with root.at(here) as (dir_fd, name):
                open_up(fs, dir_fd, name)
            for name, found in root.names(here):
                path = here + b"/" + name if here else name
                if stat.S_ISDIR(found.mode):
                    folders.append(path)
                else:
                    with root.at(path) as (dir_fd, _):
                        fs.unlink(name, dir_fd=dir_fd)
        for here in reversed(folders):
            with root.at(here) as (dir_fd, name):
                fs.rmdir(name, dir_fd=dir_fd)


@contextmanager
def _root(fs: Fs, work_fd: int, folder: bytes) -> Iterator[Root]:
    directories = Directories(fs)
    top = directories.top(fs.open(b".", _FOLDER, dir_fd=work_fd))
    try:
        yield Root(fs, directories, top, folder, b"")
    finally:
        directories.close()
