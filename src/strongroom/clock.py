"""The one door to time: a ``Clock`` is injected wherever a time is read or waited for."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time, elapsed time and waiting."""

    def now_ns(self) -> int:
        """Wall time in nanoseconds since 1970 (UTC); it may jump, and decides nothing."""
        ...

    def elapsed(self) -> float:
        """Seconds of a monotonic clock with an arbitrary start."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now_ns(self) -> int:
        """See ``Clock``."""
        return time.time_ns()

    def elapsed(self) -> float:
        """See ``Clock``."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """See ``Clock``."""
        time.sleep(seconds)


class ManualClock:
    """A clock for tests: it stands still until somebody sleeps or moves it."""

    def __init__(self, start_ns: int = 1_700_000_000_000_000_000) -> None:
        self._now_ns = start_ns
        self._elapsed = 0.0

    def now_ns(self) -> int:
        """See ``Clock``."""
        return self._now_ns

    def elapsed(self) -> float:
        """See ``Clock``."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Move both times forward at once."""
        self._now_ns += int(seconds * 1_000_000_000)
        self._elapsed += seconds


def as_utc(ns: int) -> datetime:
    """Turn nanoseconds since 1970 into an aware UTC time; sub-microseconds are cut off."""
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).replace(
        microsecond=ns % 1_000_000_000 // 1000
    )


def rfc3339(ns: int) -> str:
    """Return the RFC 3339 form, in UTC with microseconds."""
    return as_utc(ns).isoformat(timespec="microseconds").replace("+00:00", "Z")


def utc_seconds(ns: int) -> str:
    """Return the RFC 3339 form, in UTC with whole seconds; what is less is cut off."""
    return as_utc(ns).isoformat(timespec="seconds").replace("+00:00", "Z")
