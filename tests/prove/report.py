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

from tests.faults.stopping import ACTS, REPEATS
from tests.faults.test_crash_at_requests import STOPS
from tests.mutants.groups import mutants_by_group
from tests.mutants.running import HARMLESS, KILLED, SURVIVED, Outcome
from tests.prove.tasks import BACKUPS, Result

MOST_FAILURES: Final = 5


@dataclass(slots=True)
class Proof:
    """Everything that was done: figures by part, how much there was to do, mutants by outcome."""

    seed: int
    command: str
    seconds: float = 0.0
    requests: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    parts: dict[str, Result] = field(default_factory=dict)
    configurations: int = 0
    weakenings: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    def figures(self, part: str) -> Counter[str]:
        """Return the figures of a part; none if it did not run."""
        return self.parts[part].figures if part in self.parts else Counter()

    @property
    def failures(self) -> list[str]:
        """Everything that failed."""
        return [failure for part in self.parts.values() for failure in part.failures]


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
        "How many of a command's requests it was stopped at, in each way. This part and the next",
        "one are run to their end, however long it takes.",
        "",
        f"| | requests | {' | '.join(STOPS)} |",
        f"|---|---|{'---|' * len(STOPS)}",
    ]
    for act in [*ACTS, *BACKUPS]:
        count = proof.requests.get(act, 0)
        yield f"| {act} | {count} | {_cells([figures[f'{act} | {how}'] for how in STOPS], count)}"
    yield ""


def _repeats(proof: Proof) -> Iterator[str]:
    kinds = [kind.name for kind in REPEATS]
    yield from [
        "## Changes that arrive twice or late",
        "",
        "How many of a command's changes arrived a second time at once (TWICE), again after some",
        "others (ECHO), or were told to have failed and arrived after some others (LATE).",
        "",
        f"| | changes | {' | '.join(kinds)} |",
        f"|---|---|{'---|' * len(kinds)}",
    ]
    figures = proof.figures("repeats")
    for act, count in proof.changes.items():
        yield f"| {act} | {count} | {_cells([figures[f'{act} | {kind}'] for kind in kinds], count)}"
    yield ""


def _cells(done: Sequence[int], count: int) -> str:
    return "".join(f"{'all' if count and one >= count else one} | " for one in done).rstrip()


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
    yield from [
        "## Mutants",
        "",
        "Small faults in the program, one at a time: is there a test that notices? What could do",
        "no harm was looked at by somebody, whose reason is below.",
        "",
        "| | mutants | run | killed | can do no harm | survived |",
        "|---|---|---|---|---|---|",
    ]
    for group, mutants in mutants_by_group().items():
        names = {one.name for one in mutants}
        became = Counter(one.became for one in proof.outcomes if one.mutant.name in names)
        figures = [became.total(), became[KILLED], became[HARMLESS], became[SURVIVED]]
        yield f"| {group} | {len(mutants)} | {' | '.join(map(str, figures))} |"
    yield ""
    yield from _listed(SURVIVED, "Survivors:", proof.outcomes)
    yield from _listed(HARMLESS, "Without harm:", proof.outcomes)


def _listed(became: str, head: str, outcomes: Sequence[Outcome]) -> Iterator[str]:
    lines = [
        f"- `{one.mutant.name}`" + (f": {one.reason}" if one.reason else "")
        for one in outcomes
        if one.became == became
    ]
    yield from [head, "", *lines, ""] if lines else []


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
