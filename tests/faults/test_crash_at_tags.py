"""A change of tags stops at every single request to the store: the old tags or the new, of all."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from strongroom.repository.tagging import TagEdit, plan_tags, put_tags
from tests.faults.test_crash_at_requests import STOPS, succeeds
from tests.faults.workloads import Base, make_base
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.invariants import check_invariants
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B1")

BEFORE: list[tuple[bytes, ...]] = [(), ()]
AFTER: list[tuple[bytes, ...]] = [(b"x",), (b"x",)]


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_base(tmp_path_factory.mktemp("base"), [{b"a": b"1"}, {b"a": b"2"}])


def _change(kit: Kit) -> None:
    repository = kit.open()
    listing = repository.list_snapshots()
    plan = plan_tags(listing.found, listing.additions, TagEdit(frozenset([b"x"])))
    put_tags(repository, listing, plan)


def _tags(kit: Kit) -> list[tuple[bytes, ...]]:
    return [listed.snapshot.tags for listed in kit.snapshots()]


@pytest.mark.parametrize("stop", STOPS)
def test_tags_are_the_old_or_the_new(base: Base, stop: str, tmp_path: Path) -> None:
    """Whatever request it is stopped at, both snapshots have the same tags, the new ones if
    success was told; and the same change can be made again.
    """
    store, state = base.again(tmp_path)
    counted = FaultyStore(store, Script())
    _change(Kit(counted, state))
    for nth in range(1, sum(counted.requests.values()) + 1):
        store, state = base.again(tmp_path)
        faulty = FaultyStore(store, Script(*STOPS[stop](nth)))
        done = succeeds(partial(_change, Kit(faulty, state)), stop)
        found = _tags(Kit(store, state))
        assert found in ([AFTER] if done else [BEFORE, AFTER]), (stop, nth)
        _change(Kit(store, state))
        assert _tags(Kit(store, state)) == AFTER
        check_invariants(Kit(store, state), base.acknowledged)


@pytest.mark.parametrize("kind", [Kind.TWICE, Kind.ECHO])
def test_requests_that_arrive_twice(base: Base, kind: Kind, tmp_path: Path) -> None:
    """Whichever request arrives a second time, at once or later, the tags are the new ones."""
    for nth in range(1, 20):
        store, state = base.again(tmp_path)
        faulty = FaultyStore(store, Script(Fault(kind, nth=nth, later=2)))
        _change(Kit(faulty, state))
        faulty.deliver_echoes()
        assert _tags(Kit(store, state)) == AFTER
        if not faulty.struck:
            return
