"""Try to lose data for as long as one has: ``python -m tests.prove [--hours N] [--seed N]``.

Every request of every command stopped in every way, and every change that arrives twice or late,
are always run to their end, however short the time; the other parts share what is left after that,
and have a minute each at least. Writes ``docs/proof.md``; the exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import count, islice
from pathlib import Path
from typing import Final

from tests.faults.stopping import ACTS, REPEATS
from tests.faults.test_crash_at_requests import STOPS
from tests.model.configurations import CONFIGURATIONS
from tests.model.reached import REACHED
from tests.model.removals import COVERED, NEEDED
from tests.mutants.groups import mutants_by_group
from tests.mutants.running import SURVIVED, Outcome
from tests.prove import tasks
from tests.prove.report import Proof, page
from tests.prove.tasks import BACKUPS, Result

PAGE: Final = Path(__file__).parents[2] / "docs" / "proof.md"
SHARES: Final = {"flips": 0.05, "lives": 0.12, "model": 0.13, "schedules": 0.3, "mutants": 0.4}
"""Parts of the time after those that are run to their end; what one does not need is the next's."""
LEAST: Final = 60.0  # seconds that each of these has, so that a short proof does some of everything
PIECE: Final = 8  # what is done in one piece, so that a piece takes seconds
TOLD: Final = 10.0  # seconds between two lines of progress
RENEWED: Final = 40  # pieces after which a process makes place for a new one
Task = tuple[Callable[..., Result], tuple[object, ...]]


class Runner:
    """Runs pieces in processes, as many as there are processors."""

    def __init__(self, proof: Proof, seconds: float) -> None:
        self._proof = proof
        self._began = time.monotonic()
        self._seconds = seconds
        self._shared = seconds
        self._until = self._began
        self._workers = os.cpu_count() or 1

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def whole(self, name: str, pieces: Iterator[Task]) -> None:
        """Run all pieces, however long it takes; the parts that follow share the time after it."""
        self._run(name, pieces, float("inf"))
        self._shared = max(self._seconds - self.elapsed, 0)
        self._until = time.monotonic()

    def part(self, name: str, pieces: Iterator[Task]) -> None:
        """Run pieces until there is no more, or the time of this part is over."""
        self._run(name, pieces, self._end_of(name))

    def left(self, name: str) -> float:
        """Return the seconds that this part has."""
        return self._end_of(name) - time.monotonic()

    def _end_of(self, name: str) -> float:
        self._until += self._shared * SHARES[name]
        return max(self._until, time.monotonic() + LEAST)

    def _run(self, name: str, pieces: Iterator[Task], until: float) -> None:
        result = self._proof.parts.setdefault(name, Result())
        running: set[Future[Result]] = set()
        context = multiprocessing.get_context("spawn")
        told = time.monotonic()
        with ProcessPoolExecutor(
            self._workers, mp_context=context, max_tasks_per_child=RENEWED
        ) as pool:
            while True:
                while len(running) < 2 * self._workers and time.monotonic() < until:
                    piece = next(pieces, None)
                    if piece is None:
                        break
                    running.add(pool.submit(piece[0], *piece[1]))
                if not running:
                    break
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for one in ended:
                    result.add(one.result())
                if time.monotonic() - told > TOLD:
                    told = time.monotonic()
                    self.tell(name, result)
        self.tell(name, result)

    def tell(self, name: str, result: Result) -> None:
        """Write one line of progress."""
        figures = result.figures
        done = figures.get(name) or sum(n for what, n in figures.items() if what != "states")
        text = f"{self.elapsed:6.0f} s  {name}: {done:,}, {len(result.failures)} failures"
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _crashes(requests: Mapping[str, int]) -> Iterator[Task]:
    """Yield pieces that stop one command in one way at some requests each."""
    for act, last in requests.items():
        for how in STOPS:
            for points in _batched(range(1, last + 1)):
                yield tasks.crash, (act, how, points)


def _repeats(changes: Mapping[str, int]) -> Iterator[Task]:
    for act, last in changes.items():
        for kind in REPEATS:
            for points in _batched(range(1, last + 1)):
                yield tasks.repeat, (act, kind.name, points)


def _batched(points: Sequence[int]) -> Iterator[Sequence[int]]:
    """Cut numbers into pieces."""
    return (points[start : start + PIECE] for start in range(0, len(points), PIECE))


def _models(weakenings: int) -> Iterator[Task]:
    names = sorted(CONFIGURATIONS, key=lambda name: REACHED[name][0])
    yield from ((tasks.model, (name,)) for name in names[: len(names) // 2])
    yield from ((tasks.weakening, (number,)) for number in range(weakenings))
    yield from ((tasks.model, (name,)) for name in names[len(names) // 2 :])


def prove(proof: Proof, hours: float) -> None:
    """Do everything that fits into the time."""
    runner = Runner(proof, hours * 3600)
    seed = proof.seed
    proof.configurations, proof.weakenings = len(CONFIGURATIONS), len([*NEEDED, *COVERED])
    proof.requests = {act: tasks.count_requests(act) for act in [*ACTS, *BACKUPS]}
    proof.changes = {act: tasks.count_changes(act) for act in ACTS}
    runner.whole("crashes", _crashes(proof.requests))
    runner.whole("repeats", _repeats(proof.changes))
    runner.part("flips", ((tasks.flips, (n, 40)) for n in islice(count(seed), 1000)))
    runner.part("lives", ((tasks.lives, (n, 6)) for n in count(seed)))
    runner.part("model", _models(proof.weakenings))
    runner.part(
        "schedules", ((tasks.schedules, (range(n, n + PIECE),)) for n in count(seed, PIECE))
    )
    _mutants(proof, runner)
    proof.seconds = runner.elapsed


def _mutants(proof: Proof, runner: Runner) -> None:
    """Run them in a process of its own, which has imported nothing yet."""
    mutants = {one.name: one for group in mutants_by_group().values() for one in group}
    command = [sys.executable, "-m", "tests.mutants", "--json", "--seed", str(proof.seed)]
    command += ["--seconds", str(runner.left("mutants")), "--jobs", str(os.cpu_count() or 1)]
    with subprocess.Popen(command, cwd=PAGE.parents[1], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        for line in running.stdout:
            name, killer, reason = json.loads(line)
            outcome = Outcome(mutants[name], killer, reason)
            proof.outcomes.append(outcome)
            if outcome.became == SURVIVED:
                sys.stderr.write(f"{runner.elapsed:6.0f} s  survived: {name}\n")


def main(arguments: list[str]) -> int:
    """Read the arguments, prove, and write the page."""
    parser = argparse.ArgumentParser(prog="./run prove", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="how long about; 1 if not given")
    parser.add_argument("--seed", type=int, help="what repeats a run; a new one if not given")
    chosen = parser.parse_args(arguments)
    seed = chosen.seed if chosen.seed is not None else int(time.time())
    sys.stderr.write(f"seed {seed}\n")
    proof = Proof(seed, f"./run prove --hours {chosen.hours:g} --seed {seed}")
    prove(proof, chosen.hours)
    PAGE.write_text(page(proof))
    for failure in proof.failures:
        sys.stderr.write(f"\n{failure}\n")
    sys.stderr.write(f"{len(proof.failures)} failures; {PAGE}\n")
    return int(bool(proof.failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
