"""What the proof came to, as a page for people."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.faults.stopping import ACTS
from tests.faults.test_crash_at_requests import STOPS
from tests.mutants.running import Outcome
from tests.prove.tasks import BACKUPS, Result

MOST_FAILURES: Final = 5


@dataclass(slots=True)
class Proof:
    """Everything that was done: figures by part, how much there was to do, mutants by outcome."""

    seed: int
    command: str
    seconds: float = 0.0
    requests: dict[str, int] = field(default_factory=dict)
    changes: dict[str, bool] = field(default_factory=dict)
    parts: dict[str, Result] = field(default_factory=dict)
    configurations: int = 0
    weakenings: int = 0
    mutants: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    def figures(self, part: str) -> Counter[str]:
        """Return the figures of a part; none if it did not run."""
        return self.parts[part].figures if part in self.parts else Counter()

    @property
    def failures(self) -> list[str]:
        """Everything that failed."""
        return [failure for part in self.parts.values() for failure in part.failures]

    @property
    def survivors(self) -> list[Outcome]:
        """Mutants that no test noticed and nobody reviewed."""
        return [one for one in self.outcomes if not one.stage and not one.reason]


def page(proof: Proof) -> str:
    """Return the page."""
    return "\n".join(_lines(proof)) + "\n"


def _lines(proof: Proof) -> Iterator[str]:
    yield from [
        "# Proof",
        "",
        f"Made by `{proof.command}` (seed {proof.seed}), {datetime.now(UTC):%Y-%m-%d},",
        f"{_processor()}, {os.cpu_count()} processors, {platform.system()} {platform.release()},",
        f"Python {platform.python_version()}, {proof.seconds / 60:.0f} minutes.",
        "",
        "Everything here tries to lose data: it stops programs, loses and repeats requests, lets",
        "processes sleep for days, damages objects, and takes rules out of the program. After each",
        "fault every acknowledged snapshot that is wanted must restore bit for bit, `verify",
        "--read-data` must report no damage, the next backup and collection must work without",
        "help, and two collections must leave only what is referenced.",
        "",
        f"**{_injected(proof):,} faults injected, {len(proof.failures)} failures.**",
        "",
    ]
    yield from _failures(proof.failures)
    yield from _crashes(proof)
    yield from _repeats(proof)
    yield from _random(proof)
    yield from _model(proof)
    yield from _mutants(proof)


def _injected(proof: Proof) -> int:
    schedules = proof.figures("schedules")
    names = ("stopped for ever", "slept for days", "lost, late or twice")
    simple = ("crashes", "repeats", "flips")
    return sum(schedules[name] for name in names) + sum(
        sum(proof.figures(part).values()) for part in simple
    )


def _failures(failures: Sequence[str]) -> Iterator[str]:
    for failure in failures[:MOST_FAILURES]:
        yield from ["```", *failure.splitlines()[-25:], "```", ""]


def _crashes(proof: Proof) -> Iterator[str]:
    figures = proof.figures("crashes")
    yield from [
        "## Stopped at every request",
        "",
        "How many of a command's requests it was stopped at, in each way.",
        "",
        f"| | requests | {' | '.join(STOPS)} |",
        f"|---|---|{'---|' * len(STOPS)}",
    ]
    for act in [*ACTS, *BACKUPS]:
        count = proof.requests.get(act, 0)
        done = [figures[f"{act} | {how}"] for how in STOPS]
        cells = ["all" if count and one >= count else str(one) for one in done]
        yield f"| {act} | {count} | {' | '.join(cells)} |"
    yield ""


def _repeats(proof: Proof) -> Iterator[str]:
    yield from ["## Changes that arrive twice or late", ""]
    for name, count in sorted(proof.figures("repeats").items()):
        act, _, kind = name.partition(" | ")
        every = "every change" if proof.changes.get(name) else "not every change"
        yield f"- {act}, {kind}: {count} ({every})"
    yield ""


def _random(proof: Proof) -> Iterator[str]:
    schedules, lives = proof.figures("schedules"), proof.figures("lives")
    ends = ", ".join(
        f"{name.removeprefix('end: ')} {count:,}"
        for name, count in sorted(schedules.items())
        if name.startswith("end: ")
    )
    yield from [
        "## Everything at once",
        "",
        "Writers, collectors, forgets, holds, un-forgets, restores and checks, each let go from",
        "one request to the next in an order that a seed repeats (`tests/faults/schedules.py`);",
        "and lives of a repository drawn at random, beside a model of what must be there",
        "(`tests/faults/machine.py`).",
        "",
        f"- {schedules['schedules']:,} schedules, seeds from {proof.seed}",
        f"- {schedules['steps']:,} requests",
        f"- {schedules['stopped for ever']:,} processes stopped for ever",
        f"- {schedules['slept for days']:,} processes slept while days passed",
        f"- {schedules['lost, late or twice']:,} requests lost, late or twice",
        f"- how they ended: {ends or 'none'}",
        f"- {lives['lives']:,} lives",
        f"- {proof.figures('flips')['flips']:,} single bits changed, each found and named",
        "",
    ]


def _model(proof: Proof) -> Iterator[str]:
    figures = proof.figures("model")
    yield from [
        "## The protocol, state by state",
        "",
        f"- {figures['configurations']} of {proof.configurations} configurations searched: safe",
        f"- {figures['weakenings']} of {proof.weakenings} rules taken away: what follows is found",
        f"- {figures['states']:,} states (`python -m tests.model` shows them)",
        "",
    ]


def _mutants(proof: Proof) -> Iterator[str]:
    killed = sum(one.stage > 0 for one in proof.outcomes)
    reviewed = [one for one in proof.outcomes if one.reason]
    yield from [
        "## Mutants",
        "",
        "Small faults in the program, one at a time: is there a test that notices?",
        "",
        f"- {len(proof.outcomes)} of {proof.mutants} mutants run",
        f"- {killed} killed, {len(proof.survivors)} survived, {len(reviewed)} can do no harm",
        "",
    ]
    if proof.survivors:
        yield from ["Survivors:", ""]
        yield from (f"- `{one.mutant.name}`" for one in proof.survivors)
        yield ""
    if reviewed:
        yield from ["Without harm:", ""]
        yield from (f"- `{one.mutant.name}`: {one.reason}" for one in reviewed)
        yield ""


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
