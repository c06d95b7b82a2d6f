"""``strongroom wal status``, ``verify`` and ``accept``."""

from __future__ import annotations

from typing import Final

from strongroom.app.walstatus import (
    Checked,
    ClusterWal,
    Missing,
    Reach,
    StatusReport,
    VerifyReport,
    accept_cluster,
    wal_status,
    wal_verify,
)
from strongroom.cli.job import job
from strongroom.cli.names import harmless
from strongroom.cli.output import Output
from strongroom.cli.quantities import counted, duration, moment, size
from strongroom.cli.walserver import tell_server
from strongroom.clock import rfc3339

INCOMPLETE: Final = 3
DAMAGED: Final = 4
_SECOND_NS: Final = 1_000_000_000


def status(source: str | None, *, record_gaps: bool, servers: bool) -> int:
    """Say what there is."""
    with job(stream=True) as one:
        report = wal_status(one.run, source, give_up=record_gaps, servers=servers)
        for cluster in report.clusters:
            _records(one.output, cluster, report)
            _lines(one.output, cluster, report)
        for server in report.servers:
            tell_server(one.output, server)
        one.output.record(
            "summary",
            clusters=len(report.clusters),
            gaps=sum(len(cluster.gaps) for cluster in report.clusters),
        )
        if not report.clusters:
            one.output.line("there is no WAL in this repository")
    return INCOMPLETE if any(server.facts is None for server in report.servers) else 0


def _age(cluster: ClusterWal, report: StatusReport) -> float | None:
    newest = cluster.newest
    if newest is None or newest.stored_ns is None:
        return None
    return max(0, report.now_ns - newest.stored_ns) / _SECOND_NS


def _records(output: Output, cluster: ClusterWal, report: StatusReport) -> None:
    system, newest, age = str(cluster.cluster.system_id), cluster.newest, _age(cluster, report)
    output.record(
        "wal_cluster",
        system_id=system,
        sources=list(cluster.sources),
        segment_size=cluster.cluster.segment_size,
        files=cluster.files,
        stored_bytes=cluster.stored_bytes,
        newest=newest.name.text if newest is not None else None,
        newest_time=rfc3339(newest.stored_ns) if newest is not None and newest.stored_ns else None,
        newest_age=round(age, 3) if age is not None else None,
    )
    for line in cluster.timelines:
        output.record(
            "wal_timeline",
            system_id=system,
            timeline=line.timeline,
            parent=line.fork.timeline if line.fork is not None else None,
            left_at=cluster.lsn(line.fork.lsn) if line.fork is not None else None,
            first=cluster.name(line.timeline, line.ranges[0].first) if line.ranges else None,
            last=cluster.name(line.timeline, line.ranges[-1].last) if line.ranges else None,
            segments=sum(one.length for one in line.ranges),
            partial=[cluster.name(line.timeline, number) for number in line.partial],
            has_history=line.has_history,
        )
    for gap in cluster.gaps:
        said = cluster.record_of(gap)
        output.record(
            "wal_gap",
            system_id=system,
            **gap_fields(cluster, gap.timeline, gap),
            recorded=rfc3339(said.time_ns) if said is not None else None,
            reason=said.reason.name.lower() if said is not None else None,
        )
    for window in cluster.windows:
        output.record("wal_window", system_id=system, **window._asdict())
    for reach in report.reaches.get(cluster.cluster.system_id, ()):
        output.record(
            "wal_base_backup",
            system_id=system,
            id=reach.id,
            time=rfc3339(reach.stopped_ns),
            age=round(max(0, report.now_ns - reach.stopped_ns) / _SECOND_NS, 3),
            duration=round((reach.stopped_ns - reach.started_ns) / _SECOND_NS, 3),
            bytes=reach.size,
            timeline=reach.timeline,
            standalone=reach.standalone,
            reaches=[name for _, name in reach.ends],
            reaches_until=rfc3339(reach.until_ns) if reach.until_ns is not None else None,
            missing=reach.missing or None,
        )
    for key, text in cluster.damaged.items():
        output.record("finding", severity="damage", object=key, text=text)


def gap_fields(
    cluster: ClusterWal, timeline: int, gap: tuple[int, int, int]
) -> dict[str, str | int]:
    """Return what is said of a gap."""
    _timeline, first, last = gap
    return {
        "timeline": timeline,
        "first": cluster.name(timeline, first),
        "last": cluster.name(timeline, last),
        "segments": last - first + 1,
    }


