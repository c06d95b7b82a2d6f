"""The directories of a restore: made at once, private, and given their attributes at the end."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from strongroom.model.entry import Entry
from strongroom.model.fs import Fs
from strongroom.restore.files.attributes import (
    ACCESS_LIST,
    DEFAULT_LIST,
    NO_LIST,
    PERMISSIONS,
    Ground,
)
from strongroom.restore.files.naming import REPLACING, Overwrite, remove_left_behind
from strongroom.restore.files.things import OpenThing
from strongroom.restore.files.tools import Tools
from strongroom.system.causes import cause_of
from strongroom.system.directories import Directories, Directory, path_of

PRIVATE: Final = 0o700
LOST_AND_FOUND: Final = b"lost+found"  # a new file system is not without it
_SHORT: Final = 256
_READ: Final = os.O_RDONLY | os.O_DIRECTORY


class Place(NamedTuple):
    """A directory to restore into, and what new things in it get by themselves.

    ``is_new``: this restore made it, so nothing else is in it.
    """

    directory: Directory
    ground: Ground
    is_new: bool = False


class LostPlace:
    """A directory that could not be made, with the number of entries below it."""

    __slots__ = ("below", "path")

    def __init__(self, path: bytes) -> None:
        self.path = path
        self.below = 0


class Places:
    """Every directory of a restore by its path. One thread adds, any thread looks up.

    ``left``: paths of those that stay as they are.
    """

    def __init__(
        self, fs: Fs, directories: Directories, base: Place, overwrite: Overwrite | None
    ) -> None:
        self._fs = fs
        self._directories = directories
        self._base = base
        self._overwrite = overwrite
        self._places: dict[bytes, Place | LostPlace] = {b"": base}
        self._dressed: list[tuple[Place, Entry]] = []
        self._others: dict[int, int] = {}
        self.lost: list[LostPlace] = []
        self.left: set[bytes] = set()

    @property
    def base(self) -> Directory:
        """The target itself."""
        return self._base.directory

    def find(self, path: bytes) -> Place | LostPlace | None:
        """Return what was made of the directory ``path``; None if no entry said so far."""
        return self._places.get(_key(path))

    def lose(self, path: bytes) -> LostPlace:
        """Note that a directory could not be made, so that nothing can be restored below it."""
        lost = LostPlace(path)
        self.lost.append(lost)
        self._places[_key(path)] = lost
        return lost

    def lose_below(self, path: bytes, lost: LostPlace) -> None:
        """Note a directory below one that could not be made."""
        self._places[_key(path)] = lost

    def make(self, parent: Place, name: bytes, path: bytes, entry: Entry | None) -> Place:
        """Make a directory, or keep the real one that is there; OSError if that cannot be.

        Without an entry it stays private.
        """
        with self._directories.use(parent.directory) as dir_fd:
            was_there = self._keep_or_make(parent, name, dir_fd)
            if was_there:
                ground = foreign_ground(self._fs.xattrs_at(name, dir_fd=dir_fd))
            else:
                ground = self._own_ground(parent.ground, name, dir_fd)
        place = Place(self._directories.enter(parent.directory, name), ground, not was_there)
        self._watch(place.directory)
        if was_there and self._overwrite in REPLACING:
            with self._directories.use(place.directory) as own_fd:
                remove_left_behind(self._fs, own_fd)
        self._places[_key(path)] = place
        if was_there and self._overwrite == "never":
            self.left.add(path)
        elif entry is not None:
            self._dressed.append((place, msgspec.structs.replace(entry, path=b"")))
        return place

    def dress(self, tools: Tools) -> None:
        """Give every directory its attributes, the deepest first."""
        for place, entry in reversed(self._dressed):
            directory = place.directory
            plan = tools.attributes.plan(entry, place.ground._replace(inherits=True))
            try:
                fd = self._open(directory)
                try:
                    tools.attributes.apply(OpenThing(self._fs, fd, directory), entry, plan)
                finally:
                    self._fs.close(fd)
            except OSError as error:
                cause = f"its attributes could not be set ({cause_of(error)})"
                tools.report(path_of(directory), cause, missing=False)
        self._dressed.clear()

    def make_durable(self) -> None:
        """Write everything to the disk, of each file system once; OSError if that failed.

        Linux writes by itself before it is asked to, and tells a descriptor of errors since it was
        opened; of earlier ones only if nobody else was told, such as by ``sync``. So each was
        opened before anything was written.
        """
        with self._directories.use(self.base) as base_fd:
            self._fs.syncfs(base_fd)
        for fd in self._others.values():
            self._fs.syncfs(fd)

    def close(self) -> None:
        """Close what was opened for that."""
        while self._others:
            self._fs.close(self._others.popitem()[1])

    def _watch(self, directory: Directory) -> None:
        """Open the file system of a directory, if it is another than those before."""
        device = directory.identity[0]
        if device != self.base.identity[0] and device not in self._others:
            with self._directories.use(directory) as dir_fd:
                self._others[device] = self._fs.open(b".", _READ, dir_fd=dir_fd)

    def _keep_or_make(self, parent: Place, name: bytes, dir_fd: int) -> bool:
        """Make sure that ``name`` is a real directory; True if it was there before."""
        try:
            self._fs.mkdir(name, PRIVATE, dir_fd=dir_fd)
        except FileExistsError:
            may_keep = parent is self._base and name == LOST_AND_FOUND
            if self._overwrite is None and not may_keep:
                raise
            if stat.S_ISDIR(self._fs.stat(name, dir_fd=dir_fd).mode):
                return True
            if self._overwrite not in REPLACING:
                raise
            self._fs.unlink(name, dir_fd=dir_fd)
            self._fs.mkdir(name, PRIVATE, dir_fd=dir_fd)
        return False

    def _own_ground(self, ground: Ground, name: bytes, dir_fd: int) -> Ground:
        """Make a new directory one in which nothing is inherited."""
        if ground.inherits:
            for key in (ACCESS_LIST, DEFAULT_LIST):
                self._fs.set_xattr_at(name, key, NO_LIST, dir_fd=dir_fd)
        if ground.inherits or self._base.ground.umask & PRIVATE:
            self._fs.chmod(name, PRIVATE, dir_fd=dir_fd)
        return ground._replace(inherits=False)

    def _open(self, directory: Directory) -> int:
        assert directory.parent is not None  # noqa: S101 - the base is never dressed
        with self._directories.use(directory.parent) as dir_fd:
            return self._fs.open(directory.name, _READ, dir_fd=dir_fd)


def foreign_ground(xattrs: Sequence[tuple[bytes, bytes]]) -> Ground:
    """Return what is known of new things in a directory that was there before."""
    return Ground(None, PERMISSIONS, any(name == DEFAULT_LIST for name, _ in xattrs))


def _key(path: bytes) -> bytes:
    """Return what stands for a path: trees are bounded in depth only by the length of a path."""
    return path if len(path) <= _SHORT else blake2b(path, digest_size=20).digest()
