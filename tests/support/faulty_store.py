"""A store that fails as told, or as a seed says: before, after, twice, late, or by lying.

``Script`` says which request fails and how; ``Storm`` draws faults from a seed, which its ``str``
tells, so that a failing run can be repeated. Nothing here waits.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NoReturn, Protocol, TypeVar, cast

from strongroom.errors import StoreUnavailableError, StrongroomError
from strongroom.model.fs import Buffer
from strongroom.model.store import ObjectInfo, Store
from strongroom.storage.wrappers.forwarding import Verb
from tests.support.crash import SimulatedCrash

Answer = TypeVar("Answer")

READS: Final[frozenset[Verb]] = frozenset({"get", "get_range", "size", "list"})
WRITES: Final[frozenset[Verb]] = frozenset({"put", "delete", "sync"})
TIMES: Final[frozenset[Verb]] = frozenset({"time_ns"})
BODIES: Final[frozenset[Verb]] = frozenset({"get", "get_range"})
LISTS: Final[frozenset[Verb]] = frozenset({"list"})
EVERY: Final = READS | WRITES | TIMES


class Kind(Enum):
    """What goes wrong with a request."""

    ERROR_BEFORE = auto()  # it never arrives
    ERROR_AFTER = auto()  # it is done, and the answer is lost
    TWICE = auto()  # it arrives twice; the second answer is the one that is seen
    ECHO = auto()  # it arrives again some requests later, and nobody sees the second answer
    LATE = auto()  # it is told to have failed, and arrives some requests later
    CRASH_BEFORE = auto()  # the client dies before it arrives
    CRASH_AFTER = auto()  # the client dies after it was done
    TRUNCATED = auto()  # a value comes without its second half
    FLIPPED = auto()  # a value comes with one bit changed
    SHORT_LIST = auto()  # a listing ends after half of it, and says nothing
    MISSING_ENTRY = auto()  # a listing lacks one object, and says nothing
    BROKEN_LIST = auto()  # a listing breaks off after half of it, with an error


SUITS: Final[dict[Kind, frozenset[Verb]]] = {
    Kind.TWICE: WRITES,
    Kind.ECHO: WRITES,
    Kind.LATE: WRITES,
    Kind.TRUNCATED: BODIES,
    Kind.FLIPPED: BODIES,
    Kind.SHORT_LIST: LISTS,
    Kind.MISSING_ENTRY: LISTS,
    Kind.BROKEN_LIST: LISTS,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the requests ``nth`` to ``nth + times - 1`` that match.

    A request matches by its verb and by what its key or prefix starts with. ``later`` is the
    number of requests after which an ECHO or a LATE one arrives.
    """

    kind: Kind
    verbs: frozenset[Verb] = EVERY
    nth: int = 1
    times: int = 1
    prefix: str = ""
    error: Callable[[str], StrongroomError] = StoreUnavailableError
    later: int = 1

    def suits(self, verb: Verb, key: str) -> bool:
        """Return whether a request matches."""
        suitable = SUITS.get(self.kind, EVERY)
        return verb in self.verbs and verb in suitable and key.startswith(self.prefix)


class Faults(Protocol):
    """Decides what happens to each request."""

    def next(self, verb: Verb, key: str) -> Fault | None:
        """Return what happens to this request; None: it goes well."""
        ...


class Script:
    """Faults by number; of several for one request the first counts."""

    def __init__(self, *faults: Fault) -> None:
        self._faults = faults
        self._seen = Counter[int]()

    def next(self, verb: Verb, key: str) -> Fault | None:
        """See ``Faults``."""
        chosen = None
        for number, fault in enumerate(self._faults):
            if fault.suits(verb, key):
                self._seen[number] += 1
                if chosen is None and 0 <= self._seen[number] - fault.nth < fault.times:
                    chosen = fault
        return chosen


class Storm:
    """Faults of some kinds, at random, for a share ``rate`` of the requests they suit."""

    def __init__(self, seed: int, rate: float, kinds: Sequence[Kind]) -> None:
        self._name = f"Storm(seed={seed}, rate={rate}, kinds={[kind.name for kind in kinds]})"
        self._random = random.Random(seed)
        self._rate = rate
        self._kinds = tuple(kinds)

    def __str__(self) -> str:
        """Return what repeats this storm."""
        return self._name

    def next(self, verb: Verb, key: str) -> Fault | None:
        """See ``Faults``."""
        if self._random.random() >= self._rate:
            return None
        fault = Fault(self._random.choice(self._kinds), later=self._random.randrange(1, 20))
        return fault if fault.suits(verb, key) else None


