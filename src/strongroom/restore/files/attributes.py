"""Setting owner, mode, extended attributes and times, in the order that is safe.

The owner comes first, since changing it takes the set-user-id bit away; then the mode, then access
lists and capabilities, which a change of owner would remove; the time last, since all the others
change it. What cannot be set is counted and never stops a restore.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from strongroom.model.entry import Entry
from strongroom.restore.files.owners import Owners
from strongroom.restore.files.shortfalls import Shortfalls, reason_of

ACCESS_LIST: Final = b"system.posix_acl_access"
DEFAULT_LIST: Final = b"system.posix_acl_default"
NO_LIST: Final = struct.pack("<I", 2)  # an access list without entries: takes an inherited one away
PRIVATE_FILE: Final = 0o600
_SET_IDS: Final = 0o6000
PERMISSIONS: Final = 0o777
_MODE: Final = 0o7777
_MOST_PLANS: Final = 4096
_ACCESS: Final = "access list"
_SET_ID_BITS: Final = "set-user-id or set-group-id bit"
_OTHER_OWNER: Final = "it has another owner"
_FAILED = (OSError, ValueError, OverflowError)


class Ground(NamedTuple):
    """What a new file in a directory gets by itself.

    ``owner`` is None where that is not known; ``umask`` then has every bit. ``inherits``: the
    directory has a default access list, which new files would take over.
    """

    owner: tuple[int, int] | None
    umask: int
    inherits: bool


class Plan(NamedTuple):
    """How entries of one owner and mode are made on one ground.

    ``owner`` and ``mode`` are None where they are right from the beginning; ``short`` names what
    is known not to be possible, with the reason.
    """

    created_mode: int
    owner: tuple[int, int] | None
    mode: int | None
    short: tuple[tuple[str, str], ...]


class Thing(Protocol):
    """Something just restored, by descriptor or by name."""

    @property
    def path(self) -> bytes:
        """The path of its entry, for reports."""
        ...

    def chown(self, uid: int, gid: int) -> None:
        """Set the owner."""
        ...

    def chmod(self, mode: int) -> None:
        """Set the mode."""
        ...

    def set_xattr(self, name: bytes, value: bytes) -> None:
        """Set one extended attribute."""
        ...

    def utime(self, mtime_ns: int) -> None:
        """Set the time of the last change."""
        ...


class Attributes:
    """Decides and sets attributes; safe in any thread."""

    def __init__(self, owners: Owners, shortfalls: Shortfalls) -> None:
        self._owners = owners
        self._short = shortfalls
        self._refused: dict[tuple[int, int], str] = {}
        self._plans: dict[tuple[object, ...], Plan] = {}

    def plan(self, entry: Entry, ground: Ground) -> Plan:
        """Decide how a file is made; the same answer for the same owner, mode and ground."""
        key = (entry.mode, entry.uid, entry.gid, entry.user, entry.group, ground)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._decide(entry, ground)
        return plan

    def apply(self, thing: Thing, entry: Entry, plan: Plan, *, inherits: bool = False) -> None:
        """Set everything; what cannot be set is counted."""
        mode = plan.mode
        for what, reason in plan.short:
            self._short.add(what, thing.path, reason)
        if plan.owner is not None and not self._chown(thing, plan.owner) and mode is not None:
            mode = self._without_set_ids(mode, thing)
        if inherits:
            self._set(_ACCESS, thing, thing.set_xattr, ACCESS_LIST, NO_LIST)
        if mode is not None:
            self._set("mode", thing, thing.chmod, mode)
        for name, value in entry.xattrs:
            self._set(_named(name), thing, thing.set_xattr, name, value)
        self._set("time", thing, thing.utime, entry.mtime_ns)

    def _decide(self, entry: Entry, ground: Ground) -> Plan:
        mode = entry.mode & _MODE
        owner = self._owners.of(entry.uid, entry.gid, entry.user, entry.group)
        short = []
        is_right = owner is not None and owner == ground.owner
        if owner is None and self._owners.ownership != "skip":
            short.append(("owner", "no such number here"))
        elif owner in self._refused:
            short.append(("owner", self._refused[owner]))
            owner = None
        if owner is None and mode & _SET_IDS:
            short.append((_SET_ID_BITS, _OTHER_OWNER))
            mode &= ~_SET_IDS
        owner = None if is_right else owner
        by_itself = owner is None and mode <= PERMISSIONS and not mode & ground.umask
        if by_itself and not ground.inherits:
            return Plan(mode, None, None, tuple(short))
        return Plan(PRIVATE_FILE, owner, mode, tuple(short))

    def _chown(self, thing: Thing, owner: tuple[int, int]) -> bool:
        try:
            thing.chown(*owner)
        except _FAILED as error:
            reason = reason_of(error)
            if isinstance(error, PermissionError):
                self._refused[owner] = reason
                self._plans.clear()
            self._short.add("owner", thing.path, reason)
            return False
        return True

    def _without_set_ids(self, mode: int, thing: Thing) -> int:
        if mode & _SET_IDS:
            self._short.add(_SET_ID_BITS, thing.path, _OTHER_OWNER)
        return mode & ~_SET_IDS

    def _set(self, what: str, thing: Thing, call: Callable[..., None], *values: object) -> None:
        try:
            call(*values)
        except _FAILED as error:
            self._short.add(what, thing.path, reason_of(error))


def _named(name: bytes) -> str:
    return f"extended attribute {name.decode('utf-8', 'backslashreplace')}"
