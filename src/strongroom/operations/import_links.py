"""Further names of what comes in an archive, which may come before what they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from strongroom.errors import DamageError
from strongroom.model.entry import Entry, EntryKind, sort_key
from strongroom.repository.spool import Spooled

# of an entry that waits: it is in the tree, the first of its names, a further one
WANTED: Final = 1
LINKED: Final = 2
FURTHER: Final = 4

_Key = tuple[int, bytes]


@dataclass(slots=True)
class Groups:
    """Further names, each with what it leads to: a path in the same archive."""

    leads: dict[_Key, _Key] = field(default_factory=dict)
    firsts: dict[_Key, bytes] = field(default_factory=dict)
    bodies: dict[_Key, Entry] = field(default_factory=dict)

    def add(self, key: _Key, target: _Key, *, wanted: bool) -> None:
        """Note a further name."""
        target = self.leads.get(target, target)
        self.leads[key] = target
        first = self.firsts.setdefault(target, b"")
        if wanted and (not first or sort_key(key[1]) < sort_key(first)):
            self.firsts[target] = key[1]

    def find_bodies(self, spooled: Iterator[Spooled]) -> None:
        """Find what the names lead to; ``DamageError`` if that is not one thing."""
        for one in spooled:
            key = (one.origin, one.entry.path)
            if key not in self.firsts or one.mark & FURTHER:
                continue
            if key in self.bodies:
                raise damaged(f"{shown(key[1])} is in it twice, and has further names")
            self.bodies[key] = one.entry
            first = self.firsts[key]
            if one.mark & WANTED and (not first or sort_key(key[1]) < sort_key(first)):
                self.firsts[key] = key[1]

    def placed(self, one: Spooled) -> Entry:
        """Return an entry as a tree has it: the group's, and with the content of its group."""
        entry, key = one.entry, (one.origin, one.entry.path)
        if one.mark & FURTHER:
            target = self.leads[key]
            body = self.bodies.get(target)
            if body is None or body.kind == EntryKind.DIRECTORY:
                raise damaged(
                    f"{shown(entry.path)} is a further name of {shown(target[1])}, which is no "
                    "file in it"
                )
            return msgspec.structs.replace(body, path=entry.path, link=self.firsts[target])
        if key in self.firsts:
            return msgspec.structs.replace(entry, link=self.firsts[key])
        if one.mark & LINKED:
            return msgspec.structs.replace(entry, link=entry.path)
        return entry


def damaged(why: str) -> DamageError:
    """Return the error for an archive that is not what it says, or cannot be a tree."""
    return DamageError(
        f"the archive is damaged: {why}", hint="Nothing was saved. Import another one."
    )


def shown(path: bytes) -> str:
    """Return a path for people."""
    return path.decode("utf-8", "backslashreplace")