class FaultyStore:
    """A ``Store`` around a sound one; ``requests`` counts by verb, ``struck`` what went wrong."""

    def __init__(self, within: Store, faults: Faults, *, seed: int = 0) -> None:
        self.requests: Counter[Verb] = Counter()
        self.struck: list[tuple[Verb, str, Kind]] = []
        self._within = within
        self._faults = faults
        self._random = random.Random(seed)
        self._echoes: list[tuple[int, Callable[[], object]]] = []
        self._dead = False
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """See ``Store``."""
        return self._within.url

    def get(self, key: str) -> bytes:
        """See ``Store``."""
        return self._ask("get", key, lambda: self._within.get(key))

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """See ``Store``."""
        return self._ask("get_range", key, lambda: self._within.get_range(key, offset, length))

    def size(self, key: str) -> int:
        """See ``Store``."""
        return self._ask("size", key, lambda: self._within.size(key))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``; what is listed is what was there at the call."""
        return self._ask("list", prefix, lambda: iter(tuple(self._within.list(prefix))))

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        copy = bytes(value)
        self._ask("put", key, lambda: self._within.put(key, copy))

    def delete(self, key: str) -> None:
        """See ``Store``."""
        self._ask("delete", key, lambda: self._within.delete(key))

    def time_ns(self) -> int | None:
        """See ``Store``."""
        return self._ask("time_ns", "", self._within.time_ns)

    def sync(self, prefixes: Sequence[str]) -> None:
        """See ``Store``."""
        self._ask("sync", "", lambda: self._within.sync(prefixes))

    def deliver_echoes(self) -> None:
        """Let every request that is still on its way arrive now."""
        with self._lock:
            echoes, self._echoes = self._echoes, []
        for _, echo in echoes:
            with suppress(StrongroomError):
                echo()

    def _ask(self, verb: Verb, key: str, act: Callable[[], Answer]) -> Answer:
        fault = self._next(verb, key)
        if fault is None:
            return act()
        if fault.kind is Kind.ERROR_BEFORE:
            raise fault.error(f"{verb} {self.url}/{key} did not arrive")
        if fault.kind is Kind.CRASH_BEFORE:
            self._die()
        if fault.kind in {Kind.ECHO, Kind.LATE}:
            with self._lock:
                self._echoes.append((sum(self.requests.values()) + fault.later, act))
        if fault.kind is Kind.LATE:
            raise fault.error(f"no answer to {verb} {self.url}/{key}")
        if fault.kind is Kind.TWICE:
            with suppress(StrongroomError):
                act()
        answer = act()
        if fault.kind is Kind.ERROR_AFTER:
            raise fault.error(f"no answer to {verb} {self.url}/{key}")
        if fault.kind is Kind.CRASH_AFTER:
            self._die()
        return self._spoilt(fault, answer)

    def _next(self, verb: Verb, key: str) -> Fault | None:
        with self._lock:
            if self._dead:
                raise SimulatedCrash
            self.requests[verb] += 1
            now = sum(self.requests.values())
            due = [act for when, act in self._echoes if when <= now]
            self._echoes = [echo for echo in self._echoes if echo[0] > now]
            fault = self._faults.next(verb, key)
            if fault is not None:
                self.struck.append((verb, key, fault.kind))
        for act in due:
            with suppress(StrongroomError):
                act()
        return fault

    def _die(self) -> NoReturn:
        self._dead = True
        raise SimulatedCrash

    def _spoilt(self, fault: Fault, answer: Answer) -> Answer:
        if isinstance(answer, bytes):
            return cast("Answer", self._spoilt_value(fault.kind, answer))
        if isinstance(answer, Iterator):
            return cast("Answer", self._spoilt_list(fault, tuple(answer)))
        return answer

    def _spoilt_value(self, kind: Kind, value: bytes) -> bytes:
        if kind is Kind.TRUNCATED:
            return value[: len(value) // 2]
        if kind is Kind.FLIPPED and value:
            changed = bytearray(value)
            changed[self._random.randrange(len(value))] ^= 1 << self._random.randrange(8)
            return bytes(changed)
        return value

    def _spoilt_list(self, fault: Fault, objects: Sequence[ObjectInfo]) -> Iterator[ObjectInfo]:
        missing = None
        if fault.kind is Kind.MISSING_ENTRY and objects:
            missing = self._random.randrange(len(objects))
        for number, found in enumerate(objects):
            if fault.kind is Kind.SHORT_LIST and number >= len(objects) // 2:
                return
            if fault.kind is Kind.BROKEN_LIST and number >= len(objects) // 2:
                break
            if number != missing:
                yield found
        if fault.kind is Kind.BROKEN_LIST:
            raise fault.error(f"the listing of {self.url} broke off")
