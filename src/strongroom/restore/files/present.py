"""What is in the target before a restore, and what of it stays.

There is no record of an earlier restore. A file is taken for right by its kind, size, time of
change and attributes: a restore sets the time last, so one that was cut short has another.
``--verify`` reads the bytes as well.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from typing import Final

from strongroom.model.entry import Entry, EntryKind
from strongroom.model.fs import Stat
from strongroom.restore.files.attributes import ACCESS_LIST, PERMISSIONS, Attributes, Ground, Plan
from strongroom.restore.files.links import Member
from strongroom.restore.files.making import SPECIAL_TYPES
from strongroom.restore.files.naming import Overwrite
from strongroom.restore.files.things import OpenThing
from strongroom.restore.files.tools import FAILED, Tools

Xattrs = Sequence[tuple[bytes, bytes]]

TYPES: Final = {
    EntryKind.FILE: stat.S_IFREG,
    EntryKind.STREAM: stat.S_IFREG,
    EntryKind.RECORD: stat.S_IFREG,
    EntryKind.DIRECTORY: stat.S_IFDIR,
    EntryKind.SYMLINK: stat.S_IFLNK,
    **SPECIAL_TYPES,
}
DEVICES: Final = frozenset({EntryKind.CHARACTER_DEVICE, EntryKind.BLOCK_DEVICE})
_ANY_GROUND: Final = Ground(None, PERMISSIONS, inherits=True)  # its plans name every attribute
_READ: Final = os.O_RDONLY | os.O_NONBLOCK
_LABELS: Final = b"security."  # set by the system itself, but for capabilities
_CAPABILITY: Final = b"security.capability"


class Present:
    """Decides what stays; safe in any thread. ``kept`` counts it, ``left`` are paths left alone."""

    def __init__(self, tools: Tools, overwrite: Overwrite | None) -> None:
        self._tools = tools
        self._overwrite = overwrite
        self._lock = Lock()
        self._inodes: set[tuple[int, int]] = set()
        self.kept = 0
        self.left: set[bytes] = set()

    def is_left(self, member: Member) -> bool:
        """Whether something is there that must stay, whatever it is (``never``)."""
        if self._overwrite != "never" or self._stat(member) is None:
            return False
        self.left.add(member.entry.path)
        self._keep()
        return True

    def is_right(self, member: Member) -> bool:
        """Whether what is there is what would be restored (``if-changed``).

        Attributes that differ are set on the spot; what has other names is restored anew for that,
        since they may lie outside the target.
        """
        if self._overwrite != "if-changed":
            return False
        found = self._stat(member)
        if found is None or not self._holds(found, member):
            return False
        self._keep()
        return True

    def is_linked(self, first: Member, member: Member) -> bool:
        """Whether a name is one of the file already that it would be linked to."""
        if self._overwrite != "if-changed":
            return False
        found, wanted = self._stat(member), self._stat(first)
        if found is None or wanted is None or _identity(found) != _identity(wanted):
            return False
        self._keep()
        return True

    def _keep(self) -> None:
        with self._lock:
            self.kept += 1

    def _stat(self, member: Member) -> Stat | None:
        """Look; where that fails, so will what follows, and report it."""
        if member.place.is_new:
            return None
        with suppress(OSError), self._tools.directories.use(member.place.directory) as dir_fd:
            return self._tools.fs.stat(member.name, dir_fd=dir_fd)
        return None

    def _holds(self, found: Stat, member: Member) -> bool:
        entry, place, name = member
        try:
            if not same_content(found, entry) or not self._has_own_links(found, entry):
                return False
            plan = plan_of(self._tools.attributes, entry)
            with self._tools.directories.use(place.directory) as dir_fd:
                fs = self._tools.fs
                if entry.kind == EntryKind.SYMLINK:
                    target = fs.readlink(name, dir_fd=dir_fd)
                    if target != entry.target:
                        return False
                xattrs = fs.xattrs_at(name, dir_fd=dir_fd)
                if same_attributes(found, xattrs, entry, plan):
                    self._count_shortfalls(entry, plan)
                    return True
                if found.links > 1 or not stat.S_ISREG(found.mode):
                    return False
                return self._dress(found, xattrs, member, plan, dir_fd)
        except FAILED:
            return False  # it is restored anew, which says so if that fails as well

    def _has_own_links(self, found: Stat, entry: Entry) -> bool:
        """Whether no other group of hard links than that of the entry has the same inode."""
        if found.links == 1:
            return True
        with self._lock:
            known = _identity(found) in self._inodes
            self._inodes.add(_identity(found))
        return bool(entry.link) and not known

    def _dress(self, found: Stat, xattrs: Xattrs, member: Member, plan: Plan, dir_fd: int) -> bool:
        """Set the attributes of a file whose content is right."""
        extra = {name for name, _ in foreign(xattrs, member.entry)}
        if extra - {ACCESS_LIST}:
            return False  # they cannot be taken away
        fs = self._tools.fs
        fd = fs.open(member.name, _READ, dir_fd=dir_fd)
        try:
            if fs.fstat(fd) != found:
                return False
            thing = OpenThing(fs, fd, member.entry.path)
            self._tools.attributes.apply(thing, member.entry, plan, inherits=bool(extra))
        finally:
            fs.close(fd)
        return True

    def _count_shortfalls(self, entry: Entry, plan: Plan) -> None:
        for what, reason in plan.short:
            self._tools.shortfalls.add(what, entry.path, reason)


def plan_of(attributes: Attributes, entry: Entry) -> Plan:
    """Decide what an entry has to look like, wherever it is."""
    plan = attributes.plan(entry, _ANY_GROUND)
    return plan._replace(mode=None) if entry.kind == EntryKind.SYMLINK else plan


def same_content(found: Stat, entry: Entry) -> bool:
    """Whether kind, size, time of change and device are those of an entry."""
    kind = EntryKind(entry.kind)
    return (
        stat.S_IFMT(found.mode) == TYPES[kind]
        and found.mtime_ns == entry.mtime_ns
        and (TYPES[kind] != stat.S_IFREG or found.size == entry.size)
        and (kind not in DEVICES or found.rdev == os.makedev(*entry.rdev))
    )


def same_attributes(found: Stat, xattrs: Xattrs, entry: Entry, plan: Plan) -> bool:
    """Whether owner, mode and extended attributes are what a plan makes of an entry."""
    return (
        (plan.owner is None or plan.owner == (found.uid, found.gid))
        and (plan.mode is None or plan.mode == stat.S_IMODE(found.mode))
        and set(entry.xattrs) <= set(xattrs)
        and not foreign(xattrs, entry)
    )


def foreign(xattrs: Xattrs, entry: Entry) -> Xattrs:
    """Return the attributes that an entry does not have and the system did not set by itself."""
    own = {name for name, _ in entry.xattrs}
    return [(name, value) for name, value in without_labels(xattrs) if name not in own]


def without_labels(xattrs: Xattrs) -> Xattrs:
    """Return the attributes that the system did not set by itself."""
    return [
        (name, value)
        for name, value in xattrs
        if name == _CAPABILITY or not name.startswith(_LABELS)
    ]


def _identity(found: Stat) -> tuple[int, int]:
    return found.device, found.inode
