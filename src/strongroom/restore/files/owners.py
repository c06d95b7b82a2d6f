"""Who restored things belong to on this machine."""

from __future__ import annotations

import functools
import grp
import pwd
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Ownership = Literal["name", "number", "skip"]
IdOf = Callable[[bytes], int | None]

_UNCHANGED: Final = (1 << 32) - 1  # what the kernel takes as "leave it"
ANY: Final = b"*"
_NUMBER: Final = re.compile(rb"\+?([0-9]{1,10})")


@dataclass(frozen=True, slots=True)
class OwnerMap:
    """Numbers that owners get: by name, by number as they were saved, and all others (``*``)."""

    names: Mapping[bytes, int] = field(default_factory=dict)
    numbers: Mapping[int, int] = field(default_factory=dict)
    others: int | None = None

    def find(self, number: int, name: bytes) -> int | None:
        """Return what an owner becomes; None if nothing was said of it."""
        found = self.names.get(name) if name else None
        if found is None:
            found = self.numbers.get(number)
        return self.others if found is None else found


def owner_map(pairs: Iterable[tuple[bytes, bytes]], id_of: IdOf) -> OwnerMap:
    """Make a map of pairs (old, new): names, numbers (also as ``+7``), and ``*`` for all others.

    The first pair for an owner counts. ``ValueError`` names a new owner that is not here.
    """
    names: dict[bytes, int] = {}
    numbers: dict[int, int] = {}
    others: int | None = None
    for old, new in pairs:
        to = _number(new)
        if to is None:
            to = id_of(new)
        if to is None or not 0 <= to < _UNCHANGED:
            raise ValueError(new.decode("utf-8", "backslashreplace"))
        number = _number(old)
        if old == ANY:
            others = to if others is None else others
        elif number is not None:
            numbers.setdefault(number, to)
        else:
            names.setdefault(old, to)
    return OwnerMap(names, numbers, others)


def _number(text: bytes) -> int | None:
    match = _NUMBER.fullmatch(text)
    return int(match[1]) if match else None


def user_id(name: bytes) -> int | None:
    """Return the number of a user of this machine."""
    try:
        return pwd.getpwnam(name.decode("utf-8", "surrogateescape")).pw_uid
    except (KeyError, OSError, ValueError):
        return None


def group_id(name: bytes) -> int | None:
    """Return the number of a group of this machine."""
    try:
        return grp.getgrnam(name.decode("utf-8", "surrogateescape")).gr_gid
    except (KeyError, OSError, ValueError):
        return None


NO_MAP: Final = OwnerMap()


class Owners:
    """Decides owners: as a map says, by name where the name exists here, else by number."""

    def __init__(
        self,
        ownership: Ownership = "name",
        user: IdOf = user_id,
        group: IdOf = group_id,
        *,
        users: OwnerMap = NO_MAP,
        groups: OwnerMap = NO_MAP,
    ) -> None:
        self.ownership = ownership
        self._users = users
        self._groups = groups
        self._user = functools.lru_cache(maxsize=10_000)(user)
        self._group = functools.lru_cache(maxsize=10_000)(group)

    def of(self, uid: int, gid: int, user: bytes, group: bytes) -> tuple[int, int] | None:
        """Return user and group number; None if they are not to be set, or are none."""
        if self.ownership == "skip":
            return None
        new_uid = self._users.find(uid, user)
        new_gid = self._groups.find(gid, group)
        if self.ownership == "name":
            new_uid = self._user(user) if new_uid is None and user else new_uid
            new_gid = self._group(group) if new_gid is None and group else new_gid
        uid = uid if new_uid is None else new_uid
        gid = gid if new_gid is None else new_gid
        valid = 0 <= uid < _UNCHANGED and 0 <= gid < _UNCHANGED
        return (uid, gid) if valid else None
