"""``strongroom restore --stack``."""

from __future__ import annotations

import shlex
from dataclasses import replace

from strongroom.app.awsconfig_stack import StackPlan, StackReport, StackRequest, restore_stack
from strongroom.cli.consent import Consent, agreed, landed
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless
from strongroom.cli.quantities import counted, duration
from strongroom.errors import RefusedError


def run_stack(request: StackRequest, consent: Consent, *, dry_run: bool) -> int:
    """Restore a stack, or say what would be done."""
    with job(progress=True) as one:

        def decide(plan: StackPlan) -> bool:
            with one.progress.pause():
                _tell_plan(one, plan, dry_run=dry_run)
                return not dry_run and _may_go_on(one, plan, landed(one, plan.into, consent))

        with one.progress:
            report = restore_stack(one.run, replace(request, dry_run=dry_run), decide)
        if report is not None:
            _tell(one, report)
        elif dry_run:
            one.output.line("dry run: no change set was made; without --dry-run it is, and shown")
        else:
            raise RefusedError("nothing was restored: it was not confirmed")
    return 0


def _may_go_on(one: Job, plan: StackPlan, consent: Consent) -> bool:
    count = counted(len(plan.changes or ()), "resource")
    why = f"this changes {count} of stack {plan.stack!r} ({plan.account})"
    question = f"Carry out this change set of stack {plan.stack!r} ({plan.account})?"
    return agreed(one, consent, plan.into.name or plan.stack, why, question)


def _tell_plan(one: Job, plan: StackPlan, *, dry_run: bool) -> None:
    output = one.output
    output.record(
        "plan",
        dry_run=dry_run,
        snapshot_id=plan.snapshot.id,
        source=plan.source,
        stack=plan.stack,
        region=plan.region,
        exists=plan.exists,
        values_kept=list(plan.kept),
        changes=None if plan.changes is None else len(plan.changes),
    )
    kind = "an update of" if plan.exists else "a new"
    output.line(
        f"snapshot {plan.snapshot.short_id}: cloudformation:CreateChangeSet for {kind} stack "
        f"{harmless(plan.stack)} in region {plan.region} ({plan.account})"
    )
    if plan.kept:
        output.line(f"values that AWS never tells stay as they are: {', '.join(plan.kept)}")
    for change in plan.changes or ():
        replaces = f", replacement: {change.replacement}" if change.replacement else ""
        output.record(
            "change",
            action=change.action,
            resource=change.resource,
            type=change.type,
            replacement=change.replacement or None,
        )
        text = f"{change.action} {change.resource} ({change.type}{replaces})"
        output.line(f"  {harmless(text)}")


def _tell(one: Job, report: StackReport) -> None:
    plan = report.plan
    one.output.record(
        "summary",
        snapshot_id=plan.snapshot.id,
        stack=plan.stack,
        changed=report.changed,
        changes=len(plan.changes or ()),
        before_id=report.before.id if report.before is not None else None,
        calls=list(report.calls),
        total_duration=round(report.seconds, 6),
    )
    if not report.changed:
        one.output.line(f"nothing to do: stack {harmless(plan.stack)} is as the snapshot says")
        return
    one.output.line(
        f"restored stack {harmless(plan.stack)}, {counted(len(plan.changes or ()), 'resource')}, "
        f"in {duration(report.seconds)}"
    )
    for call in report.calls:
        one.output.line(f"set as it was: cloudformation:{call}")
    name = shlex.quote(plan.stack)
    if report.before is not None:
        one.output.line(f"what was there is in snapshot {report.before.short_id}")
        one.output.line(f"to undo: strongroom restore {report.before.short_id} --stack {name}")
    elif not plan.exists:
        one.output.line(f"to undo: aws cloudformation delete-stack --stack-name {name}")
