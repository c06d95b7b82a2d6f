"""``strongroom verify``."""

from __future__ import annotations

from typing import Final

import click

from strongroom.app.verify import Finding, Severity, VerifyReport, Wanted, verify
from strongroom.cli.asked import took
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless, path_fields, shown
from strongroom.cli.output import Output
from strongroom.cli.quantities import counted, size

DAMAGED: Final = 4
_MOST_SHOWN: Final = 50


def run(
    snapshot: str | None,
    *,
    read_data: bool,
    read_data_subset: str | None,
    every: int | None,
    budget: int | None,
) -> int:
    """Check a repository."""
    if sum((read_data, read_data_subset is not None, every is not None)) > 1:
        raise click.UsageError("give one of --read-data, --read-data-subset and --every")
    if budget is not None and every is None:
        raise click.UsageError("--budget says how much of --every is read; give both")
    wanted = Wanted(read_data=read_data, subset=read_data_subset, every=every, budget=budget)
    with job(progress=True) as one:
        with one.progress:
            report = verify(one.run, snapshot, wanted)
        _tell(one.output, report)
        _summarise(one, report)
        return DAMAGED if report.damaged else 0


def _tell(output: Output, report: VerifyReport) -> None:
    for finding in report.findings:
        output.record(
            "finding",
            severity=finding.severity.value,
            object=finding.subject,
            text=finding.text,
            snapshot=finding.snapshot or None,
            **(path_fields(b"/" + finding.path) if finding.path else {}),
        )
    damage = [one for one in report.findings if one.severity is Severity.DAMAGE]
    notes = [one for one in report.findings if one.severity is not Severity.DAMAGE]
    for finding in damage[:_MOST_SHOWN]:
        output.wanted(f"damage: {_text(finding)}")
    if len(damage) > _MOST_SHOWN:
        output.wanted(f"… and {len(damage) - _MOST_SHOWN:,} more (all of them with --json)")
    for finding in notes[:_MOST_SHOWN]:
        output.line(f"note: {_text(finding)}")


def _text(finding: Finding) -> str:
    where = f"{shown(b'/' + finding.path)} in " if finding.path else ""
    return f"{where}{harmless(finding.subject)}: {harmless(finding.text)}"


def _summarise(one: Job, report: VerifyReport) -> None:
    output = one.output
    output.record(
        "summary",
        num_errors=report.damaged,
        snapshots=report.snapshots,
        packs=report.packs,
        packs_read=report.packs_read,
        bytes_read=report.bytes_read,
        chunks=report.chunks,
        unreferenced_packs=report.unreferenced_packs,
        wal_files=report.wal_files,
        wal_files_read=report.wal_read,
        packs_overdue=report.packs_overdue,
        bytes_overdue=report.bytes_overdue,
        total_duration=round(report.seconds, 6),
        store_requests=report.requests,
    )
    read = (
        f"{report.packs_read:,} of them read ({size(report.bytes_read)})"
        if report.packs_read
        else "none of them read"
    )
    wal = ""
    if report.wal_files:
        wal = f"{counted(report.wal_files, 'WAL file')}{' read' if report.wal_read else ''}, "
    checked = (
        f"{counted(report.snapshots, 'snapshot')}, {counted(report.packs, 'pack')}, {read}, "
        f"{wal}in {took(one, report.seconds, report.requests)}"
    )
    if report.damaged:
        output.wanted(f"{counted(report.damaged, 'damage', 'damages')} found: {checked}")
        output.wanted(
            "next: strongroom repair says what can be made good, also --from a copy; "
            "and back up again what still exists"
        )
        return
    output.line(f"no damage found: {checked}")
    if report.packs_overdue:
        output.wanted(
            f"{counted(report.packs_overdue, 'pack')} ({size(report.bytes_overdue)}) are overdue "
            "and were not read: the budget is used up"
        )
    if not report.packs_read and report.packs and not report.by_age:
        output.line("next: strongroom verify --read-data reads every byte as well")
