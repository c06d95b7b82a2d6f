"""A change of keys stops at every single request to the store; somebody always gets in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from strongroom.errors import KeyRefusedError
from strongroom.operations.keys import add_key, list_keys, remove_key
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from tests.faults.test_crash_at_requests import STOPS, succeeds
from tests.faults.workloads import Base, make_base, objects_of
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.invariants import check_invariants
from tests.support.kit import SECRET, Kit
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B3")

FILES = {b"a": b"first"}
OTHER = Secret(SlotKind.KEY_FILE, noise(32, "another key"))


def _add(kit: Kit) -> object:
    return add_key(kit.open(), OTHER, SlotRole.FULL)


def _remove(kit: Kit) -> object:
    return remove_key(kit.open(), _id_of(kit))


def _id_of(kit: Kit) -> str:
    """Return the id of the key that can be removed; that of an unfinished removal too."""
    found = list_keys(kit.open())
    own = [k.id for k in found.keys if not k.opened and k.kind is SlotKind.KEY_FILE]
    return next(iter([*own, *found.unfinished]))


# What is done, and whether the other key opens the repository before and after it.
CHANGES: Mapping[str, tuple[Callable[[Kit], object], bool, bool]] = {
    "add": (_add, False, True),
    "remove": (_remove, True, False),
}


@pytest.fixture(name="base", scope="module", params=CHANGES)
def _base(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Base, str]:
    base = make_base(tmp_path_factory.mktemp("base"), [FILES])
    store = MemoryStore()
    for key, value in base.objects.items():
        store.put(key, value)
    if CHANGES[request.param][1]:
        _add(Kit(store, base.state))
    return Base(objects_of(store), base.state, base.acknowledged), request.param


def _opens(store: MemoryStore, folder: Path) -> bool:
    kit = Kit(store, folder / "stranger")
    kit.secrets = [OTHER]
    try:
        return kit.open().keyring.is_full
    except KeyRefusedError:
        return False


def _requests(base: Base, change: Callable[[Kit], object], folder: Path) -> int:
    store, state = base.again(folder)
    counted = FaultyStore(store, Script())
    change(Kit(counted, state))
    return sum(counted.requests.values())


@pytest.mark.parametrize("stop", STOPS)
def test_a_change_stopped_at_any_request_leaves_the_keys_before_or_after(
    base: tuple[Base, str], stop: str, tmp_path: Path
) -> None:
    """Whatever request it is stopped at: the first key opens everything, the other one as before
    or as after, as after if success was told; verify finds no damage, and the same change can be
    made again.
    """
    before, name = base
    change, opened_before, opens_after = CHANGES[name]
    for nth in range(1, _requests(before, change, tmp_path) + 1):
        store, state = before.again(tmp_path)
        faulty = FaultyStore(store, Script(*STOPS[stop](nth)))
        done = succeeds(partial(change, Kit(faulty, state)), stop)
        try:
            opens = _opens(store, tmp_path)
            assert opens in {opened_before, opens_after}
            assert not done or opens is opens_after
            check_invariants(Kit(store, state), before.acknowledged)
            if opens is opened_before:
                change(Kit(store, state))
                assert _opens(store, tmp_path) is opens_after
            elif name == "remove" and list_keys(Kit(store, state).open()).unfinished:
                change(Kit(store, state))
            assert list_keys(Kit(store, state).open()).unfinished == []
            assert Kit(store, state).open().keyring.is_full
        except BaseException as error:
            error.add_note(f"REPRO: {name}, {stop}, request {nth}")
            raise


@pytest.mark.parametrize("kind", [Kind.TWICE, Kind.ECHO])
def test_a_change_whose_requests_arrive_twice_is_made_once(
    base: tuple[Base, str], kind: Kind, tmp_path: Path
) -> None:
    """Whichever request arrives a second time, at once or later, it succeeds."""
    before, name = base
    change, _, opens_after = CHANGES[name]
    for nth in range(1, 20):
        store, state = before.again(tmp_path)
        faulty = FaultyStore(store, Script(Fault(kind, nth=nth, later=2)))
        change(Kit(faulty, state))
        faulty.deliver_echoes()
        assert _opens(store, tmp_path) is opens_after
        kit = Kit(store, state)
        kit.secrets = [SECRET]
        check_invariants(kit, before.acknowledged)
        if not faulty.struck:
            return
