"""A store that fails, repeats and lies at random, behind the wrapper that tries again."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.errors import StrongroomError
from strongroom.operations.restore import restore
from strongroom.storage.memory import MemoryStore
from strongroom.storage.wrappers.forwarding import Verb
from strongroom.storage.wrappers.retrying import RetryingStore
from tests.faults.workloads import DecisionTold, Files
from tests.support.fakes import MemoryTarget
from tests.support.faulty_store import Fault, FaultyStore, Kind, Storm
from tests.support.invariants import check_invariants
from tests.support.kit import Kit
from tests.support.randomness import SeededRandomness

pytestmark = pytest.mark.spec("B1")

FAILING = (
    Kind.ERROR_BEFORE,
    Kind.ERROR_AFTER,
    Kind.BROKEN_LIST,
    Kind.TWICE,
    Kind.ECHO,
    Kind.LATE,
)
LYING = (Kind.TRUNCATED, Kind.FLIPPED, Kind.SHORT_LIST, Kind.MISSING_ENTRY)
DOCUMENTED = {1, 4, 6, 10, 11, 12, 13}
STEPS = 6
BLOCKS, SEEDS_IN_BLOCK = 3, 50


class Weather:
    """``Faults`` from a seed: single ones all the time, and now and then nothing works for a while.

    Some seeds fail only, some lie as well; from one request in 200 to one in 5.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        kinds = FAILING + (LYING if self._random.random() < 0.5 else ())
        rate = self._random.choice((0.005, 0.02, 0.05, 0.2))
        self._storm = Storm(seed, rate, kinds)
        self._outage = self._random.random() < 0.3
        self._left = 0

    def __str__(self) -> str:
        """Return what it is made of."""
        return f"{self._storm}, outages={self._outage}"

    def next(self, verb: Verb, key: str) -> Fault | None:
        """See ``Faults``."""
        if self._left == 0 and self._outage and self._random.random() < 0.01:
            self._left = self._random.choice((3, 30, 300))
        if self._left > 0:
            self._left -= 1
            return Fault(self._random.choice((Kind.ERROR_BEFORE, Kind.ERROR_AFTER)))
        return self._storm.next(verb, key)


class Voyage:
    """One host's work in one weather; afterwards the sky is clear and everything is checked."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._random = random.Random(f"work {seed}")
        self._sound = MemoryStore()
        self._folder = folder
        self._hosts = itertools.count()
        first = self._host(self._sound)
        first.init()
        self._files: Files = {b"a/%d" % n: b"file %d\n" % n for n in range(6)}
        self._acknowledged: dict[str, Files] = {
            first.backup(self._files).snapshot.id: dict(self._files)
        }
        self._in_doubt: dict[str, Files] = {}
        self._state = first.state_path
        self.weather = Weather(seed)
        self._faulty = FaultyStore(self._sound, self.weather, seed=seed)

    def _host(self, store: MemoryStore | DecisionTold, state: Path | None = None) -> Kit:
        return Kit(store, state or self._folder / f"host {next(self._hosts)}")

    def run(self) -> None:
        """Work, then check."""
        for _ in range(STEPS):
            work = self._random.choice((self._back_up, self._back_up, self._restore, self._verify))
            self._step(work)
        self._faulty.deliver_echoes()
        kit = self._host(self._sound, self._state)
        listed = {snapshot.id for snapshot in kit.snapshots()}
        adopted = {key: files for key, files in self._in_doubt.items() if key in listed}
        check_invariants(kit, {**adopted, **self._acknowledged})

    def _step(self, work: Callable[[Kit, DecisionTold], None]) -> None:
        known = self._random.random() < 0.7
        kit = self._host(self._sound, self._state if known else None)
        told = DecisionTold(RetryingStore(self._faulty, kit.clock, SeededRandomness(1)))
        kit.store = told
        try:
            work(kit, told)
        except StrongroomError as error:
            assert error.code in DOCUMENTED, repr(error)

    def _back_up(self, kit: Kit, told: DecisionTold) -> None:
        self._change()
        files = dict(self._files)
        try:
            result = kit.backup(files)
        except StrongroomError:
            self._in_doubt.update(dict.fromkeys(told.deciding, files))
            raise
        assert result.problems == []
        self._acknowledged[result.snapshot.id] = files

    def _change(self) -> None:
        for _ in range(self._random.randrange(3)):
            name = b"a/%d" % self._random.randrange(10)
            self._files[name] = self._random.randbytes(self._random.randrange(50))

    def _restore(self, kit: Kit, told: DecisionTold) -> None:
        del told
        wanted = self._random.choice(list(self._acknowledged))
        repository, target = kit.open(), MemoryTarget()
        for listed in repository.snapshots():
            if listed.id == wanted:
                result = restore(repository, listed, target)
                lost = {problem.path for problem in result.damaged}
                files = self._acknowledged[wanted]
                assert target.files == {path: files[path] for path in files if path not in lost}

    def _verify(self, kit: Kit, told: DecisionTold) -> None:
        del told
        kit.verify()  # what it says of a store that lies is not to be relied on


def sail(seed: int, folder: Path) -> None:
    """Run one voyage; a failure says how to repeat it."""
    voyage = Voyage(seed, folder)
    try:
        voyage.run()
    except BaseException as error:
        error.add_note(f"REPRO: sail({seed}, folder) in {voyage.weather}")
        raise


@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_is_lost_in_any_weather(block: int, tmp_path: Path) -> None:
    """Whatever errors, losses, repetitions and lies a store mixes into backups, restores and
    verifications: each ends well or with a documented error, a restore never gives wrong bytes,
    and when the store is sound again all invariants hold.
    """
    for seed in range(block * SEEDS_IN_BLOCK, (block + 1) * SEEDS_IN_BLOCK):
        sail(seed, tmp_path / str(seed))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("block", range(20))
def test_nothing_is_lost_in_twenty_thousand_weathers(block: int, tmp_path: Path) -> None:
    """The same for 20,000 other seeds."""
    for seed in range(1_000_000 + block * 1000, 1_000_000 + (block + 1) * 1000):
        sail(seed, tmp_path / str(seed))
