"""``strongroom archive verify``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from strongroom.app.archives.place import place_or_home
from strongroom.app.archives.verifying import CHECKSUM, STRUCTURE, Verified, verify_archives
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless
from strongroom.cli.quantities import counted, duration, size

DAMAGED = 4
INCOMPLETE = 3
_READ: Final = {
    CHECKSUM: "its checksum was compared",
    STRUCTURE: "read whole; no pg_restore was needed, or none is here",
}


def run(
    *,
    names: Sequence[str],
    all_of_them: bool,
    project: str,
    folder: str | None,
    home: str | None,
) -> int:
    """Verify archives; 4 if anything is wrong with one."""
    if names and all_of_them:
        raise click.UsageError("name archives, or give --all")
    with job(progress=True) as one:
        place = place_or_home(one.run, project, folder, home)
        checked, damaged, closed = 0, 0, 0
        with one.progress:
            for found in verify_archives(one.run, place, names, all_of_them=all_of_them):
                checked += 1
                damaged += bool(found.findings)
                closed += bool(found.closed)
                with one.progress.pause():
                    _tell(one, found)
        one.output.record("summary", archives=checked, damaged=damaged, not_opened=closed)
        if not checked:
            one.output.line(f"No backups found in {place.folder}")
        elif damaged:
            one.output.line(f"{damaged:,} of {counted(checked, 'archive')} damaged")
        return DAMAGED if damaged else INCOMPLETE if closed else 0


def _tell(one: Job, found: Verified) -> None:
    output = one.output
    output.record(
        "verified",
        id=str(found.one.id),
        damaged=bool(found.findings),
        findings=list(found.findings),
        not_opened=found.closed or None,
        entries=found.entries,
        bytes=found.size,
        state=found.one.state.name.lower(),
        plain_files=[f"{name}: {how}" for name, how in found.plain.items()],
        total_duration=round(found.seconds, 6),
    )
    for finding in found.findings:
        output.wanted(harmless(f"ERROR: {found.one.id}: {finding}"))
    if found.closed:
        output.notice(harmless(f"warning: {found.closed}; only its checksum was compared"))
    elif not found.findings:
        output.line(
            f"Backup verified: {found.one.id} ({counted(found.entries, 'entry', 'entries')}, "
            f"{size(found.size)} read, in {duration(found.seconds)})"
        )
        for name, how in found.plain.items():
            output.line(harmless(f"  {name}: {_READ.get(how, f'read whole by {how}')}"))
        if found.one.why:
            output.line(f"  {found.one.state.value}: {harmless(found.one.why)}")
