"""Places in the WAL: numbers, as people write them, and the names of segments.

A segment's name is timeline, and number in two halves, each eight digits of base 16
(``XLogFileName`` in xlog_internal.h); a place is written ``X/X``.
"""

from __future__ import annotations

import re
from typing import Final

from strongroom.errors import UsageError

_LSN: Final = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")
_HALF: Final = 1 << 32


def parse_lsn(text: str) -> int:
    """Read a place; ``UsageError`` if it is none."""
    found = _LSN.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no LSN", hint="It looks like 0/3000148.")
    return (int(found[1], 16) << 32) | int(found[2], 16)


def shown_lsn(lsn: int) -> str:
    """Write a place as PostgreSQL does."""
    return f"{lsn // _HALF:X}/{lsn % _HALF:X}"


def segment_name(timeline: int, number: int, segment_size: int) -> str:
    """Return the name of a segment; ``number`` counts from 0."""
    halves = divmod(number, _HALF // segment_size)
    return f"{timeline:08X}{halves[0]:08X}{halves[1]:08X}"


def segment_at(lsn: int, segment_size: int) -> int:
    """Return the number of the segment that holds the byte at a place."""
    return lsn // segment_size


def segment_before(lsn: int, segment_size: int) -> int:
    """Return the number of the segment that holds the byte before a place, which is an end."""
    return (lsn - 1) // segment_size
