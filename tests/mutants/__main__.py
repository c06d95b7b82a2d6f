"""Run the mutants, and print what became of each: ``python -m tests.mutants [--json] [TEXT]``.

With TEXT only those of the group that is called so, or whose name contains it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter

from tests.mutants.running import SURVIVED, Outcome, run_mutants


def main(arguments: list[str]) -> int:
    """Print one line for each; the exit code is 1 if one survived that nobody reviewed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("matching", nargs="?", default="", metavar="TEXT")
    parser.add_argument("--seed", type=int, default=0, help="their order")
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        help="how long, without the first run of the tests",
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="lines for programs")
    chosen = parser.parse_args(arguments)
    became: Counter[str] = Counter()
    until: float | None = None

    def may_go_on() -> bool:
        nonlocal until
        if until is None:  # it is asked first when all tests were run once
            until = time.monotonic() + chosen.seconds
        return time.monotonic() < until

    def told(outcome: Outcome) -> None:
        became[outcome.became] += 1
        sys.stdout.write(_line(outcome, as_json=chosen.json))
        sys.stdout.flush()

    run_mutants(chosen.seed, told, may_go_on, jobs=chosen.jobs, matching=chosen.matching)
    if not chosen.json:
        figures = ", ".join(f"{count} {what}" for what, count in sorted(became.items()))
        sys.stdout.write(f"{became.total()} mutants: {figures}\n")
    return int(became[SURVIVED] > 0)


def _line(outcome: Outcome, *, as_json: bool) -> str:
    if as_json:
        return json.dumps([outcome.mutant.name, outcome.killer, outcome.reason]) + "\n"
    why = outcome.reason or outcome.killer
    why = f" ({why})" if why else ""
    return f"{outcome.became}: line {outcome.mutant.lines.start}: {outcome.mutant.name}{why}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
