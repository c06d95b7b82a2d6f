"""Whether the last good archive is recent enough. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from strongroom.archive.shelf import Shelved, State
from strongroom.operations.freshness import AHEAD_NS

_created_ns: Final = attrgetter("created_ns")


class Freshness(NamedTuple):
    """``newest``: the last good archive; ``alert`` is empty if it is recent enough."""

    newest: Shelved | None
    age_ns: int
    alert: str


def freshness(listed: Sequence[Shelved], now_ns: int, most_ns: int, shown: str) -> Freshness:
    """Judge what is listed; ``shown``: how the longest age is called."""
    mine = [one for one in listed if not one.id.before_restore]
    good = [one for one in mine if one.state is State.GOOD]
    newest = max(good, key=_created_ns, default=None)
    if newest is None:
        others = [one for one in mine if one.is_archive]
        if not others:
            return Freshness(None, 0, "No backups found")
        last = others[-1]
        why = last.why or last.state.value
        return Freshness(None, 0, f"No good backup found; the latest, {last.id}, is not: {why}")
    age = now_ns - newest.created_ns
    if age < -AHEAD_NS:
        return Freshness(newest, age, f"{newest.id} is from the future; check the clock")
    alert = ""
    if age > most_ns:
        alert = f"the last good backup, {newest.id}, is older than {shown}"
        later = [one for one in mine if one.created_ns > newest.created_ns]
        if later:
            alert += f"; {later[-1].id} after it: {later[-1].why or later[-1].state.value}"
    return Freshness(newest, max(age, 0), alert)
