"""``strongroom copy``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from strongroom.app.copy import (
    OPTION,
    Chosen,
    Copied,
    CopyReport,
    CopyRequest,
    NotCopied,
    There,
    copy,
    size_of,
)
from strongroom.cli.asked import took
from strongroom.cli.flags import settings_of_other
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless
from strongroom.cli.output import Output, say
from strongroom.cli.quantities import counted, moment, size
from strongroom.model.snapshot import ListedSnapshot

INCOMPLETE: Final = 3
DAMAGED: Final = 4


def run(  # noqa: PLR0913 - one for each option
    *,
    names: Sequence[str],
    tags: Sequence[str],
    hosts: Sequence[str],
    paths: Sequence[str],
    to_url: str,
    to_passphrase_file: str | None,
    to_passphrase_command: str | None,
    to_key_file: str | None,
    dry_run: bool,
) -> int:
    """Copy snapshots, and say what became of each."""
    with job(progress=True) as one:
        to = settings_of_other(
            one.run.settings,
            OPTION,
            to_url,
            to_passphrase_file,
            to_passphrase_command,
            to_key_file,
        )
        request = CopyRequest(
            chosen=Chosen(names=names, tags=tags, hosts=hosts, paths=paths),
            to=to,
            dry_run=dry_run,
        )
        with one.progress:
            report = copy(one.run, request)
        for known in report.there:
            _tell_there(one.output, known)
        for copied in report.copied:
            _tell_copied(one.output, copied)
        if dry_run:
            for listed in report.wanted:
                _tell_wanted(one.output, listed)
        for known in report.not_whole:
            _tell_not_whole(one.output, known)
        for failed in report.failed:
            _tell_failed(one.output, failed)
        _summarise(one, report, dry_run=dry_run)
        if report.failed or report.unreadable:
            return DAMAGED
        return INCOMPLETE if report.not_whole else 0


def _tell_there(output: Output, known: There) -> None:
    output.record(
        "skipped",
        snapshot_id=known.snapshot.id,
        copy_id=known.there.id,
        forgotten=known.forgotten,
    )
    if known.forgotten:
        output.line(
            f"{known.snapshot.short_id}  was forgotten there (as {known.there.short_id}), "
            "and is not copied again"
        )


def _tell_not_whole(output: Output, known: There) -> None:
    text = f"snapshot {known.snapshot.short_id} is there (as {known.there.short_id}), but not whole"
    output.record(
        "error",
        during="check",
        snapshot_id=known.snapshot.id,
        copy_id=known.there.id,
        error={"message": text},
    )
    if not output.json_lines:
        say(f"damage: {text}: some of its data is lost there")


def _tell_copied(output: Output, copied: Copied) -> None:
    output.record(
        "copied",
        snapshot_id=copied.snapshot.id,
        copy_id=copied.copy.id,
        bytes_read=copied.read,
        data_added=copied.written.plain_bytes,
        data_added_packed=copied.written.stored_bytes,
    )
    output.line(
        f"{_name(copied.snapshot)}  copied as {copied.copy.short_id}: "
        f"{size(copied.written.plain_bytes)} added, {size(copied.written.stored_bytes)} stored"
    )


def _tell_wanted(output: Output, listed: ListedSnapshot) -> None:
    output.record("wanted", snapshot_id=listed.id, total_bytes=size_of(listed))
    output.line(f"{_name(listed)}  would be copied: {size(size_of(listed))} of files")


def _tell_failed(output: Output, failed: NotCopied) -> None:
    output.record(
        "error",
        during="copy",
        snapshot_id=failed.snapshot.id,
        error={"message": failed.error.message},
    )
    if not output.json_lines:
        what = harmless(failed.error.message)
        say(f"damage: snapshot {failed.snapshot.short_id} was not copied: {what}")


def _name(listed: ListedSnapshot) -> str:
    host = harmless(listed.snapshot.host.decode("utf-8", "replace"))
    return f"{listed.short_id}  {moment(listed.snapshot.started_ns)}  {host}"


def _summarise(one: Job, report: CopyReport, *, dry_run: bool) -> None:
    output = one.output
    done = len(report.wanted) if dry_run else len(report.copied)
    output.record(
        "summary",
        dry_run=dry_run,
        snapshots_copied=0 if dry_run else done,
        snapshots_wanted=len(report.wanted),
        snapshots_there=len(report.there),
        snapshots_not_whole=len(report.not_whole),
        snapshots_failed=len(report.failed),
        snapshots_unreadable=report.unreadable,
        bytes_read=sum(each.read for each in report.copied),
        data_added=sum(each.written.plain_bytes for each in report.copied),
        data_added_packed=sum(each.written.stored_bytes for each in report.copied),
        total_duration=round(report.seconds, 6),
        store_requests=report.requests,
    )
    would = "would be copied" if dry_run else "copied"
    text = f"{counted(done, 'snapshot')} {would} to {harmless(report.url)}"
    output.line(f"{text}, {_there(report)}, in {took(one, report.seconds, report.requests)}")
    if report.not_whole:
        output.wanted(
            f"{counted(len(report.not_whole), 'snapshot')} there already, but not whole; next, for "
            f"{harmless(report.url)}: strongroom verify, then strongroom repair --from this "
            "repository"
        )
    lost = len(report.failed) + report.unreadable
    if lost:
        output.wanted(
            f"{counted(lost, 'snapshot')} not copied, because of damage; "
            "next: strongroom verify, then strongroom repair, and copy again"
        )


def _there(report: CopyReport) -> str:
    """Say how many were there already."""
    forgotten = sum(known.forgotten for known in report.there)
    kept = f" ({forgotten:,} of them forgotten)" if forgotten else ""
    unread = ", not read again" if report.there else ""
    return f"{len(report.there):,} already there{kept}{unread}"
