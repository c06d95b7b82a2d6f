"""``strongroom prune``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from strongroom.app.prune import CollectLimits, Judged, PruneReport
from strongroom.app.prune import prune as free_room
from strongroom.cli.asked import took
from strongroom.cli.hidden import hidden_fields, hidden_lines
from strongroom.cli.job import Job, job
from strongroom.cli.quantities import counted, size

_SECOND_NS: Final = 1_000_000_000
DEFAULT_LIMITS: Final = CollectLimits(
    grace_ns=7 * 86_400 * _SECOND_NS,
    silent_ns=86_400 * _SECOND_NS,
    wait_seconds=600,
    max_unused=0.05,
)


def run(  # noqa: PLR0913 - one for each option
    *,
    grace: int,
    wait: int,
    max_unused: float,
    max_repack_size: int | None,
    max_time: int | None,
    fence_after: int,
    wal_keep: int | None,
    dead: Sequence[str],
    dry_run: bool,
) -> int:
    """Collect, and say what was removed."""
    if dead and dry_run:
        raise click.UsageError("--dead gives a session up, and --dry-run changes nothing")
    limits = CollectLimits(
        grace_ns=grace * _SECOND_NS,
        silent_ns=fence_after * _SECOND_NS,
        wait_seconds=wait,
        max_unused=max_unused,
        wal_keep_ns=None if wal_keep is None else wal_keep * _SECOND_NS,
        max_repack_bytes=max_repack_size,
        repack_seconds=max_time,
        dead=dead,
    )
    with job(progress=True) as one:
        collect(one, limits, dry_run=dry_run)
    return 0


def collect(one: Job, limits: CollectLimits, *, dry_run: bool) -> None:
    """Collect as a part of a command."""
    with one.progress:
        report = free_room(one.run, limits, dry_run=dry_run)
    _record(one, report)
    for line in _lines(one, report):
        one.output.line(line)


def _record(one: Job, report: PruneReport) -> None:
    done = report.collected
    for judged in done.wal:
        one.output.record(
            "wal_expiry",
            system_id=str(judged.system),
            files=judged.files,
            bytes=judged.size,
            files_kept=judged.kept_files,
            bytes_kept=judged.kept_size,
            oldest_base_backup=judged.base or None,
            needed_from=judged.needed or None,
            kept_because=judged.why or None,
        )
    one.output.record(
        "summary",
        dry_run=report.dry_run,
        runs_finished_for_others=done.finished,
        packs_removed=done.packs,
        bytes_removed=done.bytes,
        commits_removed=done.commits,
        segments_removed=done.segments,
        wal_files_removed=done.wal_files,
        wal_bytes_removed=done.wal_bytes,
        packs_repacked=len(done.repacked.packs),
        bytes_repacked=done.repacked.written,
        segments_joined=done.compacted,
        packs_kept=done.kept_packs,
        bytes_kept=done.kept_bytes,
        bytes_unused=done.unused_bytes,
        snapshots_in_grace=done.in_grace,
        last_good_kept=[listed.id for listed in done.last_good],
        **hidden_fields(report.hidden),
        total_duration=round(report.seconds, 6),
        store_requests=report.requests,
    )


def _lines(one: Job, report: PruneReport) -> list[str]:
    done = report.collected
    would = "would be " if report.dry_run else ""
    lines = []
    if done.finished:
        lines.append(f"finished {counted(done.finished, 'run')} that another collector left")
    again = done.repacked
    if again.packs:
        lines.append(
            f"{counted(len(again.packs), 'pack')} {would}written anew: "
            f"{size(again.read)} into {size(again.written)}"
        )
    if done.compacted:
        lines.append(f"{counted(done.compacted, 'index segment')} joined")
    if done.wal_files:
        lines.append(
            f"{would}removed: {counted(done.wal_files, 'WAL file')}, {size(done.wal_bytes)}"
        )
    if done.packs or done.commits or done.segments:
        lines.append(
            f"{would}removed: {counted(done.packs, 'pack')}, {size(done.bytes)}; "
            f"{counted(done.commits, 'snapshot record')}, {counted(done.segments, 'index segment')}"
        )
        if report.hidden is None:
            lines.append(f"{size(max(done.bytes - again.written, 0))} {would}freed")
    elif not done.wal_files:
        lines.append("nothing to remove")
    lines += hidden_lines(report.hidden)
    lines += [_wal_line(judged, would) for judged in done.wal if judged.files or judged.why]
    kept = f"{counted(done.kept_packs, 'pack')}, {size(done.kept_bytes)}"
    lines.append(f"in use: {kept}, of which {size(done.unused_bytes)} are not needed")
    if done.in_grace:
        lines.append(
            f"{counted(done.in_grace, 'forgotten snapshot')} can still be brought back, "
            "and stay for now"
        )
    lines += [
        f"{listed.short_id} is forgotten and stays: it is the last good snapshot of its source "
        f"(strongroom forget {listed.short_id} --allow-empty lets it go)"
        for listed in done.last_good
    ]
    lines.append(f"done in {took(one, report.seconds, report.requests)}")
    return lines


def _wal_line(judged: Judged, would: str) -> str:
    """Say why WAL of a cluster goes, or why all of it stays."""
    begin = f"cluster {judged.system}: "
    if judged.why:
        return f"{begin}all WAL stays ({size(judged.kept_size)}): {judged.why}"
    goes = "would go" if would else "go"
    return (
        f"{begin}{counted(judged.files, 'WAL file')} that nothing needs {goes}: "
        f"base backup {judged.base}, the oldest, needs it from {judged.needed} on; "
        f"{counted(judged.kept_files, 'file')} stay ({size(judged.kept_size)})"
    )