def _lines(output: Output, cluster: ClusterWal, report: StatusReport) -> None:
    named = ", ".join(map(harmless, cluster.sources)) or "no source"
    output.wanted(f"cluster {cluster.cluster.system_id} ({named})")
    newest, age = cluster.newest, _age(cluster, report)
    if newest is not None:
        when = f", archived {duration(age)} ago" if age is not None else ""
        output.wanted(f"  newest segment {newest.name.text}{when}")
    output.wanted(
        f"  {counted(cluster.files, 'file')} in {size(cluster.stored_bytes)}, segments of "
        f"{size(cluster.cluster.segment_size)}"
    )
    for depth, line in cluster.tree():
        ranges = ", ".join(
            f"{cluster.name(line.timeline, one.first)} to {cluster.name(line.timeline, one.last)}"
            for one in line.ranges
        )
        came = ""
        if line.fork is not None:
            came = f", left timeline {line.fork.timeline} at {cluster.lsn(line.fork.lsn)}"
        parts = f", {counted(len(line.partial), 'partial segment')}" if line.partial else ""
        indent = "  " * (depth + 1)
        output.wanted(f"{indent}timeline {line.timeline}{came}: {ranges or 'no segments'}{parts}")
    for gap in cluster.gaps:
        output.wanted(f"  gap: {_gap_text(cluster, gap)}")
    for text in cluster.damaged.values():
        output.wanted(f"  damage: {harmless(text)}")
    for reach in report.reaches.get(cluster.cluster.system_id, ()):
        output.wanted(_reach_line(reach))
    for window in cluster.windows:
        output.wanted(
            f"  reachable on timeline {window.timeline}: a base backup taken in {window.first} to "
            f"{window.last} can be recovered up to the end of that"
        )


def _gap_text(cluster: ClusterWal, gap: Missing) -> str:
    said = cluster.record_of(gap)
    text = f"{gap.text(cluster.cluster.segment_size)} missing"
    if said is None:
        return text
    return f"{text}, on record since {moment(said.time_ns)} as never to come: {said.reason.text}"


def _reach_line(reach: Reach) -> str:
    begin = f"  base backup {reach.id} of {moment(reach.stopped_ns)}"
    if reach.ends:
        ends = ", ".join(f"{name} (timeline {timeline})" for timeline, name in reach.ends)
        return f"{begin}: can be recovered to any moment up to the end of {ends}"
    if reach.standalone:
        return f"{begin}: can be recovered to its own end"
    return f"{begin}: cannot be recovered, {reach.missing or 'its WAL'} is missing"


def verify(source: str | None, *, first: str | None, last: str | None) -> int:
    """Read everything, or a range."""
    with job(progress=True) as one:
        with one.progress:
            report = wal_verify(one.run, source, first, last)
        wrong = 0
        for cluster, checked in report.checked:
            wrong += len(checked.damage) + len(checked.gaps) + len(cluster.damaged)
            _tell(one.output, cluster, checked)
        files = sum(checked.files for _, checked in report.checked)
        read = sum(checked.bytes_read for _, checked in report.checked)
        one.output.record(
            "summary",
            num_errors=wrong,
            files=files,
            bytes_read=read,
            total_duration=round(report.seconds, 6),
        )
        said = f"{counted(files, 'WAL file')} read ({size(read)}) in {duration(report.seconds)}"
        if wrong:
            one.output.wanted(f"{counted(wrong, 'damage', 'damages')} found: {said}")
            return DAMAGED
        known = sum(len(checked.known) for _, checked in report.checked)
        if report.open_gaps:
            one.output.wanted(
                f"no base backup began after {_first_open(report)}: make one. No damage: {said}"
            )
            return INCOMPLETE
        beside = f" but {counted(known, 'gap')} on record" if known else ""
        one.output.line(f"no damage and no gap found{beside}: {said}")
    return 0


def _first_open(report: VerifyReport) -> str:
    cluster, gap = report.open_gaps[0]
    return f"the gap of {gap.text(cluster.cluster.segment_size)}"


def _tell(output: Output, cluster: ClusterWal, checked: Checked) -> None:
    for damage in checked.damage:
        output.record("finding", severity="damage", object=damage.key, text=damage.text)
        output.wanted(f"damage: {harmless(damage.text)}")
    for gap in checked.known:
        text = _gap_text(cluster, gap)
        output.record("finding", severity="warning", object=text.split(" ", 1)[0], text=text)
        output.wanted(f"gap: cluster {cluster.cluster.system_id}: {text}")
    for gap in checked.gaps:
        text = f"{gap.text(cluster.cluster.segment_size)} missing"
        output.record("finding", severity="damage", object=text.split(" ", 1)[0], text=text)
        output.wanted(f"gap: cluster {cluster.cluster.system_id}: {text}")


def accept(system_id: int, *, source: str | None, segment_size: int) -> int:
    """Say that a source is another cluster from now on."""
    with job() as one:
        done = accept_cluster(one.run, source, system_id, segment_size)
        one.output.record(
            "wal_accepted", source=done.name, system_id=str(system_id), number=done.number
        )
        one.output.line(f"{harmless(done.name)} is cluster {system_id} from now on")
        one.output.line("next: take a base backup of it")
    return 0
