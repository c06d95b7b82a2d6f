"""What every store promises, as tests; a store passes them by a subclass with a ``store`` fixture.

The store is fresh and empty for each test.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from strongroom.errors import ObjectExistsError, ObjectMissingError, RangeError
from strongroom.model.fs import Buffer
from strongroom.model.store import Store

BAD_KEYS = [
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "../a",
    "a/../b",
    "a/./b",
    "A",
    "a b",
    "ä",
    "a\n",
    "a\0",
    "a\\b",
    "a" * 513,
    "a" * 256,
    ".tmp-a",
    "a/.tmp-1/b",
]
REFUSAL = r"key|prefix|temporary|component"
GOOD_KEYS = ["a", "0", "a.b", "a-b/c_d/e.f", "a..b", "-", "_", "...", ".hidden", "a/b/c/d/e/f/g"]


def sizes(store: Store, prefix: str = "") -> list[tuple[str, int]]:
    """Return key and size of each object below ``prefix``, in the order of the listing."""
    return [(found.key, found.size) for found in store.list(prefix)]


def keys(store: Store, prefix: str = "") -> list[str]:
    """Return the keys below ``prefix``, in the order of the listing."""
    return [found.key for found in store.list(prefix)]


@pytest.mark.spec("B1")
class StoreConformance:
    """The suite."""

    def test_what_was_put_is_got(self, store: Store) -> None:
        """``get`` returns the bytes of ``put``, and ``size`` their number."""
        store.put("packs/ab/one", b"first")
        store.put("packs/ab/two", b"second one")
        assert store.get("packs/ab/one") == b"first"
        assert store.get("packs/ab/two") == b"second one"
        assert store.size("packs/ab/two") == 10

    def test_a_store_with_a_clock_says_when_an_object_was_put(self, store: Store) -> None:
        """The time of an object lies between two times of the same clock, around its put; and a
        store without a clock says of no object when it was put.
        """
        before = store.time_ns()
        store.put("a/key", b"value")
        (found,), after = store.list("a/"), store.time_ns()
        if before is None or after is None:
            assert (before, found.stored_ns, after) == (None, None, None)
        else:
            assert found.stored_ns is not None
            assert before <= found.stored_ns <= after
        assert keys(store) == ["a/key"], "asking for the time leaves nothing behind"

    def test_an_empty_value_is_a_value(self, store: Store) -> None:
        """No bytes are stored like any others, also where the key is taken."""
        store.put("empty", b"")
        assert (store.get("empty"), store.size("empty")) == (b"", 0)
        assert store.get_range("empty", 0, 0) == b""
        assert sizes(store) == [("empty", 0)]
        with pytest.raises(ObjectExistsError):
            store.put("empty", b"")

    def test_a_large_value_comes_back(self, store: Store) -> None:
        """A value of several megabytes, not a multiple of any block, is stored whole."""
        value = bytes(range(251)) * 20_011
        store.put("large", value)
        assert store.get("large") == value
        assert store.get_range("large", len(value) - 300, 300) == value[-300:]

    @pytest.mark.parametrize(
        "make",
        [
            bytes,
            bytearray,
            memoryview,
            lambda data: memoryview(b"-" + data + b"-")[1:-1],
            lambda data: memoryview(data[::-1])[::-1],
            lambda data: memoryview(data).cast("H"),
            lambda data: memoryview(data).cast("B", (2, 4)),
        ],
        ids=["bytes", "bytearray", "view", "slice", "reversed", "wide", "square"],
    )
    def test_any_buffer_is_a_value(self, store: Store, make: Callable[[bytes], Buffer]) -> None:
        """Bytes, byte arrays and memory views of any shape are stored byte for byte."""
        store.put("value", make(b"01234567"))
        assert store.get("value") == b"01234567"
        assert store.size("value") == 8
        assert type(store.get("value")) is bytes

    def test_a_value_is_not_shared_with_its_owner(self, store: Store) -> None:
        """What the caller does to its buffer after ``put`` does not change the object."""
        value = bytearray(b"before")
        store.put("key", value)
        value[:] = b"after!"
        assert store.get("key") == b"before"

    def test_a_key_is_put_once(self, store: Store) -> None:
        """A second put, of the same bytes or others, is refused and changes nothing."""
        store.put("key", b"first")
        for value in (b"second, longer", b"first", b""):
            with pytest.raises(ObjectExistsError, match="key"):
                store.put("key", value)
        assert store.get("key") == b"first"
        assert sizes(store) == [("key", 5)]

    def test_of_concurrent_puts_one_wins(self, store: Store) -> None:
        """Of 8 threads that put one key at once, one succeeds, and its value is the object."""
        threads = 8
        gate = threading.Barrier(threads)

        def put(key: str, number: int) -> int | None:
            value = bytes([number]) * 1000
            gate.wait()
            try:
                store.put(key, value)
            except ObjectExistsError:
                return None
            return number

        with ThreadPoolExecutor(threads) as pool:
            for turn in range(50):
                key = f"race/{turn % 4}/{turn:02}"
                answers = list(pool.map(put, [key] * threads, range(threads)))
                winners = [number for number in answers if number is not None]
                assert len(winners) == 1, f"{key} was won by {winners}"
                assert store.get(key) == bytes(winners) * 1000
        assert len(keys(store)) == 50

    def test_parallel_puts_of_different_keys_all_succeed(self, store: Store) -> None:
        """Threads that put into the same and into new prefixes do not disturb each other."""
        names = [f"p{number % 7}/q{number % 3}/{number:03}" for number in range(200)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: store.put(name, name.encode()), names))
        assert keys(store) == sorted(names)
        assert all(store.get(name) == name.encode() for name in names)

    def test_a_range_is_exact(self, store: Store) -> None:
        """Every range inside the object, also the empty ones and up to the end, is returned."""
        store.put("key", b"0123456789")
        for offset in range(11):
            for length in range(11 - offset):
                expected = b"0123456789"[offset : offset + length]
                assert store.get_range("key", offset, length) == expected

    @pytest.mark.parametrize(
        ("offset", "length"), [(0, 11), (9, 2), (10, 1), (11, 0), (11, 1), (0, 2**40), (2**70, 1)]
    )
    def test_a_range_that_is_not_there_is_an_error(
        self, store: Store, offset: int, length: int
    ) -> None:
        """A range that ends after the object is a RangeError, and never fewer bytes."""
        store.put("key", b"0123456789")
        with pytest.raises(RangeError, match="key"):
            store.get_range("key", offset, length)

    @pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1), (-5, 5)])
    def test_a_range_is_not_negative(self, store: Store, offset: int, length: int) -> None:
        """Counting from the end is a mistake of the caller."""
        store.put("key", b"0123456789")
        with pytest.raises(ValueError, match="range"):
            store.get_range("key", offset, length)

    def test_what_is_not_there_is_missing(self, store: Store) -> None:
        """Each read of a key without an object says so, also beside and below existing ones."""
        store.put("a/b", b"x")
        for key in ("a/c", "b/b", "b/c/d/e", "ab"):
            with pytest.raises(ObjectMissingError, match=key):
                store.get(key)
            with pytest.raises(ObjectMissingError, match=key):
                store.get_range(key, 0, 1)
            with pytest.raises(ObjectMissingError, match=key):
                store.size(key)

    def test_a_deleted_object_is_gone(self, store: Store) -> None:
        """After ``delete`` no read and no listing shows the object; its neighbours stay."""
        store.put("a/b", b"x")
        store.put("a/c", b"y")
        store.delete("a/b")
        with pytest.raises(ObjectMissingError):
            store.get("a/b")
        with pytest.raises(ObjectMissingError):
            store.size("a/b")
        assert keys(store) == ["a/c"]

    def test_deleting_nothing_is_no_error(self, store: Store) -> None:
        """``delete`` can be repeated, and asked for what never was."""
        store.put("a/b", b"x")
        for key in ("a/b", "a/b", "a/c", "b/c/d"):
            store.delete(key)
        assert keys(store) == []

    def test_a_deleted_key_is_free(self, store: Store) -> None:
        """A store itself does not remember keys: the damaged object's repair needs that."""
        store.put("a", b"first")
        store.delete("a")
        store.put("a", b"second")
        assert store.get("a") == b"second"

    def test_a_listing_is_in_order_of_keys(self, store: Store) -> None:
        """Keys ascend as strings do, although ``-`` and ``.`` come before ``/``."""
        names = ["a/b", "a-b", "a.b", "a0", "b", "a/b-c", "a/bc/d", "a/bc-d", "a/bc.d", "z/z/z"]
        for name in names:
            store.put(name, name.encode())
        assert sizes(store) == [(name, len(name)) for name in sorted(names)]

    def test_a_prefix_selects(self, store: Store) -> None:
        """A listing shows what starts with the prefix, at any depth, and nothing else."""
        for name in ("p/a", "p/b/c", "p/b/d", "pq/a", "p-a", "q"):
            store.put(name, b"x")
        assert keys(store, "p/") == ["p/a", "p/b/c", "p/b/d"]
        assert keys(store, "p/b/") == ["p/b/c", "p/b/d"]
        assert keys(store, "p/c/") == []
        assert keys(store, "none/at/all/") == []
        assert keys(store) == ["p-a", "p/a", "p/b/c", "p/b/d", "pq/a", "q"]

    def test_an_empty_store_lists_nothing(self, store: Store) -> None:
        """No objects are no error."""
        assert keys(store) == []
        assert keys(store, "packs/") == []

    def test_a_listing_has_more_than_one_page(self, store: Store) -> None:
        """More objects than any store answers at once are all listed, each once."""
        names = [f"many/{number % 3}/{number:04}" for number in range(1003)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: store.put(name, b""), names))
        assert keys(store) == sorted(names)
        assert len(keys(store, "many/1/")) == 334

    def test_a_listing_sees_what_was_done_before(self, store: Store) -> None:
        """Each put and delete shows in the next listing."""
        present: list[str] = []
        for number in range(20):
            store.put(f"k/{number:02}", b"x")
            present.append(f"k/{number:02}")
            if number % 3 == 2:
                store.delete(present.pop(0))
            assert keys(store, "k/") == present

    @pytest.mark.parametrize("prefix", ["p", "/", "p//", "../", "./", "P/", "p/q", "a/../"])
    def test_a_prefix_ends_in_a_slash(self, store: Store, prefix: str) -> None:
        """A prefix that is not empty or a path with a slash is a mistake of the caller."""
        with pytest.raises(ValueError, match=REFUSAL):
            list(store.list(prefix))

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_keys_are_refused(self, store: Store, key: str) -> None:
        """No verb takes a key that some store could not hold, or that leads out of the store."""
        with pytest.raises(ValueError, match=REFUSAL):
            store.put(key, b"x")
        with pytest.raises(ValueError, match=REFUSAL):
            store.get(key)
        with pytest.raises(ValueError, match=REFUSAL):
            store.get_range(key, 0, 1)
        with pytest.raises(ValueError, match=REFUSAL):
            store.size(key)
        with pytest.raises(ValueError, match=REFUSAL):
            store.delete(key)
        assert keys(store) == []

    @pytest.mark.parametrize("key", [*GOOD_KEYS, "/".join(["a" * 127] * 4), "b" * 255])
    def test_good_keys_are_taken(self, store: Store, key: str) -> None:
        """Every key of the alphabet works, up to 512 characters, and is listed as it was put."""
        store.put(key, b"x")
        assert store.get(key) == b"x"
        assert keys(store) == [key]

    def test_sync_takes_any_prefix(self, store: Store) -> None:
        """``sync`` changes nothing that can be seen, and a prefix without objects is no error."""
        store.put("a/b/c", b"x")
        store.put("d", b"y")
        store.sync([])
        store.sync([""])
        store.sync(["a/", "a/b/", "none/"])
        assert keys(store) == ["a/b/c", "d"]

    def test_errors_say_where(self, store: Store) -> None:
        """The message of an error names the store and the key, and the store's URL is no secret."""
        with pytest.raises(ObjectMissingError) as caught:
            store.get("some/key")
        assert f"{store.url}/some/key" in caught.value.message
