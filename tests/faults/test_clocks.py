"""Clocks that are wrong, jump and run backwards: they are shown, and decide nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from strongroom.clock import ManualClock, rfc3339
from strongroom.model.source import Item, Loaded
from strongroom.operations.listing import find_snapshot
from strongroom.storage.memory import MemoryStore
from tests.faults.workloads import Files
from tests.support.fakes import MemorySource
from tests.support.invariants import check_invariants
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B1")

YEAR = 365 * 86_400 * 1_000_000_000
HOUR = 3600 * 1_000_000_000
NOW = 1_700_000_000_000_000_000
JUMPS = {
    "ten years ahead, then back": (10 * YEAR, -10 * YEAR, 0, 0),
    "ten years back, then ahead": (-10 * YEAR, 10 * YEAR, 0, 0),
    "an hour back each time": (-HOUR, -HOUR, -HOUR, -HOUR),
    "to 1970": (-NOW, 1, 1, 1),
    "before 1970": (-NOW - 10 * YEAR, 20 * YEAR, -20 * YEAR, 0),
    "beyond 2038": (20 * YEAR, 0, -10 * YEAR, 0),
    "to 2200": (176 * YEAR, 0, 0, -176 * YEAR),
}
LATER = {b"srv/new": b"new\n"}


class JumpingClock(ManualClock):
    """Wall time can be set; elapsed time cannot, as with a real monotonic clock."""

    def jump(self, by_ns: int) -> None:
        """Set the wall time."""
        self._now_ns += by_ns


class _JumpsWhileRead(MemorySource):
    """Sets the clock while its files are read."""

    def __init__(self, files: Files, clock: JumpingClock, by_ns: int) -> None:
        super().__init__(files)
        self._clock = clock
        self._by_ns = by_ns

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``."""
        self._clock.jump(self._by_ns)
        return super().load(items)


def _kit(store: MemoryStore, state: Path) -> tuple[Kit, JumpingClock]:
    kit, clock = Kit(store, state), JumpingClock()
    kit.clock = clock
    return kit, clock


def _check(kit: Kit, acknowledged: dict[str, Files]) -> None:
    """Nothing is lost, and the listing has the order in which the backups were made."""
    listed = kit.snapshots()
    assert [snapshot.id for snapshot in listed] == list(acknowledged)
    assert find_snapshot(listed, "latest").id == list(acknowledged)[-1]
    for snapshot in listed:
        assert rfc3339(snapshot.snapshot.started_ns).endswith("Z")
    check_invariants(kit, acknowledged)


@pytest.mark.parametrize("jumps", JUMPS.values(), ids=list(JUMPS))
@pytest.mark.parametrize("during", [False, True], ids=["between", "during"])
def test_jumps_lose_nothing(jumps: Sequence[int], tmp_path: Path, *, during: bool) -> None:
    """The clock jumps between backups, or while one runs: every snapshot restores, the listing has
    the order in which they were made, and ``latest`` is the one that was made last.
    """
    kit, clock = _kit(MemoryStore(), tmp_path / "state")
    kit.init()
    acknowledged: dict[str, Files] = {}
    for number, jump in enumerate(jumps):
        files: Files = {b"file": b"%d" % number, **LATER}
        if during:
            made = kit.backup_source(_JumpsWhileRead(files, clock, jump))
        else:
            clock.jump(jump)
            made = kit.backup(files)
        assert made.seconds >= 0
        acknowledged[made.snapshot.id] = files
    _check(kit, acknowledged)


def test_hosts_with_different_clocks_share_a_repository(tmp_path: Path) -> None:
    """One host is three days ahead, one ten years behind: each sees what the others did before."""
    store = MemoryStore()
    hosts = [_kit(store, tmp_path / str(number)) for number in range(3)]
    hosts[0][0].init()
    hosts[1][1].jump(72 * HOUR)
    hosts[2][1].jump(-10 * YEAR)
    acknowledged: dict[str, Files] = {}
    for number in range(9):
        files: Files = {b"file": b"%d" % number}
        acknowledged[hosts[number % 3][0].backup(files).snapshot.id] = files
    for kit, _clock in hosts:
        assert [snapshot.id for snapshot in kit.snapshots()] == list(acknowledged)
    _check(hosts[2][0], acknowledged)


@pytest.mark.parametrize("seed", range(10))
def test_a_clock_that_means_nothing_at_all(seed: int, tmp_path: Path) -> None:
    """Random jumps of up to ten years, before, during and after each backup of two hosts."""
    chance, store = random.Random(seed), MemoryStore()
    hosts = [_kit(store, tmp_path / str(number)) for number in range(2)]
    hosts[0][0].init()
    acknowledged: dict[str, Files] = {}
    for number in range(6):
        kit, clock = chance.choice(hosts)
        clock.jump(chance.randrange(-10 * YEAR, 10 * YEAR))
        files: Files = {b"file": b"%d" % number}
        jump = chance.randrange(-10 * YEAR, 10 * YEAR)
        acknowledged[kit.backup_source(_JumpsWhileRead(files, clock, jump)).snapshot.id] = files
    _check(hosts[0][0], acknowledged)


def test_signs_of_life_follow_elapsed_time(tmp_path: Path) -> None:
    """A wall clock that runs backwards neither stops a session's signs of life nor makes more."""
    kit, clock = _kit(MemoryStore(), tmp_path / "state")
    kit.init()

    class Slow(_JumpsWhileRead):
        def load(self, items: Sequence[Item]) -> list[Loaded]:
            clock.sleep(3601)
            return super().load(items)

    made = kit.backup_source(Slow({b"file": b"1"}, clock, -10 * YEAR))
    beats = [info.key for info in kit.store.list("sessions/") if info.key.endswith(".1")]
    assert beats == [f"sessions/{made.snapshot.writer}/{made.snapshot.id}.1"]
    check_invariants(kit, {made.snapshot.id: {b"file": b"1"}})
