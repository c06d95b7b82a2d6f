"""Pieces of the proof, each run in a process of its own; what fails is told and not raised."""

from __future__ import annotations

import random
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults import stopping
from tests.faults.damage import Base as DamageBase
from tests.faults.damage import Damage, Judge, build, flipped
from tests.faults.machine import Life
from tests.faults.schedules import run_schedules
from tests.faults.test_crash_at_requests import WORKLOADS, requests_of_backup, stop_backup
from tests.faults.workloads import Base, make_base
from tests.model.configurations import CONFIGURATIONS
from tests.model.removals import COVERED, NEEDED
from tests.support.faulty_store import Kind

BACKUPS: Final = {f"backup, {name}": name for name in WORKLOADS}
STEPS: Final = 30
MOST_TOLD: Final = 6000


@dataclass(slots=True)
class Result:
    """Figures by name, and what failed with what repeats it."""

    figures: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Result) -> None:
        """Take in the result of another piece."""
        self.figures.update(other.figures)
        self.failures += other.failures


def _told(result: Result, what: str, act: Callable[[], object]) -> bool:
    """Do something; what it raises becomes a failure."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever it is, the proof goes on and tells it
        text = "".join(traceback.format_exception(error))
        result.failures.append(f"{what}\n{text[-MOST_TOLD:]}")
        return False
    return True


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="strongroom-prove-")


@cache
def _backup_base(name: str) -> Base:
    before, unfinished, _files = WORKLOADS[name]
    return make_base(Path(tempfile.mkdtemp()) / "base", before, unfinished=unfinished)


def count_requests(act: str) -> int:
    """Return how many requests a command makes when nothing goes wrong."""
    with _folder() as folder:
        if act in BACKUPS:
            name = BACKUPS[act]
            return requests_of_backup(_backup_base(name), WORKLOADS[name][2], Path(folder))
        return stopping.requests_of(act, Path(folder) / "counted")


def count_changes(act: str) -> int:
    """Return how many of them change something."""
    with _folder() as folder:
        return stopping.changes_of(act, Path(folder) / "counted")


def crash(act: str, how: str, points: Sequence[int]) -> Result:
    """Stop a command at some of its requests, in one way."""
    result = Result()
    for nth in points:
        with _folder() as folder:

            def stop(nth: int = nth, folder: str = folder) -> None:
                if act in BACKUPS:
                    name = BACKUPS[act]
                    base, files = _backup_base(name), WORKLOADS[name][2]
                    stop_backup(base, files, how, nth, Path(folder))
                else:
                    stopping.stop(act, how, nth, Path(folder) / "stopped")

            _told(result, f"REPRO: {act}, {how}, request {nth}", stop)
        result.figures[f"{act} | {how}"] += 1
    return result


def repeat(act: str, kind: str, points: Sequence[int]) -> Result:
    """Let some of the changes of a command arrive twice, or late."""
    result = Result()
    for nth in points:
        with _folder() as folder:

            def once(nth: int = nth, folder: str = folder) -> None:
                struck = stopping.repeat(act, Kind[kind], nth, Path(folder) / "repeated")
                assert struck, "there was no such change"

            _told(result, f"REPRO: {act}, {kind}, change {nth}", once)
        result.figures[f"{act} | {kind}"] += 1
    return result


def schedules(seeds: Sequence[int]) -> Result:
    """Run schedules."""
    result = Result()
    for one in seeds:
        with _folder() as folder:

            def run(one: int = one, folder: str = folder) -> None:
                tally = run_schedules([one], Path(folder))
                result.figures["steps"] += tally.steps
                result.figures["stopped for ever"] += tally.killed
                result.figures["slept for days"] += tally.slept
                result.figures["lost, late or twice"] += tally.network
                result.figures.update({f"end: {k}": n for k, n in tally.outcomes.items()})

            _told(result, f"REPRO: schedule, seed={one}", run)
        result.figures["schedules"] += 1
    return result


def lives(number: int, examples: int) -> Result:
    """Run lives of repositories."""
    result = Result()
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )

    class Counted(Life):
        def teardown(self) -> None:
            result.figures["lives"] += 1
            super().teardown()

    machine = seed(number)(Counted)
    _told(
        result,
        f"REPRO: life, seed={number}, examples={examples}",
        lambda: run_state_machine_as_test(machine, settings=chosen),
    )
    return result


def model(name: str) -> Result:
    """Search one configuration of the protocol model."""
    result = Result()
    found = CONFIGURATIONS[name].search()
    result.figures["configurations"] += 1
    result.figures["states"] += found.states
    if found.violation is not None or not found.complete:
        result.failures.append(f"model: {name}: {found.violation or 'not searched to its end'}")
    return result


def weakening(number: int) -> Result:
    """Take rules of the protocol away; the model must find what follows."""
    result = Result()
    removal = [*NEEDED, *COVERED][number]
    found = removal.search()
    result.figures["weakenings"] += 1
    result.figures["states"] += found.states
    if found.violation is None or found.violation.breach != removal.breach:
        result.failures.append(f"model: {removal}: {found.violation or 'nothing follows'}")
    return result


@cache
def _damage_base() -> DamageBase:
    return build(Path(tempfile.mkdtemp()) / "damage")


def flips(number: int, count: int) -> Result:
    """Change single bits of any objects, chosen by a seed."""
    result, rng, base = Result(), random.Random(number), _damage_base()
    keys = sorted(base.objects)
    with _folder() as folder:
        judge = Judge(base, Path(folder))
        for _ in range(count):
            key = rng.choice(keys)
            place, bit = rng.randrange(len(base.objects[key])), rng.randrange(8)
            changed = {**base.objects, key: flipped(base.objects[key], place, bit)}
            damage = Damage(f"bit {bit} of byte {place}", changed, (key,))
            what = f"REPRO: bit {bit} of byte {place} of {base.names[key]}"
            _told(result, what, lambda damage=damage: judge.check(damage))  # type: ignore[misc]
            result.figures["flips"] += 1
    return result
