"""``strongroom restore``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import click

from strongroom.app.restore import RestorePlan, RestoreReport, RestoreRequest, restore
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.job import Job, job
from strongroom.cli.names import path_fields, shown
from strongroom.cli.output import say
from strongroom.cli.problems import tell_problems
from strongroom.cli.prompts import confirmed
from strongroom.cli.quantities import counted, duration, moment, size
from strongroom.errors import RefusedError

INCOMPLETE: Final = 3
DAMAGED: Final = 4


def run(  # noqa: PLR0913 - one for each option
    snapshot: str,
    *,
    to: str,
    include: Sequence[str],
    exclude: Sequence[str],
    ownership: Literal["name", "number", "skip"],
    into_existing: bool,
    dry_run: bool,
    no_confirm: bool,
) -> int:
    """Restore, or say what a restore would do."""
    if dry_run and no_confirm:
        raise click.UsageError("--dry-run asks nothing anyway; give it or --no-confirm")
    name, path = snapshot_and_path(snapshot)
    request = RestoreRequest(
        snapshot=name,
        path=path,
        to=to,
        include=include,
        exclude=exclude,
        ownership=ownership,
        into_existing=into_existing,
    )
    with job(progress=True) as one:

        def decide(plan: RestorePlan) -> bool:
            with one.progress.pause():
                _tell_plan(one, plan, dry_run=dry_run)
                return not dry_run and _may_go_on(one, plan, no_confirm=no_confirm)

        with one.progress:
            report = restore(one.run, request, decide)
        if report is not None:
            return _tell(one, report)
        if not dry_run:
            raise RefusedError("nothing was restored: it was not confirmed")
        one.output.line("dry run: nothing was written")
    return 0


def _tell_plan(one: Job, plan: RestorePlan, *, dry_run: bool) -> None:
    listed, target = plan.snapshot, plan.target
    one.output.record(
        "plan",
        dry_run=dry_run,
        snapshot_id=listed.id,
        target=target.path,
        target_exists=target.exists,
        target_in_use=target.in_use,
        entries=plan.entries,
        files=plan.files,
        bytes=plan.bytes,
        space_needed=plan.space,
        space_free=target.free_bytes,
        **path_fields(b"/" + plan.path),
    )
    snapshot = listed.snapshot
    one.output.line(
        f"snapshot {listed.short_id} of {moment(snapshot.started_ns)} from {shown(snapshot.host)}"
    )
    what = shown(b"/" + plan.path) if plan.path else "everything in it"
    one.output.line(
        f"restores {what}: {counted(plan.files, 'file')}, {size(plan.bytes)}, "
        f"{counted(plan.entries, 'entry', 'entries')} in all"
    )
    place = f"{target.path}{'' if target.exists else ' (new)'}"
    one.output.line(
        f"into {place}; needs at most {size(plan.space)}, {size(target.free_bytes)} free"
    )
    if target.in_use:
        one.output.line(
            "warning: the folder is not empty. What has the same name is replaced, "
            "and there is no undo yet"
        )
        if not plan.fits:
            one.output.line("warning: there may not be enough room")


def _may_go_on(one: Job, plan: RestorePlan, *, no_confirm: bool) -> bool:
    """Whether to restore; a new or empty folder is never asked about."""
    if no_confirm or not plan.target.in_use:
        return True
    if not one.on_terminal:
        raise RefusedError(
            f"{plan.target.path} is not empty, and there is no terminal to confirm it at",
            hint="Add --no-confirm to go on without being asked.",
        )
    return confirmed(f"Replace what has the same name in {plan.target.path}?")


def _tell(one: Job, report: RestoreReport) -> int:
    output = one.output
    tell_problems(output, report.damaged, "restore")
    tell_problems(output, report.problems, "restore")
    code = DAMAGED if report.damaged or report.refused else INCOMPLETE if report.problems else 0
    output.record(
        "summary",
        snapshot_id=report.plan.snapshot.id,
        target=report.plan.target.path,
        entries=report.entries,
        files_restored=report.files,
        bytes_restored=report.bytes,
        damaged=len(report.damaged),
        refused=report.refused,
        problems=len(report.problems),
        total_duration=round(report.seconds, 6),
        store_requests=report.requests,
    )
    output.line(
        f"restored {counted(report.files, 'file')}, {size(report.bytes)} "
        f"into {report.plan.target.path} in {duration(report.seconds)}"
    )
    if report.refused:
        say(f"refused {counted(report.refused, 'entry', 'entries')} that no restore may write")
    if report.damaged:
        say(f"{counted(len(report.damaged), 'entry is', 'entries are')} damaged and not restored")
        output.line("next: strongroom verify --read-data")
    elif report.problems:
        say(f"restored, but with {counted(len(report.problems), 'problem')}")
    return code
