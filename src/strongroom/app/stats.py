"""What the repository that the settings name holds and takes."""

from __future__ import annotations

from dataclasses import dataclass

from strongroom.app.choosing import Chosen, choice_of
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.operations.choosing import choose
from strongroom.operations.stats import Stats
from strongroom.operations.stats import stats as add_up

__all__ = ["Chosen", "Stats", "StatsReport", "stats"]


@dataclass(frozen=True, slots=True)
class StatsReport:
    """The numbers; ``unreadable`` counts commits that are in none of them."""

    stats: Stats
    unreadable: int


def stats(run: Run, chosen: Chosen) -> StatsReport:
    """Add up the snapshots that are meant."""
    with opened_repository(run) as opened:
        listing = opened.repository.list_snapshots()
        snapshots = choose(listing.found, choice_of(run, chosen))
        return StatsReport(add_up(opened.repository, snapshots), listing.unreadable)
