"""Find out what a store does, by asking it: what ``store validate`` and ``init`` look at.

Every object lies below ``probe/`` under names of its own, and is deleted again.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Final, NamedTuple

from strongroom.clock import Clock
from strongroom.errors import (
    ObjectExistsError,
    ObjectMissingError,
    RangeError,
    StoreError,
    UnsupportedError,
)
from strongroom.model.randomness import Randomness
from strongroom.model.store import Store
from strongroom.repository import layout

_SIDES: Final = 8  # that put one key at once
_ROUNDS: Final = 8
_QUICK_ROUNDS: Final = 2
_MORE_THAN_A_PAGE: Final = 1001  # of S3's listings
_PACK: Final = 32 << 20
_SECOND: Final = 1_000_000_000
_WIDE: Final = 300  # seconds between clocks from which on it is worth a word; S3 refuses at 900
_MEGABYTE: Final = 1e6


_ONE_PUT: Final = "put and get"
TWICE: Final = "put a key twice"
AT_ONCE: Final = "put at the same time"
CONDITIONAL: Final = frozenset({_ONE_PUT, TWICE, AT_ONCE})
"""What goes wrong in a store that takes no conditional puts, or refuses them."""


class Verdict(enum.Enum):
    """What became of a check; a repository cannot do without what is ``MISSING``."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


class Check(NamedTuple):
    """One thing that was tried: its name, what came of it, and in words."""

    name: str
    verdict: Verdict
    text: str


class _Wrong(Exception):  # noqa: N818 - what a check found, and no error of this program
    """A store did something else than was to be seen."""


