"""``strongroom snapshots``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.app.choosing import Chosen
from strongroom.app.listing import snapshots
from strongroom.cli.job import job
from strongroom.cli.names import harmless, shown
from strongroom.cli.output import Output
from strongroom.cli.quantities import counted, moment, size
from strongroom.cli.tables import table
from strongroom.clock import rfc3339
from strongroom.model.snapshot import ListedSnapshot, Status

_HEAD: Final = ("id", "time", "host", "files", "size", "status", "tags", "paths")


def run(
    *,
    tags: Sequence[str],
    hosts: Sequence[str],
    paths: Sequence[str],
    environments: Sequence[str],
    types: Sequence[str],
    forgotten: bool,
) -> int:
    """List the snapshots."""
    with job(stream=True) as one:
        chosen = Chosen(tags=tags, hosts=hosts, paths=paths, environments=environments, types=types)
        found = snapshots(one.run, chosen, forgotten=forgotten)
        for listed in reversed(found):
            _record(one.output, listed)
        one.output.record("summary", snapshots=len(found))
        if not one.output.json_lines:
            _table(one.output, found, "forgotten snapshot" if forgotten else "snapshot")
    return 0


def _record(output: Output, listed: ListedSnapshot) -> None:
    snapshot = listed.snapshot
    counts = [source.counts for source in snapshot.sources]
    output.record(
        "snapshot",
        id=listed.id,
        short_id=listed.short_id,
        name=_text(snapshot.name) or None,
        time=rfc3339(snapshot.started_ns),
        end=rfc3339(snapshot.ended_ns),
        hostname=_text(snapshot.host),
        username=_text(snapshot.user),
        tags=[_text(tag) for tag in snapshot.tags],
        paths=[_text(path) for source in snapshot.sources for path in source.paths],
        environment=_text(snapshot.environment) or None,
        type=_text(snapshot.type),
        sources=[_text(source.name) for source in snapshot.sources],
        status=snapshot.status.name.lower(),
        program_version=_text(snapshot.program),
        writer=listed.writer,
        agent=_text(listed.agent) or None,
        entries=sum(count.entries for count in counts),
        files=sum(count.files for count in counts),
        directories=sum(count.directories for count in counts),
        bytes=sum(count.bytes for count in counts),
        problems=sum(count.problems for count in counts),
    )


def _table(output: Output, found: Sequence[ListedSnapshot], what: str) -> None:
    if not found:
        output.line(f"no {what}s")
        return
    rows = [_HEAD, *(_row(listed) for listed in reversed(found))]
    if any(listed.agent for listed in found):
        agents = ["agent", *(harmless(_text(listed.agent)) for listed in reversed(found))]
        rows = [(*row[:3], name, *row[3:]) for row, name in zip(rows, agents, strict=True)]
    if any(listed.snapshot.environment for listed in found):
        said = [_environment_and_type(listed) for listed in reversed(found)]
        rows = [
            (*row[:2], *two, *row[2:])
            for row, two in zip(rows, [("environment", "type"), *said], strict=True)
        ]
    for line in table(rows):
        output.wanted(line)
    output.line(counted(len(found), what))


def _row(listed: ListedSnapshot) -> tuple[str, ...]:
    snapshot = listed.snapshot
    counts = [source.counts for source in snapshot.sources]
    return (
        listed.short_id,
        moment(snapshot.started_ns),
        shown(snapshot.host),
        f"{sum(count.files for count in counts):,}",
        size(sum(count.bytes for count in counts)),
        "complete" if snapshot.status is Status.COMPLETE else snapshot.status.name.lower(),
        harmless(",".join(_text(tag) for tag in snapshot.tags)),
        " ".join(shown(path) for source in snapshot.sources for path in source.paths),
    )


def _environment_and_type(listed: ListedSnapshot) -> tuple[str, str]:
    snapshot = listed.snapshot
    return harmless(_text(snapshot.environment)) or "-", harmless(_text(snapshot.type))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
