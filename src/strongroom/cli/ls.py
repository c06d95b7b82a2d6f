"""``strongroom ls``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import click

from strongroom.app.listing import entries
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.entries import entry_fields, long_line
from strongroom.cli.job import job
from strongroom.cli.names import shown
from strongroom.cli.output import Output
from strongroom.model.entry import Entry


def run(snapshot: str, path: str | None, *, long: bool) -> int:
    """List entries."""
    name, inner = snapshot_and_path(snapshot)
    if inner and path:
        raise click.UsageError(f"the path is given twice, as {inner!r} and {path!r}")
    with job(stream=True) as one:
        count = 0
        print_entry = _printer(one.output, long=long)

        def take(batch: Sequence[Entry]) -> None:
            nonlocal count
            count += len(batch)
            for entry in batch:
                print_entry(entry)

        listed = entries(one.run, name, path or inner, take)
        one.output.record("summary", snapshot_id=listed.id, entries=count)
    return 0


def _printer(output: Output, *, long: bool) -> Callable[[Entry], None]:
    if output.json_lines:
        return lambda entry: output.record("node", **entry_fields(entry))
    if long:
        return lambda entry: output.wanted(long_line(entry))
    return lambda entry: output.wanted(shown(b"/" + entry.path))
