"""Moments as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from strongroom.errors import UsageError

_AGO: Final = re.compile(r"([0-9]{1,9}) ?(s|min|h|d|w)(?: ago)?")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNITS: Final = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SECOND: Final = 1_000_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_moment(text: str, what: str, now_ns: int, *, at_end: bool = False) -> int:
    """Read ``2026-11-22``, ``2026-11-22 14:30``, a time with a zone, or ``7d`` (ago); nanoseconds.

    Without a zone it is that of this machine. A day alone is its first moment, or its last if
    ``at_end``. UsageError names ``what`` it is for.
    """
    text = text.strip()
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now_ns - int(ago[1]) * _UNITS[ago[2]] * _SECOND
    try:
        moment = datetime.fromisoformat(text)
        day = _DAY.fullmatch(text) is not None
        if day and at_end:
            moment += timedelta(days=1)
        since = moment.astimezone(UTC) - _EPOCH
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{what} {text!r} is no time",
            hint="Write 2026-11-22, '2026-11-22 14:30', 2026-11-22T14:30Z, or 7d for a week ago.",
        ) from error
    ns = (since // timedelta(microseconds=1)) * 1000
    return ns - 1 if day and at_end else ns
