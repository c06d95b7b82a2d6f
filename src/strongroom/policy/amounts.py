"""How much to keep, as people write it: a number of something, or a length of time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from strongroom.errors import UsageError

ALL: Final = -1
"""The count of a rule without an end."""

_COUNT: Final = re.compile(r"[0-9]{1,9}")
_PART: Final = re.compile(r"([0-9]{1,9})([ymwdh])")
_FIELDS: Final = {"y": "years", "m": "months", "w": "weeks", "d": "days", "h": "hours"}
_NO_END: Final = frozenset({"all", "unlimited", str(ALL)})
_FORM: Final = "numbers, not all 0, each with y, m (months), w, d or h: 30d, 6w, 2y5m7d3h"


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time by the calendar: a month is as long as the one that it goes back over."""

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0
    hours: int = 0

    def __str__(self) -> str:
        """The form that ``parse_duration`` reads."""
        return "".join(
            f"{getattr(self, field)}{unit}"
            for unit, field in _FIELDS.items()
            if getattr(self, field)
        )


Amount = int | Duration
"""A count (0: none, ``ALL``: without end), or how far back."""


def parse_duration(text: str, what: str) -> Duration:
    """Read ``30d``, ``6w`` or ``2y5m7d3h``; UsageError names ``what`` it is for.

    Each unit stands once, in any order. Capitals are refused: to some programs ``M`` is minutes.
    """
    found = _duration(text)
    if found is None:
        raise UsageError(
            f"{what} {text!r} is no length of time",
            hint=f"Give {_FORM}.",
        )
    return found


def parse_amount(text: str, what: str) -> Amount:
    """Read a count, ``all`` (or ``unlimited``, or -1), or a duration; UsageError as above."""
    stripped = text.strip()
    if stripped in _NO_END:
        return ALL
    if _COUNT.fullmatch(stripped):
        return int(stripped)
    found = _duration(text)
    if found is None:
        raise UsageError(
            f"{what} {text!r} is neither a count nor a length of time",
            hint=f"Give a count such as 7, or 'all', or {_FORM}.",
        )
    return found


def parse_whole(text: str, what: str) -> int:
    """Read a whole number, 1 or more; UsageError as above."""
    stripped = text.strip()
    if not _COUNT.fullmatch(stripped) or not int(stripped):
        raise UsageError(
            f"{what} {text!r} is not a whole number of 1 or more",
            hint="Give one such as 30.",
        )
    return int(stripped)


def _duration(text: str) -> Duration | None:
    rest = text.strip()
    fields: dict[str, int] = {}
    while match := _PART.match(rest):
        if _FIELDS[match[2]] in fields:
            return None
        fields[_FIELDS[match[2]]] = int(match[1])
        rest = rest[match.end() :]
    return Duration(**fields) if not rest and any(fields.values()) else None
