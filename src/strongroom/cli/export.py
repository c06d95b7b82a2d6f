"""``strongroom export``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

import click

from strongroom.app.archives.keys import GivenKeys
from strongroom.app.export import ExportReport, ExportRequest, export_stream, export_to_folder
from strongroom.app.plainfiles import DatabaseForm
from strongroom.archive.metadata import PlainFile
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.common import common
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless, path_fields, shown
from strongroom.cli.output import say
from strongroom.cli.problems import MOST_SHOWN
from strongroom.cli.quantities import counted, duration, moment, size

INCOMPLETE: Final = 3
_STANDARD_OUTPUT: Final = "-"


def run(  # noqa: PLR0913 - one for each option
    snapshot: str,
    *,
    to: str,
    include: Sequence[str],
    exclude: Sequence[str],
    form: str | None,
    level: int | None,
    jobs: int | None,
    recipients: Sequence[str],
    archive_key_file: str | None,
    archive_passphrase_file: str | None,
    databases: str | None,
) -> int:
    """Export a snapshot into a folder, or to standard output."""
    if to == _STANDARD_OUTPUT and databases not in {None, DatabaseForm.FILES.value}:
        raise click.UsageError(
            f"--databases {databases} lies beside an archive in a folder; a tar has the files of "
            "dumps, and one dump alone is printed by 'strongroom dump --database NAME'"
        )
    name, path = snapshot_and_path(snapshot)
    request = ExportRequest(
        snapshot=name,
        path=path,
        include=include,
        exclude=exclude,
        form=form,
        level=level,
        jobs=jobs,
        keys=GivenKeys(
            key_file=archive_key_file,
            passphrase_file=archive_passphrase_file,
            recipients=recipients,
        ),
        databases=DatabaseForm(databases or DatabaseForm.DUMP.value),
    )
    return _to_standard_output(request) if to == _STANDARD_OUTPUT else _to_folder(request, to)


def _to_folder(request: ExportRequest, folder: str) -> int:
    with job(progress=True) as one:
        with one.progress:
            report = export_to_folder(one.run, request, folder)
        return _tell(one, report)


def _to_standard_output(request: ExportRequest) -> int:
    if common().json:
        raise click.UsageError("--to - prints an archive, which --json cannot hold")
    if sys.stdout.isatty():
        raise click.UsageError("an archive is not for a terminal; pipe it, or give --to FOLDER")
    with job(stream=True, progress=True) as one:
        with one.progress:
            report = export_stream(one.run, request, sys.stdout.buffer.write)
        sys.stdout.buffer.flush()
        _tell_problems(report)
    return INCOMPLETE if report.problems else 0


def _tell_problems(report: ExportReport) -> None:
    for problem in report.problems[:MOST_SHOWN]:
        say(harmless(f"warning: {problem.path or 'the snapshot'}: {problem.cause}"))
    if len(report.problems) > MOST_SHOWN:
        say(f"… and {len(report.problems) - MOST_SHOWN:,} more")


def _tell(one: Job, report: ExportReport) -> int:
    output, metadata = one.output, report.metadata
    for problem in report.problems:
        output.record("error", path=problem.path, message=problem.cause)
    if not output.json_lines:
        _tell_problems(report)
    listed = report.snapshot
    output.record(
        "summary",
        snapshot_id=listed.id,
        id=str(report.id),
        folder=report.folder,
        archive=metadata.archive if metadata is not None else "",
        status=metadata.status if metadata is not None else "",
        entries=report.entries,
        files=report.files,
        bytes=report.bytes,
        archive_bytes=metadata.backup_size if metadata is not None else 0,
        checksum=metadata.backup_checksum if metadata is not None else "",
        encrypted=metadata.encrypted if metadata is not None else False,
        verification=metadata.verification if metadata is not None else "",
        plain_files=[one.file for one in metadata.beside] if metadata is not None else [],
        problems=len(report.problems),
        total_duration=round(report.seconds, 6),
        store_requests=report.requests,
        **path_fields(b"/" + report.path),
    )
    if metadata is not None:
        when, host = moment(listed.snapshot.started_ns), shown(listed.snapshot.host)
        output.line(f"snapshot {listed.short_id} of {when} from {host}")
        output.line(
            f"exported {counted(report.files, 'file')}, {size(report.bytes)}, packed "
            f"{size(metadata.backup_size)}, in {duration(report.seconds)}"
        )
        output.line(f"  {report.folder}/{report.id}/{metadata.archive}")
        for plain in metadata.beside:
            output.line(harmless(f"  {report.folder}/{report.id}/{plain.file}  {_said(plain)}"))
        how = "every byte was read back"
        if metadata.verification == "checksum":
            how = "its checksum was compared; only its recipients can read it"
        output.line(f"verified: {how}")
    if report.problems:
        output.line(f"incomplete: {counted(len(report.problems), 'problem')}, see its metadata")
        return INCOMPLETE
    return 0


def _said(plain: PlainFile) -> str:
    """Say what a plain file is, and what read it."""
    what = f"database {plain.database!r}" if plain.database else "roles and tablespaces"
    if plain.verification.startswith("pg_restore"):
        return f"{what}, {size(plain.size)}, read whole by {plain.verification}"
    return f"{what}, {size(plain.size)}"
