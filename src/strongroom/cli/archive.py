"""``strongroom archive create`` and ``incremental``."""

from __future__ import annotations

from typing import Any

import click

from strongroom.app.archives.copying import Copied, copy_to
from strongroom.app.archives.making import Made, MakeRequest, make_archive
from strongroom.app.archives.place import place_of
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless
from strongroom.cli.problems import MOST_SHOWN
from strongroom.cli.quantities import counted, duration, size

INCOMPLETE = 3


def create(*, to: str | None, project: str, folder: str | None, **asked: Any) -> int:  # noqa: ANN401
    """Make an archive; ``asked``: what a ``MakeRequest`` says."""
    return _make(MakeRequest(**asked, bash=bash_version()), to, project, folder)


def incremental(*, to: str | None, project: str, folder: str | None, **asked: Any) -> int:  # noqa: ANN401
    """Make an archive of what changed."""
    return _make(MakeRequest(**asked, incremental=True, bash=bash_version()), to, project, folder)


def bash_version() -> str:
    """Return the version of the bash that runs the shim which called us; empty without one."""
    given = click.get_current_context().find_root().obj
    return given if isinstance(given, str) else ""


def _make(request: MakeRequest, to: str | None, project: str, folder: str | None) -> int:
    with job(progress=True) as one:
        place = place_of(one.run, project, folder)
        with one.progress:
            made = make_archive(one.run, place, request)
            copied = copy_to(one.run, place, made.id, to) if to is not None else None
        return _tell(one, made, copied, str(place.folder))


def _tell(one: Job, made: Made, copied: Copied | None, folder: str) -> int:
    metadata, output = made.metadata, one.output
    for number, problem in enumerate(metadata.problems):
        output.record("error", path=problem.path, message=problem.cause)
        if number < MOST_SHOWN:
            output.notice(harmless(f"warning: {problem.path}: {problem.cause}"))
    output.record(
        "summary",
        id=str(made.id),
        folder=folder,
        archive=metadata.archive,
        status=metadata.status,
        entries=metadata.entries,
        files=metadata.files,
        bytes=metadata.original_size,
        archive_bytes=metadata.backup_size,
        checksum=metadata.backup_checksum,
        encrypted=metadata.encrypted,
        verification=metadata.verification,
        base=metadata.base or None,
        deleted=len(metadata.deleted),
        not_in_scope=list(metadata.not_in_scope),
        problems=len(metadata.problems),
        copied_to=copied.folder if copied is not None else None,
        total_duration=round(made.seconds, 6),
    )
    if made.whole:
        output.line(f"this one holds everything: {made.whole}")
    output.line(f"scope: {harmless(' '.join(metadata.backup_scope))}")
    output.line(
        f"Backup created: {made.id} ({counted(metadata.files, 'file')}, "
        f"{size(metadata.original_size)}, packed {size(metadata.backup_size)}, "
        f"in {duration(made.seconds)})"
    )
    output.line(f"  {folder}/{made.id}/{metadata.archive}")
    how = "every byte was read back"
    if metadata.verification == "checksum":
        how = "its checksum was compared; only its recipients can read it"
    output.line(f"verified: {how}")
    if metadata.base:
        output.line(f"builds on {metadata.base}; {counted(len(metadata.deleted), 'thing')} gone")
    if copied is not None:
        output.line(f"copied to {copied.folder}, and the copy was read back")
    if metadata.problems:
        output.line(f"incomplete: {counted(len(metadata.problems), 'problem')}, see its metadata")
        return INCOMPLETE
    return 0
