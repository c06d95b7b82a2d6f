"""Putting a restored cluster in the place of the old one, by renames that can be taken back.

Everything is restored beside its place. Then a journal names the renames, what was there is moved
aside, and what was restored takes its place, the data directory last. So a data directory that is
missing was caught in the middle, and ``take_back`` puts the old one back from the journal. What was
moved aside is never removed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.errors import RefusedError, RestoreError
from strongroom.model.fs import Fs
from strongroom.system.causes import cause_of

STAGED: Final = ".strongroom-recovering"
_JOURNAL: Final = ".strongroom-recover.json"
_PRIVATE: Final = 0o700


class Move(NamedTuple):
    """One thing that takes a place: what is ``staged`` goes to ``place``.

    What is there goes to ``aside``; empty: nothing is there.
    """

    staged: str
    place: str
    aside: str


class Swap:
    """The renames of one recovery; the last of ``moves`` is the data directory."""

    def __init__(self, fs: Fs, data: Path, moves: Sequence[Move]) -> None:
        self._fs = fs
        self._data = data
        self.moves = tuple(moves)

    def carry_out(self) -> None:
        """Put everything in place; whatever fails, all is as it was before (``RefusedError``)."""
        for move in self.moves:
            taken = move.aside or move.place
            if os.path.lexists(taken):  # what is there later has been moved by us
                raise RefusedError(f"{taken} exists already; nothing was changed")
        journal = _journal(self._data)
        text = json.dumps([list(move) for move in self.moves]).encode()
        try:
            _write(self._fs, journal, text)
            for move in reversed(self.moves):
                if move.aside:
                    self._rename(move.place, move.aside)
            for move in self.moves:
                self._rename(move.staged, move.place)
        except BaseException as error:  # an interruption too: between two renames nothing may stay
            self.take_back()
            if not isinstance(error, OSError):
                raise
            raise RefusedError(
                f"{self._data} cannot be put in place: {cause_of(error)}; everything is as it was"
            ) from error

    def take_back(self) -> None:
        """Put back what was moved aside; what was restored is removed. Where it got to is seen."""
        try:
            _sync(self._fs, self._data.parent)
            for move in reversed(self.moves):
                staged_is_there = os.path.lexists(move.staged)
                if not move.aside:
                    if not staged_is_there and os.path.lexists(move.place):
                        self._rename(move.place, move.staged)
                elif os.path.lexists(move.aside):
                    if os.path.lexists(move.place):
                        self._rename(move.place, move.staged)
                    self._rename(move.aside, move.place)
            self.forget()
        except OSError as error:
            raise RestoreError(
                f"what was moved aside cannot be put back: {cause_of(error)}",
                hint="Nothing of it is lost. By hand: "
                + "; ".join(f"mv {move.aside} {move.place}" for move in self.moves if move.aside),
            ) from error
        for move in self.moves:
            shutil.rmtree(move.staged, ignore_errors=True)

    def forget(self) -> None:
        """Remove the journal: nothing is to be taken back any more."""
        with suppress(FileNotFoundError):
            _journal(self._data).unlink()
        _sync(self._fs, self._data.parent)

    def _rename(self, old: str, new: str) -> None:
        folder, name = os.path.split(new)
        fd = self._fs.open(os.fsencode(folder) + b"/.", os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._fs.rename_new(os.fsencode(old), os.fsencode(name), old_dir_fd=fd, dir_fd=fd)
            self._fs.fsync(fd)
        finally:
            self._fs.close(fd)


def is_half_done(data: Path) -> bool:
    """Whether a recovery was killed while things changed places, or just after."""
    return _journal(data).exists()


def settle(fs: Fs, data: Path) -> bool:
    """Finish with what a killed recovery left; whether the old directory was put back.

    If all renames were done, the new one stays: somebody may have gone on with it, and the old one
    is beside it.
    """
    try:
        text = _journal(data).read_bytes()
    except FileNotFoundError:
        return False
    swap = Swap(fs, data, [Move(*map(str, one)) for one in json.loads(text)])
    if data.exists() and not os.path.lexists(swap.moves[-1].staged):
        swap.forget()
        return False
    swap.take_back()
    return True


def staged_beside(path: Path) -> Path:
    """Return where what is to take a place is restored first."""
    return path.with_name(path.name + STAGED)


def make_new(fs: Fs, path: Path, owner: tuple[int, int] | None) -> None:
    """Make an empty private folder; what a killed recovery left there is removed."""
    shutil.rmtree(path, ignore_errors=True)
    parent = fs.open(os.fsencode(path.parent) + b"/.", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fs.mkdir(os.fsencode(path.name), _PRIVATE, dir_fd=parent)
        if owner is not None:
            fs.chown(os.fsencode(path.name), *owner, dir_fd=parent)
    finally:
        fs.close(parent)


def write_file(fs: Fs, path: Path, data: bytes, owner: tuple[int, int] | None) -> None:
    """Write a private file whole, in the place of what is there."""
    temporary = path.with_name(path.name + ".strongroom-new")
    with suppress(FileNotFoundError):
        temporary.unlink()
    fd = fs.open(os.fsencode(temporary), os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
    try:
        if owner is not None:
            fs.fchown(fd, *owner)
        view = memoryview(data)
        while view:
            view = view[fs.write(fd, view) :]
        fs.fsync(fd)
    finally:
        fs.close(fd)
    folder = fs.open(os.fsencode(path.parent) + b"/.", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fs.rename(
            os.fsencode(temporary.name), os.fsencode(path.name), old_dir_fd=folder, dir_fd=folder
        )
        fs.fsync(folder)
    finally:
        fs.close(folder)


def link(fs: Fs, path: Path, target: Path, owner: tuple[int, int] | None) -> None:
    """Make a symbolic link, in the place of one that is there."""
    with suppress(FileNotFoundError):
        path.unlink()
    folder = fs.open(os.fsencode(path.parent) + b"/.", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fs.symlink(os.fsencode(target), os.fsencode(path.name), dir_fd=folder)
        if owner is not None:
            fs.chown(os.fsencode(path.name), *owner, dir_fd=folder)
        fs.fsync(folder)
    finally:
        fs.close(folder)


@contextmanager
def durable(fs: Fs, path: Path) -> Iterator[None]:
    """Make all that is written to the file system of a folder meanwhile durable at the end.

    Linux tells a descriptor of errors since it was opened; of earlier ones if nobody else was told.
    """
    fd = fs.open(os.fsencode(path) + b"/.", os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield
        fs.syncfs(fd)
    finally:
        fs.close(fd)


def _journal(data: Path) -> Path:
    return data.with_name(data.name + _JOURNAL)


def _write(fs: Fs, path: Path, data: bytes) -> None:
    write_file(fs, path, data, None)


def _sync(fs: Fs, folder: Path) -> None:
    fd = fs.open(os.fsencode(folder) + b"/.", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fs.fsync(fd)
    finally:
        fs.close(fd)
