"""The calendar: in which hour, day, week, month, quarter or year of a zone a moment lies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from strongroom.clock import as_utc
from strongroom.policy.amounts import Duration
from strongroom.policy.policy import Period

HOUR_NS: Final = 3_600 * 1_000_000_000
BEGINNING_NS: Final = -(1 << 63)
"""Before every time that a snapshot can have."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def name_of(period: Period, ns: int, zone: tzinfo) -> str:
    """Return the name of the hour, day, … that a moment lies in; all of ``LAST`` have the same.

    An hour is named with its distance from UTC, so one that a change of clocks repeats is two: they
    are two hours of work. Weeks are those of ISO 8601, and belong to the year of their Thursday.
    """
    return _NAMES[period](as_utc(ns).astimezone(zone))


def _hour(local: datetime) -> str:
    text = local.isoformat(sep=" ", timespec="minutes")
    return f"{text[:14]}00{text[16:]}"


def _week(local: datetime) -> str:
    week = local.isocalendar()
    return f"{week.year}-W{week.week:02}"


_NAMES: Final[dict[Period, Callable[[datetime], str]]] = {
    Period.LAST: lambda _: "",
    Period.HOURLY: _hour,
    Period.DAILY: lambda local: f"{local:%Y-%m-%d}",
    Period.WEEKLY: _week,
    Period.MONTHLY: lambda local: f"{local:%Y-%m}",
    Period.QUARTERLY: lambda local: f"{local.year}-Q{(local.month + 2) // 3}",
    Period.YEARLY: lambda local: f"{local.year}",
}


def before(ns: int, duration: Duration, zone: tzinfo) -> int:
    """Return the moment that lies a duration before another one, in nanoseconds.

    Years to days go back by calendar and clock of the zone, to the last day of a month that is too
    short and to the first of two moments of one name; hours are hours. What lies before all
    time is ``BEGINNING_NS``.
    """
    moment = ns
    if duration.years or duration.months or duration.weeks or duration.days:
        try:
            back = _months_before(
                as_utc(ns).astimezone(zone), 12 * duration.years + duration.months
            ) - timedelta(weeks=duration.weeks, days=duration.days)
            moment = (back.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000
        except (ValueError, OverflowError):
            return BEGINNING_NS
    return max(moment - duration.hours * HOUR_NS, BEGINNING_NS)


def _months_before(local: datetime, months: int) -> datetime:
    year, month = divmod(12 * local.year + local.month - 1 - months, 12)
    next_year, next_month = divmod(12 * year + month + 1, 12)
    last = date(next_year, next_month + 1, 1) - timedelta(days=1)
    return local.replace(year=year, month=month + 1, day=min(local.day, last.day))
