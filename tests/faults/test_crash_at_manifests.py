"""A backup that tells people what it came to, stopped at each request in each way."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.operations.manifests import write_manifest
from tests.faults.test_crash_at_requests import STOPS, succeeds
from tests.faults.workloads import Base, Files, store_of
from tests.support.faulty_store import FaultyStore, Script
from tests.support.invariants import check_invariants
from tests.support.kit import Kit
from tests.support.manifests import listed_days, manifests, saved, saved_and_told

pytestmark = pytest.mark.spec("D3")
FIRST: Files = {b"a": b"first"}
SECOND: Files = {b"a": b"first", b"b": b"second"}


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    kit = Kit(store_of({}), tmp_path_factory.mktemp("base") / "state")
    kit.init()
    made = saved_and_told(kit, FIRST)
    objects = {info.key: kit.store.get(info.key) for info in kit.store.list("")}
    return Base(objects, kit.state_path, {made.snapshot.id: FIRST})


@pytest.mark.parametrize(
    "stop", ["dies before", "dies after", "reply lost", "fails from then on", "denied"]
)
def test_a_manifest_stopped_at_any_request_takes_nothing_along(
    base: Base, stop: str, tmp_path: Path
) -> None:
    """The backup is there, verify finds nothing, and the next backup of that day lists all that
    have a manifest; of another backup's nothing is lost.
    """
    nth, struck = 0, True
    while struck:
        nth += 1
        store, state = base.again(tmp_path)
        kit = Kit(store, state)
        made = saved(kit, SECOND, 5)
        repository = kit.open()
        faulty = FaultyStore(store, Script(*STOPS[stop](nth)))
        repository.store = faulty
        done = succeeds(lambda: write_manifest(repository, made), stop)  # noqa: B023 - called here
        struck = bool(faulty.struck)
        ids = {said["id"] for said in manifests(store).values()}
        assert base.acknowledged.keys() <= ids
        assert not done or made.snapshot.id in ids
        check_invariants(kit, {**base.acknowledged, made.snapshot.id: SECOND})
        kit.clock.sleep(10)
        saved_and_told(kit, SECOND)
        assert kit.verify().findings == []
        assert list(listed_days(store).values()) == [sorted(manifests(store))]
    assert nth > 5
