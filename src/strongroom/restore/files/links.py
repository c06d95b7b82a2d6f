"""Groups of hard links: who comes first, and who waits for it."""

from __future__ import annotations

import enum
from threading import Lock
from typing import NamedTuple

from strongroom.model.entry import Entry
from strongroom.restore.files.places import Place


class Claim(enum.Enum):
    """What is to be done with an entry that shares its inode with others."""

    OWN = "it is restored with its own content, and others are linked to it"
    WAIT = "it is linked as soon as the first of its group is there"
    LINK = "it can be linked at once"
    APART = "its content is not that of its group; it is restored alone"


class Member(NamedTuple):
    """An entry of a group, and where it belongs."""

    entry: Entry
    place: Place
    name: bytes


class _State(enum.Enum):
    WANTED = 1
    DONE = 2
    FAILED = 3


class _Group:
    __slots__ = ("first", "state", "waiting")

    def __init__(self, first: Member) -> None:
        self.first = first
        self.state = _State.WANTED
        self.waiting: list[Member] = []


class Links:
    """Every group of a restore by the path its entries name; safe in any thread.

    That path is only a key: nothing is ever opened by it. The first of a group that is restored
    brings the content, whichever it is, so that a part of a tree can be restored alone.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._groups: dict[bytes, _Group] = {}

    def claim(self, member: Member) -> tuple[Claim, Member]:
        """Decide about an entry with a ``link``; also return the first of its group."""
        key = member.entry.link
        with self._lock:
            group = self._groups.get(key)
            if group is None or group.state is _State.FAILED:
                self._groups[key] = _Group(member)
                return Claim.OWN, member
            first = group.first
            if _content(first.entry) != _content(member.entry):
                return Claim.APART, first
            if group.state is _State.DONE:
                return Claim.LINK, first
            group.waiting.append(member)
            return Claim.WAIT, first

    def done(self, entry: Entry) -> tuple[Member, list[Member]] | None:
        """Note that an entry is complete; return it as a member, and those that waited for it."""
        with self._lock:
            group = self._group_led_by(entry)
            if group is None:
                return None
            group.state = _State.DONE
            waiting, group.waiting = group.waiting, []
            return group.first, waiting

    def next_after(self, entry: Entry) -> Member | None:
        """Note that an entry could not be made; return one that waited and takes its part."""
        with self._lock:
            group = self._group_led_by(entry)
            if group is None:
                return None
            if group.waiting:
                group.first = group.waiting.pop(0)
                return group.first
            group.state = _State.FAILED
            return None

    def give_up(self, entry: Entry) -> list[Member]:
        """Note that the content of an entry cannot be had; return those that waited for it."""
        with self._lock:
            group = self._group_led_by(entry)
            if group is None:
                return []
            group.state = _State.FAILED
            waiting, group.waiting = group.waiting, []
            return waiting

    def left(self) -> list[Member]:
        """Return all who still wait, because the content of their group never came."""
        with self._lock:
            groups = list(self._groups.values())
            self._groups.clear()
        return [member for group in groups for member in group.waiting]

    def _group_led_by(self, entry: Entry) -> _Group | None:
        group = self._groups.get(entry.link) if entry.link else None
        return group if group is not None and group.first.entry.path == entry.path else None


def _content(entry: Entry) -> tuple[object, ...]:
    return entry.kind, entry.size, entry.content, entry.depth, entry.target, entry.rdev
