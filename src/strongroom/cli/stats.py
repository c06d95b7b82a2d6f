"""``strongroom stats``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.app.stats import Chosen, Stats, StatsReport, stats
from strongroom.cli.damage import DAMAGED, tell_damage
from strongroom.cli.job import job
from strongroom.cli.names import shown
from strongroom.cli.output import Output, say
from strongroom.cli.quantities import counted, moment, size
from strongroom.cli.tables import table
from strongroom.clock import rfc3339

_SOURCES: Final = ("source", "host", "snapshots", "newest", "stored", "paths")
_GROWTH: Final = ("snapshot", "time", "host", "size", "added", "in all")
_MOST_SHOWN: Final = 20


def run(
    *,
    snapshots: Sequence[str],
    tags: Sequence[str],
    hosts: Sequence[str],
    paths: Sequence[str],
) -> int:
    """Print the numbers."""
    with job(progress=True) as one:
        chosen = Chosen(names=snapshots, tags=tags, hosts=hosts, paths=paths)
        with one.progress:
            report = stats(one.run, chosen)
        found, output = report.stats, one.output
        _records(output, report)
        if not output.json_lines:
            _show(output, found)
        tell_damage(output, found.damaged)
        missing = found.data.missing + found.trees.missing
        if missing:
            say(f"damage: {counted(missing, 'piece')} of these snapshots cannot be found")
        damaged = found.damaged or missing or report.unreadable
        return DAMAGED if damaged else 0


def _records(output: Output, report: StatsReport) -> None:
    found = report.stats
    for source in found.sources:
        output.record(
            "source",
            name=source.name.decode("utf-8", "replace"),
            hostname=source.host.decode("utf-8", "replace"),
            paths=[path.decode("utf-8", "replace") for path in source.paths],
            snapshots=source.snapshots,
            newest_restore_size=source.size,
            added_data=source.added.plain,
            added_stored=round(source.added.stored),
        )
    for growth in found.growth:
        output.record(
            "growth",
            snapshot_id=growth.snapshot.id,
            time=rfc3339(growth.snapshot.snapshot.started_ns),
            restore_size=growth.size,
            added_data=growth.added.plain,
            added_stored=round(growth.added.stored),
        )
    output.record(
        "summary",
        snapshots=len(found.growth),
        restore_size=found.size,
        files=found.files,
        different_files=found.distinct_files,
        different_files_size=found.distinct_size,
        different_data=found.plain,
        different_chunks=found.data.chunks + found.trees.chunks,
        stored=found.stored,
        stored_trees=round(found.trees.stored),
        deduplication=_ratio(found.size, found.plain),
        compression=_ratio(found.plain, found.stored),
        repository_size=sum(found.objects.values()),
        repository_objects=found.objects,
        damaged=len(found.damaged),
        missing_chunks=found.data.missing + found.trees.missing,
        unreadable_snapshots=report.unreadable,
    )


def _show(output: Output, found: Stats) -> None:
    if not found.growth:
        output.line("no snapshots")
        return
    deduplication = _ratio(found.size, found.plain)
    compression = _ratio(found.plain, found.stored)
    for name, value in (
        ("snapshots", f"{len(found.growth):,}"),
        ("restore size", f"{size(found.size)} in {counted(found.files, 'file')}"),
        (
            "different files",
            f"{size(found.distinct_size)} in {counted(found.distinct_files, 'file')}",
        ),
        ("different data", size(found.plain)),
        ("stored", f"{size(found.stored)}, {size(round(found.trees.stored))} of it lists of names"),
        ("deduplication", "-" if deduplication is None else f"{deduplication:.2f}"),
        ("compression", "-" if compression is None else f"{compression:.2f}"),
        ("repository", size(sum(found.objects.values()))),
    ):
        output.wanted(f"{name:15}  {value}")
    output.wanted("")
    for line in table([_SOURCES, *_sources(found)]):
        output.wanted(line)
    output.wanted("")
    for line in table([_GROWTH, *_growth(found)]):
        output.wanted(line)
    if len(found.growth) > _MOST_SHOWN:
        output.line(f"… and {len(found.growth) - _MOST_SHOWN:,} older (all of them with --json)")


def _sources(found: Stats) -> list[tuple[str, ...]]:
    return [
        (
            shown(source.name)[:12],
            shown(source.host),
            f"{source.snapshots:,}",
            size(source.size),
            size(round(source.added.stored)),
            " ".join(map(shown, source.paths)),
        )
        for source in found.sources
    ]


def _growth(found: Stats) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    total = 0.0
    for growth in found.growth:
        total += growth.added.stored
        snapshot = growth.snapshot.snapshot
        rows.append(
            (
                growth.snapshot.short_id,
                moment(snapshot.started_ns),
                shown(snapshot.host),
                size(growth.size),
                size(round(growth.added.stored)),
                size(round(total)),
            )
        )
    return rows[: -_MOST_SHOWN - 1 : -1]


def _ratio(one: int, two: int) -> float | None:
    return round(one / two, 2) if two else None
