"""Hosts that do everything at once, in orders that a seed repeats; see ``schedules``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.schedules import Schedule, run_schedules

pytestmark = pytest.mark.spec("B1", "B2", "B4")

PARTS, SCHEDULES = 6, 50
QUICK_PARTS = 2  # what the others add takes minutes


@pytest.mark.parametrize(
    "part",
    [
        *range(QUICK_PARTS),
        *(pytest.param(part, marks=pytest.mark.slow) for part in range(QUICK_PARTS, PARTS)),
    ],
)
def test_whatever_happens_at_once_loses_nothing_and_leaves_nothing(
    part: int, tmp_path: Path
) -> None:
    """Writers, collectors, forgets, holds, un-forgets and restores, some of them stopped for ever
    or asleep for days: all that was acknowledged and is wanted restores, verify finds no damage,
    and two collections leave only what is referenced.
    """
    tally = run_schedules(range(part * SCHEDULES, (part + 1) * SCHEDULES), tmp_path)
    assert tally.schedules == SCHEDULES
    assert len(tally.traces) == SCHEDULES, "schedules repeat each other"
    assert tally.outcomes["writer done"] > SCHEDULES / 2
    assert tally.outcomes["collector done"] > SCHEDULES / 2
    assert tally.killed > 0
    assert tally.slept > 0
    assert tally.network > 0


@pytest.mark.parametrize("seed", range(5))
def test_a_seed_repeats_its_schedule(seed: int, tmp_path: Path) -> None:
    """The same seed makes the same processes do the same in the same order.

    Packs, and what names them, get other names each time: what seals keys has its own randomness.
    """
    traces = []
    for number in range(2):
        schedule = Schedule(seed, tmp_path / str(number))
        schedule.run()
        traces.append([line.partition("/")[0] for line in schedule.trace])
    assert traces[0] == traces[1]
