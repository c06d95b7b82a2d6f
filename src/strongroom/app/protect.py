"""Extend the retention of what live snapshots need, in a bucket with Object Lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from strongroom.app.addresses import address_of, versions_of
from strongroom.app.folders import StateFiles, state_of
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.aws.bucketrules import lock_of
from strongroom.aws.retention import COMPLIANCE, GOVERNANCE, Retention, Retentions
from strongroom.aws.versions import BucketVersions
from strongroom.errors import RefusedError, UsageError
from strongroom.model.events import Advanced, PhaseBegan
from strongroom.operations.altered import Altered, ToHold
from strongroom.operations.protecting import Goal, NotProtected, Protected, Protector
from strongroom.operations.retention import store_time_ns
from strongroom.repository.collection.needed import needed_objects, removed_objects
from strongroom.repository.collection.survey import Keep

__all__ = [
    "COMPLIANCE",
    "GOVERNANCE",
    "Altered",
    "Goal",
    "NotProtected",
    "ProtectReport",
    "ProtectRequest",
    "protect",
]

_SECOND_NS: Final = 1_000_000_000
_LONGEST: Final = 36_500 * 86_400  # seconds; S3 takes no more
_MOST_REMEMBERED: Final = 1 << 30  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectRequest:
    """What the command line says; times in seconds. ``mode``: empty is that of the bucket.

    ``at_least``: what is held for so long is left alone. ``grace``: how long forgotten snapshots
    count as live.
    """

    span: int
    at_least: int
    mode: str = ""
    grace: int
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ProtectReport:
    """What came of it. ``listings``: requests that listed versions or asked about the bucket.

    ``alarm``: why it could not be judged what is needed, so that everything was taken as needed.
    ``altered``: objects that somebody put others over, or hid.
    """

    goal: Goal
    protected: Protected
    alarm: str
    listings: int
    store_requests: int
    seconds: float
    dry_run: bool
    altered: Sequence[Altered] = ()


Agree = Callable[[str, Goal, str], None]


def protect(run: Run, request: ProtectRequest, agree: Agree) -> ProtectReport:
    """Extend what ends too soon.

    ``agree`` hears of a bucket and a goal that cannot be undone, and why it could not be judged
    what is needed, if it could not.
    ``UsageError`` for a store that is no bucket, ``RefusedError`` for one that locks nothing or if
    ``agree`` raises it, ``StoreError`` where nothing could be extended.
    """
    clock = run.machine.clock
    began = clock.elapsed()
    if request.span > _LONGEST:
        raise UsageError("S3 holds nothing for longer than 100 years", hint="Give less: --for 30d.")
    address = address_of(run.settings.require_place())
    if address.scheme != "s3":
        raise UsageError(
            f"{address} has no Object Lock, so there is no retention to extend",
            hint="A bucket of S3 can have it: -r s3://BUCKET/PREFIX.",
        )
    versions = versions_of(run, address)
    mode = _mode(versions, request.mode)
    with opened_repository(run) as opened:
        goal = _goal(request, mode, store_time_ns(opened.repository))
        keep = Keep(request.grace * _SECOND_NS)
        repository = opened.repository
        hold = ToHold(needed_objects(repository, keep), removed_objects(repository))
        hold.judge(versions.histories)
        if mode == COMPLIANCE and not request.dry_run:
            agree(versions.bucket, goal, hold.alarm)
        result = _extended(run, opened, versions, hold, goal, dry_run=request.dry_run)
        if hold.found:
            hold.settle(removed_objects(repository))  # a collector may have gone on meanwhile
        requests = result.asked + result.put
        return ProtectReport(
            goal=goal,
            protected=result,
            alarm=hold.alarm,
            listings=versions.requests - requests,
            store_requests=opened.store.traffic().requests + versions.requests,
            seconds=clock.elapsed() - began,
            dry_run=request.dry_run,
            altered=hold.found,
        )


def _mode(versions: BucketVersions, wanted: str) -> str:
    lock = lock_of(versions)
    if not lock.possible:
        raise RefusedError(
            f"s3://{versions.bucket} has no Object Lock, so nothing in it can be held",
            hint="Turn it on, which nobody can undo: aws s3api put-bucket-versioning, then "
            "put-object-lock-configuration --object-lock-configuration ObjectLockEnabled=Enabled.",
        )
    return wanted or (lock.default.mode if lock.default is not None else GOVERNANCE)


def _goal(request: ProtectRequest, mode: str, now_ns: int) -> Goal:
    until = -(-(now_ns + request.span * _SECOND_NS) // _SECOND_NS) * _SECOND_NS
    needed = min(now_ns + request.at_least * _SECOND_NS, until)
    return Goal(mode, needed, until, now_ns)


def _extended(
    run: Run,
    opened: Opened,
    versions: BucketVersions,
    hold: ToHold,
    goal: Goal,
    *,
    dry_run: bool,
) -> Protected:
    memory = _Memory(state_of(run), opened.repository.id)
    known = memory.load()
    protector = Protector(
        Retentions(versions),
        goal,
        known,
        opened.repository.around.workers.transfer,
        lambda items, size: run.sink(Advanced(items, size)),
        dry_run,
    )
    run.sink(PhaseBegan("look at retention" if dry_run else "extend retention"))
    result = Protected()
    try:
        protector.protect(hold.versions(versions.histories), result)
    except BaseException:
        memory.save({**known, **result.held})
        raise
    memory.save(result.held)  # and nothing of versions that are not needed any more
    return result


class _Memory:
    """What this host knows of retentions, by id of version; only saves questions."""

    def __init__(self, files: StateFiles, repository_id: bytes) -> None:
        self._files = files
        self._name = f"repositories/{repository_id.hex()}/retentions"

    def load(self) -> Mapping[str, Retention]:
        """Return what is known; what cannot be read is not."""
        data = self._files.read_bounded(self._name, _MOST_REMEMBERED)
        try:
            return msgspec.msgpack.decode(data or b"\x80", type=dict[str, Retention])
        except (ValueError, RecursionError):
            return {}

    def save(self, held: Mapping[str, Retention]) -> None:
        """Replace what is known."""
        self._files.write(self._name, msgspec.msgpack.encode(held))
