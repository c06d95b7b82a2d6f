"""What is different between two entries of the same path, and what all differences come to."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from strongroom.model.entry import Entry, EntryKind
from strongroom.model.source import Problem
from strongroom.repository.findings import Finding


class Modifier(enum.Enum):
    """What happened to a path; the letters are those that people know."""

    ADDED = "+"
    REMOVED = "-"
    CONTENT = "M"
    METADATA = "U"


class Change(NamedTuple):
    """A path that is different. ``aspects``: which of its metadata are.

    ``details``: lines about what its content says otherwise, where that is known.
    """

    modifier: Modifier
    before: Entry | None
    after: Entry | None
    aspects: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    @property
    def entry(self) -> Entry:
        """The entry as it is now, or was before it went."""
        entry = self.after or self.before
        if entry is None:
            msg = "a change of nothing"
            raise ValueError(msg)
        return entry


@dataclass(slots=True)
class Tally:
    """How many entries, and the bytes of the files among them."""

    files: int = 0
    directories: int = 0
    others: int = 0
    bytes: int = 0

    def add(self, entry: Entry) -> None:
        """Count one."""
        if entry.kind == EntryKind.DIRECTORY:
            self.directories += 1
        elif entry.kind in {EntryKind.FILE, EntryKind.STREAM, EntryKind.RECORD}:
            self.files += 1
            self.bytes += entry.size
        else:
            self.others += 1


@dataclass(slots=True)
class DiffResult:
    """What the differences come to.

    ``damaged``: parts of snapshots that could not be read. ``problems``: what could not be looked
    at on the disk. What lies there is in no count.
    """

    added: Tally = field(default_factory=Tally)
    removed: Tally = field(default_factory=Tally)
    changed: int = 0
    metadata: int = 0
    damaged: list[Finding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, change: Change) -> None:
        """Count one."""
        if change.modifier is Modifier.ADDED:
            self.added.add(change.entry)
        elif change.modifier is Modifier.REMOVED:
            self.removed.add(change.entry)
        elif change.modifier is Modifier.CONTENT:
            self.changed += 1
        else:
            self.metadata += 1


def change_of(
    before: Entry | None, after: Entry | None, same_content: Callable[[Entry, Entry], bool]
) -> Change | None:
    """Say what is different; None if nothing is. ``same_content`` is asked for files."""
    if before is None or after is None:
        modifier = Modifier.ADDED if before is None else Modifier.REMOVED
        return Change(modifier, before, after)
    aspects = tuple(_aspects(before, after))
    if before.kind == after.kind and _differs(before, after, same_content):
        return Change(Modifier.CONTENT, before, after, aspects)
    return Change(Modifier.METADATA, before, after, aspects) if aspects else None


def _differs(before: Entry, after: Entry, same_content: Callable[[Entry, Entry], bool]) -> bool:
    if before.kind in {EntryKind.FILE, EntryKind.STREAM, EntryKind.RECORD}:
        return before.size != after.size or not same_content(before, after)
    return (before.target, before.rdev) != (after.target, after.rdev)


def _aspects(before: Entry, after: Entry) -> list[str]:
    differs = {
        "type": before.kind != after.kind,
        "mode": before.mode != after.mode,
        "owner": _owner(before) != _owner(after),
        "times": before.mtime_ns != after.mtime_ns,
        "xattrs": before.xattrs != after.xattrs,
        "links": before.link != after.link,
    }
    return [aspect for aspect, different in differs.items() if different]


def _owner(entry: Entry) -> tuple[object, ...]:
    return entry.uid, entry.gid, entry.user, entry.group
