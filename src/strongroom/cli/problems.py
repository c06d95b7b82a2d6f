"""What was not done as asked: the first ten for people, all of it for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.cli.names import harmless, path_fields, shown
from strongroom.cli.output import Output, say
from strongroom.model.source import Problem

MOST_SHOWN: Final = 10


def tell_problems(output: Output, problems: Sequence[Problem], during: str) -> None:
    """Print problems: on standard error, or as JSON lines."""
    for problem in problems:
        output.record(
            "error",
            during=during,
            error={"message": problem.cause},
            missing=problem.missing,
            **path_fields(b"/" + problem.path, "item"),
        )
    if output.json_lines:
        return
    for problem in problems[:MOST_SHOWN]:
        say(f"{shown(b'/' + problem.path)}: {harmless(problem.cause)}")
    if len(problems) > MOST_SHOWN:
        say(f"… and {len(problems) - MOST_SHOWN:,} more (all of them with --json)")
