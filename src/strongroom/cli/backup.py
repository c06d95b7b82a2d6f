"""``strongroom backup``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import click

from strongroom.app.backup import (
    BackupEstimate,
    BackupReport,
    BackupRequest,
    backup,
    estimate_backup,
)
from strongroom.app.environments import meant_by, runs_in
from strongroom.app.machine import Run
from strongroom.app.sources import Excludes
from strongroom.app.streams import StreamRequest
from strongroom.cli.asked import took
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless, path_fields, shown
from strongroom.cli.problems import tell_problems
from strongroom.cli.quantities import counted, size
from strongroom.cli.summaries import saved
from strongroom.errors import InterruptError, StrongroomError
from strongroom.model.source import Item

INCOMPLETE: Final = 3


def run(  # noqa: PLR0913 - one for each option
    sources: Sequence[str],
    *,
    tags: Sequence[str],
    exclude: Sequence[str],
    exclude_file: Sequence[str],
    exclude_caches: bool,
    exclude_larger_than: int | None,
    one_file_system: bool,
    from_stdin: bool,
    stdin_filename: str | None,
    stdin_from_command: bool,
    compression_level: int | None,
    host: str | None,
    allow_vanished: bool,
    dry_run: bool,
) -> int:
    """Back up, or say what a backup would read."""
    stream = None
    if from_stdin or stdin_from_command:
        _check_stream(sources, both=from_stdin and stdin_from_command, command=stdin_from_command)
        leaves_out = exclude or exclude_file or exclude_caches or exclude_larger_than
        if leaves_out or one_file_system or dry_run:
            raise click.UsageError("a stream is saved whole: no --exclude…, -x or --dry-run")
        stream = StreamRequest(stdin_filename or "stdin", sources if stdin_from_command else ())
    elif stdin_filename is not None:
        raise click.UsageError("--stdin-filename is for --stdin and --stdin-from-command")
    request = BackupRequest(
        stream=stream,
        names=sources,
        tags=tags,
        excludes=Excludes(
            patterns=exclude,
            files=exclude_file,
            caches=exclude_caches,
            larger_than=exclude_larger_than,
            one_file_system=one_file_system,
        ),
        host=host or "",
        compression_level=compression_level,
        allow_vanished=allow_vanished,
    )
    with job(progress=True) as one:
        if stream is None:
            meant = meant_by(one.run.settings, sources)
            request = replace(
                request, names=meant.names, environment=meant.environment, type=meant.type
            )
        runs = runs_in(one.run, request.environment)
        return _into_each(one, request, runs, _estimate if dry_run else _back_up)


def _into_each(
    one: Job, request: BackupRequest, runs: Sequence[Run], work: Callable[[Job, BackupRequest], int]
) -> int:
    """Do the work for each repository; one that fails does not keep the others from theirs."""
    code, failure = 0, None
    for run in runs:
        if len(runs) > 1 and run.settings.place is not None:
            one.output.line(f"repository {harmless(run.settings.place.url)}:")
        try:
            code = max(code, work(replace(one, run=run), request))
        except StrongroomError as error:
            if isinstance(error, InterruptError) or len(runs) == 1:
                raise
            if failure is not None:
                one.output.notice(f"warning: {error.message}")
            failure = failure or error
    if failure is not None:
        raise failure
    return code


def _check_stream(words: Sequence[str], *, both: bool, command: bool) -> None:
    if both:
        raise click.UsageError("give --stdin or --stdin-from-command, not both")
    if command and not words:
        raise click.UsageError(
            "--stdin-from-command needs a command: strongroom backup --stdin-from-command "
            "-- pg_dump app"
        )
    if not command and words:
        raise click.UsageError(f"with --stdin nothing else is saved, also not '{words[0]}'")


def _back_up(one: Job, request: BackupRequest) -> int:
    with one.progress as progress:
        report = backup(one.run, request, totals=progress.wants_totals)
    tell_problems(one.output, report.problems, "backup")
    _record(one, report)
    snapshot = report.snapshot
    if report.problems:
        missing = sum(problem.missing for problem in report.problems)
        others = len(report.problems) - missing
        lacks = [counted(missing, "entry", "entries") + " not saved"] if missing else []
        lacks += [counted(others, "problem")] if others else []
        one.output.line(
            f"snapshot {snapshot.short_id} saved, but it is incomplete: {', '.join(lacks)}"
        )
    else:
        one.output.line(f"snapshot {snapshot.short_id} saved")
    one.output.line(
        f"{counted(report.files, 'file')}, {size(report.bytes)}; read {size(report.bytes_read)}, "
        f"stored {size(report.data_added_packed)} new, "
        f"in {took(one, report.seconds, report.requests)}"
    )
    one.output.line(
        f"entries: {report.new:,} new, {report.changed:,} changed, {report.unchanged:,} unchanged"
    )
    for anomaly in report.anomalies:
        one.output.notice(f"warning: unusual: {anomaly.text}")
    if report.forgotten:
        one.output.line(f"{counted(report.forgotten, 'snapshot')} forgotten by [retention]")
    where = "" if report.reads else ", with a full or reader key"
    one.output.line(
        f"next{where}: strongroom restore {snapshot.short_id} --to FOLDER, strongroom verify"
    )
    return INCOMPLETE if report.problems else 0


def _record(one: Job, report: BackupReport) -> None:
    snapshot = report.snapshot.snapshot
    one.output.record(
        "summary",
        **saved(report),
        dry_run=False,
        environment=snapshot.environment.decode("utf-8", "replace") or None,
        type=snapshot.type.decode("utf-8", "replace"),
        entries_new=report.new,
        entries_changed=report.changed,
        entries_unmodified=report.unchanged,
        data_blobs=report.chunks_added,
        forgotten=report.forgotten,
        anomalies=[one.kind for one in report.anomalies],
    )


def _estimate(one: Job, request: BackupRequest) -> int:
    output = one.output

    def tell(item: Item) -> None:
        output.record("entry", action="read", size=item.size, **path_fields(b"/" + item.path))
        output.line(f"read  {shown(b'/' + item.path)}")

    found: BackupEstimate = estimate_backup(one.run, request, tell)
    tell_problems(output, found.problems, "backup")
    output.record(
        "summary",
        dry_run=True,
        entries=found.entries,
        entries_new=found.new,
        entries_changed=found.changed,
        entries_unmodified=found.unchanged,
        total_bytes_processed=found.bytes,
        bytes_read=found.bytes_to_read,
        problems=len(found.problems),
    )
    output.line(
        f"dry run: would read {counted(found.new, 'new entry', 'new entries')} "
        f"and {found.changed:,} changed "
        f"({size(found.bytes_to_read)}); {found.unchanged:,} unchanged; nothing was written"
    )
    return INCOMPLETE if found.problems else 0
