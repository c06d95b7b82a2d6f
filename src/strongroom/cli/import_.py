"""``strongroom import``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

import click

from strongroom.app.archives.keys import GivenKeys
from strongroom.app.import_ import STANDARD_INPUT, ImportReport, ImportRequest, import_one
from strongroom.cli.job import Job, job
from strongroom.cli.names import shown
from strongroom.cli.problems import tell_problems
from strongroom.cli.quantities import counted, duration, moment, size
from strongroom.cli.summaries import saved

INCOMPLETE: Final = 3


def run(
    what: str,
    *,
    tags: Sequence[str],
    host: str | None,
    name: str | None,
    archive_key_file: str | None,
    archive_passphrase_file: str | None,
) -> int:
    """Import an archive."""
    if not what:
        raise click.UsageError("name the folder of an archive, an archive file, or -")
    if what == STANDARD_INPUT and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("nothing is piped in: ssh host 'tar -c /srv' | strongroom import -")
    request = ImportRequest(
        what=what,
        tags=tags,
        host=host or "",
        name=name or "",
        keys=GivenKeys(key_file=archive_key_file, passphrase_file=archive_passphrase_file),
    )
    with job(progress=True) as one:
        with one.progress:
            report = import_one(one.run, request)
        return _tell(one, report)


def _tell(one: Job, report: ImportReport) -> int:
    output, listed = one.output, report.snapshot
    snapshot = listed.snapshot
    tell_problems(output, report.problems, "import")
    output.record(
        "summary",
        **saved(report),
        verified=report.verified,
    )
    when, host = moment(snapshot.started_ns), shown(snapshot.host)
    output.line(f"snapshot {listed.short_id} saved: of {when} from {host}")
    output.line(
        f"{counted(report.files, 'file')}, {size(report.bytes)}; stored "
        f"{size(report.data_added_packed)} new, in {duration(report.seconds)}"
    )
    if report.verified:
        output.line("verified: the archive is what its manifest and checksum say")
    elif report.read_by:
        output.line(f"verified: read whole by {report.read_by}")
    else:
        output.line("the archive states no checksum: what was read is what was saved")
    if report.problems:
        output.line(f"incomplete: {counted(len(report.problems), 'problem')}")
        return INCOMPLETE
    return 0
