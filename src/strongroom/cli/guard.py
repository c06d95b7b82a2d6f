"""``strongroom guard``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click

from strongroom.app.archives.guard import GuardReport, GuardRequest, guard
from strongroom.app.archives.place import place_of
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless
from strongroom.cli.quantities import duration, size

FAILED = 1


def run(
    *,
    words: Sequence[str],
    check: str | None,
    scope: Sequence[str],
    exclude: Sequence[str],
    project: str,
    folder: str | None,
) -> int:
    """Run a command between a backup and, if it fails, a restore."""
    try:
        checking = shlex.split(check) if check is not None else []
    except ValueError as error:
        raise click.UsageError(f"--check {check!r} cannot be read: {error}") from error
    if check is not None and not checking:
        raise click.UsageError("--check is empty")
    with job() as one:
        place = place_of(one.run, project, folder)
        request = GuardRequest(command=words, check=checking, scope=scope, exclude=exclude)
        report = guard(one.run, place, request, lambda text: one.output.line(harmless(text)))
        return _tell(one, report)


def _tell(one: Job, report: GuardReport) -> int:
    made = report.made
    one.output.record(
        "summary",
        id=str(made.id),
        archive_bytes=made.metadata.backup_size,
        command_code=report.command_code,
        check_code=report.check_code,
        restored=report.restored is not None,
        kept_as=str(report.restored.kept.id) if report.restored and report.restored.kept else None,
    )
    if report.restored is None:
        one.output.line(
            f"all well; {made.id} ({size(made.metadata.backup_size)}) holds what was before"
        )
        return 0
    kept = report.restored.kept
    one.output.line(f"put back: the project is as it was in {made.id}")
    if kept is not None:
        one.output.line(f"what the command left is kept as {kept.id}")
    one.output.line(f"in {duration(report.restored.seconds)}; why it failed, its own output says")
    return FAILED
