"""Damage that a command met on its way: told on standard error, all of it to programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.app.verify import Finding
from strongroom.cli.names import harmless, path_fields, shown
from strongroom.cli.output import Output, say
from strongroom.cli.problems import MOST_SHOWN

DAMAGED: Final = 4


def tell_damage(output: Output, found: Sequence[Finding]) -> None:
    """Print what is damaged, and what to do next."""
    for finding in found:
        output.record(
            "error",
            during="read",
            error={"message": finding.text},
            snapshot_id=finding.snapshot,
            **path_fields(b"/" + finding.path, "item"),
        )
    if output.json_lines or not found:
        return
    for finding in found[:MOST_SHOWN]:
        where = f" from {shown(b'/' + finding.path)} on" if finding.path else ""
        say(f"damage: {finding.subject}{where}: {harmless(finding.text)}")
    if len(found) > MOST_SHOWN:
        say(f"… and {len(found) - MOST_SHOWN:,} more (all of them with --json)")
    say("next: strongroom verify says what else is damaged")
