"""``strongroom undelete``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from strongroom.app.saving import Chosen, undelete
from strongroom.cli.job import job
from strongroom.cli.quantities import counted, moment


def run(
    *,
    names: Sequence[str],
    tags: Sequence[str],
    hosts: Sequence[str],
    paths: Sequence[str],
    dry_run: bool,
) -> int:
    """Bring snapshots back, and say which."""
    if not (names or tags or hosts or paths):
        raise click.UsageError("name snapshots, or choose them with --tag, --host or --path")
    chosen = Chosen(names=names, tags=tags, hosts=hosts, paths=paths)
    with job() as one:
        found = undelete(one.run, chosen, dry_run=dry_run)
        for listed in found:
            one.output.record("snapshot", id=listed.id)
            one.output.line(f"{listed.short_id}  {moment(listed.snapshot.started_ns)}")
        one.output.record("summary", dry_run=dry_run, snapshots=len(found))
        would = "would be back" if dry_run else "back"
        one.output.line(f"{counted(len(found), 'snapshot')} {would}")
    return 0
