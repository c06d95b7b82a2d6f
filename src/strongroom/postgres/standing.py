"""Databases beside another one: being filled, ready, put aside. Their names say what they are.

A restore fills ``app__restore_TIME``, which becomes ``app__ready_TIME`` when all of it is there and
was counted, and ``app`` when it takes the place of the old one, which is ``app__before_TIME`` then,
and after an undo the restored one is ``app__undone_TIME``. So the names are the journal: a server
renames in one transaction, and whoever was killed is finished by looking.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from enum import Enum
from typing import Final, NamedTuple

from strongroom.clock import as_utc

_MOST_BYTES: Final = 63  # NAMEDATALEN - 1
_LONGEST: Final = len("__restore_20261231_235959")
_DIGITS: Final = 8
_NAME: Final = re.compile(r"__(restore|ready|before|undone)_([0-9]{8}_[0-9]{6})\Z")
_A_SECOND: Final = 1_000_000_000


class Part(Enum):
    """What a database is that stands beside another."""

    FILLING = "restore"
    READY = "ready"
    BEFORE = "before"
    UNDONE = "undone"


class Standing(NamedTuple):
    """A database beside another: when the restore began that it comes from."""

    stamp: str
    part: Part
    name: str


def beside(database: str, part: Part, stamp: str) -> str:
    """Return the name of a database beside another; what is too long gets a hash."""
    base = database
    if len(_bytes(base)) > _MOST_BYTES - _LONGEST:
        digits = hashlib.sha256(_bytes(database)).hexdigest()[:_DIGITS]
        while len(_bytes(base)) > _MOST_BYTES - _LONGEST - _DIGITS - 1:
            base = base[:-1]
        base = f"{base}_{digits}"
    return f"{base}__{part.value}_{stamp}"


def standing(names: Iterable[str], database: str) -> list[Standing]:
    """Return what stands beside a database, oldest first."""
    found = []
    for name in names:
        match = _NAME.search(name)
        if match is not None:
            part, stamp = Part(match[1]), match[2]
            if name == beside(database, part, stamp):
                found.append(Standing(stamp, part, name))
    return sorted(found, key=lambda one: (one.stamp, one.name))


def free_stamp(names: Collection[str], database: str, now_ns: int) -> str:
    """Return the time as names have it, a later one if a name with it is there."""
    while True:
        stamp = as_utc(now_ns).strftime("%Y%m%d_%H%M%S")
        if not any(beside(database, part, stamp) in names for part in Part):
            return stamp
        now_ns += _A_SECOND


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
