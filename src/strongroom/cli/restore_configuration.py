"""``strongroom restore --configuration``, ``--parameter`` and ``--secret``."""

from __future__ import annotations

import shlex

import click

from strongroom.app.awsconfig_restore import (
    Change,
    ConfigurationPlan,
    ConfigurationReport,
    ConfigurationRequest,
    restore_configuration,
)
from strongroom.app.awsconfig_stack import StackRequest
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.consent import Consent, agreed, landed
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless
from strongroom.cli.output import say
from strongroom.cli.quantities import counted, duration, moment
from strongroom.cli.restore_options import Configuration
from strongroom.cli.restore_stack import run_stack
from strongroom.errors import RefusedError

INCOMPLETE = 3


def run_configuration(snapshot: str | None, said: Configuration) -> int:
    """Restore parameters and secrets, or undo that; or say what would be done."""
    name, path = snapshot_and_path(snapshot or "")
    if path or not name:
        raise click.UsageError("say both: strongroom restore SNAP --parameter NAME")
    if said.stack:
        return _stack(name, said)
    if said.to_stack or said.stack_parameters:
        raise click.UsageError("--to-stack and --stack-parameters are for --stack")
    if said.configuration and (said.parameters or said.secrets):
        raise click.UsageError("--configuration is all of it; give it or names")
    named = said.parameters or said.secrets
    if said.undo and (named or said.mapped or said.kms_key or said.delete):
        raise click.UsageError("--undo takes the snapshot made before a restore, and no names")
    if not (named or said.configuration):
        raise click.UsageError("name what to restore: --parameter, --secret or --configuration")
    request = ConfigurationRequest(
        snapshot=name,
        source=said.source or "",
        parameters=said.parameters,
        secrets=said.secrets,
        everything=said.configuration,
        mapped=[_pair(text) for text in said.mapped],
        region=said.region or "",
        environment=said.environment or "",
        key=said.kms_key or "",
        delete=said.delete,
        undo=said.undo,
        pre_backup=not said.no_pre_backup,
    )
    return _restore(request, said)


def _stack(snapshot: str, said: Configuration) -> int:
    others = [said.configuration, said.parameters, said.secrets, said.mapped, said.kms_key]
    if any([*others, said.undo, said.delete]):
        raise click.UsageError(
            "a stack takes --to-stack, --stack-parameters, --source, --region, --environment, "
            "--no-pre-backup, --dry-run and --confirm"
        )
    request = StackRequest(
        snapshot=snapshot,
        stack=said.stack or "",
        to=said.to_stack or "",
        source=said.source or "",
        region=said.region or "",
        environment=said.environment or "",
        values=said.stack_parameters or "",
        pre_backup=not said.no_pre_backup,
    )
    return run_stack(request, said.consent, dry_run=said.dry_run)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise click.UsageError(f"--map-path {text!r} is not OLD=NEW")
    return old, new


def _restore(request: ConfigurationRequest, said: Configuration) -> int:
    with job(progress=True) as one:
        refused = 0

        def decide(plan: ConfigurationPlan) -> bool:
            nonlocal refused
            refused = len(plan.refused)
            with one.progress.pause():
                _tell_plan(one, plan, dry_run=said.dry_run)
                if said.dry_run:
                    return False
                if not plan.changes:
                    return True
                return _may_go_on(one, plan, landed(one, plan.into, said.consent))

        with one.progress:
            report = restore_configuration(one.run, request, decide)
        if report is not None:
            _tell(one, report)
        elif not said.dry_run:
            raise RefusedError("nothing was restored: it was not confirmed")
        else:
            one.output.line("dry run: nothing was changed")
        return INCOMPLETE if refused else 0


def _may_go_on(one: Job, plan: ConfigurationPlan, consent: Consent) -> bool:
    """Whether to restore: always asked, for programs read these values now."""
    name = plan.into.name or plan.source
    count = counted(len(plan.changes), "thing")
    why = f"this changes {count} in the account ({plan.account})"
    return agreed(one, consent, name, why, f"Change {count} in the account ({plan.account})?")


def _tell_plan(one: Job, plan: ConfigurationPlan, *, dry_run: bool) -> None:
    steps = [step for change in plan.changes for step in change.decision.steps]
    one.output.record(
        "plan",
        dry_run=dry_run,
        snapshot_id=plan.snapshot.id,
        source=plan.source,
        region=plan.region,
        environment=plan.into.name or None,
        changes=len(plan.changes),
        requests=len(steps),
        unchanged=plan.same,
        refused=len(plan.refused),
        pre_backup=plan.pre_backup,
    )
    listed = plan.snapshot
    one.output.line(
        f"snapshot {listed.short_id} of {moment(listed.snapshot.started_ns)}, "
        f"source {harmless(plan.source)}, into region {plan.region} ({plan.account})"
    )
    for change in plan.changes:
        _tell_change(one, change)
    for change in plan.refused:
        name, why = change.intent.name, change.decision.refused
        one.output.record("refused", name=name, reason=why)
        say(f"not restored: {harmless(name)}: {harmless(why)}")
    if plan.same:
        one.output.line(f"{counted(plan.same, 'thing is', 'things are')} right already")
    if plan.changes and not plan.pre_backup:
        one.output.line("warning: nothing is saved first, so there is no undo")


def _tell_change(one: Job, change: Change) -> None:
    for step in change.decision.steps:
        fields = {"service": step.service, "call": step.call, "name": step.name}
        one.output.record("request", **fields, note=step.note)
        one.output.line(f"  {harmless(str(step))}")
    for note in change.decision.notes:
        one.output.record("note", name=change.intent.name, note=note)
        one.output.line(f"  note: {harmless(change.intent.name)}: {harmless(note)}")


def _tell(one: Job, report: ConfigurationReport) -> None:
    plan, before = report.plan, report.before
    one.output.record(
        "summary",
        snapshot_id=plan.snapshot.id,
        changed=len(plan.changes),
        unchanged=plan.same,
        refused=len(plan.refused),
        before_id=before.id if before is not None else None,
        total_duration=round(report.seconds, 6),
    )
    if not plan.changes:
        one.output.line("nothing to do: the account is as the snapshot says")
        return
    changed = counted(len(plan.changes), "thing")
    one.output.line(
        f"restored {changed} in {duration(report.seconds)}; read again, each is as it should be"
    )
    if before is not None:
        into = f" --environment {shlex.quote(plan.into.name)}" if plan.into.name else ""
        one.output.line(f"what was there is in snapshot {before.short_id}")
        one.output.line(
            f"to undo: strongroom restore {before.short_id} --configuration --undo{into}"
        )
