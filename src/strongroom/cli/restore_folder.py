"""``strongroom restore --to``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import click

from strongroom.app.restore import RestorePlan, RestoreReport, RestoreRequest, restore
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.asked import took
from strongroom.cli.consent import Consent, agreed, landed
from strongroom.cli.job import Job, job
from strongroom.cli.names import path_fields, shown
from strongroom.cli.output import say
from strongroom.cli.problems import MOST_SHOWN, tell_problems
from strongroom.cli.quantities import counted, moment, size
from strongroom.errors import RefusedError

INCOMPLETE: Final = 3
_WHAT_HAPPENS: Final = {
    "always": "What has the same name is replaced, and there is no undo yet",
    "if-changed": "What has the same name and differs is replaced, and there is no undo yet",
    "never": "What is there stays as it is",
}
_QUESTIONS: Final = {
    "always": "Replace what has the same name in {}?",
    "if-changed": "Replace what differs in {}?",
    "never": "Restore what is missing in {}?",
}
DAMAGED: Final = 4


def run_folder(  # noqa: PLR0913 - one for each option
    snapshot: str | None,
    *,
    to: str | None,
    include: Sequence[str],
    exclude: Sequence[str],
    overwrite: Literal["always", "if-changed", "never"] | None,
    into_existing: bool,
    delete: bool,
    verify: bool,
    numeric_owner: bool,
    no_owner: bool,
    owner_map: Sequence[str],
    group_map: Sequence[str],
    environment: str | None,
    dry_run: bool,
    consent: Consent,
) -> int:
    """Restore into a folder, or say what a restore would do."""
    if snapshot is None or to is None:
        what = "argument 'SNAP[:PATH]'" if snapshot is None else "option '--to'"
        raise click.UsageError(f"Missing {what}.")
    if numeric_owner and no_owner:
        raise click.UsageError("--no-owner sets no owners; give it or --numeric-owner")
    name, path = snapshot_and_path(snapshot)
    request = RestoreRequest(
        snapshot=name,
        path=path,
        to=to,
        include=include,
        exclude=exclude,
        ownership="skip" if no_owner else "number" if numeric_owner else "name",
        owner_map=owner_map,
        group_map=group_map,
        overwrite=overwrite or ("always" if into_existing else None),
        delete=delete,
        verify=verify,
        environment=environment or "",
    )
    return _restore(request, consent, dry_run=dry_run)


def _restore(request: RestoreRequest, consent: Consent, *, dry_run: bool) -> int:
    with job(progress=True) as one:

        def decide(plan: RestorePlan) -> bool:
            with one.progress.pause():
                _tell_plan(one, plan, dry_run=dry_run)
                return not dry_run and _may_go_on(one, plan, landed(one, plan.into, consent))

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
        overwrite=plan.overwrite,
        deletes=len(plan.extras),
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
    if target.in_use and plan.overwrite is not None:
        one.output.line(f"warning: the folder is not empty. {_WHAT_HAPPENS[plan.overwrite]}")
        if not plan.fits:
            one.output.line("warning: there may not be enough room")
    _tell_extras(one, plan, all_of_them=dry_run)


def _tell_extras(one: Job, plan: RestorePlan, *, all_of_them: bool) -> None:
    for number, extra in enumerate(plan.extras):
        one.output.record("delete", dry_run=all_of_them, **path_fields(extra.path))
        if all_of_them or number < MOST_SHOWN:
            one.output.line(f"deletes {shown(extra.path)}{'/' if extra.is_directory else ''}")
    if plan.extras and not all_of_them:
        more = len(plan.extras) - MOST_SHOWN
        rest = f" ({more:,} more than shown; --dry-run shows all)" if more > 0 else ""
        one.output.line(
            f"warning: {counted(len(plan.extras), 'thing')} that the snapshot does not have "
            f"will be removed{rest}, and there is no undo yet"
        )


def _may_go_on(one: Job, plan: RestorePlan, consent: Consent) -> bool:
    """Whether to restore; a new or empty folder is never asked about."""
    if not plan.target.in_use:
        return True
    path = plan.target.path
    question = _QUESTIONS[plan.overwrite or "always"].format(path)
    if plan.extras:
        question += f" And remove {counted(len(plan.extras), 'thing')} there?"
    return agreed(one, consent, path, f"{path} is not empty", question)


def _tell(one: Job, report: RestoreReport) -> int:
    output, checked = one.output, report.checked
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
        entries_skipped=report.kept,
        entries_deleted=report.removed,
        entries_verified=None if checked is None else checked.entries,
        entries_different=None if checked is None else checked.different,
        damaged=len(report.damaged),
        refused=report.refused,
        problems=len(report.problems),
        total_duration=round(report.seconds, 6),
        store_requests=report.requests,
    )
    output.line(
        f"restored {counted(report.files, 'file')}, {size(report.bytes)} "
        f"into {report.plan.target.path} in {took(one, report.seconds, report.requests)}"
    )
    if report.kept:
        left = report.plan.overwrite == "never"
        one_of = "entry stays as it was" if left else "entry was right already"
        many = "entries stay as they were" if left else "entries were right already"
        output.line(counted(report.kept, one_of, many))
    if report.removed:
        output.line(f"removed {counted(report.removed, 'thing')} that the snapshot does not have")
    if checked is not None:
        differ = f"{checked.different:,} differ" if checked.different else "no difference"
        read = f"{counted(checked.entries, 'entry', 'entries')}, {size(checked.bytes)}"
        output.line(f"read back {read}: {differ}")
    if report.refused:
        say(f"refused {counted(report.refused, 'entry', 'entries')} that no restore may write")
    if report.damaged:
        say(f"{counted(len(report.damaged), 'entry is', 'entries are')} damaged and not restored")
        output.line("next: strongroom verify --read-data")
    elif report.problems:
        say(f"restored, but with {counted(len(report.problems), 'problem')}")
    return code
