"""Who restored things belong to on this machine."""

from __future__ import annotations

import functools
import grp
import pwd
from collections.abc import Callable
from typing import Final, Literal

Ownership = Literal["name", "number", "skip"]
IdOf = Callable[[bytes], int | None]

_UNCHANGED: Final = (1 << 32) - 1  # what the kernel takes as "leave it"


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


class Owners:
    """Decides owners: by name where the name exists here, else by number."""

    def __init__(
        self, ownership: Ownership = "name", user: IdOf = user_id, group: IdOf = group_id
    ) -> None:
        self.ownership = ownership
        self._user = functools.lru_cache(maxsize=10_000)(user)
        self._group = functools.lru_cache(maxsize=10_000)(group)

    def of(self, uid: int, gid: int, user: bytes, group: bytes) -> tuple[int, int] | None:
        """Return user and group number; None if they are not to be set, or are none."""
        if self.ownership == "skip":
            return None
        if self.ownership == "name":
            here = self._user(user) if user else None
            uid = uid if here is None else here
            here = self._group(group) if group else None
            gid = gid if here is None else here
        valid = 0 <= uid < _UNCHANGED and 0 <= gid < _UNCHANGED
        return (uid, gid) if valid else None
