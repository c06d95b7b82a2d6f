"""Snapshots by their times, and what a policy keeps of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from strongroom.policy.candidates import Candidate, Group
from strongroom.policy.policy import Policy
from strongroom.policy.retention import Decision, decide

APP: Final = Group("main", "app")
SECOND: Final = 1_000_000_000
HOUR: Final = 3600 * SECOND
DAY: Final = 24 * HOUR
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
