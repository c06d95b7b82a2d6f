"""Names of users and groups, each looked up once."""

from __future__ import annotations

import functools
import grp
import pwd
from collections.abc import Callable

NameOf = Callable[[int], bytes]


def user_name(uid: int) -> bytes:
    """Return the name of a user of this machine, empty if there is none."""
    try:
        return pwd.getpwuid(uid).pw_name.encode("utf-8", "surrogateescape")
    except (KeyError, OSError):
        return b""


def group_name(gid: int) -> bytes:
    """Return the name of a group of this machine, empty if there is none."""
    try:
        return grp.getgrgid(gid).gr_name.encode("utf-8", "surrogateescape")
    except (KeyError, OSError):
        return b""


class Owners:
    """The names of the owners that a walk meets; empty where there is none."""

    def __init__(self, user: NameOf = user_name, group: NameOf = group_name) -> None:
        self.user: NameOf = functools.cache(user)
        self.group: NameOf = functools.cache(group)
