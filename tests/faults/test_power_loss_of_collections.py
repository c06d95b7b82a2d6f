"""The power fails after any call that a collection makes on its disk: nothing that is wanted is
lost, nothing is missed that was removed, and the next collection finishes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from functools import cached_property
from pathlib import Path

import pytest

from strongroom.storage.local import LocalStore
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.faults.test_power_loss import objects_by_key
from tests.faults.workloads import Files
from tests.storage.local_stores import local_store
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import MUTATING, Call, FsFault, faulty_fs
from tests.support.invariants import check_invariants, check_nothing_left
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.power_loss import durable_after

pytestmark = pytest.mark.spec("B1", "B2")

BOTH: Files = {b"a": noise(900, "a"), b"b": noise(900, "b")}
KEPT: Files = {b"a": BOTH[b"a"]}
LEAST_CALLS = 60  # fewer would mean that we do not look


class Disk:
    """A local store with a wanted snapshot and one that is not, and all calls made on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.calls: list[Call] = []
        local_store(folder / "repository").close()
        self.kept = self.run(self._fill)
        self.made = len(self.calls)

    @staticmethod
    def _fill(kit: Kit) -> str:
        kit.init()
        gone = kit.backup(BOTH).snapshot.id
        kept = kit.backup(KEPT).snapshot.id
        kit.forget(gone)
        return kept

    def run(self, act: object, *faults: FsFault, host: str = "state") -> str:
        """Do something in a new process; what it returns, or nothing if it died."""
        fs, faulty = faulty_fs(PosixFs(), *faults)
        found = ""
        with closing(LocalStore(fs, str(self._folder / "repository"), SystemRandomness())) as store:
            kit = Kit(store, self._folder / host)
            with suppress(SimulatedCrash):
                found = str(act(kit))  # type: ignore[operator]
        self.calls += faulty.trace
        return found

    @cached_property
    def states(self) -> dict[int, list[Mapping[str, bytes]]]:
        """The different states of the disk after each call of the collection."""
        found: dict[int, list[Mapping[str, bytes]]] = {}
        last: list[Mapping[str, bytes]] = []
        for after in range(self.made, len(self.calls) + 1):
            left = durable_after(self.calls[:after])
            states: list[Mapping[str, bytes]] = [*map(objects_by_key, left)]
            found[after] = [one for one in states if one not in last]
            last = states
        return found

    def check(self, objects: Mapping[str, bytes], state: Path) -> None:
        """Look at what a power cut left, on a host that never saw the repository."""
        kit = Kit(MemoryStore(), state)
        kit.store = store = MemoryStore(clock=kit.clock)
        for key, value in objects.items():
            store.put(key, value)
        check_invariants(kit, {self.kept: KEPT})
        check_nothing_left(kit)
        assert kit.restore(self.kept)[1] == KEPT


def _prune(kit: Kit) -> str:
    return str(kit.prune(max_unused=0).finished)


def test_a_power_cut_in_a_collection_loses_nothing(tmp_path: Path) -> None:
    """With packs written anew and old ones removed: after each call, with what the disk must keep,
    may keep, and with removals that came through before they were asked for.
    """
    disk = Disk(tmp_path)
    disk.run(_prune)
    assert len(disk.calls) - disk.made > LEAST_CALLS
    for after, states in disk.states.items():
        for number, objects in enumerate(states):
            try:
                disk.check(objects, tmp_path / f"host {after} {number}")
            except BaseException as error:
                error.add_note(f"REPRO: power cut after call {after - disk.made} of the collection")
                raise


def test_who_goes_on_makes_durable_what_a_dead_collector_left(tmp_path: Path) -> None:
    """A collector dies at any change, with the name of what it put not durable yet; another one
    goes on, and the power fails at any of its changes.
    """
    nth = 0
    while True:
        nth += 11
        folder = tmp_path / str(nth)
        disk = Disk(folder)
        ended = disk.run(_prune, FsFault("crash", nth, MUTATING))
        disk.made = len(disk.calls)
        disk.run(_prune, host="other")
        for after in range(disk.made, len(disk.calls) + 1, 31):
            objects = objects_by_key(durable_after(disk.calls[:after]).least)
            try:
                disk.check(objects, folder / f"host {after}")
            except BaseException as error:
                error.add_note(f"REPRO: died before change {nth}; cut after {after - disk.made}")
                raise
        if ended:
            break
    assert nth > LEAST_CALLS // 2
