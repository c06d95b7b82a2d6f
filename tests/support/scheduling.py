"""One of several processes goes on at a time, up to its next request to the store; a seed says who.

Each process is a thread that stands still before every request, and whenever it would sleep, until
it is let go. So a run is a sequence of whole requests, the same for the same choices.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from strongroom.clock import ManualClock
from strongroom.errors import StoreUnavailableError, StrongroomError
from strongroom.model.fs import Buffer
from strongroom.model.store import ObjectInfo, Store
from tests.support.crash import SimulatedCrash

STUCK = 120.0  # seconds that a process may compute between two requests


class Process:
    """One process of a schedule; ``work`` runs in its own thread.

    ``error``: what ended it, if anything did. A process that is dead does nothing more, however
    it tries.
    """

    def __init__(self, name: str, work: Callable[[Process], None]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.has_ended = False
        self.steps = 0
        self._work = work
        self._may_go = threading.Semaphore(0)
        self._stands = threading.Semaphore(0)
        self._is_dead = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        self._may_go.acquire()
        try:
            if not self._is_dead:
                self._work(self)
        except BaseException as error:  # noqa: BLE001 - whoever wrote the schedule judges it
            self.error = error
        self.has_ended = True
        self._stands.release()

    def start(self) -> None:
        """Begin; it stands still at once."""
        self._thread.start()

    def go(self) -> None:
        """Let it go on up to where it stands still again, or ends."""
        self.steps += 1
        self._may_go.release()
        if not self._stands.acquire(timeout=STUCK):
            msg = f"{self.name} makes no request and does not end"
            raise AssertionError(msg)

    def stand_still(self) -> None:
        """Wait to be let go; called by the process itself."""
        if self._is_dead:
            raise SimulatedCrash
        self._stands.release()
        self._may_go.acquire()
        if self._is_dead:
            raise SimulatedCrash

    def kill(self) -> None:
        """End it where it stands."""
        self._is_dead = True
        if not self.has_ended:
            self.go()
        self._thread.join(STUCK)


class Choice(Protocol):
    """Picks who goes on."""

    def pick(self, processes: Sequence[Process]) -> Process:
        """Return one of these."""
        ...

    def has_slept(self, process: Process) -> None:
        """Learn that a process waits for others."""
        ...


class AnyOrder:
    """Each step is any process's."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pick(self, processes: Sequence[Process]) -> Process:
        """See ``Choice``."""
        return self._random.choice(processes)

    def has_slept(self, process: Process) -> None:
        """See ``Choice``."""


class ByPriority:
    """The process of the highest priority goes on; at a few steps it falls behind all others.

    So few switches are needed to meet a fault are met often (Burckhardt and others, PCT, 2010).
    """

    def __init__(self, seed: int, switches: int, steps: int) -> None:
        self._random = random.Random(seed)
        self._switch = {self._random.randrange(steps) for _ in range(switches)}
        self._priorities: dict[str, float] = {}
        self._step = 0

    def pick(self, processes: Sequence[Process]) -> Process:
        """See ``Choice``."""
        for process in processes:
            self._priorities.setdefault(process.name, self._random.random())
        chosen = max(processes, key=lambda one: self._priorities[one.name])
        self._step += 1
        if self._step in self._switch:
            self.has_slept(chosen)
        return chosen

    def has_slept(self, process: Process) -> None:
        """See ``Choice``."""
        self._priorities[process.name] = min(self._priorities.values()) - 1


class SteppedClock(ManualClock):
    """The clock of a process; to sleep is to let others go on."""

    def __init__(self, start_ns: int, process: Process, choice: Choice) -> None:
        super().__init__(start_ns)
        self._process = process
        self._choice = choice

    def sleep(self, seconds: float) -> None:
        """See ``Clock``."""
        super().sleep(seconds)
        self._choice.has_slept(self._process)
        self._process.stand_still()


class Network:
    """Between all processes and their store: now and then a change comes again, or comes late.

    ``rate``: the share of changes that do. What is on its way arrives at a later request.
    """

    def __init__(self, seed: int, rate: float) -> None:
        self.struck = 0
        self._random = random.Random(seed)
        self._rate = rate
        self._under_way: list[tuple[int, Callable[[], None]]] = []
        self._now = 0

    def tick(self) -> None:
        """Deliver what arrives now."""
        self._now += 1
        due = [act for when, act in self._under_way if when <= self._now]
        self._under_way = [one for one in self._under_way if one[0] > self._now]
        for act in due:
            with suppress(StrongroomError):
                act()

    def change(self, what: str, act: Callable[[], None]) -> None:
        """Carry out a change; ``StoreUnavailableError`` if nobody tells whether it arrived."""
        if self._random.random() >= self._rate:
            act()
            return
        self.struck += 1
        later = self._now + self._random.randrange(1, 60)
        kind = self._random.choice(["again", "late", "lost reply", "lost"])
        if kind in {"again", "late"}:
            self._under_way.append((later, act))
        if kind in {"again", "lost reply"}:
            act()
        if kind != "again":
            raise StoreUnavailableError(f"no answer to {what}")

    def deliver_all(self) -> None:
        """Let everything arrive that is still on its way."""
        self._now += 1 << 30
        self.tick()


class SteppedStore:
    """The store as one process sees it; ``trace`` gets a line for every request."""

    def __init__(self, within: Store, process: Process, network: Network, trace: list[str]) -> None:
        self._within = within
        self._process = process
        self._network = network
        self._trace = trace

    def _step(self, what: str) -> None:
        self._process.stand_still()
        self._network.tick()
        self._trace.append(f"{self._process.name}: {what}")

    @property
    def url(self) -> str:
        """See ``Store``."""
        return self._within.url

    def get(self, key: str) -> bytes:
        """See ``Store``."""
        self._step(f"get {key}")
        return self._within.get(key)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """See ``Store``."""
        self._step(f"get {key} from {offset}, {length}")
        return self._within.get_range(key, offset, length)

    def size(self, key: str) -> int:
        """See ``Store``."""
        self._step(f"size {key}")
        return self._within.size(key)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``; what is listed is what was there at the call."""
        self._step(f"list {prefix}")
        return iter(tuple(self._within.list(prefix)))

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        copy = bytes(value)
        self._step(f"put {key}")
        self._network.change(f"put {key}", lambda: self._within.put(key, copy))

    def delete(self, key: str) -> None:
        """See ``Store``."""
        self._step(f"delete {key}")
        self._network.change(f"delete {key}", lambda: self._within.delete(key))

    def time_ns(self) -> int | None:
        """See ``Store``."""
        return self._within.time_ns()

    def sync(self, prefixes: Sequence[str]) -> None:
        """See ``Store``."""
        self._within.sync(prefixes)
