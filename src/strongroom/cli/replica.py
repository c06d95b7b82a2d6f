"""``strongroom store replica``."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import click

from strongroom.app.replica import (
    OPTION,
    Objective,
    ReplicaReport,
    ReplicaRequest,
    SeriesState,
    Waiting,
    look_at_replica,
)
from strongroom.cli.asked import took
from strongroom.cli.common import common
from strongroom.cli.flags import flags_of, settings_of_other
from strongroom.cli.job import Job, begun
from strongroom.cli.names import harmless
from strongroom.cli.quantities import counted, duration, moment, size
from strongroom.clock import rfc3339
from strongroom.config.environment import read_environment
from strongroom.config.settings import load_settings
from strongroom.model.snapshot import ListedSnapshot

INCOMPLETE: Final = 3
DAMAGED: Final = 4
MISSED: Final = 5
_MOST_SHOWN: Final = 20


def run(  # noqa: PLR0913 - one for each option
    *,
    url: str | None,
    source_url: str | None,
    source_passphrase_file: str | None,
    source_passphrase_command: str | None,
    source_key_file: str | None,
    max_lag: int | None,
    max_age: int | None,
    every: bool,
) -> int:
    """Say what a replica holds, and how far it is behind."""
    options = common()
    if url is not None and options.repository not in {None, url}:
        raise click.UsageError(f"give the replica once: {url} or -r {options.repository}")
    options = replace(options, repository=url or options.repository)
    settings = load_settings(flags_of(options), read_environment())
    keys = (source_passphrase_file, source_passphrase_command, source_key_file)
    if source_url is None and any(key is not None for key in keys):
        raise click.UsageError(f"a key of the source was given, and no {OPTION}")
    source = None if source_url is None else settings_of_other(settings, OPTION, source_url, *keys)
    request = ReplicaRequest(source=source, objective=Objective(max_lag, max_age), every=every)
    with begun(settings, options, progress=True) as one:
        with one.progress:
            report = look_at_replica(one.run, request)
        return _tell(one, report)


def _tell(one: Job, report: ReplicaReport) -> int:
    state, output = report.state, one.output
    for series in state.series:
        _record(one, series)
        _show(one, series)
    for text in state.damage:
        output.record("error", during="look", error={"message": text})
        output.wanted(harmless(f"damage: {text}"))
    for key in state.heads:
        output.record("head", object=key)
    if state.heads:
        count = counted(len(state.heads), "commit or order", "commits or orders")
        are = "is" if len(state.heads) == 1 else "are"
        output.line(f"{count} that others name {are} not there, the first is {state.heads[0]}")
    if state.unreadable:
        what = counted(state.unreadable, "commit")
        output.wanted(f"{what} cannot be read before more arrives: what it holds is not known")
    if report.source_away:
        output.notice(f"warning: the original could not be looked at: {report.source_away}")
    for text in report.missed:
        output.wanted(harmless(f"ALERT: {report.url}: {text}"))
    _summarise(one, report)
    if state.damage:
        return DAMAGED
    if report.missed:
        return MISSED
    return INCOMPLETE if state.unreadable or report.source_away else 0


def _record(one: Job, series: SeriesState) -> None:
    newest = series.newest
    one.output.record(
        "replica",
        host=series.host.decode("utf-8", "replace"),
        source=series.source.decode("utf-8", "replace"),
        saved=series.saved,
        id=None if newest is None else newest.id,
        time=None if newest is None else rfc3339(newest.snapshot.started_ns),
        age_seconds=series.age,
        lag_seconds=series.lag,
        waiting=len(series.waiting),
    )
    for waiting in series.waiting:
        lack = waiting.lack
        one.output.record(
            "waiting",
            snapshot_id=waiting.snapshot.id,
            time=rfc3339(waiting.snapshot.snapshot.started_ns),
            saved=series.saved,
            lag_seconds=waiting.seconds,
            commit_missing=lack is None,
            packs_missing=0 if lack is None else len(lack.packs),
            bytes_missing=0 if lack is None else lack.bytes,
            index_missing=lack is not None and lack.unindexed,
        )


def _show(one: Job, series: SeriesState) -> None:
    newest = series.newest
    if newest is None or series.age is None:
        one.output.line(harmless(f"{series.saved}: no snapshot is whole"))
    else:
        age = duration(series.age)
        one.output.line(harmless(f"{series.saved}: whole is {_name(newest)}, {age} old"))
    for waiting in series.waiting[:_MOST_SHOWN]:
        one.output.line(
            f"  waiting for {_name(waiting.snapshot)}, for {duration(waiting.seconds)}: "
            f"{harmless(_lacking(waiting))}"
        )
    if len(series.waiting) > _MOST_SHOWN:
        more = len(series.waiting) - _MOST_SHOWN
        one.output.line(f"  … and for {more:,} more (all of them with --json)")


def _name(listed: ListedSnapshot) -> str:
    return f"{listed.short_id} of {moment(listed.snapshot.started_ns)}"


def _lacking(waiting: Waiting) -> str:
    lack = waiting.lack
    if lack is None:
        return "its commit is not there"
    packs = f"{counted(len(lack.packs), 'pack')} not there" if lack.packs else ""
    if lack.bytes:
        packs += f" ({size(lack.bytes)})"
    index = "parts of the index not there" if lack.unindexed else ""
    return ", ".join(filter(None, (packs, index, *lack.damage[:1])))


def _summarise(one: Job, report: ReplicaReport) -> None:
    state = report.state
    waiting = {each.snapshot.id: each for series in state.series for each in series.waiting}
    lacks = [each.lack for each in waiting.values() if each.lack is not None]
    packs = frozenset(pack for lack in lacks for pack in lack.packs)
    one.output.record(
        "summary",
        store=report.url,
        series=len(state.series),
        snapshots_checked=state.looked,
        snapshots_waiting=len(waiting),
        packs_missing=len(packs),
        heads_missing=len(state.heads),
        snapshots_unreadable=state.unreadable,
        num_errors=len(state.damage),
        replica_lag_seconds=state.lag,
        source_seen=not report.source_away,
        missed=report.missed,
        total_duration=round(report.seconds, 6),
        store_requests=report.requests,
    )
    did = took(one, report.seconds, report.requests)
    if waiting or state.heads:
        what = counted(len(waiting), "snapshot")
        one.output.line(f"{what} not whole, the lag is {duration(state.lag)} ({did})")
    elif not state.damage:
        looked = counted(state.looked, "snapshot")
        one.output.line(f"looked at {looked}: nothing is missing ({did})")
