"""``strongroom prune``."""

from __future__ import annotations

from typing import Final

from strongroom.app.prune import CollectLimits, PruneReport
from strongroom.app.prune import prune as free_room
from strongroom.cli.asked import took
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
    dry_run: bool,
) -> int:
    """Collect, and say what was removed."""
    limits = CollectLimits(
        grace_ns=grace * _SECOND_NS,
        silent_ns=fence_after * _SECOND_NS,
        wait_seconds=wait,
        max_unused=max_unused,
        max_repack_bytes=max_repack_size,
        repack_seconds=max_time,
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
    one.output.record(
        "summary",
        dry_run=report.dry_run,
        runs_finished_for_others=done.finished,
        packs_removed=done.packs,
        bytes_removed=done.bytes,
        commits_removed=done.commits,
        segments_removed=done.segments,
        packs_repacked=len(done.repacked.packs),
        bytes_repacked=done.repacked.written,
        segments_joined=done.compacted,
        packs_kept=done.kept_packs,
        bytes_kept=done.kept_bytes,
        bytes_unused=done.unused_bytes,
        snapshots_in_grace=done.in_grace,
        last_good_kept=[listed.id for listed in done.last_good],
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
    if done.packs or done.commits or done.segments:
        lines.append(
            f"{would}removed: {counted(done.packs, 'pack')}, {size(done.bytes)}; "
            f"{counted(done.commits, 'snapshot record')}, {counted(done.segments, 'index segment')}"
        )
        lines.append(f"{size(max(done.bytes - again.written, 0))} {would}freed")
    else:
        lines.append("nothing to remove")
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
