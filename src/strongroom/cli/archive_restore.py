"""``strongroom archive restore``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from strongroom.app.archives.finishing import Outcome, Phase, finish
from strongroom.app.archives.place import place_of
from strongroom.app.archives.restoring import (
    Kind,
    RestorePlan,
    RestoreReport,
    RestoreRequest,
    folder_of,
    restore_archive,
)
from strongroom.cli.archive import bash_version
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless, path_fields, shown
from strongroom.cli.problems import MOST_SHOWN, tell_problems
from strongroom.cli.prompts import confirmed
from strongroom.cli.quantities import counted, duration, size
from strongroom.errors import RefusedError

INCOMPLETE: Final = 3
_MARKS: Final = {
    Kind.NEW: "+",
    Kind.CHANGED: "M",
    Kind.METADATA: "m",
    Kind.REPLACED: "T",
    Kind.REMOVED: "-",
}
_WORDS: Final = {
    Kind.NEW: "new",
    Kind.CHANGED: "changed",
    Kind.METADATA: "with other attributes",
    Kind.REPLACED: "of another kind",
    Kind.REMOVED: "removed",
}


def run(  # noqa: PLR0913 - one for each option
    *,
    name: str | None,
    paths: Sequence[str],
    to: str | None,
    delete: bool,
    dry_run: bool,
    no_confirm: bool,
    no_pre_backup: bool,
    resume: bool,
    rollback: bool,
    home: str | None,
    project: str,
    folder: str | None,
) -> int:
    """Restore an archive, or end a restore that was killed."""
    if resume or rollback:
        if name is not None or (resume and rollback):
            raise click.UsageError("--resume and --rollback stand alone, with --project or --to")
        return _finish(to, project, folder, forward=resume)
    if name is None:
        raise click.UsageError("name an archive, such as 20241219_143022, or latest")
    request = RestoreRequest(
        name=name,
        paths=paths,
        to=to,
        delete=delete,
        keeps=not no_pre_backup,
        bash=bash_version(),
    )
    with job(progress=True) as one:
        place = place_of(one.run, project, folder)

        def decide(plan: RestorePlan) -> bool:
            with one.progress.pause():
                _tell_plan(one, plan, all_of_it=dry_run)
                if dry_run:
                    return False
                return no_confirm or _may_go_on(one, plan)

        with one.progress:
            where = folder_of(one.run, place, home, name)
            report = restore_archive(one.run, place, where, request, decide)
        if report is not None:
            return _tell(one, report)
        if not dry_run:
            raise RefusedError("nothing was changed: it was not confirmed")
        one.output.line("dry run: nothing was changed")
    return 0


def _tell_plan(one: Job, plan: RestorePlan, *, all_of_it: bool) -> None:
    output, archive, swap = one.output, plan.archive, plan.swap
    metadata = archive.metadata
    totals = {kind: swap.totals[kind] for kind in _MARKS}
    output.record(
        "plan",
        id=str(archive.id),
        target=plan.target.path,
        entries=len(plan.tree.entries),
        bytes=plan.tree.size,
        unchanged=swap.totals[Kind.SAME].entries,
        **{kind.value: total.entries for kind, total in totals.items()},
    )
    made = f" of {metadata.created}" if metadata is not None and metadata.created else ""
    output.line(
        f"archive {archive.id}{made}: {counted(len(plan.tree.entries), 'entry', 'entries')}, "
        f"{size(plan.tree.size)}"
    )
    if archive.why:
        output.line(harmless(f"warning: it is {archive.state.value}: {archive.why}"))
    changes, more = swap.shown(len(swap.changes) if all_of_it else MOST_SHOWN)
    for change in changes:
        output.record("change", kind=change.kind.value, **path_fields(change.path))
        below = f" (with {change.below:,} in it)" if change.below else ""
        slash = "/" if change.is_directory else ""
        output.line(f"  {_MARKS[change.kind]} {shown(change.path)}{slash}{below}")
    if more:
        output.line(f"  … and {more:,} more (--dry-run shows all)")
    said = [f"{total.entries:,} {_WORDS[kind]}" for kind, total in totals.items() if total.entries]
    same = swap.totals[Kind.SAME].entries
    output.line(
        f"in {plan.target.path}: {', '.join(said) or 'nothing to do'}; {same:,} as they are"
    )


def _may_go_on(one: Job, plan: RestorePlan) -> bool:
    """Ask on standard input, whatever that is; its end means no."""
    if plan.swap.is_empty or not plan.target.in_use:
        return True
    one.output.line("warning: what is listed above will be overwritten")
    return confirmed(f"Restore {plan.archive.id} into {plan.target.path}?")


def _tell(one: Job, report: RestoreReport) -> int:
    output, plan = one.output, report.plan
    outcome = report.outcome
    problems = list(report.problems)
    tell_problems(output, problems, "restore")
    aside = outcome.aside if outcome is not None else ()
    for moved in aside:
        output.notice(
            harmless(
                f"warning: {shown(moved.path)} was in the way, put there meanwhile; it is now "
                f"{moved.now}"
            )
        )
    output.record(
        "summary",
        id=str(plan.archive.id),
        target=plan.target.path,
        changes=len(plan.swap.changes),
        kept_as=str(report.kept.id) if report.kept is not None else None,
        problems=len(problems),
        aside=len(aside),
        total_duration=round(report.seconds, 6),
    )
    if report.kept is not None:
        output.line(f"what was there is kept as {report.kept.id}")
    output.line(
        f"Restore completed: {plan.archive.id} into {plan.target.path} in "
        f"{duration(report.seconds)}"
    )
    output.line("verified: every byte was read back")
    return INCOMPLETE if problems or aside else 0


def _finish(to: str | None, project: str, folder: str | None, *, forward: bool) -> int:
    with job() as one:
        place = place_of(one.run, to or project, folder)
        outcome = finish(one.run, place.project, forward=forward)
        one.output.record("finished", target=str(place.project), phase=outcome.phase.name.lower())
        one.output.line(_said(outcome, place.project))
        for path, sentence in outcome.shortfalls:
            one.output.notice(harmless(f"warning: of {shown(path)} the {sentence}"))
        return INCOMPLETE if outcome.shortfalls or outcome.aside else 0


def _said(outcome: Outcome, target: Path) -> str:
    if outcome.phase is Phase.DONE:
        return f"the restore of {target} is complete"
    if outcome.phase is Phase.NOTHING:
        return (
            f"nothing is left to undo: the restore of {target} had changed nothing, or was complete"
        )
    return f"rolled back: {target} is as it was before the restore"
