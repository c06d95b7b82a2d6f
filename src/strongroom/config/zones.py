"""Time zones: by their name, or that of this machine."""

from __future__ import annotations

import difflib
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final

from strongroom.config.environment import TZ
from strongroom.config.values import Value
from strongroom.errors import UsageError

_LOCAL: Final = Path("/etc/localtime")
_UNKNOWN: Final = (KeyError, ValueError, OSError)  # no such name, no name at all, a folder of names


def parse_zone(text: str, what: str) -> tzinfo:
    """Read a name such as Europe/London; UsageError names ``what`` it is for, and the nearest."""
    if text == "UTC":
        return UTC  # needs no file
    from zoneinfo import ZoneInfo, available_timezones  # noqa: PLC0415 - few commands need zones

    try:
        return ZoneInfo(text)
    except _UNKNOWN as error:
        near = difflib.get_close_matches(text, available_timezones(), n=1)
        guess = f"Did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"{what} {text!r} is no known time zone",
            hint=f"{guess}Give a name such as Europe/London, or UTC.",
        ) from error


def local_zone(named: Value[str] | None, local: Path = _LOCAL) -> tzinfo:
    """Return the zone of this machine: what TZ names, else its ``localtime``, else UTC.

    UsageError for a TZ that names nothing, or a file that is no zone.
    """
    name = None if named is None else named.value.removeprefix(":")
    if name is not None and not name.startswith("/"):
        return parse_zone(name, TZ)
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - as above

    path = local if name is None else Path(name)
    try:
        with path.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (ValueError, OSError) as error:
        if name is None and isinstance(error, FileNotFoundError):
            return UTC
        raise UsageError(
            f"{path} cannot be read as a time zone",
            hint="Say which one it is: timezone = 'Europe/London' below [retention].",
        ) from error
