"""A collection that removes WAL, stopped at any request, or beside another one: no base backup ever
loses WAL, and the next collection ends the work.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from strongroom.errors import StrongroomError
from strongroom.postgres.wal.ranges import Missing
from strongroom.repository import layout
from strongroom.repository.wal import archive_of
from strongroom.repository.walgaps import GapReason, WalGaps
from strongroom.storage.memory import MemoryStore
from tests.faults.test_crash_at_requests import STOPS, succeeds
from tests.support.base_backups import DATA, archive, base_backup, content_of, position_of
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.hooks import HookedStore
from tests.support.invariants import check_invariants, check_nothing_left
from tests.support.kit import Kit, timed_kit
from tests.support.wal import CLUSTER, SIZE, SYSTEM

pytestmark = [pytest.mark.spec("B2"), pytest.mark.spec("C6")]

EVERY = 8
"""One request in so many is tried in each way, another one in every way."""
STAYING = [4, 5, 6]


class _Made(NamedTuple):
    objects: dict[str, bytes]
    state: Path
    wanted: str


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> _Made:
    """Two base backups, the first of them forgotten, and the WAL of both, with a gap on record."""
    kit = timed_kit(tmp_path_factory.mktemp("made") / "state")
    archive(kit, [1, 2, 4, 5, 6])
    WalGaps(kit.open()).record(CLUSTER, Missing(1, 3, 3), GapReason.NOT_ARCHIVED)
    gone = base_backup(kit, position_of(1, 2)).snapshot
    wanted = base_backup(kit, position_of(4, 5)).snapshot
    kit.forget(gone.id)
    objects = {info.key: kit.store.get(info.key) for info in kit.store.list("")}
    return _Made(objects, kit.state_path, wanted.id)


class _Place:
    """The repository as it was made, and its hosts."""

    def __init__(self, made: _Made, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made.state, folder / "same")
        self.made = made
        self.folder = folder
        self.judge = Kit(MemoryStore(), folder / "judge")
        self.store = self.judge.store = MemoryStore(clock=self.judge.clock)
        for key, value in made.objects.items():
            self.store.put(key, value)
        self.judge.clock.sleep(3600)

    def host(self, name: str, store: FaultyStore | HookedStore | None = None) -> Kit:
        """Return a host; ``same`` is the one that made the repository."""
        kit = Kit(store or self.store, self.folder / name)
        kit.clock = self.judge.clock
        return kit

    def numbers(self) -> list[int]:
        """Return which segments are there."""
        return [one.name.number(SIZE) for one in archive_of(self.judge.open()).files(SYSTEM)]

    def check(self) -> None:
        """Everything that is wanted is there now, and after collections nothing else."""
        assert set(self.numbers()) >= set(STAYING), "a base backup lost WAL"
        files = {self.made.wanted: {DATA: content_of(position_of(4, 5))}}
        check_invariants(self.host("same"), files)
        check_nothing_left(self.judge)
        assert self.numbers() == STAYING
        assert WalGaps(self.judge.open()).of(SYSTEM) == []


def _requests(made: _Made, folder: Path) -> int:
    place = _Place(made, folder)
    counted = FaultyStore(place.store, Script())
    place.host("same", counted).prune()
    return sum(counted.requests.values())


def _stop(made: _Made, folder: Path, how: str, points: Iterable[int]) -> None:
    for nth in points:
        place = _Place(made, folder)
        faulty = FaultyStore(place.store, Script(*STOPS[how](nth)))
        try:
            succeeds(place.host("same", faulty).prune, how)
            place.check()
        except BaseException as error:
            error.add_note(f"REPRO: {how}, request {nth}")
            raise


@pytest.mark.parametrize("how", ["dies before", "dies after", "reply lost", "fails from then on"])
def test_stopped_at_some_requests(made: _Made, how: str, tmp_path: Path) -> None:
    """Stopped there, the base backup that is wanted has its WAL; the next collections end it."""
    count = _requests(made, tmp_path / "counted")
    first = 1 + list(STOPS).index(how) * EVERY // len(STOPS)
    _stop(made, tmp_path / "stopped", how, range(first, count + 1, EVERY))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("how", STOPS)
def test_stopped_at_every_request(made: _Made, how: str, tmp_path: Path) -> None:
    """The same at every request."""
    count = _requests(made, tmp_path / "counted")
    _stop(made, tmp_path / "stopped", how, range(1, count + 1))


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("kind", [Kind.TWICE, Kind.LATE])
def test_a_delete_arrives_twice_or_late(made: _Made, kind: Kind, nth: int, tmp_path: Path) -> None:
    """What was removed stays removed, and nothing else goes."""
    place = _Place(made, tmp_path / "place")
    fault = Fault(kind, nth=nth, verbs=frozenset({"delete"}), prefix=layout.WAL, later=2)
    faulty = FaultyStore(place.store, Script(fault))
    succeeds(place.host("same", faulty).prune, kind.name)
    assert faulty.struck
    faulty.deliver_echoes()
    place.check()


MOMENTS: list[tuple[str, str]] = [
    ("put", f"{layout.GC}00000001/tombs"),
    ("put", f"{layout.GC}00000001/waits"),
    ("put", f"{layout.GC}00000001/kills"),
    ("delete", layout.WAL),
    ("put", f"{layout.GC}00000001/done"),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_two_collectors(made: _Made, moment: tuple[str, str], tmp_path: Path) -> None:
    """Another one does all the work at any moment of the first."""
    place = _Place(made, tmp_path / "place")
    hooked = HookedStore(place.store)
    others: list[int] = []
    hooked.before(*moment, lambda: others.append(place.host("other").prune().finished))
    place.host("same", hooked).prune()
    assert len(others) == 1
    place.check()


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_base_backup_beside_a_collection(
    made: _Made, moment: tuple[str, str], tmp_path: Path
) -> None:
    """One that needs WAL that is going is either acknowledged and has it, or gives up."""
    place = _Place(made, tmp_path / "place")
    hooked = HookedStore(place.store)
    saved: list[str] = []

    def once() -> None:
        try:
            done = base_backup(place.host("other"), position_of(1, 2))
        except StrongroomError as error:
            assert "a collector removes" in error.message or "did not come" in error.message
        else:
            saved.append(done.snapshot.id)

    hooked.before(*moment, once)
    place.host("same", hooked).prune()
    assert bool(saved) == (moment == MOMENTS[0])  # from the tombs on it counts as absent
    if not saved:
        place.check()
        return
    assert place.numbers() == [1, 2, *STAYING]
    wanted = {
        saved[0]: {DATA: content_of(position_of(1, 2))},
        made.wanted: {DATA: content_of(position_of(4, 5))},
    }
    check_invariants(place.host("same"), wanted)
    check_nothing_left(place.judge)
    assert place.numbers() == [1, 2, *STAYING]
