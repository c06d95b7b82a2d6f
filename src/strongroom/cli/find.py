"""``strongroom find``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from strongroom.app.find import Chosen, FindReport, FindRequest, find
from strongroom.cli.damage import DAMAGED, tell_damage
from strongroom.cli.entries import entry_fields, long_line
from strongroom.cli.job import job
from strongroom.cli.names import shown
from strongroom.cli.output import Output
from strongroom.cli.quantities import counted, moment
from strongroom.model.entry import Entry
from strongroom.model.snapshot import ListedSnapshot

_INDENT: Final = "  "


def run(  # noqa: PLR0913 - one for each option
    patterns: Sequence[str],
    *,
    names: Sequence[str],
    tags: Sequence[str],
    hosts: Sequence[str],
    paths: Sequence[str],
    ignore_case: bool,
    oldest: str | None,
    newest: str | None,
    long: bool,
) -> int:
    """Print what is found as it is found."""
    request = FindRequest(
        patterns=patterns,
        chosen=Chosen(names=names, tags=tags, hosts=hosts, paths=paths),
        ignore_case=ignore_case,
        oldest=oldest,
        newest=newest,
    )
    with job(stream=True) as one:
        report = find(one.run, request, _printer(one.output, long=long))
        tell_damage(one.output, report.damaged)
        _summarise(one.output, report)
        return DAMAGED if report.damaged or report.unreadable else 0


def _printer(output: Output, *, long: bool) -> Callable[[ListedSnapshot, Entry], None]:
    last = ""

    def take(listed: ListedSnapshot, entry: Entry) -> None:
        nonlocal last
        output.record("match", snapshot_id=listed.id, **entry_fields(entry))
        if output.json_lines:
            return
        if listed.id != last:
            last = listed.id
            snapshot = listed.snapshot
            output.line(
                f"snapshot {listed.short_id} of {moment(snapshot.started_ns)} "
                f"from {shown(snapshot.host)}"
            )
        output.wanted(_INDENT + (long_line(entry) if long else shown(b"/" + entry.path)))

    return take


def _summarise(output: Output, report: FindReport) -> None:
    output.record(
        "summary",
        snapshots=report.snapshots,
        matches=report.matches,
        damaged=len(report.damaged),
        unreadable_snapshots=report.unreadable,
    )
    found = counted(report.matches, "match", "matches") if report.matches else "nothing found"
    output.line(f"{found} in {counted(report.snapshots, 'snapshot')}")
