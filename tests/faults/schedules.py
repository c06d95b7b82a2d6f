"""Schedules that a seed repeats: hosts back up, forget, keep, restore and collect, all at once.

Every process stands still before each request to the store, and the seed says who goes on, who
stops for ever, who sleeps while days pass, and which requests come late or twice. After each
schedule everything that was acknowledged and is still wanted must be there, and two collections
must leave nothing else. ``run_schedules`` runs as many as it is given; a failing one says how to
see it again.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from strongroom.clock import ManualClock
from strongroom.crypto.primitives import sha256
from strongroom.errors import (
    BusyError,
    DamageError,
    FencedError,
    NotFoundError,
    RefusedError,
    StoreUnavailableError,
)
from strongroom.repository import layout
from strongroom.repository.records import OrderKind, Voided
from strongroom.storage.memory import MemoryStore
from tests.faults.schedule_base import POOL, START_NS, base, files_of
from tests.support.crash import SimulatedCrash
from tests.support.invariants import Files, check_invariants, check_nothing_left
from tests.support.kit import DAY_NS, Kit
from tests.support.randomness import SeededRandomness
from tests.support.scheduling import (
    AnyOrder,
    ByPriority,
    Choice,
    Network,
    Process,
    SteppedClock,
    SteppedStore,
)

YEARS_NS: Final = 5 * 365 * DAY_NS
MOST_STEPS: Final = 20_000
SHOWN: Final = 400


@dataclass
class Known:
    """What was acknowledged while a schedule ran.

    ``files`` of every session that began to decide, by id; ``forgets``: how many orders began to
    forget a snapshot; ``held``: those that a hold keeps; ``undeleted``: how many of these orders an
    un-forget cancelled.
    """

    files: dict[str, Files]
    acknowledged: set[str]
    forgets: Counter[str]
    held: set[str] = field(default_factory=set)
    undeleted: dict[str, int] = field(default_factory=dict)

    @property
    def wanted(self) -> dict[str, Files]:
        """What must be there in the end."""
        return {
            one: self.files[one]
            for one in sorted(self.acknowledged)
            if one in self.held or self.forgets[one] == self.undeleted.get(one, 0)
        }


@dataclass
class Tally:
    """What schedules came to."""

    schedules: int = 0
    steps: int = 0
    killed: int = 0
    slept: int = 0
    network: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    traces: set[int] = field(default_factory=set)

    def __str__(self) -> str:
        """Return the figures in one line."""
        outcomes = ", ".join(f"{name} {count}" for name, count in sorted(self.outcomes.items()))
        return (
            f"{self.schedules} schedules, {len(self.traces)} different, {self.steps} steps, "
            f"{self.killed} processes stopped for ever, {self.slept} slept for days, "
            f"{self.network} requests lost, late or twice; {outcomes}"
        )


class Schedule:
    """One schedule; everything about it comes from its seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.trace: list[str] = []
        self.random = random.Random(seed)
        self.store_clock = ManualClock(START_NS)
        self.store = MemoryStore(clock=self.store_clock)
        first = base()
        for key, value in first.objects.items():
            self.store.put(key, value)
        self.known = Known(dict(first.snapshots), set(first.snapshots), Counter(first.forgotten))
        self.folder = folder
        self.choice: Choice = (
            AnyOrder(seed)
            if self.random.random() < 0.5
            else ByPriority(seed, self.random.randrange(1, 9), 600)
        )
        self.rots = self.random.random() < 0.25  # objects of collector runs become unreadable
        rate = self.random.choice([0.0, 0.0, 0.02])
        self.network = Network(seed, rate)
        self.processes: list[Process] = []
        self.asleep: list[Process] = []
        self.killed = self.slept = 0
        for name in "ab":
            ignored = shutil.ignore_patterns("cache", "walks")
            shutil.copytree(first.state, folder / name, ignore=ignored)

    # -- who is there

    def cast(self) -> None:
        """Choose the processes."""
        chosen = self.random
        roles: list[tuple[str, Callable[[Kit, Process], None]]] = [
            *[("writer", self._write)] * chosen.choice([1, 2, 2, 3]),
            *[("collector", self._collect)] * chosen.choice([1, 2, 2]),
            *[("forgetter", self._forget)] * chosen.choice([0, 1]),
            *[("keeper", self._keep)] * chosen.choice([0, 1, 1]),
            *[("reader", self._read)] * chosen.choice([0, 1]),
            *[("checker", self._check)] * (0 if self.rots else chosen.choice([0, 0, 1])),
            *[("voider", self._void)] * (chosen.choice([1, 2]) if self.rots else 0),
        ]
        for number, (name, act) in enumerate(roles):
            self.processes.append(Process(f"{name} {number}", self._work(number, act)))

    def _work(self, number: int, act: Callable[[Kit, Process], None]) -> Callable[[Process], None]:
        host = self.random.choice(["a", "b", f"new {number}"])
        wrong_ns = self.random.choice([0, 0, YEARS_NS, -YEARS_NS])

        def work(process: Process) -> None:
            store = SteppedStore(self.store, process, self.network, self.trace)
            kit = Kit(store, self.folder / host)
            kit.clock = SteppedClock(START_NS + wrong_ns, process, self.choice)
            kit.randomness = SeededRandomness(self._seed_of(number))
            act(kit, process)

        return work

    def _seed_of(self, number: int) -> int:
        return 1000 + self.seed * 100 + number  # the base has 0 and 1

    # -- what they do

    def _write(self, kit: Kit, process: Process) -> None:
        rng = random.Random(f"{self.seed} {process.name}")
        for _ in range(rng.choice([1, 1, 2])):
            files = files_of(sorted(rng.sample(range(8), rng.randrange(1, 5))))
            sessions = self._sessions_begun(process)
            try:
                made = kit.backup(files, rng.choice(["test", "test", "other"])).snapshot.id
            except (FencedError, StoreUnavailableError):
                continue
            finally:
                for one in self._sessions_begun(process) - sessions:
                    self.known.files[one] = files
            self.known.acknowledged.add(made)

    def _sessions_begun(self, process: Process) -> set[str]:
        put = f"{process.name}: put {layout.SESSIONS}"
        return {line.rpartition("/")[2] for line in self.trace if line.startswith(put)}

    def _collect(self, kit: Kit, process: Process) -> None:
        rng = random.Random(f"{self.seed} {process.name}")
        for _ in range(rng.choice([1, 1, 2])):
            try:
                kit.prune(
                    grace_ns=rng.choice([0, 0, DAY_NS]),
                    wait_seconds=rng.choice([0, 30, 300]),
                    max_unused=rng.choice([0, 0.05, 1]),
                )
            except (BusyError, FencedError, StoreUnavailableError):
                continue
            except DamageError:
                if not self.rots:
                    raise

    def _forget(self, kit: Kit, process: Process) -> None:
        rng = random.Random(f"{self.seed} {process.name}")
        wanted = sorted(one.id for one in kit.listing().found)
        targets = rng.sample(wanted, min(len(wanted), rng.choice([1, 1, 2])))
        for one in targets:
            self.known.forgets[one] += 1
        kit.forget(*targets, allow_empty=rng.random() < 0.5)

    def _keep(self, kit: Kit, process: Process) -> None:
        rng = random.Random(f"{self.seed} {process.name}")
        listing = kit.listing()
        forgotten = sorted(one.id for one in listing.forgotten)
        wanted = sorted(one.id for one in listing.found)
        targets = rng.sample(forgotten, min(len(forgotten), rng.choice([1, 1, 2])))
        if rng.random() < 0.5:
            kit.hold(*[*targets, *rng.sample(wanted, min(1, len(wanted)))])
            self.known.held.update(targets)
        elif targets:
            before = {one: self.known.forgets[one] for one in targets}
            kit.undelete(*targets)
            self.known.undeleted |= before

    def _read(self, kit: Kit, process: Process) -> None:
        rng = random.Random(f"{self.seed} {process.name}")
        wanted = rng.choice(sorted(self.known.wanted))
        try:
            result, files = kit.restore(wanted)
        except LookupError:
            assert wanted not in self.known.wanted, "a snapshot that is wanted is not listed"
            return
        if wanted in self.known.wanted:
            assert not result.damaged, "a restore beside a collector reports damage"
            assert files == dict(self.known.files[wanted])

    def _void(self, kit: Kit, process: Process) -> None:
        for _ in range(4):
            void_what_rotted(kit)
            kit.clock.sleep(1)
        del process

    def _check(self, kit: Kit, process: Process) -> None:
        del process
        found = kit.verify()
        assert found.damage == [], f"verify beside a collector reports damage: {found.damage}"

    # -- the run

    def run(self) -> None:
        """Let everybody go on until they ended or stopped for ever; then look at what is left."""
        self.cast()
        for process in self.processes:
            process.start()
        try:
            self._go_on()
        finally:
            for process in self.processes:
                process.kill()
        self.network.deliver_all()
        self._judge()

    def _go_on(self) -> None:
        stopped: set[str] = set()
        for step in range(MOST_STEPS):
            if self.random.random() < (0.02 if self.rots else 0.01):
                self._something_happens(stopped)
            awake = [
                one
                for one in self.processes
                if not one.has_ended and one.name not in stopped and one not in self.asleep
            ]
            if not awake and not self.asleep:
                return
            if not awake:
                self.asleep.clear()
                continue
            del step
            self.choice.pick(awake).go()
        raise AssertionError("the processes do not come to an end")

    def _something_happens(self, stopped: set[str]) -> None:
        active = [one for one in self.processes if not one.has_ended and one.name not in stopped]
        if not active:
            return
        one = self.random.choice(active)
        what = self.random.choice(
            ["stops", "sleeps", "sleeps", "days pass", "wakes", *["rots"] * (3 * self.rots)]
        )
        if what == "rots":
            self._rot()
        elif what == "stops":
            self.killed += 1
            stopped.add(one.name)
        elif what == "sleeps":
            self.slept += 1
            self.asleep.append(one)
        elif what == "days pass":
            self.store_clock.sleep(2 * 86_400)
        elif one in self.asleep:
            self.asleep.remove(one)
        self.trace.append(f"-- {one.name} {what}")

    def _rot(self) -> None:
        keys = [info.key for info in self.store.list(layout.GC) if not info.key.endswith("/done")]
        if keys:
            key = self.random.choice(keys)
            value = self.store.get(key)
            self.store.delete(key)
            self.store.put(key, value[:-1] + bytes([value[-1] ^ 1]))
            self.trace.append(f"-- {key} rots")

    def _judge(self) -> None:
        for process in self.processes:
            _judge_error(process, rots=self.rots)
        kit = Kit(self.store, self.folder / "judge")
        kit.clock = self.store_clock
        kit.randomness = SeededRandomness(self._seed_of(99))
        listing = kit.listing()
        wanted = self.known.wanted
        listed = {one.id for one in listing.found}
        assert set(wanted) <= listed, f"gone: {sorted(set(wanted) - listed)}"
        everything = {one: self.known.files[one] for one in listed}
        if self.rots:
            self._judge_rotten(kit)
        else:
            check_nothing_left(kit)
            check_invariants(kit, everything)
        for one, files in everything.items() if self.rots else ():
            result, restored = kit.restore(one)
            assert not result.damaged
            assert restored == dict(files), "a snapshot restored other bytes"

    def _judge_rotten(self, kit: Kit) -> None:
        """Collect and back up as far as that is possible; whatever else, nothing may be lost."""
        for _ in range(6):
            void_what_rotted(kit)
            self.store_clock.sleep(1)
            with suppress(DamageError):
                kit.prune(silent_ns=0, max_unused=0)
            made = kit.backup(POOL).snapshot.id
            assert kit.restore(made)[1] == POOL


