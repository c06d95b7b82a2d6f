"""The faulty store fails as it is told to, and only so."""

from __future__ import annotations

from contextlib import suppress

import pytest

from strongroom.errors import ObjectExistsError, StoreError, StoreUnavailableError, StrongroomError
from strongroom.model.store import ObjectInfo
from strongroom.storage.memory import MemoryStore
from tests.support.crash import SimulatedCrash
from tests.support.faulty_store import WRITES, Fault, FaultyStore, Kind, Script, Storm


@pytest.fixture(name="sound")
def _sound() -> MemoryStore:
    store = MemoryStore()
    for number in range(10):
        store.put(f"k/{number}", b"0123456789")
    return store


def test_without_faults_nothing_happens(sound: MemoryStore) -> None:
    """Every verb goes through, and is counted."""
    store = FaultyStore(sound, Script())
    store.put("new", b"x")
    store.delete("k/9")
    store.sync([""])
    assert (store.get("new"), store.size("new"), store.get_range("k/1", 2, 2)) == (b"x", 1, b"23")
    assert len(list(store.list("k/"))) == 9
    assert store.requests.total() == 7
    assert store.struck == []


@pytest.mark.parametrize(("kind", "there"), [(Kind.ERROR_BEFORE, False), (Kind.ERROR_AFTER, True)])
def test_an_error_has_its_effect_or_not(sound: MemoryStore, kind: Kind, *, there: bool) -> None:
    """The second put fails; before it was done, or after."""
    store = FaultyStore(sound, Script(Fault(kind, frozenset({"put"}), nth=2)))
    store.put("a", b"x")
    with pytest.raises(StoreUnavailableError, match="memory:/b"):
        store.put("b", b"x")
    store.put("c", b"x")
    assert [found.key for found in sound.list("")][:3] == (
        ["a", "b", "c"] if there else ["a", "c", "k/0"]
    )
    assert store.struck == [("put", "b", kind)]


def test_a_fault_may_last_and_be_of_another_kind(sound: MemoryStore) -> None:
    """``times``, ``prefix`` and ``error`` choose: here access to one prefix is denied for ever."""
    store = FaultyStore(
        sound, Script(Fault(Kind.ERROR_BEFORE, times=10**9, prefix="k/", error=StoreError))
    )
    for _ in range(3):
        with pytest.raises(StoreError) as caught:
            store.get("k/1")
        assert type(caught.value) is StoreError
    store.put("other", b"x")


def test_a_request_may_arrive_twice(sound: MemoryStore) -> None:
    """The answer seen is the second one: a put that succeeded is told that its key is taken."""
    store = FaultyStore(sound, Script(Fault(Kind.TWICE), Fault(Kind.TWICE, nth=2)))
    with pytest.raises(ObjectExistsError):
        store.put("a", b"x")
    store.delete("a")
    assert next(found.key for found in sound.list("")) == "k/0"


def test_an_echo_brings_back_what_was_deleted(sound: MemoryStore) -> None:
    """A put that arrives again after a delete makes the object anew."""
    store = FaultyStore(sound, Script(Fault(Kind.ECHO, frozenset({"put"}), later=2)))
    store.put("a", b"x")
    store.delete("a")
    assert next(found.key for found in sound.list("")) == "k/0"
    store.sync([])
    assert sound.get("a") == b"x"


def test_echoes_can_be_let_in_at_once(sound: MemoryStore) -> None:
    """``deliver_echoes`` does not wait for further requests."""
    store = FaultyStore(sound, Script(Fault(Kind.ECHO, frozenset({"delete"}), later=10**6)))
    store.delete("k/1")
    sound.put("k/1", b"again")
    store.deliver_echoes()
    assert [found.key for found in sound.list("")][:2] == ["k/0", "k/2"]


@pytest.mark.parametrize(("kind", "there"), [(Kind.CRASH_BEFORE, False), (Kind.CRASH_AFTER, True)])
def test_after_a_crash_nothing_has_an_effect(
    sound: MemoryStore, kind: Kind, *, there: bool
) -> None:
    """The n-th change dies before or after its effect; so does every later call, whatever it is."""
    store = FaultyStore(sound, Script(Fault(kind, WRITES, nth=2)))
    store.delete("k/0")
    with pytest.raises(SimulatedCrash):
        store.put("a", b"x")
    for act in (
        lambda: store.put("b", b"x"),
        lambda: store.delete("k/1"),
        lambda: store.get("k/1"),
        lambda: list(store.list("")),
    ):
        with pytest.raises(SimulatedCrash):
            act()
    assert [found.key for found in sound.list("")] == ["a"] * there + [
        f"k/{n}" for n in range(1, 10)
    ]


def test_no_handler_of_errors_stops_a_crash(sound: MemoryStore) -> None:
    """A crash is no ``Exception``."""
    store = FaultyStore(sound, Script(Fault(Kind.CRASH_BEFORE)))
    with pytest.raises(SimulatedCrash), suppress(Exception):
        store.get("k/1")


def test_values_are_spoilt(sound: MemoryStore) -> None:
    """Half of a value, or one bit of it changed; the object itself is as it was."""
    store = FaultyStore(
        sound, Script(Fault(Kind.TRUNCATED), Fault(Kind.FLIPPED, nth=2), Fault(Kind.FLIPPED, nth=3))
    )
    assert store.get("k/1") == b"01234"
    for spoilt in (store.get("k/1"), store.get_range("k/1", 0, 10)):
        changed = int.from_bytes(spoilt) ^ int.from_bytes(b"0123456789")
        assert changed.bit_count() == 1
    assert store.get("k/1") == b"0123456789"


def test_listings_are_spoilt(sound: MemoryStore) -> None:
    """Cut short, with a gap, or broken off with an error."""
    store = FaultyStore(
        sound,
        Script(
            Fault(Kind.SHORT_LIST), Fault(Kind.MISSING_ENTRY, nth=2), Fault(Kind.BROKEN_LIST, nth=3)
        ),
    )
    whole = list(sound.list("k/"))
    assert list(store.list("k/")) == whole[:5]
    gap = list(store.list("k/"))
    assert len(gap) == 9
    assert set(gap) < set(whole)
    seen: list[ObjectInfo] = []
    with pytest.raises(StoreUnavailableError, match="broke off"):
        seen.extend(store.list("k/"))
    assert seen == whole[:5]
    assert list(store.list("k/")) == whole


def test_a_storm_repeats_itself() -> None:
    """One seed gives the same faults for the same requests; its name holds the seed."""

    def weather(seed: int) -> list[object]:
        storm = Storm(seed, 0.5, list(Kind))
        store = FaultyStore(MemoryStore(), storm, seed=seed)
        for number in range(200):
            with suppress(StrongroomError, SimulatedCrash):
                store.put(f"k/{number}", b"x")
            with suppress(StrongroomError, SimulatedCrash):
                store.get(f"k/{number}")
        assert f"seed={seed}" in str(storm)
        return list(store.struck)

    assert weather(1) == weather(1)
    assert weather(1) != weather(2)
    assert len(weather(3)) > 0
