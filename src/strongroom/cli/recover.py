"""``strongroom recover``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from strongroom.app.recover import (
    RecoverRequest,
    RecoveryPlan,
    RecoveryReport,
    TargetKind,
    recover,
)
from strongroom.cli.job import Job, job
from strongroom.cli.prompts import confirmed
from strongroom.cli.quantities import counted, duration, moment, size
from strongroom.cli.recover_rds import OF_RDS, run_rds
from strongroom.errors import RefusedError

_TARGETS: Final = {
    "to_time": TargetKind.TIME,
    "to_lsn": TargetKind.LSN,
    "to_xid": TargetKind.XID,
    "to_name": TargetKind.NAME,
}


def run(source: str, *, dry_run: bool, no_confirm: bool, **said: Any) -> int:  # noqa: ANN401
    """Recover, or say what a recovery would do; ``said``: the other options."""
    with job(progress=True) as one:
        settings = one.run.settings.databases.get(source)
        if settings is not None and settings.rds is not None:
            return run_rds(one, source, {**said, "dry_run": dry_run, "no_confirm": no_confirm})
        request = _request(source, said)

        def decide(plan: RecoveryPlan) -> bool:
            with one.progress.pause():
                _tell_plan(one, plan, dry_run=dry_run)
                return not dry_run and _may_go_on(one, plan, no_confirm=no_confirm)

        with one.progress:
            report = recover(one.run, request, decide, dry_run=dry_run)
        if report is not None:
            _tell(one, report)
        elif dry_run:
            one.output.line("dry run: nothing was changed")
        else:
            raise RefusedError("nothing was changed: it was not confirmed")
    return 0


def _request(source: str, said: Mapping[str, Any]) -> RecoverRequest:
    for name, option in OF_RDS.items():
        if said[name]:
            raise click.UsageError(f"{option} is for sources in RDS, and '{source}' is none")
    targets = [(kind, said[name]) for name, kind in _TARGETS.items() if said[name] is not None]
    targets += [(TargetKind.LATEST, "")] if said["latest"] else []
    if len(targets) != 1:
        raise click.UsageError(
            "say one target: --latest, --to-time, --to-lsn, --to-xid or --to-name"
        )
    ((kind, text),) = targets
    if said["exclusive"] and kind in {TargetKind.LATEST, TargetKind.NAME}:
        raise click.UsageError("--exclusive is for --to-time, --to-lsn and --to-xid")
    if said["port"] is not None and not said["into"]:
        raise click.UsageError("--port is for --into; in its place a cluster keeps its own")
    return RecoverRequest(
        source=source,
        kind=kind,
        text=text,
        exclusive=said["exclusive"],
        timeline=said["timeline"],
        snapshot=said["snapshot"] or "",
        into=said["into"] or "",
        port=said["port"],
        pause=said["pause"],
    )


def _tell_plan(one: Job, plan: RecoveryPlan, *, dry_run: bool) -> None:
    record, position = plan.record, plan.way.candidate.position
    first, last = plan.way.names()
    one.output.record(
        "plan",
        dry_run=dry_run,
        source=plan.source,
        snapshot_id=plan.snapshot,
        system_id=record.system_id,
        server_version=record.server,
        target=plan.target.shown,
        timeline=plan.way.timeline,
        backup_start_lsn=record.start_lsn,
        backup_stop_lsn=record.stop_lsn,
        backup_stop_time=record.stop_time,
        wal_first=first,
        wal_last=last,
        salvaged=list(plan.salvage),
        data_directory=str(plan.present.path),
        moved_aside=plan.aside,
        port=plan.port,
        programs=plan.programs,
        bytes=plan.size,
        space_needed=plan.space,
        space_free=plan.free,
        warnings=list(plan.warnings),
    )
    line = one.output.line
    line(
        f"base backup {plan.snapshot} of {moment(position.stopped_ns)} (LSN {record.stop_lsn}), "
        f"PostgreSQL {record.server}, cluster {record.system_id}"
    )
    line(f"recovers to {_target(plan)}, on timeline {plan.way.timeline}")
    line(f"reads WAL from {first} to {last}")
    if plan.salvage:
        salvaged = counted(len(plan.salvage), "segment")
        line(f"with {salvaged} that only the old data directory has")
    where = "beside the cluster, in" if plan.side else "into"
    line(f"{where} {plan.present.path}: {size(plan.space)}, {size(plan.free)} free")
    for space in plan.spaces:
        line(f"tablespace {space.oid} into {space.place}")
    if plan.aside:
        line(f"what is there now is kept as {plan.aside}")
    line(f"by the programs in {plan.programs}")
    for warning in plan.warnings:
        one.output.notice(f"warning: {warning}")


def _target(plan: RecoveryPlan) -> str:
    target = plan.target
    before = "just before " if target.exclusive else ""
    if target.kind is TargetKind.TIME:
        return f"{before}{moment(target.value)} (you wrote {target.text})"
    if plan.way.is_end:
        return "the end of the base backup"
    return f"{before}{target.shown}"


def _may_go_on(one: Job, plan: RecoveryPlan, *, no_confirm: bool) -> bool:
    """Whether to go on; a new or empty folder is never asked about."""
    if no_confirm or not plan.present.in_use:
        return True
    if not one.on_terminal:
        raise RefusedError(
            f"{plan.present.path} is not empty, and there is no terminal to confirm it at",
            hint="Add --no-confirm to go on without being asked.",
        )
    return confirmed(f"Put the recovered cluster in the place of {plan.present.path}?")


def _tell(one: Job, report: RecoveryReport) -> None:
    plan = report.plan
    one.output.record(
        "summary",
        source=plan.source,
        snapshot_id=plan.snapshot,
        data_directory=str(plan.present.path),
        moved_aside=plan.aside,
        last_transaction=report.last,
        lsn=report.lsn,
        timeline=report.timeline,
        paused=report.paused,
        stopped=report.outcome.stopping,
        log=report.log,
        total_duration=round(report.seconds, 6),
    )
    line = one.output.line
    state = "paused and read-only" if report.paused else "open"
    line(
        f"recovered in {duration(report.seconds)}: {state} at LSN {report.lsn}, timeline "
        f"{report.timeline}"
    )
    if report.last:
        before = "" if report.distance is None else f", {report.distance:.3f} s before the target"
        line(f"the last transaction in it is of {report.last}{before}")
    if report.outcome.stopping:
        line(f"the server says: {report.outcome.stopping}")
    if report.socket:
        line(f"next: psql -h {report.socket} -p {plan.port} -U {plan.record.superuser} postgres")
    if report.paused:
        line("to go on from here: SELECT pg_wal_replay_resume(), which opens it")
        if not plan.side:
            line("then restart the server: until then it listens on that socket only")
    if plan.aside:
        data = plan.present.path
        line(f"the old data directory is {plan.aside}; remove it when you are sure")
        line(f"to go back: stop the server, mv {data} {data}.recovered, mv {plan.aside} {data}")
    if not plan.side and not report.paused:
        line("the server runs; make a new base backup now: strongroom backup " + plan.source)
    line(f"its log: {report.log}")
