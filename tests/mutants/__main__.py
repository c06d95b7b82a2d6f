"""Run the mutants and print what became of each: ``python -m tests.mutants [TEXT [STAGES]]``.

With TEXT only those whose name contains it.
"""

from __future__ import annotations

import sys

from tests.mutants.running import STAGES, Outcome, run_mutants


def main(arguments: list[str]) -> int:
    """Print one line for each; the exit code is 1 if one survived that nobody reviewed."""
    survivors: list[Outcome] = []

    def told(outcome: Outcome) -> None:
        how = f"killed by stage {outcome.stage}" if outcome.stage else "SURVIVED"
        if outcome.reason:
            how = f"may live: {outcome.reason}"
        elif not outcome.stage:
            survivors.append(outcome)
        sys.stdout.write(f"{how}: {outcome.mutant.line}: {outcome.mutant.name}\n")
        sys.stdout.flush()

    matching = arguments[0] if arguments else ""
    stages = int(arguments[1]) if len(arguments) > 1 else len(STAGES)
    count = run_mutants(0, told, lambda: True, matching=matching, stages=stages)
    sys.stdout.write(f"{count} mutants, {len(survivors)} survived\n")
    return int(bool(survivors))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
