"""``strongroom hold``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from strongroom.app.saving import Chosen, held_snapshots, hold, release_holds
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless, shown
from strongroom.cli.quantities import counted, moment
from strongroom.cli.tables import table
from strongroom.clock import rfc3339
from strongroom.model.snapshot import ListedSnapshot


def run(  # noqa: PLR0913 - one for each option
    *,
    names: Sequence[str],
    tags: Sequence[str],
    hosts: Sequence[str],
    paths: Sequence[str],
    note: str | None,
    release: bool,
    dry_run: bool,
) -> int:
    """Hold, release, or list what is held."""
    wanted = names or tags or hosts or paths
    if release and not wanted:
        raise click.UsageError("name the snapshots that are held no longer")
    if note is not None and (release or not wanted):
        raise click.UsageError("--note says why snapshots are held; name them")
    chosen = Chosen(names=names, tags=tags, hosts=hosts, paths=paths)
    found: Sequence[ListedSnapshot]
    with job(stream=not wanted) as one:
        if not wanted:
            _list(one)
            return 0
        if release:
            ended = release_holds(one.run, chosen, dry_run=dry_run)
            found = ended.released
            _tell_not_held(one, ended.not_held)
        else:
            found = hold(one.run, chosen, note or "", dry_run=dry_run)
        for listed in found:
            one.output.record("snapshot", id=listed.id)
            one.output.line(f"{listed.short_id}  {moment(listed.snapshot.started_ns)}")
        one.output.record("summary", dry_run=dry_run, released=release, snapshots=len(found))
        done = "released" if release else "held"
        would = "would be " if dry_run else ""
        one.output.line(f"{counted(len(found), 'snapshot')} {would}{done}")
    return 0


def _tell_not_held(one: Job, snapshots: Sequence[ListedSnapshot]) -> None:
    for listed in snapshots:
        one.output.record("skipped", id=listed.id, reason="not held")
        when = moment(listed.snapshot.started_ns)
        one.output.line(f"{listed.short_id}  {when}  is not held")


def _list(one: Job) -> None:
    found = held_snapshots(one.run)
    rows = [("id", "time", "held since", "by", "note")]
    for held in found:
        note = held.note.decode("utf-8", "replace")
        by = b"@".join((held.user, held.host))
        one.output.record(
            "hold",
            id=held.listed.id,
            since=rfc3339(held.since_ns),
            by=by.decode("utf-8", "replace"),
            note=note,
        )
        times = moment(held.listed.snapshot.started_ns), moment(held.since_ns)
        rows.append((held.listed.short_id, *times, shown(by), harmless(note)))
    one.output.record("summary", holds=len(found))
    if one.output.json_lines:
        return
    if not found:
        one.output.line("nothing is held")
        return
    for line in table(rows):
        one.output.wanted(line)
