"""Snapshots by their times, and what a policy keeps of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from strongroom.policy.amounts import ALL, Duration
from strongroom.policy.candidates import Candidate, Group
from strongroom.policy.policy import Policy
from strongroom.policy.retention import Decision, decide

APP: Final = Group("main", "app")
SECOND: Final = 1_000_000_000
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR

EVERY_RULE: Final = {
    "last": "1",
    "hourly": "36h",
    "daily": "3",
    "weekly": "4",
    "monthly": "5",
    "quarterly": "6",
    "yearly": "all",
    "within": "1y5m",
    "within_hourly": "1h",
    "within_daily": "2h",
    "within_weekly": "3h",
    "within_monthly": "4h",
    "within_quarterly": "5h",
    "within_yearly": "6h",
    "days": "30",
    "minimum": "2",
}
EVERY_RULE_READ: Final = Policy(
    keep_last=1,
    keep_hourly=Duration(hours=36),
    keep_daily=3,
    keep_weekly=4,
    keep_monthly=5,
    keep_quarterly=6,
    keep_yearly=ALL,
    keep_within=Duration(years=1, months=5),
    keep_within_hourly=Duration(hours=1),
    keep_within_daily=Duration(hours=2),
    keep_within_weekly=Duration(hours=3),
    keep_within_monthly=Duration(hours=4),
    keep_within_quarterly=Duration(hours=5),
    keep_within_yearly=Duration(hours=6),
    days=30,
    minimum=2,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def ns(text: str, zone: tzinfo = UTC) -> int:
    """Read a time such as ``2026-11-22 14:30``; without a zone in it, it is one of ``zone``."""
    moment = datetime.fromisoformat(text)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return (aware.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000


def candidate(time: str, zone: tzinfo = UTC, /, **more: Any) -> Candidate:  # noqa: ANN401 - any field
    """Make a snapshot whose id is its time as it is written."""
    made = Candidate(id=time, group=APP, time_ns=ns(time, zone))
    return replace(made, **more)


def candidates(times: Iterable[str], zone: tzinfo = UTC) -> list[Candidate]:
    """Make snapshots by their times."""
    return [candidate(time, zone) for time in times]


def decisions(
    given: Iterable[Candidate], policy: Policy, *, now: str = "", zone: tzinfo = UTC
) -> list[Decision]:
    """Decide; the time of the decision is that of the newest snapshot if it is not said."""
    listed = list(given)
    now_ns = ns(now, zone) if now else max((one.time_ns for one in listed), default=0)
    return decide(listed, policy, now_ns, zone)


def kept(
    given: Iterable[Candidate], policy: Policy, *, now: str = "", zone: tzinfo = UTC
) -> list[str]:
    """Return the ids that stay, the newest first."""
    return [one.candidate.id for one in decisions(given, policy, now=now, zone=zone) if one.keep]


def reasons(given: Sequence[Decision]) -> dict[str, list[str]]:
    """Return why each that stays does."""
    return {one.candidate.id: list(one.reasons) for one in given if one.keep}
