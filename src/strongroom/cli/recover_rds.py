"""``strongroom recover`` of a source that is an instance of RDS or a cluster of Aurora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from strongroom.app.rds_recover import (
    RdsReport,
    RdsRequest,
    ShownPlan,
    ShownUndo,
    Swapped,
    Undone,
    recover_rds,
    resume_rds,
    undo_rds,
)
from strongroom.cli.consent import Consent, agreed, landed
from strongroom.cli.job import Job
from strongroom.cli.quantities import counted, duration, moment
from strongroom.clock import rfc3339
from strongroom.errors import RefusedError

_INCOMPLETE: Final = 3
_OF_CLUSTERS: Final = {
    "to_lsn": "--to-lsn",
    "to_xid": "--to-xid",
    "to_name": "--to-name",
    "exclusive": "--exclusive",
    "timeline": "--timeline",
    "port": "--port",
    "pause": "--pause",
}
OF_RDS: Final = {
    "resume": "--resume",
    "undo": "--undo",
    "delete_new": "--delete-new",
    "despite_differences": "--despite-differences",
    "no_check": "--no-check",
    "no_repository": "--no-repository",
    "confirm": "--confirm",
}


def run_rds(one: Job, source: str, said: Mapping[str, Any]) -> int:
    """Recover, go on with it, or undo it; or say what that would do."""
    for name, option in _OF_CLUSTERS.items():
        if said[name]:
            raise click.UsageError(f"{option} is for clusters of your own; '{source}' is in RDS")
    consent = Consent(said["confirm"], said["no_confirm"])
    dry_run = bool(said["dry_run"])
    if said["undo"]:
        return _undo(one, source, said, consent, dry_run=dry_run)
    request = _request(source, said)

    def decide(shown: ShownPlan) -> bool:
        _tell_plan(one, shown, dry_run=dry_run)
        return not dry_run and _may_go_on(one, shown, consent)

    if said["resume"]:
        report = resume_rds(one.run, request, decide)
    else:
        report = recover_rds(one.run, request, decide, dry_run=dry_run)
    if report is not None:
        return _tell(one, report)
    return _nothing(one, dry_run=dry_run)


def _request(source: str, said: Mapping[str, Any]) -> RdsRequest:
    targets = [bool(said["latest"]), said["to_time"] is not None, bool(said["resume"])]
    if sum(targets) != 1:
        raise click.UsageError("say one: --latest, --to-time, --resume or --undo")
    if said["resume"] and (said["into"] or said["snapshot"]):
        raise click.UsageError("--resume goes on as it was planned: without --into and --snapshot")
    if said["delete_new"]:
        raise click.UsageError("--delete-new is for --undo")
    return RdsRequest(
        source=source,
        text=said["to_time"] or "",
        into=said["into"] or "",
        snapshot=said["snapshot"] or "",
        alone=said["no_repository"],
        checks=not said["no_check"],
        despite=said["despite_differences"],
    )


def _may_go_on(one: Job, shown: ShownPlan, consent: Consent) -> bool:
    """Whether to go on; what clients use is asked about, a new name beside it is not."""
    plan = shown.plan
    left = landed(one, shown.into, consent)
    if not plan.swaps:
        return True
    names = " and ".join(swap.name for swap in plan.swaps)
    question = f"Recover {plan.of} onto {plan.new}, and send clients there by {names}?"
    return agreed(one, left, plan.of, f"clients of {plan.of} would be sent elsewhere", question)


def _nothing(one: Job, *, dry_run: bool) -> int:
    if not dry_run:
        raise RefusedError("nothing was changed: it was not confirmed")
    one.output.line("dry run: nothing was changed")
    return 0


def _tell_plan(one: Job, shown: ShownPlan, *, dry_run: bool) -> None:
    plan = shown.plan
    time = None if plan.moment_ns is None else rfc3339(plan.moment_ns)
    one.output.record(
        "plan",
        dry_run=dry_run,
        resumed=shown.resumed,
        source=plan.source,
        kind=plan.kind,
        of=plan.of,
        new=plan.new,
        region=plan.region,
        time=time,
        earliest=rfc3339(plan.earliest_ns),
        latest=rfc3339(plan.latest_ns),
        settings=[f"{name}={value}" for name, value in sorted(plan.settings.items())],
        settings_from=plan.learned,
        members=[member.identifier for member in plan.members],
        swaps=[swap.name for swap in plan.swaps],
        calls=list(shown.calls),
        warnings=list(plan.warnings),
    )
    line = one.output.line
    begun = "goes on: " if shown.resumed else ""
    gone = "" if plan.live else ", which is deleted"
    line(f"{begun}{plan.kind} {plan.of} ({plan.engine}, {plan.region}{gone}) onto {plan.new}")
    if plan.moment_ns is None:
        line(f"recovers to the latest moment that AWS has, {moment(plan.latest_ns)} or later")
    else:
        line(f"recovers to {moment(plan.moment_ns)}")
    line(f"with {counted(len(plan.settings), 'setting')}: {plan.learned}")
    for call in shown.calls:
        line(f"  {call}")
    for warning in plan.warnings:
        one.output.notice(f"warning: {warning}")


def _tell(one: Job, report: RdsReport) -> int:
    plan, outcome = report.plan, report.outcome
    for name, differing in outcome.differing:
        one.output.record(
            "rds_difference",
            of=name,
            setting=differing.name,
            wanted=str(differing.wanted),
            found=None if differing.found is None else str(differing.found),
        )
    _records_swapped(one, outcome.swapped)
    one.output.record(
        "summary",
        source=plan.source,
        new=plan.new,
        endpoint=outcome.endpoints["writer"],
        reader_endpoint=outcome.endpoints.get("reader"),
        port=outcome.port,
        checked=outcome.checked or None,
        differing=len(outcome.differing),
        swapped=len(outcome.swapped),
        total_duration=round(report.seconds, 6),
    )
    line = one.output.line
    line(f"{plan.new} is there after {duration(report.seconds)}: {outcome.endpoints['writer']}")
    if not outcome.differing:
        settings = len(plan.settings) + sum(len(member.settings) for member in plan.members)
        line(f"all {settings} settings are as they were")
    for name, differing in outcome.differing:
        one.output.notice(
            f"warning: {differing.name} of {name} is {differing.found!r}, not {differing.wanted!r}"
        )
    if outcome.checked:
        line(outcome.checked)
    for swapped in outcome.swapped:
        line(f"{swapped.name}: {swapped.old} -> {swapped.new}")
    for swap in plan.swaps:
        if "TTL" in swap.details:
            line(f"clients follow {swap.name} within {swap.details['TTL']} s of their next look-up")
    line(f"{plan.of} is as it was; delete it when you are sure")
    line(f"to go back: strongroom recover {plan.source} --undo")
    line(f'next: in strongroom.toml, rds = {{ {plan.kind} = "{plan.new}" }}, if it is to stay')
    return _INCOMPLETE if outcome.differing else 0


def _undo(
    one: Job, source: str, said: Mapping[str, Any], consent: Consent, *, dry_run: bool
) -> int:
    for name in ("latest", "to_time", "into", "snapshot", "resume", "despite_differences"):
        if said[name]:
            raise click.UsageError("--undo takes back the last recovery, and needs nothing else")
    request = RdsRequest(source=source, alone=said["no_repository"])

    def decide(shown: ShownUndo) -> bool:
        _tell_undo(one, shown, dry_run=dry_run)
        if dry_run:
            return False
        plan, left = shown.plan, landed(one, shown.into, consent)
        why = f"clients of {plan.new} would be sent back"
        question = f"Send clients back to {plan.of}?"
        if shown.snapshot:
            why = f"{plan.new} would be deleted"
            question = f"Send clients back to {plan.of}, and delete {plan.new}?"
        return agreed(one, left, plan.new, why, question)

    done = undo_rds(one.run, request, decide, delete=said["delete_new"])
    if done is None:
        return _nothing(one, dry_run=dry_run)
    _tell_undone(one, done)
    return 0


def _tell_undo(one: Job, shown: ShownUndo, *, dry_run: bool) -> None:
    plan = shown.plan
    one.output.record(
        "plan",
        dry_run=dry_run,
        source=plan.source,
        of=plan.of,
        new=plan.new,
        state=shown.state,
        final_snapshot=shown.snapshot or None,
        swaps=[swap.name for swap in plan.swaps],
    )
    line = one.output.line
    line(f"the recovery of {plan.of} onto {plan.new} is taken back ({shown.state})")
    for swap in plan.swaps:
        line(f"  {swap.name} becomes {swap.old} again, unless it is")
    if plan.swaps:
        line(f"what was written to {plan.new} meanwhile is not in {plan.of}")
    if shown.snapshot:
        line(f"  {plan.new} is deleted, after a last snapshot: {shown.snapshot}")
    else:
        line(f"{plan.new} stays; --delete-new removes it, after a last snapshot")
    if not plan.live and plan.swaps:
        one.output.notice(f"warning: {plan.of} was deleted: clients would find nothing there")


def _tell_undone(one: Job, done: Undone) -> None:
    _records_swapped(one, done.swapped)
    one.output.record(
        "summary",
        swapped=len(done.swapped),
        deleted=list(done.deleted),
        final_snapshot=done.snapshot or None,
    )
    for swapped in done.swapped:
        one.output.line(f"{swapped.name}: {swapped.old} -> {swapped.new}")
    if not done.swapped:
        one.output.line("clients were where they belong")
    for name in done.deleted:
        one.output.line(f"{name} is deleted")
    if done.snapshot:
        one.output.line(f"its last state is snapshot {done.snapshot}")


def _records_swapped(one: Job, swapped: Sequence[Swapped]) -> None:
    for pointer in swapped:
        one.output.record("rds_swap", name=pointer.name, old=pointer.old, new=pointer.new)
