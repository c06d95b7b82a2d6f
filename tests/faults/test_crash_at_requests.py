"""The writer stops at every single request to the store, in every way; nothing is ever lost."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from strongroom.errors import RefusedError, StoreError, StoreFullError, StrongroomError
from strongroom.storage.memory import MemoryStore
from tests.faults.workloads import FIRST, SECOND, THIRD, Base, Files, make_base, undecided
from tests.support.crash import SimulatedCrash
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.invariants import check_invariants
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B1")

FOREVER = sys.maxsize


def _gone_from(nth: int) -> Fault:
    return Fault(Kind.ERROR_BEFORE, nth=nth, times=FOREVER)


# What stops the writer at its n-th request. The last three answer what is no use to repeat.
STOPS: Mapping[str, Callable[[int], list[Fault]]] = {
    "dies before": lambda n: [Fault(Kind.CRASH_BEFORE, nth=n)],
    "dies after": lambda n: [Fault(Kind.CRASH_AFTER, nth=n)],
    "fails": lambda n: [Fault(Kind.ERROR_BEFORE, nth=n)],
    "fails from then on": lambda n: [_gone_from(n)],
    "reply lost": lambda n: [Fault(Kind.ERROR_AFTER, nth=n)],
    "reply lost, connection gone": lambda n: [Fault(Kind.ERROR_AFTER, nth=n), _gone_from(n + 1)],
    "every reply lost from then on": lambda n: [Fault(Kind.ERROR_AFTER, nth=n, times=FOREVER)],
    "denied": lambda n: [Fault(Kind.ERROR_BEFORE, nth=n, error=StoreError)],
    "denied from then on": lambda n: [
        Fault(Kind.ERROR_BEFORE, nth=n, times=FOREVER, error=StoreError)
    ],
    "full": lambda n: [Fault(Kind.ERROR_BEFORE, nth=n, times=FOREVER, error=StoreFullError)],
}
ONCE = {"fails", "reply lost", "denied"}
DOCUMENTED = {1, 13}


def succeeds(act: Callable[[], object], stop: str) -> bool:
    """Do something that a fault stops; whether success was told. Any other error is raised."""
    try:
        act()
    except StrongroomError as error:
        assert error.code in DOCUMENTED, error
        return False
    except SimulatedCrash:
        assert stop.startswith("dies")
        return False
    return True


# Backups before, unfinished sessions among them, and what is backed up while it is stopped.
WORKLOADS: Mapping[str, tuple[list[Files], bool, Files]] = {
    "first": ([], False, FIRST),
    "second": ([FIRST], False, SECOND),
    "after unfinished": ([FIRST, SECOND], True, THIRD),
    "unchanged": ([FIRST], False, FIRST),
}


@pytest.fixture(name="base", scope="module", params=WORKLOADS)
def _base(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Base, Files]:
    before, unfinished, files = WORKLOADS[request.param]
    folder = tmp_path_factory.mktemp("base")
    return make_base(folder, before, unfinished=unfinished), files


@pytest.mark.parametrize("stop", STOPS)
def test_a_backup_stopped_at_any_request_loses_nothing(
    base: tuple[Base, Files], stop: str, tmp_path: Path
) -> None:
    """Whatever request a backup is stopped at: what was acknowledged restores, what was not is not
    listed, verify finds no damage, the next backup works, and an error leaves no open session.
    """
    before, files = base
    for nth in range(1, requests_of_backup(before, files, tmp_path) + 1):
        try:
            stop_backup(before, files, stop, nth, tmp_path)
        except BaseException as error:
            error.add_note(f"REPRO: {stop}, request {nth}")
            raise


def requests_of_backup(base: Base, files: Files, folder: Path) -> int:
    """Return how many requests a backup makes when nothing goes wrong."""
    store, state = base.again(folder)
    counted = FaultyStore(store, Script())
    Kit(counted, state).backup(files)
    return sum(counted.requests.values())


def stop_backup(base: Base, files: Files, stop: str, nth: int, folder: Path) -> None:
    """Stop a backup at its n-th request, and look at what is left."""
    store, state = base.again(folder)
    faulty = FaultyStore(store, Script(*STOPS[stop](nth)))
    acknowledged = dict(base.acknowledged)
    open_before = undecided(store)
    try:
        acknowledged[Kit(faulty, state).backup(files).snapshot.id] = files
    except StrongroomError as error:
        assert error.code in DOCUMENTED, error
        assert "\n" not in error.message
        if stop in ONCE:
            assert undecided(store) == open_before, "a clean failure puts its own ABORT"
    except SimulatedCrash:
        assert stop.startswith("dies")
    verb, key, _kind = faulty.struck[0]
    other = Kit(store, folder / f"other {stop} {nth}")
    listed = {snapshot.id for snapshot in other.snapshots()}
    if verb == "put" and key.startswith("commits/"):  # whether it arrived, nobody was told
        acknowledged |= dict.fromkeys(listed - set(acknowledged), files)
    assert listed == set(acknowledged)
    check_invariants(Kit(store, state), acknowledged)


@pytest.mark.parametrize("kind", [Kind.TWICE, Kind.ECHO])
def test_a_request_that_arrives_twice_does_no_harm(
    base: tuple[Base, Files], kind: Kind, tmp_path: Path
) -> None:
    """Whichever change arrives a second time, at once or later: the backup succeeds, since what is
    there already is read back and found to be its own.
    """
    before, files = base
    for nth in range(1, requests_of_backup(before, files, tmp_path) + 1):
        store, state = before.again(tmp_path)
        faulty = FaultyStore(store, Script(Fault(kind, nth=nth, later=2)))
        try:
            result = Kit(faulty, state).backup(files)
            faulty.deliver_echoes()
            check_invariants(Kit(store, state), {**before.acknowledged, result.snapshot.id: files})
        except BaseException as error:
            error.add_note(f"REPRO: {kind.name}, change {nth}")
            raise
        if not faulty.struck:
            break


@pytest.mark.parametrize("kind", [Kind.TWICE, Kind.ECHO])
def test_an_init_whose_requests_arrive_twice_succeeds(kind: Kind, tmp_path: Path) -> None:
    """Whichever change of an init arrives twice, there is one repository, and it is ours."""
    for nth in range(1, 10):
        store = MemoryStore()
        kit = Kit(FaultyStore(store, Script(Fault(kind, nth=nth, later=2))), tmp_path / str(nth))
        kit.init()
        check_invariants(Kit(store, tmp_path / str(nth)), {})


@pytest.mark.parametrize("stop", STOPS)
def test_an_init_stopped_at_any_request_leaves_nothing_in_the_way(
    stop: str, tmp_path: Path
) -> None:
    """Whatever request an init is stopped at, there is a repository that its key opens, or none,
    and then the next init makes one; what the first one left is not damage.
    """
    counted = FaultyStore(MemoryStore(), Script())
    Kit(counted, tmp_path / "counted").init()
    for nth in range(1, sum(counted.requests.values()) + 1):
        try:
            _stop_init(stop, nth, tmp_path / str(nth))
        except BaseException as error:
            error.add_note(f"REPRO: {stop}, request {nth}")
            raise


def _stop_init(stop: str, nth: int, state: Path) -> None:
    store = MemoryStore()
    faulty = FaultyStore(store, Script(*STOPS[stop](nth)))
    kit, made = Kit(store, state), None
    try:
        made = Kit(faulty, state).init()
    except StrongroomError as error:
        assert error.code in DOCUMENTED, error
    except SimulatedCrash:
        assert stop.startswith("dies")
    if faulty.struck[0][:2] == ("put", "config") and stop == "reply lost":
        assert made is not None, "a lost reply is asked for again"
    if made is None:
        with contextlib.suppress(RefusedError):  # its config had arrived
            kit.init()
    check_invariants(kit, {})
