"""``strongroom archive list``."""

from __future__ import annotations

from strongroom.app.archives.listing import Listed, listed
from strongroom.app.archives.place import place_or_home
from strongroom.archive.shelf import Shelved, State
from strongroom.cli.job import job
from strongroom.cli.names import harmless
from strongroom.cli.output import Output
from strongroom.cli.quantities import duration
from strongroom.cli.tables import table

_HEAD = ("id", "age", "size", "entries", "state", "")
_KIBI = 1024.0
_UNITS = ("K", "M", "G", "T", "P")
_SECOND = 1_000_000_000


def run(*, long: bool, project: str, folder: str | None, home: str | None) -> int:
    """List archives, the oldest first."""
    with job(stream=True) as one:
        place = place_or_home(one.run, project, folder, home)
        found = listed(one.run, place)
        for each in found:
            _record(one.output, each)
        one.output.record("summary", archives=sum(each.one.is_archive for each in found))
        if not found:
            one.output.line(f"No backups found in {place.folder}")
        elif long:
            rows = [_HEAD, *map(_row, found)]
            for line in table(rows):
                one.output.wanted(line)
        else:
            one.output.wanted("Available backups:")
            for each in found:
                one.output.wanted(harmless(_line(each.one)))
    return 0


def _line(each: Shelved) -> str:
    if not each.is_archive:
        return f"  {each.id} ({each.state.value}: {each.why})"
    note = "" if each.state in {State.GOOD, State.UNPROVEN} else f" {each.state.value}: {each.why}"
    return f"  {each.id} ({in_1024(each.size)}){note}"


def _row(row: Listed) -> tuple[str, ...]:
    each = row.one
    metadata = each.metadata
    age = duration(row.age_ns / _SECOND)
    entries = f"{metadata.entries:,}" if metadata is not None and metadata.is_ours else "?"
    note = each.why
    if metadata is not None and metadata.base:
        note = f"builds on {metadata.base}" + (f"; {note}" if note else "")
    if metadata is not None and metadata.encrypted:
        note = "encrypted" + (f"; {note}" if note else "")
    size = in_1024(each.size) if each.is_archive else "-"
    return (str(each.id), age, size, entries, each.state.value, harmless(note))


def _record(output: Output, row: Listed) -> None:
    each = row.one
    metadata = each.metadata
    output.record(
        "archive",
        id=str(each.id),
        state=each.state.name.lower(),
        why=each.why or None,
        archive=each.name or None,
        archive_bytes=each.size if each.is_archive else None,
        created_ns=row.created_ns,
        age_seconds=row.age_ns // _SECOND,
        entries=metadata.entries if metadata is not None and metadata.is_ours else None,
        bytes=metadata.original_size if metadata is not None and metadata.is_ours else None,
        encrypted=metadata.encrypted if metadata is not None else None,
        base=(metadata.base or None) if metadata is not None else None,
        before_restore=each.id.before_restore,
    )


def in_1024(count: int) -> str:
    """Return bytes as ``du -h`` does: ``15.2M``, units of 1,024."""
    if count < _KIBI:
        return f"{count}B"
    value, unit = count / _KIBI, 0
    while round(value, 1) >= _KIBI and unit < len(_UNITS) - 1:
        value, unit = value / _KIBI, unit + 1
    return f"{value:.1f}{_UNITS[unit]}"
