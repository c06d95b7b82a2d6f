"""The retrying wrapper: what it tries again, how long, and what a lost answer means."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.clock import ManualClock
from strongroom.errors import (
    ObjectExistsError,
    ObjectMissingError,
    RangeError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    StrongroomError,
)
from strongroom.model.store import ObjectInfo, Store
from strongroom.storage.memory import MemoryStore
from strongroom.storage.wrappers.forwarding import Verb
from strongroom.storage.wrappers.retrying import Patience, RetryingStore
from tests.support.faulty_store import EVERY, Fault, FaultyStore, Kind, Script, Storm
from tests.support.randomness import SeededRandomness

pytestmark = pytest.mark.spec("B1")


ANSWERS: dict[Verb, Callable[[Store], bool]] = {
    "get": lambda store: store.get("a/b") == b"value",
    "get_range": lambda store: store.get_range("a/b", 1, 2) == b"al",
    "size": lambda store: store.size("a/b") == 5,
    "list": lambda store: [*store.list("a/")] == [ObjectInfo("a/b", 5)],
    "put": lambda store: returns(store.put, "a/b", b"value"),
    "delete": lambda store: returns(store.delete, "a/b"),
    "time_ns": lambda store: store.time_ns() is None,
    "sync": lambda store: returns(store.sync, ["a/"]),
}


def returns(act: Callable[..., None], *arguments: object) -> bool:
    """Return whether ``act`` returns, which it does unless it raises."""
    act(*arguments)
    return True


class Rig:
    """A retrying store over a faulty one over a sound one."""

    def __init__(self, *faults: Fault, patience: Patience | None = None) -> None:
        self.sound = MemoryStore()
        self.faulty = FaultyStore(self.sound, Script(*faults))
        self.clock = ManualClock()
        self.told: list[str] = []
        self.store = RetryingStore(
            self.faulty,
            self.clock,
            SeededRandomness(),
            patience=patience or Patience(),
            tell=self.told.append,
        )


@pytest.mark.parametrize("kind", [Kind.ERROR_BEFORE, Kind.ERROR_AFTER])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_each_verb_outlasts_a_disturbance(kind: Kind, times: int) -> None:
    """Any verb that is unavailable a few times succeeds, with the right answer."""
    for verb in sorted(EVERY):
        rig = Rig(Fault(kind, frozenset({verb}), times=times))
        if verb != "put":
            rig.sound.put("a/b", b"value")
        assert ANSWERS[verb](rig.store)
        assert len(rig.told) == min(
            times, 1 if (verb, kind) == ("put", Kind.ERROR_AFTER) else times
        )
        assert [found.key for found in rig.sound.list("")] == ([] if verb == "delete" else ["a/b"])


@pytest.mark.parametrize(
    "error",
    [StoreError, StoreFullError, ObjectMissingError, RangeError, ObjectExistsError, ValueError],
)
def test_nothing_else_is_tried_again(error: type[StrongroomError]) -> None:
    """Every other error comes through at once and unchanged."""
    for verb in sorted(EVERY - {"list"}):
        rig = Rig(Fault(Kind.ERROR_BEFORE, frozenset({verb}), times=99, error=error))
        with pytest.raises(error, match=f"{verb} memory:"):
            ANSWERS[verb](rig.store)
        assert rig.faulty.requests.total() == 1
        assert rig.clock.elapsed() == 0


def test_a_put_whose_answer_was_lost_is_recognised() -> None:
    """The next try finds the key taken by the very bytes: success, and synced to be durable."""
    rig = Rig(Fault(Kind.ERROR_AFTER, frozenset({"put"})))
    rig.store.put("wal/000000010000000000000001", b"segment")
    assert rig.sound.get("wal/000000010000000000000001") == b"segment"
    assert dict(rig.faulty.requests) == {"put": 2, "get": 1, "sync": 1}


def test_a_put_after_another_is_told_so() -> None:
    """If the key was taken by other bytes meanwhile, the put failed, also after a lost answer."""
    rig = Rig(Fault(Kind.ERROR_BEFORE, frozenset({"put"})))
    rig.sound.put("key", b"theirs")
    with pytest.raises(ObjectExistsError, match="key"):
        rig.store.put("key", b"mine")
    assert rig.sound.get("key") == b"theirs"


def test_without_a_lost_answer_a_taken_key_is_never_success() -> None:
    """Equal bytes prove nothing if no earlier try can have put them."""
    rig = Rig()
    rig.sound.put("key", b"same")
    with pytest.raises(ObjectExistsError):
        rig.store.put("key", b"same")
    assert dict(rig.faulty.requests) == {"put": 1}


def test_reading_back_is_retried_too() -> None:
    """An answer lost, then reads that fail, a sync that fails: still one success."""
    rig = Rig(
        Fault(Kind.ERROR_AFTER, frozenset({"put"})),
        Fault(Kind.ERROR_BEFORE, frozenset({"get"}), times=3),
        Fault(Kind.ERROR_BEFORE, frozenset({"sync"}), times=2),
    )
    rig.store.put("a/b/c", bytearray(b"value"))
    assert dict(rig.faulty.requests) == {"put": 2, "get": 4, "sync": 3}


def test_a_key_that_is_taken_and_then_gone_is_a_taken_key() -> None:
    """Between the second try and the reading, a collector may delete; nothing is claimed then."""
    rig = Rig(
        Fault(Kind.ERROR_AFTER, frozenset({"put"})),
        Fault(Kind.ERROR_BEFORE, frozenset({"get"}), error=ObjectMissingError),
    )
    with pytest.raises(ObjectExistsError):
        rig.store.put("key", b"value")


def test_a_duplicate_on_the_line_is_told_as_a_taken_key() -> None:
    """A request that arrives twice by itself answers "exists": nobody was told of a failure."""
    rig = Rig(Fault(Kind.TWICE, frozenset({"put"})))
    with pytest.raises(ObjectExistsError):
        rig.store.put("key", b"value")


def test_a_listing_goes_on_where_it_broke_off() -> None:
    """Each object comes once and in order, however often the listing breaks."""
    rig = Rig(Fault(Kind.BROKEN_LIST, frozenset({"list"}), times=4))
    names = [f"k/{number:03}" for number in range(100)]
    for name in names:
        rig.sound.put(name, b"x")
    assert [found.key for found in rig.store.list("k/")] == names
    assert rig.faulty.requests["list"] == 5


class Faltering(MemoryStore):
    """Lists one object more than the time before, and then breaks off."""

    def __init__(self) -> None:
        super().__init__()
        self.gives = 0

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        self.gives += 1
        found = [*super().list(prefix)]
        yield from found[: self.gives]
        if self.gives <= len(found):
            raise StoreUnavailableError("broke off")


def test_patience_begins_anew_where_a_listing_gets_on() -> None:
    """A long listing may break off any number of times, as long as each try brings more."""
    sound, clock = Faltering(), ManualClock()
    names = [f"k/{number:03}" for number in range(50)]
    for name in names:
        sound.put(name, b"")
    patience = Patience(first=60, longest=60, deadline=60)
    store = RetryingStore(sound, clock, SeededRandomness(), patience=patience)
    assert [found.key for found in store.list("")] == names
    assert clock.elapsed() > 10 * patience.deadline


def test_a_listing_that_cannot_end_is_an_error() -> None:
    """Patience ends for listings too; what was yielded is not taken for all."""
    rig = Rig(Fault(Kind.BROKEN_LIST, frozenset({"list"}), times=10**6))
    for number in range(4):
        rig.sound.put(f"k/{number}", b"x")
    seen: list[ObjectInfo] = []
    with pytest.raises(StoreUnavailableError, match="given up after"):
        seen.extend(rig.store.list("k/"))
    assert len(seen) < 4
    assert rig.clock.elapsed() <= 300


def test_patience_ends_at_the_deadline() -> None:
    """After the deadline the last error is raised, with how often and how long; exit 13."""
    rig = Rig(Fault(Kind.ERROR_BEFORE, times=10**6))
    with pytest.raises(
        StoreUnavailableError, match=r"given up after \d+ tries in \d+ sec"
    ) as caught:
        rig.store.get("key")
    assert caught.value.code == 13
    assert isinstance(caught.value.__cause__, StoreUnavailableError)
    assert 200 < rig.clock.elapsed() <= 300
    assert 10 < rig.faulty.requests["get"] < 100
    assert len(rig.told) == rig.faulty.requests["get"] - 1


def test_pauses_grow_and_differ() -> None:
    """Full jitter: every pause lies below a limit that doubles up to the longest."""
    limits = [0.5, 1, 2, 4, 8, 16, 30, 30]
    highest = [0.0] * len(limits)
    for seed in range(300):
        clock = ManualClock()
        pauses: list[float] = []
        store = RetryingStore(
            FaultyStore(MemoryStore(), Script(Fault(Kind.ERROR_BEFORE, times=len(limits)))),
            clock,
            SeededRandomness(seed),
            tell=lambda _, clock=clock, pauses=pauses: pauses.append(clock.elapsed()),  # type: ignore[misc]
        )
        store.sync([])
        starts = [*pauses, clock.elapsed()]
        lengths = [after - before for before, after in itertools.pairwise(starts)]
        assert all(0 <= length <= limit for length, limit in zip(lengths, limits, strict=True))
        highest = [max(pair) for pair in zip(highest, lengths, strict=True)]
    assert all(high > 0.9 * limit for high, limit in zip(highest, limits, strict=True))


@given(st.integers(), st.floats(0, 0.4))
def test_under_any_storm_what_returned_is_true(seed: int, rate: float) -> None:
    """Whatever is disturbed: a put that returned is stored, and one refused changed nothing.

    The only put that may return without being the one that stored is of the same bytes.
    """
    kinds = [Kind.ERROR_BEFORE, Kind.ERROR_AFTER, Kind.BROKEN_LIST]
    sound = MemoryStore()
    storm = Storm(seed, rate, kinds)
    store = RetryingStore(FaultyStore(sound, storm), ManualClock(), SeededRandomness(seed))
    stored: dict[str, bytes] = {}
    for number in range(30):
        key, value = f"k/{number % 10}", b"%d" % number
        try:
            store.put(key, value)
        except ObjectExistsError:
            assert key in stored
        else:
            assert key not in stored
            stored[key] = value
        if number % 7 == 6:
            store.delete(key)
            del stored[key]
    assert {found.key: store.get(found.key) for found in store.list("k/")} == stored, str(storm)
    assert {found.key: sound.get(found.key) for found in sound.list("")} == stored, str(storm)
