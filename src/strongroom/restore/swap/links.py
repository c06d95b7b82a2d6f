"""Hard links of a swap: the names of one file are right together, or all of them are put anew."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import NamedTuple

from strongroom.model.fs import Stat


class _Member(NamedTuple):
    path: bytes
    wanted: Stat
    inode: int | None


class Groups:
    """Knows which names share a file, where it is wanted and where it is."""

    def __init__(self) -> None:
        self._wanted: dict[int, list[_Member]] = {}
        self._present: dict[int, set[int]] = {}
        self._leaving: set[int] = set()

    def stays(self, path: bytes, found: Stat, wanted: Stat) -> None:
        """Note a name whose file is right by itself."""
        if found.links > 1 or wanted.links > 1:
            member = _Member(path, wanted, found.inode)
            self._wanted.setdefault(wanted.inode, []).append(member)
            self._present.setdefault(found.inode, set()).add(wanted.inode)

    def moves(self, path: bytes, wanted: Stat) -> None:
        """Note a name that gets the staged file."""
        if wanted.links > 1:
            self._wanted.setdefault(wanted.inode, []).append(_Member(path, wanted, None))

    def leaves(self, found: Stat) -> None:
        """Note that a name of this file goes: whoever writes to another must not reach it there."""
        if found.links > 1 and not stat.S_ISDIR(found.mode):
            self._leaving.add(found.inode)

    def broken(self) -> Iterator[tuple[bytes, Stat]]:
        """Yield the names that cannot stay, since the other names of their file do not."""
        for members in self._wanted.values():
            inodes = {member.inode for member in members}
            stay = [inode for inode in inodes if inode is not None]
            are_apart = any(len(self._present[inode]) > 1 for inode in stay)
            if len(inodes) > 1 or are_apart or not self._leaving.isdisjoint(stay):
                for member in members:
                    if member.inode is not None:
                        yield member.path, member.wanted
