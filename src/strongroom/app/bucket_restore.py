"""Restore objects of a snapshot into a bucket, and undo that."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from strongroom.app.documents import clients_in
from strongroom.app.environments import admitted, landing_of
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.aws.buckets import Bucket, find_bucket
from strongroom.aws.keys import objects_path, split_path
from strongroom.aws.listing import Pager
from strongroom.aws.record import BucketRecord, read_record
from strongroom.clock import rfc3339
from strongroom.config.moments import parse_moment
from strongroom.errors import NotFoundError, RefusedError, RestoreError, SourceError, UsageError
from strongroom.model.events import PhaseBegan
from strongroom.model.snapshot import ListedSnapshot, SourceRecord, Status
from strongroom.operations.bucket_restore import (
    BucketPlan,
    BucketRestore,
    BucketResult,
    Chosen,
)
from strongroom.operations.listing import Meant, snapshot_to_restore
from strongroom.policy.landing import Landing
from strongroom.restore.bucket.journal import (
    Journal,
    journal_path,
    last_journal,
    made_in,
    set_aside,
    told_apart,
)
from strongroom.restore.bucket.target import BucketTarget
from strongroom.system.causes import cause_of

_KIND = b"s3"
_THREADS = 16
_UNDO = "Or undo it: strongroom restore --to-bucket {} --undo."


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketRequest:
    """What the command line says; ``bucket`` is empty for the one that was saved.

    ``at``: of the snapshots up to this time the last. ``key``: a key, or its path in the snapshot.
    ``prefix`` comes before every key. ``delete``: what only the bucket has goes.
    """

    snapshot: str
    key: str = ""
    bucket: str = ""
    prefix: str = ""
    source: str = ""
    at: str = ""
    delete: bool = False
    verify: bool = False
    environment: str = ""


@dataclass(frozen=True, slots=True)
class BucketRestorePlan:
    """What a restore would do, and to which bucket."""

    snapshot: ListedSnapshot
    record: BucketRecord
    bucket: Bucket
    totals: BucketPlan
    delete: bool
    into: Landing

    @property
    def changes(self) -> bool:
        """Whether anything that is in the bucket would be another, or gone."""
        return self.totals.replaced > 0 or (self.delete and bool(self.totals.extras))

    @property
    def asks(self) -> bool:
        """Whether it has to be agreed to: something is written, and the place is not empty."""
        totals = self.totals
        is_empty = not (totals.replaced or totals.same or totals.extras)
        return self.changes or (totals.puts > 0 and not is_empty)


@dataclass(frozen=True, slots=True)
class BucketReport:
    """What a restore came to. ``journal``: what undoes it; None where versions are not kept."""

    plan: BucketRestorePlan
    result: BucketResult
    journal: Path | None
    seconds: float


@dataclass(frozen=True, slots=True)
class UndoPlan:
    """What an undo would take away again: versions that a restore made.

    ``lost``: keys that got no version of their own, so that what was there before may be gone;
    they stay. ``unknown``: keys that were about to be changed when it was killed.
    """

    bucket: Bucket
    journal: Path
    made: Sequence[tuple[bytes, str]]
    lost: Sequence[bytes]
    unknown: Sequence[bytes]
    into: Landing


def restore_bucket(
    run: Run, request: BucketRequest, decide: Callable[[BucketRestorePlan], bool]
) -> BucketReport | None:
    """Plan, let ``decide`` see the plan, and restore if it says so; None if it does not."""
    clock = run.machine.clock
    began = clock.elapsed()
    with opened_repository(run) as opened:
        listed, reader = _snapshot(run, opened, request)
        source = _source(listed, request)
        record = _record(listed, source)
        name = request.bucket or record.bucket
        environment = request.environment or _environment_of(run, name)
        into = admitted(run.settings, environment, listed)
        bucket = find_bucket(clients_in(run, environment or _known(run, listed)), name)
        chosen = _chosen(request, listed, source, record, bucket)
        if request.delete and listed.snapshot.status != Status.COMPLETE:
            raise RefusedError(
                f"snapshot {listed.short_id} is incomplete: what could not be saved is not in it, "
                "and --delete would remove that from the bucket",
                hint="Restore without --delete, or choose a complete snapshot.",
            )
        run.sink(PhaseBegan("plan"))
        pager = Pager(bucket, clock)
        work = BucketRestore(reader, chosen, BucketTarget(bucket), pager.objects, run.sink)
        plan = BucketRestorePlan(listed, record, bucket, work.plan(), request.delete, into)
        if not decide(plan):
            return None
        journal = _carry_out(run, plan, work)
        if request.verify:
            run.sink(PhaseBegan("read back", plan.totals.puts + plan.totals.same))
            work.verify(opened.repository.keyring.domain(listed.domain).data_hasher)
        return BucketReport(plan, work.result, journal, clock.elapsed() - began)


def _carry_out(run: Run, plan: BucketRestorePlan, work: BucketRestore) -> Path | None:
    bucket, totals = plan.bucket, plan.totals
    run.sink(PhaseBegan("restore", totals.puts, totals.size))
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(_THREADS, thread_name_prefix="put"))
        journal = None
        if bucket.keeps_versions and (totals.puts or plan.changes):
            moment = rfc3339(run.machine.clock.now_ns())
            path = journal_path(run.settings.state_dir, bucket.name, moment)
            header = {"bucket": bucket.name, "snapshot": plan.snapshot.id, "began": moment}
            try:
                journal = stack.enter_context(Journal(path, header))
            except OSError as error:
                raise RefusedError(
                    f"what the restore changes cannot be written down in {path}: "
                    f"{cause_of(error)}; nothing was changed",
                    hint="Set STRONGROOM_STATE_DIR to a folder that this user can write.",
                ) from error
        try:
            work.carry_out(threads, journal, totals.extras if plan.delete else ())
        except SourceError as error:
            raise RestoreError(
                f"the restore ended in the middle: {error.message}",
                hint="Run it again: what is right by then is not written again. "
                + (_UNDO.format(bucket.name) if journal is not None else ""),
            ) from error
    return journal.path if journal is not None else None


def undo_bucket(
    run: Run, name: str, environment: str, decide: Callable[[UndoPlan], bool]
) -> UndoPlan | None:
    """Take away again what the last restore into a bucket made; None if ``decide`` does not say so.

    What was there before is then the latest again, with its own version. ``RestoreError`` if some
    of it could not be taken away; it can be tried again.
    """
    path = last_journal(run.settings.state_dir, name)
    if path is None:
        raise NotFoundError(
            f"no restore into bucket '{name}' is known that could be undone",
            hint="Only restores of this host into a bucket that keeps versions can.",
        )
    try:
        made, unknown = made_in(path)
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise RestoreError(f"the journal {path} cannot be read: {error}") from error
    environment = environment or _environment_of(run, name)
    bucket = find_bucket(clients_in(run, environment), name)
    made, lost = told_apart(made)
    into = landing_of(run.settings, environment)
    plan = UndoPlan(bucket, path, made, lost, sorted(unknown), into)
    if not decide(plan):
        return None
    target = BucketTarget(bucket)
    keys = [key for key, _ in made]
    gone = target.delete(keys, [version for _, version in made])
    if len(gone) < len(keys):
        raise RestoreError(
            f"{len(keys) - len(gone):,} of {len(keys):,} versions could not be taken away again",
            hint="A lock may hold them; run it again when it ends.",
        )
    set_aside(path)
    return plan


def _snapshot(run: Run, opened: Opened, request: BucketRequest) -> Meant:
    """Return the snapshot that is meant; the whole bucket is wanted unless a key is named."""
    all_of_it = not request.key
    if not request.at:
        return snapshot_to_restore(opened.repository, request.snapshot, all_of_it=all_of_it)
    until = parse_moment(request.at, "--at", run.machine.clock.now_ns(), at_end=True)

    def fitting(found: Sequence[ListedSnapshot]) -> list[ListedSnapshot]:
        chosen = [
            one
            for one in found
            if one.snapshot.ended_ns <= until and any(s.kind == _KIND for s in one.snapshot.sources)
        ]
        if not chosen:
            raise NotFoundError(
                f"no snapshot of documents was made until {request.at}",
                hint="See which there are with 'strongroom snapshots'.",
            )
        return chosen

    return snapshot_to_restore(
        opened.repository, request.snapshot, all_of_it=all_of_it, among=fitting
    )


def _source(listed: ListedSnapshot, request: BucketRequest) -> SourceRecord:
    """Return the source that is meant: the one that is named, that of the path, or the only one."""
    found = [one for one in listed.snapshot.sources if one.kind == _KIND]
    split = split_path(os.fsencode(request.key))
    if request.source:
        found = [one for one in found if os.fsdecode(one.name) == request.source]
    elif split is not None:
        found = [one for one in found if objects_path(os.fsdecode(one.name)) == split[0]]
    if not found:
        raise NotFoundError(
            f"snapshot {listed.short_id} holds no such documents",
            hint=f"See what it holds with 'strongroom ls {listed.short_id}'.",
        )
    if len(found) > 1:
        names = ", ".join(os.fsdecode(one.name) for one in found)
        raise UsageError(
            f"snapshot {listed.short_id} holds documents of several sources",
            hint=f"Name one with --source: {names}.",
        )
    return found[0]


def _record(listed: ListedSnapshot, source: SourceRecord) -> BucketRecord:
    try:
        return read_record(source.position)
    except ValueError as error:
        raise NotFoundError(
            f"snapshot {listed.short_id} does not say which bucket it is of"
        ) from error


def _environment_of(run: Run, bucket: str) -> str:
    """Return the environment whose documents are in a bucket; empty without one. UsageError."""
    found = {one.environment for one in run.settings.documents.values() if one.bucket == bucket} - {
        ""
    }
    if len(found) > 1:
        raise UsageError(
            f"bucket '{bucket}' is in several environments: {', '.join(sorted(found))}",
            hint="Say which is meant: --environment NAME.",
        )
    return found.pop() if found else ""


def _known(run: Run, listed: ListedSnapshot) -> str:
    name = os.fsdecode(listed.snapshot.environment)
    return name if name in run.settings.environments else ""


def _chosen(
    request: BucketRequest,
    listed: ListedSnapshot,
    source: SourceRecord,
    record: BucketRecord,
    bucket: Bucket,
) -> Chosen:
    key = os.fsencode(request.key)
    split = split_path(key)
    return Chosen(
        listed=listed,
        source=source,
        top=objects_path(os.fsdecode(source.name)),
        key=split[1] if split is not None else key,
        within=record.prefix,
        prefix=os.fsencode(request.prefix),
        own=bucket.name == record.bucket and not request.prefix,
    )
