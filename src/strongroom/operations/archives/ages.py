"""When an archive was made, and whether the last good one is recent enough. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, NamedTuple

from strongroom.archive.shelf import Shelved, State
from strongroom.operations.freshness import AHEAD_NS

_SECOND: Final = 1_000_000_000
_STAMP: Final = "%Y%m%d_%H%M%S"


def created_ns(one: Shelved) -> int:
    """Return when an archive was begun, nanoseconds since 1970.

    As its metadata says; without any, the local time in its name; 0 if that is no time.
    """
    if one.metadata is not None and one.metadata.created:
        with suppress(ValueError):
            return _ns(datetime.fromisoformat(one.metadata.created))
    with suppress(ValueError):
        return _ns(datetime.strptime(one.id.stamp, _STAMP).astimezone())
    return 0


def _ns(moment: datetime) -> int:
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * _SECOND + since.microseconds * 1000


class Freshness(NamedTuple):
    """``newest``: the last good archive; ``alert`` is empty if it is recent enough."""

    newest: Shelved | None
    age_ns: int
    alert: str


def freshness(listed: Sequence[Shelved], now_ns: int, most_ns: int, shown: str) -> Freshness:
    """Judge what is listed; ``shown``: how the longest age is called."""
    mine = [one for one in listed if not one.id.before_restore]
    good = [one for one in mine if one.state is State.GOOD]
    newest = max(good, key=created_ns, default=None)
    if newest is None:
        others = [one for one in mine if one.is_archive]
        if not others:
            return Freshness(None, 0, "No backups found")
        last = others[-1]
        why = last.why or last.state.value
        return Freshness(None, 0, f"No good backup found; the latest, {last.id}, is not: {why}")
    age = now_ns - created_ns(newest)
    if age < -AHEAD_NS:
        return Freshness(newest, age, f"{newest.id} is from the future; check the clock")
    alert = ""
    if age > most_ns:
        alert = f"the last good backup, {newest.id}, is older than {shown}"
        later = [one for one in mine if created_ns(one) > created_ns(newest)]
        if later:
            alert += f"; {later[-1].id} after it: {later[-1].why or later[-1].state.value}"
    return Freshness(newest, max(age, 0), alert)
