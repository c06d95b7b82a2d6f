"""``strongroom restore --to-bucket NAME``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from strongroom.app.bucket_restore import (
    BucketReport,
    BucketRequest,
    BucketRestorePlan,
    UndoPlan,
    restore_bucket,
    undo_bucket,
)
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.consent import Consent, agreed, landed
from strongroom.cli.job import Job, job
from strongroom.cli.names import path_fields, shown
from strongroom.cli.output import say
from strongroom.cli.problems import MOST_SHOWN, tell_problems
from strongroom.cli.quantities import counted, duration, moment, size
from strongroom.cli.restore_options import ToBucket
from strongroom.errors import RefusedError
from strongroom.model.source import Problem

_INCOMPLETE: Final = 3
_DAMAGED: Final = 4
_NO_VERSION: Final = "it got no version of its own, so what was there before cannot be given back"
_OURS: Final = frozenset({"undo", "source"})


def run_bucket(
    snapshot: str | None, said: ToBucket, others: Mapping[str, Any], *, refused: bool
) -> int:
    """Restore into a bucket, undo that, or say what would be done.

    ``others``: what is said of databases, of which ``undo`` and ``source`` are good for buckets;
    ``refused``: whether there are options that are for files.
    """
    objects = said.objects
    if refused or any(value for name, value in others.items() if name not in _OURS):
        raise click.UsageError(
            "a bucket takes --to-bucket, --in-place, --prefix, --at, --source, --delete, --verify, "
            "--undo, --environment, --dry-run and --confirm"
        )
    if bool(objects.bucket) == objects.in_place:
        raise click.UsageError("say where to: --to-bucket NAME, or --in-place")
    if others["undo"]:
        if snapshot or any(objects[1:]) or said.delete or said.verify or others["source"]:
            raise click.UsageError("say: strongroom restore --to-bucket NAME --undo")
        return _undo(said)
    if snapshot is None and not objects.at:
        raise click.UsageError("Missing argument 'SNAP[:KEY]'.")
    if objects.in_place and objects.prefix:
        raise click.UsageError("--prefix is for --to-bucket")
    name, key = snapshot_and_path(snapshot or "latest")
    request = BucketRequest(
        snapshot=name,
        key=key,
        bucket=objects.bucket,
        prefix=objects.prefix,
        source=others["source"] or "",
        at=objects.at,
        delete=said.delete,
        verify=said.verify,
        environment=said.environment,
    )
    return _restore(request, said)


def _restore(request: BucketRequest, said: ToBucket) -> int:
    with job(progress=True) as one:

        def decide(plan: BucketRestorePlan) -> bool:
            with one.progress.pause():
                _tell_plan(one, plan, dry_run=said.dry_run)
                if said.dry_run:
                    return False
                return _may_go_on(one, plan, landed(one, plan.into, said.consent))

        with one.progress:
            report = restore_bucket(one.run, request, decide)
        if report is not None:
            return _tell(one, report)
        if not said.dry_run:
            raise RefusedError("nothing was restored: it was not confirmed")
        one.output.line("dry run: nothing was written")
    return 0


def _tell_plan(one: Job, plan: BucketRestorePlan, *, dry_run: bool) -> None:
    totals, listed, output = plan.totals, plan.snapshot, one.output
    extras = totals.extras if plan.delete else []
    output.record(
        "plan",
        dry_run=dry_run,
        snapshot_id=listed.id,
        bucket=plan.bucket.name,
        versioned=plan.bucket.versioned,
        undo=plan.bucket.keeps_versions,
        objects=totals.puts,
        bytes=totals.size,
        replaced=totals.replaced,
        same=totals.same,
        deletes=len(extras),
        only_in_bucket=len(totals.extras),
    )
    output.line(
        f"snapshot {listed.short_id} of {moment(listed.snapshot.started_ns)} "
        f"of bucket {plan.record.bucket}"
    )
    output.line(
        f"writes {counted(totals.puts, 'object')}, {size(totals.size)}, into {plan.bucket}: "
        f"{totals.replaced:,} of them in the place of others; {totals.same:,} are right already"
    )
    for number, key in enumerate(extras):
        output.record("delete", dry_run=dry_run, **path_fields(key, "key"))
        if dry_run or number < MOST_SHOWN:
            output.line(f"deletes {shown(key)}")
    if extras:
        output.line(f"warning: {counted(len(extras), 'object')} that only the bucket has will go")
    elif totals.extras:
        output.line(f"{counted(len(totals.extras), 'object')} that only the bucket has will stay")
    if plan.bucket.keeps_versions:
        output.line("the bucket keeps versions: --undo gives back what was there")
    elif plan.changes:
        why = "its versioning is suspended" if plan.bucket.versioned else "it keeps no versions"
        output.line(f"warning: what the bucket has now is overwritten: {why}, so there is no undo")


def _may_go_on(one: Job, plan: BucketRestorePlan, consent: Consent) -> bool:
    if not plan.asks:
        return True
    name = plan.bucket.name
    writes, replaced = counted(plan.totals.puts, "object"), plan.totals.replaced
    question = f"Write {writes} into bucket {name!r}, {replaced:,} in the place of others"
    if plan.delete and plan.totals.extras:
        question += f", and delete {counted(len(plan.totals.extras), 'object')}"
    return agreed(one, consent, name, f"bucket {name!r} is not empty", question + "?")


def _tell(one: Job, report: BucketReport) -> int:
    output, result, plan = one.output, report.result, report.plan
    tell_problems(output, result.damaged, "restore")
    tell_problems(output, result.problems, "restore")
    output.record(
        "summary",
        snapshot_id=plan.snapshot.id,
        bucket=plan.bucket.name,
        objects_restored=result.objects,
        bytes_restored=result.bytes,
        objects_skipped=result.same,
        objects_deleted=result.deleted,
        objects_verified=result.verified,
        objects_different=result.different,
        damaged=len(result.damaged),
        problems=len(result.problems),
        journal=str(report.journal) if report.journal is not None else None,
        total_duration=round(report.seconds, 6),
    )
    output.line(
        f"restored {counted(result.objects, 'object')}, {size(result.bytes)} "
        f"into {plan.bucket} in {duration(report.seconds)}; {result.same:,} were right already"
    )
    if result.deleted:
        output.line(f"deleted {counted(result.deleted, 'object')} that the snapshot does not have")
    if result.verified:
        differ = f"{result.different:,} differ" if result.different else "no difference"
        output.line(f"read back {counted(result.verified, 'object')}: {differ}")
    if report.journal is not None:
        output.line(f"to undo it: strongroom restore --to-bucket {plan.bucket.name} --undo")
    if result.damaged:
        say(f"{counted(len(result.damaged), 'object')} damaged and not restored")
        output.line("next: strongroom verify --read-data")
        return _DAMAGED
    if result.problems:
        say(f"restored, but with {counted(len(result.problems), 'problem')}")
        return _INCOMPLETE
    return 0


def _undo(said: ToBucket) -> int:
    with job() as one:

        def decide(plan: UndoPlan) -> bool:
            _tell_undo(one, plan, dry_run=said.dry_run)
            if said.dry_run:
                return False
            consent = landed(one, plan.into, said.consent)
            name = plan.bucket.name
            question = f"Take away again what was restored into bucket {name!r}?"
            return agreed(one, consent, name, f"bucket {name!r} will change", question)

        done = undo_bucket(one.run, said.objects.bucket, said.environment, decide)
        if done is not None:
            one.output.record("summary", bucket=done.bucket.name, versions_removed=len(done.made))
            one.output.line(
                f"undone: {counted(len(done.made), 'key')} of {done.bucket} are what they were"
            )
            if done.lost:
                say(f"{counted(len(done.lost), 'key')} could not be undone")
                return _INCOMPLETE
        elif said.dry_run:
            one.output.line("dry run: nothing was changed")
        else:
            raise RefusedError("nothing was changed: it was not confirmed")
    return 0


def _tell_undo(one: Job, plan: UndoPlan, *, dry_run: bool) -> None:
    output = one.output
    output.record(
        "plan",
        dry_run=dry_run,
        bucket=plan.bucket.name,
        versions=len(plan.made),
        lost=len(plan.lost),
        unknown=len(plan.unknown),
    )
    output.line(
        f"takes {counted(len(plan.made), 'version')} out of {plan.bucket} that the last restore "
        "made; what was there before is the latest again"
    )
    problems = [Problem(key, _NO_VERSION) for key in plan.lost]
    tell_problems(output, problems, "undo")
    for key in plan.unknown:
        output.line(f"warning: it is not known what became of {shown(key)}: look at its versions")
