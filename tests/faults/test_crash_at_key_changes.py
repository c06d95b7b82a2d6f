"""A change of keys stops at every single request to the store; somebody always gets in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from strongroom.errors import KeyRefusedError
from strongroom.model.store import Store
from strongroom.operations.keys import (
    add_key,
    list_keys,
    remove_key,
    replace_key,
    revoke_agent,
    rotate_keys,
)
from strongroom.repository.kmsslot import KmsSecret
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from tests.faults.test_crash_at_requests import STOPS, succeeds
from tests.faults.workloads import Base, make_base, objects_of
from tests.support.agents import agent_host
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.invariants import check_invariants
from tests.support.kit import SECRET, Kit
from tests.support.local_kms import LocalKms
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


def _rotate(kit: Kit) -> object:
    return rotate_keys(kit.open())


def _replace(kit: Kit) -> object:
    """Put a key of KMS in the place of the one that is there; one service opens both."""
    old = [key for key in list_keys(kit.open()).keys if key.kms and "first" in key.kms.arn]
    return replace_key(kit.open(), old[0].id, KmsSecret(KMS, "second")) if old else None


KMS = LocalKms()

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


def _opens(store: Store, folder: Path) -> bool:
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


# One way to stop in every run, all of them in the long one: the requests are those of an addition
# and a removal, which are stopped in every way above.
SOME = [one if one == "dies after" else pytest.param(one, marks=pytest.mark.slow) for one in STOPS]


@pytest.mark.parametrize("stop", SOME)
def test_a_rotation_stopped_at_any_request_shuts_nobody_out(stop: str, tmp_path: Path) -> None:
    """Every key that was there reads what was stored before and what is stored afterwards, in
    whichever epoch that is; and the keys can be rotated again.
    """
    base = make_base(tmp_path / "base", [FILES])
    store, state = base.again(tmp_path)
    _add(Kit(store, state))
    before = Base(objects_of(store), state, base.acknowledged)
    for nth in range(1, _requests(before, _rotate, tmp_path) + 1):
        store, state = before.again(tmp_path)
        faulty = FaultyStore(store, Script(*STOPS[stop](nth)))
        done = succeeds(partial(_rotate, Kit(faulty, state)), stop)
        try:
            kit = Kit(store, state)
            epoch = list_keys(kit.open()).epoch
            assert epoch == 2 or (epoch == 1 and not done)
            new = kit.backup({b"a": b"stored after it"}).snapshot.id
            other = Kit(store, tmp_path / f"other {stop} {nth}")
            other.secrets = [OTHER]
            assert other.restore(new)[1] == {b"a": b"stored after it"}
            check_invariants(kit, {**before.acknowledged, new: {b"a": b"stored after it"}})
            assert rotate_keys(kit.open()) == (epoch + 1, 3)
        except BaseException as error:
            error.add_note(f"REPRO: {stop}, request {nth}")
            raise


@pytest.mark.parametrize("stop", SOME)
def test_a_replacement_stopped_at_any_request_can_be_gone_on_with(
    stop: str, tmp_path: Path
) -> None:
    """One of the two keys of KMS opens the repository, whatever request it is stopped at; the same
    command leaves the new one alone.
    """
    base = make_base(tmp_path / "base", [FILES])
    store, state = base.again(tmp_path)
    add_key(Kit(store, state).open(), KmsSecret(KMS, "first"), SlotRole.FULL)
    before = Base(objects_of(store), state, base.acknowledged)
    for nth in range(1, _requests(before, _by_kms(_replace), tmp_path) + 1):
        store, state = before.again(tmp_path)
        faulty = FaultyStore(store, Script(*STOPS[stop](nth)))
        succeeds(partial(_by_kms(_replace), Kit(faulty, state)), stop)
        try:
            again = Kit(store, state)
            check_invariants(again, before.acknowledged)
            _by_kms(_replace)(Kit(store, state))
            found = list_keys(Kit(store, state).open())
            assert [key.kms.key_id for key in found.keys if key.kms] == ["second"]
            for left in found.unfinished:
                remove_key(Kit(store, state).open(), left)
            assert list_keys(Kit(store, state).open()).unfinished == []
        except BaseException as error:
            error.add_note(f"REPRO: {stop}, request {nth}")
            raise


def _by_kms(change: Callable[[Kit], object]) -> Callable[[Kit], object]:
    """Make a change with the key of KMS that is there, which is the one that goes."""

    def made(kit: Kit) -> object:
        kit.secrets = [KmsSecret(KMS)]
        return change(kit)

    return made


@pytest.mark.parametrize("stop", SOME)
def test_a_revocation_stopped_at_any_request_counts_or_not(stop: str, tmp_path: Path) -> None:
    """What the agent had committed is restored either way, and the command can be run again."""
    base = make_base(tmp_path / "base", [FILES])
    store, state = base.again(tmp_path)
    early = agent_host(Kit(store, state), tmp_path).backup(FILES).snapshot.id
    before = Base(objects_of(store), state, {**base.acknowledged, early: FILES})
    for nth in range(1, _requests(before, _revoke, tmp_path) + 1):
        store, state = before.again(tmp_path)
        faulty = FaultyStore(store, Script(*STOPS[stop](nth)))
        done = succeeds(partial(_revoke, Kit(faulty, state)), stop)
        kit = Kit(store, state)
        (agent,) = list_keys(kit.open()).agents
        assert agent.revoked or not done
        check_invariants(kit, before.acknowledged)
        assert revoke_agent(kit.open(), "web1").accepted == 1


def _revoke(kit: Kit) -> object:
    return revoke_agent(kit.open(), "web1")
