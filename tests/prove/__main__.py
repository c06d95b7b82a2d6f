"""Try to lose data for as long as one has: ``python -m tests.prove [--hours N] [--seed N]``.

Writes ``docs/proof.md``; the exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import count, islice
from pathlib import Path
from typing import Final

from tests.faults.stopping import ACTS, REPEATS
from tests.faults.test_crash_at_requests import STOPS
from tests.model.configurations import CONFIGURATIONS
from tests.model.reached import REACHED
from tests.model.removals import COVERED, NEEDED
from tests.mutants.running import Outcome, every_mutant
from tests.prove import tasks
from tests.prove.report import Proof, page
from tests.prove.tasks import BACKUPS, Result

PAGE: Final = Path(__file__).parents[2] / "docs" / "proof.md"
SHARES: Final = {
    "crashes": 0.2,
    "repeats": 0.04,
    "flips": 0.04,
    "lives": 0.1,
    "model": 0.12,
    "schedules": 0.24,
}
"""Parts of the time; what one does not need is the next one's. The mutants have the rest."""
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
        self._until = self._began
        self._workers = os.cpu_count() or 1

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def part(self, name: str, pieces: Iterator[Task]) -> int:
        """Run pieces until there is no more, or the time of this part is over; how many ran."""
        self._until += self._seconds * SHARES[name]
        result = self._proof.parts.setdefault(name, Result())
        running: deque[Future[Result]] = deque()
        context = multiprocessing.get_context("spawn")
        done, told = 0, time.monotonic()
        with ProcessPoolExecutor(
            self._workers, mp_context=context, max_tasks_per_child=RENEWED
        ) as pool:
            while True:
                while len(running) < 2 * self._workers and time.monotonic() < self._until:
                    piece = next(pieces, None)
                    if piece is None:
                        break
                    running.append(pool.submit(piece[0], *piece[1]))
                if not running:
                    break
                result.add(running.popleft().result())
                done += 1
                if time.monotonic() - told > TOLD:
                    told = time.monotonic()
                    self.tell(name, result)
        self.tell(name, result)
        return done

    def tell(self, name: str, result: Result) -> None:
        """Write one line of progress."""
        figures = result.figures
        done = figures.get(name) or sum(n for what, n in figures.items() if what != "states")
        text = f"{self.elapsed:6.0f} s  {name}: {done:,}, {len(result.failures)} failures"
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(self._seconds - self.elapsed, 0)


def _batches(points: list[tuple[str, str, int]]) -> Iterator[Task]:
    """Yield pieces that stop one command in one way at some requests each."""
    several: dict[tuple[str, str], list[int]] = {}
    for act, how, nth in points:
        batch = several.setdefault((act, how), [])
        batch.append(nth)
        if len(batch) == PIECE:
            yield tasks.crash, (act, how, batch)
            several[act, how] = []
    for (act, how), batch in several.items():
        if batch:
            yield tasks.crash, (act, how, batch)


def _repeats() -> Iterator[Task]:
    for start in range(1, 1000, PIECE):
        for act in ACTS:
            for kind in REPEATS:
                yield tasks.repeat, (act, kind.name, start, PIECE)


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
    points = [
        (act, how, nth)
        for act, requests in proof.requests.items()
        for how in STOPS
        for nth in range(1, requests + 1)
    ]
    random.Random(seed).shuffle(points)
    runner.part("crashes", _batches(points))
    repeats = list(_repeats())
    ran = runner.part("repeats", iter(repeats))
    figures = proof.parts["repeats"].figures
    proof.changes = {name: ran == len(repeats) for name in figures}
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
    mutants = {one.name: one for one in every_mutant()}
    proof.mutants = len(mutants)
    command = [sys.executable, "-m", "tests.mutants", "--json", "--seed", str(proof.seed)]
    command += ["--seconds", str(runner.left), "--jobs", str(os.cpu_count() or 1)]
    with subprocess.Popen(command, cwd=PAGE.parents[1], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        for line in running.stdout:
            name, stage, reason = json.loads(line)
            proof.outcomes.append(Outcome(mutants[name], stage, reason))
            if not stage and not reason:
                sys.stderr.write(f"{runner.elapsed:6.0f} s  survived: {name}\n")


def main(arguments: list[str]) -> int:
    """Read the arguments, prove, and write the page."""
    parser = argparse.ArgumentParser(prog="./run prove", description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0, help="how long; 1 if not given")
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
