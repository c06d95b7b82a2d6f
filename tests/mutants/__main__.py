"""Run the mutants, and print what became of each: ``python -m tests.mutants [--json] [TEXT]``.

With TEXT only those whose name contains it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from tests.mutants.running import STAGES, Outcome, every_mutant, run_mutants


def main(arguments: list[str]) -> int:
    """Print one line for each; the exit code is 1 if one survived that nobody reviewed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("matching", nargs="?", default="", metavar="TEXT")
    parser.add_argument("--stages", type=int, default=len(STAGES), help="quick ones first")
    parser.add_argument("--seed", type=int, default=0, help="their order")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="lines for programs")
    chosen = parser.parse_args(arguments)
    survivors = 0
    began = time.monotonic()

    def told(outcome: Outcome) -> None:
        nonlocal survivors
        survivors += not outcome.stage and not outcome.reason
        sys.stdout.write(_line(outcome, as_json=chosen.json))
        sys.stdout.flush()

    run_mutants(
        chosen.seed,
        told,
        lambda: time.monotonic() - began < chosen.seconds,
        jobs=chosen.jobs,
        stages=chosen.stages,
        matching=chosen.matching,
    )
    if not chosen.json:
        sys.stdout.write(f"{len(every_mutant())} mutants in all, {survivors} survived\n")
    return int(bool(survivors))


def _line(outcome: Outcome, *, as_json: bool) -> str:
    if as_json:
        return json.dumps([outcome.mutant.name, outcome.stage, outcome.reason]) + "\n"
    how = f"killed by stage {outcome.stage}" if outcome.stage else "SURVIVED"
    how = f"may live: {outcome.reason}" if outcome.reason else how
    return f"{how}: line {outcome.mutant.line}: {outcome.mutant.name}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
