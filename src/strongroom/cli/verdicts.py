"""What a policy, or a person, decided about snapshots, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.app.retention import Verdict
from strongroom.cli.names import harmless, shown
from strongroom.cli.output import Output
from strongroom.cli.quantities import moment
from strongroom.cli.tables import table
from strongroom.clock import rfc3339


def print_verdicts(output: Output, verdicts: Sequence[Verdict]) -> None:
    """Print a line for each snapshot, newest first."""
    rows = [("", "id", "time", "host", "paths", "why")]
    for verdict in reversed(verdicts):
        snapshot = verdict.listed.snapshot
        paths = [path for source in snapshot.sources for path in source.paths]
        output.record(
            "snapshot",
            id=verdict.listed.id,
            time=rfc3339(snapshot.started_ns),
            hostname=snapshot.host.decode("utf-8", "replace"),
            paths=[path.decode("utf-8", "replace") for path in paths],
            keep=verdict.keep,
            reasons=list(verdict.reasons),
        )
        rows.append(
            (
                "keep" if verdict.keep else "forget",
                verdict.listed.short_id,
                moment(snapshot.started_ns),
                shown(snapshot.host),
                " ".join(map(shown, paths)),
                harmless(", ".join(verdict.reasons)),
            )
        )
    if len(rows) > 1 and not output.json_lines:
        for line in table(rows):
            output.line(line)
