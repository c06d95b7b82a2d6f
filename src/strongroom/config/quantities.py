"""Sizes and lengths of time as people write them."""

from __future__ import annotations

import re
from typing import Final

from strongroom.errors import UsageError

_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?)(?:i?B)?", re.IGNORECASE)
_SPAN: Final = re.compile(r"([0-9]{1,9}) ?([smhdw]?)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNITS: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_rate(text: str, what: str) -> int:
    """Read ``500K`` or ``20M/s`` as bytes per second; UsageError names ``what`` it is for."""
    return parse_size(text.strip().removesuffix("/s"), what)


def parse_size(text: str, what: str) -> int:
    """Read ``1500``, ``100M`` or ``1.5GiB`` as bytes; a unit is a power of 1,024.

    UsageError names ``what`` the size is for.
    """
    match = _SIZE.fullmatch(text.strip())
    size = int(float(match[1]) * _UNITS[match[2].upper()]) if match else 0
    if size < 1:
        raise UsageError(
            f"{what} {text!r} is no size",
            hint="Give a number of bytes, 1 or more, or one with K, M, G or T: 1500, 100M, 1.5G.",
        )
    return size


def parse_seconds(text: str, what: str) -> int:
    """Read ``90s``, ``10m``, ``24h``, ``7d`` or ``2w`` as seconds; ``0`` needs no unit.

    UsageError names ``what`` the time is for.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None or (not match[2] and int(match[1])):
        raise UsageError(
            f"{what} {text!r} is no length of time",
            hint="Give a number with s, m (minutes), h, d or w: 90s, 10m, 24h, 7d.",
        )
    return int(match[1]) * _SECONDS[match[2] or "s"]
