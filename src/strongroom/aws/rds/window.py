"""Which moments can be reached by AWS's own backups. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from strongroom.errors import NotFoundError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000_000


class Window(NamedTuple):
    """From when to when one set of automated backups reaches; nanoseconds since 1970.

    ``live``: the instance or cluster that they are of is still there. ``resource``: its id.
    """

    resource: str
    live: bool
    earliest_ns: int
    latest_ns: int

    def holds(self, moment_ns: int) -> bool:
        """Whether a moment can be reached."""
        return self.earliest_ns <= moment_ns <= self.latest_ns


def nanoseconds(moment: datetime) -> int:
    """Return a moment of AWS's as nanoseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def whole_second(moment_ns: int) -> int:
    """Return the second that a moment is in: AWS knows no less."""
    return moment_ns // _SECOND * _SECOND


def as_aws(moment_ns: int) -> datetime:
    """Return a moment as AWS takes it."""
    return _EPOCH + timedelta(seconds=moment_ns // _SECOND)


def windows_of(backups: Sequence[dict[str, Any]], resource_key: str) -> list[Window]:
    """Read what ``DescribeDB…AutomatedBackups`` says, that of the live one first."""
    found = []
    for one in backups:
        window = one.get("RestoreWindow") or {}
        earliest, latest = window.get("EarliestTime"), window.get("LatestTime")
        if earliest is None or latest is None:
            continue  # just begun, nothing can be reached yet
        live = one.get("Status") == "active"
        found.append(
            Window(one.get(resource_key, ""), live, nanoseconds(earliest), nanoseconds(latest))
        )
    return sorted(found, key=lambda window: (not window.live, -window.latest_ns))


def chosen(
    windows: Sequence[Window], moment_ns: int | None, name: str, shown: Sequence[str]
) -> Window:
    """Return the backups from which a moment can be reached; None: the latest there is.

    ``shown``: each window in words. ``NotFoundError`` names what can be reached instead.
    """
    if not windows:
        raise NotFoundError(
            f"AWS has no automated backups of {name}, so no moment can be reached",
            hint="A backup retention of 0 turns them off, and they go with an instance unless they "
            "are retained. 'strongroom rds status' lists snapshots, 'strongroom restore "
            "--database' brings back a dump.",
        )
    fitting = [one for one in windows if moment_ns is None or one.holds(moment_ns)]
    if not fitting:
        raise NotFoundError(
            f"this moment of {name} cannot be reached",
            hint=f"These can: {'; '.join(shown)}. The end moves on every five minutes or so.",
        )
    return fitting[0]