class Probe:
    """A part of a store to try things in."""

    def __init__(self, store: Store, clock: Clock, randomness: Randomness) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._top = f"{layout.PROBES}{randomness.take(layout.ID_SIZE).hex()}/"
        self._put: list[str] = []

    def quick(self) -> Iterator[Check]:
        """Try what a repository cannot do without, in some thirty requests."""
        yield self._checked(_ONE_PUT, self._put_and_get)
        yield self._checked(TWICE, self._put_twice)
        yield self._checked(AT_ONCE, lambda: self._race(_QUICK_ROUNDS))
        yield from self._rest()

    def without_conditions(self) -> Iterator[Check]:
        """Try the same of a store that does not decide between two puts of one key."""
        yield self._checked(_ONE_PUT, self._put_and_get)
        yield self._checked(TWICE, self._put_twice)
        yield from self._rest()

    def _rest(self) -> Iterator[Check]:
        yield self._checked("list after a put", self._list_after_put)
        yield self._checked("read a range", self._ranges)
        yield self._deleted()

    def thorough(self) -> Iterator[Check]:
        """Try everything: some 2,200 requests, and 64 MiB on the line."""
        yield self._checked(_ONE_PUT, self._put_and_get)
        yield self._checked(TWICE, self._put_twice)
        yield self._checked(AT_ONCE, lambda: self._race(_ROUNDS))
        yield self._checked("list after a put", self._list_after_put)
        yield self._checked("read a range", self._ranges)
        yield self._checked("put a whole pack", self._large)
        yield self._checked("list more than a page", self._pages)
        yield self._clocks()
        yield self._deleted()

    def _checked(self, name: str, act: Callable[[], str]) -> Check:
        try:
            return Check(name, Verdict.OK, act())
        except (_Wrong, UnsupportedError) as wrong:
            return Check(name, Verdict.MISSING, str(wrong))

    def _key(self, name: str) -> str:
        key = self._top + name
        self._put.append(key)
        return key

    def _listed(self, below: str) -> list[str]:
        return [found.key for found in self._store.list(self._top + below)]

    def _put_and_get(self) -> str:
        key, value = self._key("one"), self._randomness.take(1000)
        self._store.put(key, value)
        _must(self._store.get(key) == value, "what was put came back as something else")
        _must(self._store.size(key) == len(value), "its size is not that of what was put")
        return "what was put came back"

    def _put_twice(self) -> str:
        key, first = self._key("twice"), b"first"
        self._store.put(key, first)
        try:
            self._store.put(key, b"second")
        except ObjectExistsError:
            pass
        else:
            raise _Wrong("a second put of the same key was taken: conditional puts do not work")
        _must(self._store.get(key) == first, "a put that was refused changed the object")
        return "the second put was refused"

    def _race(self, rounds: int) -> str:
        with ThreadPoolExecutor(_SIDES) as pool:
            for number in range(rounds):
                key, gate = self._key(f"race-{number}"), Barrier(_SIDES)
                values = [bytes([side]) * 100 for side in range(_SIDES)]
                asked = [pool.submit(self._won, key, value, gate) for value in values]
                won = [value for value, one in zip(values, asked, strict=True) if one.result()]
                _must(
                    len(won) == 1,
                    f"of {_SIDES} puts of one key at once {len(won)} were taken: "
                    "conditional puts do not work",
                )
                _must(self._store.get(key) == won[0], "the put that was taken is not what is there")
        return f"of {_SIDES} puts at once one was taken, {rounds} times"

    def _won(self, key: str, value: bytes, gate: Barrier) -> bool:
        gate.wait()
        try:
            self._store.put(key, value)
        except ObjectExistsError:
            return False
        return True

    def _list_after_put(self) -> str:
        there: list[str] = []
        for number in range(5):
            there.append(self._key(f"list/{number}"))
            self._store.put(there[-1], b"x")
            _must(self._listed("list/") == there, "a listing does not show at once what was put")
        return "each put showed in the next listing"

    def _ranges(self) -> str:
        key, value = self._key("range"), self._randomness.take(1000)
        self._store.put(key, value)
        for offset, length in ((0, 1), (500, 100), (999, 1), (0, 1000)):
            got = self._store.get_range(key, offset, length)
            _must(got == value[offset : offset + length], "a range is not what was asked for")
        try:
            self._store.get_range(key, 990, 20)
        except RangeError:
            return "ranges are exact"
        raise _Wrong("a range beyond the end was answered as if it were there")

    def _large(self) -> str:
        key, value = self._key("large"), self._randomness.take(1 << 20) * (_PACK >> 20)
        began = self._clock.elapsed()
        self._store.put(key, value)
        middle = self._clock.elapsed()
        _must(self._store.get(key) == value, "a value of 32 MiB came back as something else")
        ended = self._clock.elapsed()
        up, down = (_PACK / _MEGABYTE / max(one, 1e-3) for one in (middle - began, ended - middle))
        return f"32 MiB went up at {up:.0f} MB/s and came back at {down:.0f} MB/s"

    def _pages(self) -> str:
        names = [self._key(f"many/{number:04}") for number in range(_MORE_THAN_A_PAGE)]
        with ThreadPoolExecutor(_SIDES) as pool:
            list(pool.map(lambda name: self._store.put(name, b""), names))
        seen = [found.key for found in self._store.list(f"{self._top}many/")]
        _must(
            seen == names,
            f"a listing of {len(names):,} objects shows {len(seen):,}, or not in order",
        )
        return f"{len(seen):,} objects were listed, in order"

    def _clocks(self) -> Check:
        before, store, after = self._clock.now_ns(), self._store.time_ns(), self._clock.now_ns()
        name = "clock"
        if store is None:
            return Check(name, Verdict.WARNING, "the store has none, so no session is given up")
        seconds = (store - (before + after) // 2) / _SECOND
        verdict = Verdict.OK if abs(seconds) < _WIDE else Verdict.WARNING
        return Check(
            name, verdict, f"the store's and this machine's differ by {abs(seconds):.0f} s"
        )

    def _deleted(self) -> Check:
        """Delete all that was put; whoever may not can still back up."""
        name = "delete"
        try:
            with ThreadPoolExecutor(_SIDES) as pool:
                list(pool.map(self._store.delete, self._put))
            left = self._listed("")
        except StoreError as error:
            text = f"{error.message}; {len(self._put):,} objects stay below {self._top}"
            return Check(name, Verdict.WARNING, f"{text}. To prune, somebody must be able to")
        if left:
            return Check(name, Verdict.MISSING, f"{len(left):,} deleted objects are still listed")
        try:
            self._store.get(self._put[0])
        except ObjectMissingError:
            return Check(name, Verdict.OK, f"{len(self._put):,} objects were deleted")
        return Check(name, Verdict.MISSING, "a deleted object can still be read")


def _must(is_so: bool, otherwise: str) -> None:  # noqa: FBT001 - a sentence: it must be so
    if not is_so:
        raise _Wrong(otherwise)
