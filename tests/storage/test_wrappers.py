"""The small wrappers: read-only, metered, throttled, latency."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.clock import ManualClock, SystemClock
from strongroom.errors import ObjectExistsError, ObjectMissingError, RefusedError
from strongroom.storage.memory import MemoryStore
from strongroom.storage.wrappers.latency import LatencyStore
from strongroom.storage.wrappers.metered import MeteredStore, Traffic
from strongroom.storage.wrappers.pacing import Pace
from strongroom.storage.wrappers.readonly import ReadOnlyStore
from strongroom.storage.wrappers.throttled import ThrottledStore

pytestmark = pytest.mark.spec("B1")


@pytest.fixture(name="sound")
def _sound() -> MemoryStore:
    store = MemoryStore("memory:name")
    store.put("a/1", b"0123456789")
    store.put("a/2", b"")
    return store


def test_a_read_only_store_reads(sound: MemoryStore) -> None:
    """Every read goes through, and the URL is that of the store within."""
    store = ReadOnlyStore(sound)
    assert store.url == "memory:name"
    assert store.get("a/1") == b"0123456789"
    assert store.get_range("a/1", 1, 2) == b"12"
    assert store.size("a/1") == 10
    assert [(i.key, i.size) for i in store.list("a/")] == [("a/1", 10), ("a/2", 0)]


def test_a_read_only_store_refuses_to_change(sound: MemoryStore) -> None:
    """``put`` and ``delete`` are refused (exit 6) with the key, and change nothing."""
    store = ReadOnlyStore(sound)
    with pytest.raises(RefusedError, match="memory:name/a/3") as caught:
        store.put("a/3", b"x")
    assert caught.value.code == 6
    with pytest.raises(RefusedError, match="memory:name/a/1"):
        store.delete("a/1")
    assert len(list(sound.list(""))) == 2


def test_traffic_is_counted_by_verb(sound: MemoryStore) -> None:
    """Requests, failures and bytes of values, in both directions."""
    store = MeteredStore(sound)
    assert store.snapshot() == {}
    store.get("a/1")
    store.get_range("a/1", 0, 3)
    store.get_range("a/1", 5, 5)
    store.put("b", memoryview(b"12345678").cast("I"))
    with pytest.raises(ObjectExistsError):
        store.put("b", b"1234")
    with pytest.raises(ObjectMissingError):
        store.get("c")
    list(store.list(""))
    store.delete("b")
    store.sync([""])
    store.size("a/1")
    assert store.snapshot() == {
        "get": Traffic(2, 1, 0, 10),
        "get_range": Traffic(2, 0, 0, 8),
        "put": Traffic(2, 1, 12, 0),
        "list": Traffic(1),
        "delete": Traffic(1),
        "sync": Traffic(1),
        "size": Traffic(1),
    }


def test_a_snapshot_stays_as_it_is(sound: MemoryStore) -> None:
    """Later requests do not change an earlier snapshot."""
    store = MeteredStore(sound)
    store.get("a/1")
    before = store.snapshot()
    store.get("a/1")
    assert before == {"get": Traffic(1, 0, 0, 10)}


def test_no_request_is_lost_between_threads(sound: MemoryStore) -> None:
    """8 threads count as one."""
    store = MeteredStore(sound)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(store.get, ["a/1"] * 4000))
    finally:
        sys.setswitchinterval(interval)
    assert store.snapshot() == {"get": Traffic(4000, 0, 0, 40_000)}


def test_sending_keeps_to_its_limit(sound: MemoryStore) -> None:
    """What is put takes bytes / limit seconds, less half a second saved; reads are free."""
    clock = ManualClock()
    store = ThrottledStore(sound, clock, upload=1000)
    for number in range(10):
        store.put(f"k/{number}", bytes(1000))
    assert clock.elapsed() == pytest.approx(9.5)
    store.get("k/1")
    assert clock.elapsed() == pytest.approx(9.5)


def test_receiving_keeps_to_its_own_limit(sound: MemoryStore) -> None:
    """What is got takes bytes / limit seconds, whole or in ranges; puts are free."""
    clock = ManualClock()
    store = ThrottledStore(sound, clock, download=10)
    for _ in range(10):
        store.get("a/1")
    store.get_range("a/1", 0, 5)
    assert clock.elapsed() == pytest.approx(10)
    store.put("large", bytes(10**6))
    store.size("a/1")
    list(store.list(""))
    assert clock.elapsed() == pytest.approx(10)


def test_without_limits_nothing_waits(sound: MemoryStore) -> None:
    """None is no limit."""
    clock = ManualClock()
    store = ThrottledStore(sound, clock)
    store.put("large", bytes(10**6))
    store.get("large")
    assert clock.elapsed() == 0


def test_an_idle_while_does_not_allow_a_long_burst(sound: MemoryStore) -> None:
    """After an hour of rest half a second's worth passes at once, no more."""
    clock = ManualClock()
    store = ThrottledStore(sound, clock, upload=1000)
    store.put("k/1", bytes(1000))
    clock.sleep(3600)
    before = clock.elapsed()
    store.put("k/2", bytes(1000))
    assert clock.elapsed() - before == pytest.approx(0.5)


@given(
    st.floats(1, 1e9),
    st.lists(st.tuples(st.integers(0, 10**9), st.floats(0, 100)), min_size=1, max_size=30),
)
def test_the_rate_holds_over_any_while(rate: float, steps: list[tuple[int, float]]) -> None:
    """From any take to any later one, no more passes than the rate allows and half a second."""
    clock = ManualClock()
    pace = Pace(clock, rate)
    passed: list[tuple[float, int]] = []
    for count, rest in steps:
        clock.sleep(rest)
        pace.take(count)
        passed.append((clock.elapsed(), count))
    for first in range(len(passed)):
        total = 0
        for when, count in passed[first:]:
            total += count
            allowed = rate * (when - passed[first][0] + 0.5) + passed[first][1]
            assert total <= allowed * (1 + 1e-9) + 1


def test_threads_share_one_rate() -> None:
    """8 threads at once take as long as one: 400 bytes at 1000 a second, less the saved."""
    clock = SystemClock()
    pace = Pace(clock, 1000, saved_seconds=0)
    began = clock.elapsed()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pace.take, [25] * 16))
    assert clock.elapsed() - began >= 0.399


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_is_positive(rate: float) -> None:
    """Zero is not "unlimited": it is refused."""
    with pytest.raises(ValueError, match="not a rate"):
        Pace(ManualClock(), rate)


def test_latency_is_paid_once_a_request(sound: MemoryStore) -> None:
    """Each request waits; a listing waits again for every thousand objects more."""
    clock = ManualClock()
    store = LatencyStore(sound, clock, seconds=1)
    store.get("a/1")
    store.get_range("a/1", 0, 1)
    store.size("a/1")
    store.delete("a/2")
    store.sync([])
    assert clock.elapsed() == 5
    for number in range(2000):
        sound.put(f"many/{number:04}", b"")
    assert len(list(store.list("many/"))) == 2000
    assert clock.elapsed() == 7
    sound.put("many/one-more", b"")
    assert len(list(store.list("many/"))) == 2001
    assert clock.elapsed() == 10


def test_bandwidth_is_that_of_one_line(sound: MemoryStore) -> None:
    """Bytes of both directions pass one after the other."""
    clock = ManualClock()
    store = LatencyStore(sound, clock, seconds=0, bandwidth=100)
    store.put("k", bytes(500))
    store.get("k")
    store.get_range("k", 0, 100)
    assert clock.elapsed() == pytest.approx(11)
