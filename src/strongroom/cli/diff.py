"""``strongroom diff``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import click

from strongroom.app.diff import (
    Change,
    DiffReport,
    Modifier,
    Tally,
    compare,
    compare_with_account,
    compare_with_disk,
)
from strongroom.cli.damage import DAMAGED, tell_damage
from strongroom.cli.entries import type_of
from strongroom.cli.job import job
from strongroom.cli.names import harmless, path_fields, shown
from strongroom.cli.output import Output
from strongroom.cli.problems import tell_problems
from strongroom.cli.quantities import counted, size

INCOMPLETE: Final = 3
_MOST: Final = 2  # another snapshot and a path


def run(  # noqa: PLR0913 - one for each option
    snapshot: str,
    *,
    others: Sequence[str],
    disk: bool,
    live: bool,
    source: str | None,
    content: bool,
    exclude: Sequence[str],
) -> int:
    """Print differences as they are found."""
    if live and (disk or others or content or exclude):
        raise click.UsageError("--live takes --source and nothing else")
    if source and not live:
        raise click.UsageError("--source is for a comparison with --live")
    if not (disk or live):
        _check(others, content=content, exclude=exclude)
    with job(stream=True) as one:
        take = _printer(one.output)
        if live:
            report = compare_with_account(one.run, snapshot, source or "", take)
        elif disk:
            report = compare_with_disk(
                one.run, snapshot, others, exclude, take, read_content=content
            )
        else:
            path = others[1] if len(others) == _MOST else ""
            report = compare(one.run, snapshot, others[0], path, take)
        result = report.result
        tell_problems(one.output, result.problems, "diff")
        tell_damage(one.output, result.damaged)
        _summarise(one.output, report, "the account" if live else "the disk")
        if result.damaged:
            return DAMAGED
        return INCOMPLETE if result.problems else 0


def _check(others: Sequence[str], *, content: bool, exclude: Sequence[str]) -> None:
    if content or exclude:
        raise click.UsageError("--content and --exclude are for a comparison with --disk")
    if not others:
        raise click.UsageError("give a second snapshot, or --disk: strongroom diff latest --disk")
    if len(others) > _MOST:
        raise click.UsageError(f"one path can be compared, and '{others[_MOST]}' is another one")


def _printer(output: Output) -> Callable[[Change], None]:
    def take(change: Change) -> None:
        entry = change.entry
        output.record(
            "change",
            modifier=change.modifier.value,
            type=type_of(entry),
            metadata=list(change.aspects),
            details=list(change.details),
            size_before=change.before.size if change.before else None,
            size_after=change.after.size if change.after else None,
            **path_fields(b"/" + entry.path),
        )
        if output.json_lines:
            return
        which = f"  ({', '.join(change.aspects)})" if change.modifier is Modifier.METADATA else ""
        slash = "/" if type_of(entry) == "dir" else ""
        output.wanted(f"{change.modifier.value}  {shown(b'/' + entry.path)}{slash}{which}")
        for detail in change.details:
            output.wanted(f"     {harmless(detail)}")

    return take


def _summarise(output: Output, report: DiffReport, living: str) -> None:
    result = report.result
    tallies = {"added": result.added, "removed": result.removed}
    output.record(
        "summary",
        snapshot_id=report.old.id,
        other_id=report.new.id if report.new else None,
        changed_files=result.changed,
        changed_metadata=result.metadata,
        damaged=len(result.damaged),
        problems=len(result.problems),
        **{f"{name}_files": tally.files for name, tally in tallies.items()},
        **{f"{name}_directories": tally.directories for name, tally in tallies.items()},
        **{f"{name}_others": tally.others for name, tally in tallies.items()},
        **{f"{name}_bytes": tally.bytes for name, tally in tallies.items()},
    )
    new = f"snapshot {report.new.short_id}" if report.new else living
    _tell(output, f"from snapshot {report.old.short_id} to {new}", report)


def _tell(output: Output, what: str, report: DiffReport) -> None:
    result = report.result
    parts = [
        f"{name} {_counted(tally)}"
        for name, tally in (("added", result.added), ("removed", result.removed))
        if tally.files or tally.directories or tally.others
    ]
    if result.changed:
        parts.append(f"content of {counted(result.changed, 'file')} changed")
    if result.metadata:
        parts.append(f"only metadata of {result.metadata:,} changed")
    if not parts:
        compared = result.problems or result.damaged
        output.line(f"{what}: no difference{' in what could be compared' if compared else ''}")
        return
    output.line(f"{what}:")
    for part in parts:
        output.line(f"  {part}")


def _counted(tally: Tally) -> str:
    counts = (
        (tally.files, f"{counted(tally.files, 'file')} ({size(tally.bytes)})"),
        (tally.directories, counted(tally.directories, "folder")),
        (tally.others, counted(tally.others, "other")),
    )
    return ", ".join(text for number, text in counts if number)
