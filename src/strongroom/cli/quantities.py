"""Sizes, counts and times for people."""

from __future__ import annotations

from typing import Final

from strongroom.clock import as_utc

_KILO: Final = 1000
_UNITS: Final = ("kB", "MB", "GB", "TB", "PB")
_MINUTE: Final = 60
_HOUR: Final = 3600


def size(count: int) -> str:
    """Return bytes in decimal units with one decimal."""
    if count < _KILO:
        return "1 byte" if count == 1 else f"{count} bytes"
    value, unit = count / _KILO, 0
    while round(value, 1) >= _KILO and unit < len(_UNITS) - 1:
        value, unit = value / _KILO, unit + 1
    return f"{value:.1f} {_UNITS[unit]}"


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number and what it counts."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """Return a duration: ``1.9 s``, ``3 m 12 s``, ``2 h 05 m``."""
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} m {whole % _MINUTE:02} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} m"


def moment(ns: int) -> str:
    """Return a time in the zone of this machine, with its offset."""
    return as_utc(ns).astimezone().isoformat(sep=" ", timespec="seconds")
