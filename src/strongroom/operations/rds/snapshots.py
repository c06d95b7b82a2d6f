"""Make a snapshot in RDS, or copy one into another region, and see that it is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from strongroom.aws.rds.record import INSTANCE, Record
from strongroom.aws.rds.service import Answer, Rds
from strongroom.aws.rds.settings import tag_list, tags_of
from strongroom.clock import Clock, as_utc
from strongroom.errors import NotFoundError, RefusedError, StrongroomError, UsageError
from strongroom.operations.rds.waiting import Waiting

SOURCE_TAG: Final = "strongroom:source"
_NAME: Final = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
_LONGEST: Final = 255
_READY: Final = "available"
_MANUAL: Final = "manual"
_SAME: Final = ("Engine", "EngineVersion", "AllocatedStorage", "MasterUsername", "Port")


class Taken(NamedTuple):
    """A snapshot that is available, as AWS describes it, and how long it took."""

    name: str
    arn: str
    region: str
    size: int
    encrypted: bool
    seconds: float


class CopyPlan(NamedTuple):
    """Which snapshot goes where, by which name, sealed with which key of that region."""

    snapshot: Answer
    kind: str
    region: str
    name: str
    kms_key: str = ""


def default_name(identifier: str, now_ns: int) -> str:
    """Return a name for a snapshot."""
    return f"strongroom-{identifier}-{as_utc(now_ns):%Y%m%d-%H%M%S}"


def refuse_name(name: str) -> None:
    """``UsageError`` unless RDS takes the name of a snapshot."""
    if len(name) > _LONGEST or _NAME.fullmatch(name) is None:
        raise UsageError(
            f"--name {name!r} is no name of a snapshot",
            hint="Letters, digits and single hyphens, a letter first.",
        )


class Snapshots:
    """Makes and copies snapshots; ``source`` is what the configuration calls it."""

    def __init__(self, rds: Rds, clock: Clock, tell: Callable[[str], None], source: str) -> None:
        self._rds = rds
        self._clock = clock
        self._tell = tell
        self._source = source

    def take(self, record: Record, name: str) -> Taken:
        """Make a snapshot; returns when it is available. ``RefusedError`` if the name is taken."""
        began = self._clock.elapsed()
        self._refuse_taken(self._rds, record.kind, name)
        request, by, of = _of(record.kind, "create_db_snapshot", "create_db_cluster_snapshot")
        tags = tag_list({**tags_of(record.document), SOURCE_TAG: self._source})
        said = {of: record.identifier, by: name, "Tags": tags}
        self._rds.call(f"making a snapshot of {record.identifier}", request, **said)
        return self._taken(self._rds, record.kind, name, began)

    def copy(self, plan: CopyPlan, to: Rds) -> Taken:
        """Copy a snapshot by requests to another region; it is compared when it is available."""
        began = self._clock.elapsed()
        self._refuse_taken(to, plan.kind, plan.name)
        request, by, _ = _of(plan.kind, "copy_db_snapshot", "copy_db_cluster_snapshot")
        arn = _arn(plan.snapshot)
        said: dict[str, Any] = {
            f"Source{by}": arn,
            f"Target{by}": plan.name,
            "SourceRegion": self._rds.region,
            "Tags": tag_list({**tags_of(plan.snapshot), SOURCE_TAG: self._source}),
        }
        if plan.kms_key:
            said["KmsKeyId"] = plan.kms_key
        to.call(f"copying {name_of(plan.snapshot)} to {plan.region}", request, **said)
        taken = self._taken(to, plan.kind, plan.name, began)
        self._compare(plan, to)
        return taken

    def _compare(self, plan: CopyPlan, to: Rds) -> None:
        copy = to.snapshot(plan.kind, plan.name) or {}
        wrong = [
            f"{key} is {copy.get(key)!r}, not {plan.snapshot[key]!r}"
            for key in _SAME
            if plan.snapshot.get(key) is not None and copy.get(key) != plan.snapshot[key]
        ]
        if is_encrypted(plan.snapshot) and not is_encrypted(copy):
            wrong.append("it is not encrypted")
        if wrong:
            raise StrongroomError(f"the copy {plan.name} is not what was copied: {wrong}")

    def _refuse_taken(self, rds: Rds, kind: str, name: str) -> None:
        if rds.snapshot(kind, name) is not None:
            raise RefusedError(
                f"there is a snapshot {name} in {rds.region} already",
                hint="Give another name with --name.",
            )

    def _taken(self, rds: Rds, kind: str, name: str, began: float) -> Taken:
        waiting = Waiting(rds, self._clock, self._tell)
        found = waiting.until(
            name,
            lambda: rds.snapshot(kind, name),
            "Status",
            lambda one: one["Status"] == _READY,
        )
        return Taken(
            name,
            _arn(found),
            rds.region,
            found.get("AllocatedStorage", 0),
            is_encrypted(found),
            self._clock.elapsed() - began,
        )


def copy_plan(
    found: Sequence[Answer], kind: str, named: str, *, region: str, name: str, kms_key: str
) -> CopyPlan:
    """Decide what is copied: the snapshot that is named, or the newest that is available.

    ``NotFoundError``; ``RefusedError`` where an encrypted one has no key in the other region.
    """
    ready = [one for one in found if one.get("Status") == _READY]
    chosen = [one for one in ready if not named or named in {name_of(one), _arn(one)}]
    if not chosen:
        raise NotFoundError(
            f"there is no snapshot {named} that is available"
            if named
            else "there is no snapshot that is available",
            hint="Make one: strongroom rds snapshot SOURCE.",
        )
    snapshot = chosen[0]
    if is_encrypted(snapshot) and not kms_key:
        raise RefusedError(
            f"{name_of(snapshot)} is encrypted with a key of its own region",
            hint=f"Name a key of {region}: --kms-key alias/NAME.",
        )
    target = name or name_of(snapshot).removeprefix("rds:")
    return CopyPlan(snapshot, kind, region, target, kms_key)


def name_of(snapshot: Answer) -> str:
    """Return the name of a snapshot of an instance or a cluster."""
    return str(snapshot.get("DBSnapshotIdentifier") or snapshot["DBClusterSnapshotIdentifier"])


def is_encrypted(snapshot: Answer) -> bool:
    """Whether a snapshot is encrypted."""
    return bool(snapshot.get("Encrypted") or snapshot.get("StorageEncrypted"))


def is_manual(snapshot: Answer) -> bool:
    """Whether a snapshot stays until somebody deletes it."""
    return snapshot.get("SnapshotType") == _MANUAL


def _arn(snapshot: Answer) -> str:
    return str(snapshot.get("DBSnapshotArn") or snapshot.get("DBClusterSnapshotArn", ""))


def _of(kind: str, instance: str, cluster: str) -> tuple[str, str, str]:
    """Return the request, and how a snapshot and what it is of are called in it."""
    if kind == INSTANCE:
        return instance, "DBSnapshotIdentifier", "DBInstanceIdentifier"
    return cluster, "DBClusterSnapshotIdentifier", "DBClusterIdentifier"