def _judge_error(process: Process, *, rots: bool) -> None:
    """Raise what ended a process, unless it may: what a role allows is in its method already."""
    error = process.error
    if error is None or isinstance(error, SimulatedCrash | StoreUnavailableError):
        return
    role = process.name.partition(" ")[0]
    if role == "keeper" and isinstance(error, NotFoundError | RefusedError | FencedError):
        return
    if rots and isinstance(error, DamageError | RefusedError):
        return  # commits are gone, and what explains it cannot be read until it is void
    raise error


def void_what_rotted(kit: Kit) -> None:
    """Declare every kills that cannot be read void, as a person does who has no copy of it."""
    repository = kit.open()
    history = repository.read_history(cached=False)
    for key in history.runs.unreadable:
        if key.endswith("/kills"):
            digest = sha256(repository.store.get(key))
            kit.order(OrderKind.VOID, (Voided(key, digest),))


def run_schedules(seeds: Iterable[int], folder: Path) -> Tally:
    """Run a schedule for every seed; the first that fails is raised with what repeats it."""
    tally = Tally()
    for seed in seeds:
        here = folder / f"schedule {seed}"
        schedule = Schedule(seed, here)
        try:
            schedule.run()
        except BaseException as error:
            lines = "\n".join(schedule.trace[-SHOWN:])
            error.add_note(f"REPRO: seed={seed}\n{lines}")
            raise
        shutil.rmtree(here)
        tally.schedules += 1
        tally.steps += len(schedule.trace)
        tally.killed += schedule.killed
        tally.slept += schedule.slept
        tally.network += schedule.network.struck
        tally.traces.add(hash(tuple(schedule.trace)))
        for process in schedule.processes:
            role = process.name.partition(" ")[0]
            end = "done" if process.error is None else type(process.error).__name__
            tally.outcomes[f"{role} {end}"] += 1
    return tally
