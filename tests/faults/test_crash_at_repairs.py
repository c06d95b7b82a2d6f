"""A repair stops at every single request to the store: nothing is lost, and the next one ends it.

The incident behind it: borg's ``check --repair`` lost data when it was interrupted (#5325).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from strongroom.repository import layout
from strongroom.repository.tagging import TagEdit, plan_tags, put_tags
from tests.faults.test_crash_at_requests import STOPS, succeeds
from tests.faults.workloads import Base, make_base, objects_of, store_of
from tests.support.faulty_store import WRITES, Fault, FaultyStore, Kind, Script
from tests.support.invariants import check_invariants
from tests.support.kit import Kit
from tests.support.mending import check_nothing_was_touched, copy_of, flipped, mended, spoil
from tests.support.noise import noise
from tests.support.runs import pack_ids, segment_ids

pytestmark = pytest.mark.spec("B8")

FILES = {b"a": noise(3000, "a"), b"b": noise(2000, "b"), b"c": b"c"}


class Hurt:
    """A repository with damage of every kind that a repair makes good, and what makes it good."""

    def __init__(self, folder: Path, *, replica: bool) -> None:
        base = make_base(folder, [FILES, FILES | {b"d": b"d"}], unfinished=True)
        store, state = base.again(folder)
        kit = Kit(store, state)
        repository = kit.open()
        listing = repository.list_snapshots()
        plan = plan_tags(listing.found, listing.additions, TagEdit(frozenset([b"x"])))
        put_tags(repository, listing, plan)
        sound = objects_of(store)
        self.source = sound if replica else objects_of(copy_of(kit, folder / "other").store)
        pack, *others = sorted(pack_ids(kit))
        spoil(kit, layout.pack(pack), flipped(store.get(layout.pack(pack))))
        spoil(kit, layout.pack(others[0]), None)
        first, second, *_ = sorted(segment_ids(kit))
        spoil(kit, layout.index_segment(first), flipped(store.get(layout.index_segment(first))))
        spoil(kit, layout.index_segment(second), None)
        if replica:
            spoil(kit, next(iter(store.list(layout.WRITERS))).key, None)
        self.base = Base(objects_of(store), state, base.acknowledged)

    def again(self, folder: Path) -> tuple[Kit, Kit]:
        """Return the repository as it was hurt, and the source of a repair."""
        store, state = self.base.again(folder)
        return Kit(store, state), Kit(store_of(self.source), folder / "source")


@pytest.fixture(name="hurt", scope="module", params=[True, False], ids=["replica", "copy"])
def _hurt(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Hurt:
    return Hurt(tmp_path_factory.mktemp("base"), replica=request.param)


def _stopped(hurt: Hurt, folder: Path, faults: list[Fault], stop: str) -> int:
    """Repair with faults, look at everything, and repair again; how many requests there were."""
    kit, source = hurt.again(folder)
    before = objects_of(kit.store)
    faulty = FaultyStore(kit.store, Script(*faults))
    done = succeeds(partial(mended, Kit(faulty, kit.state_path), source), stop)
    check_nothing_was_touched(before, kit)
    if done:
        assert kit.verify().damage == []
    assert mended(Kit(kit.store, kit.state_path), source).left.damage == []
    check_invariants(Kit(kit.store, kit.state_path), hurt.base.acknowledged)
    return sum(faulty.requests[verb] for verb in WRITES)


@pytest.mark.parametrize("stop", STOPS)
def test_an_interrupted_repair_loses_nothing(hurt: Hurt, stop: str, tmp_path: Path) -> None:
    """At whatever write it is stopped, in whatever way: the objects are as they were, and the
    next repair makes the repository whole.
    """
    count = _stopped(hurt, tmp_path, [], stop)
    for nth in range(1, count + 1):
        faults = [replace(fault, verbs=WRITES) for fault in STOPS[stop](nth)]
        _stopped(hurt, tmp_path / str(nth), faults, stop)


@pytest.mark.parametrize("kind", [Kind.TWICE, Kind.ECHO])
def test_requests_of_a_repair_that_arrive_twice(hurt: Hurt, kind: Kind, tmp_path: Path) -> None:
    """Whichever request arrives again, at once or later, the repository is whole."""
    for nth in range(1, 40):
        kit, source = hurt.again(tmp_path / str(nth))
        faulty = FaultyStore(kit.store, Script(Fault(kind, nth=nth, later=3)))
        assert mended(Kit(faulty, kit.state_path), source).left.damage == []
        faulty.deliver_echoes()
        assert kit.verify().damage == []
        if not faulty.struck:
            return
    raise AssertionError("more requests than were looked at")
