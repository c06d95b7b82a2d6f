"""Change tokens: whether a thing may have changed since it was captured."""

from __future__ import annotations

import struct
from typing import Final

from strongroom.model.fs import Stat

_FIELDS: Final = struct.Struct("<IQQQIIqqqQ")
_WRAP: Final = (1 << 63) - 1
_SECOND: Final = 1_000_000_000
RACY_NS: Final = 50_000_000
RACY_WHOLE_SECONDS_NS: Final = 2 * _SECOND


def token_of(found: Stat, link: bytes) -> bytes:
    """Pack what changes whenever the thing, its attributes or the first name of its links do."""
    try:
        return _FIELDS.pack(*found[:10]) + link
    except struct.error:  # a time beyond the year 2262
        return _FIELDS.pack(*(field & _WRAP for field in found[:10])) + link


def settled(found: Stat, began_ns: int) -> bool:
    """Whether a later change must show in the token.

    A file system stamps changes with a clock that moves in steps. A change just after the capture
    could carry the same time, so a thing whose time is this young has to be captured again.
    """
    whole_seconds = found.ctime_ns % _SECOND == 0
    least_age = RACY_WHOLE_SECONDS_NS if whole_seconds else RACY_NS
    return found.ctime_ns + least_age <= began_ns
