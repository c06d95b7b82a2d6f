"""``strongroom wal agent`` and ``strongroom wal shims``."""

from __future__ import annotations

import click

from strongroom.app.walagent import AgentPlace, serve
from strongroom.app.walshims import write_shims
from strongroom.cli.job import job
from strongroom.cli.quantities import counted


def agent(source: str | None) -> int:
    """Archive as a service."""
    with job() as one:

        def ready(place: AgentPlace) -> None:
            one.output.record("wal_agent_ready", source=place.source, socket=str(place.socket))
            one.output.line(f"archiving for '{place.source}', asked at {place.socket}")
            one.output.flush()

        archived = serve(one.run, source, ready)
        one.output.record("summary", archived=archived)
        one.output.line(f"asked to stop: {counted(archived, 'file')} archived")
    return 0


def shims(*, source: str | None, to: str) -> int:
    """Write the scripts for PostgreSQL."""
    if not to:
        raise click.UsageError("--to is empty")
    with job() as one:
        done = write_shims(one.run, source, one.run.settings.folder / to)
        for path in (done.push, done.fetch):
            one.output.record("written", path=str(path))
            one.output.line(f"written: {path}")
        one.output.record("settings", lines=list(done.lines))
        one.output.line("for postgresql.conf:")
        for line in done.lines:
            one.output.wanted(line)
    return 0
