"""``strongroom rds``."""

from __future__ import annotations

from typing import Final

from strongroom.app.rds import (
    CopyRequest,
    Status,
    Taken,
    copy_snapshot,
    is_manual,
    name_of,
    rds_status,
    take_snapshot,
)
from strongroom.cli.job import job
from strongroom.cli.output import Output
from strongroom.cli.quantities import counted, duration, moment
from strongroom.clock import rfc3339

_MISSED: Final = 5
_MOST: Final = 10


def status(source: str) -> int:
    """Say what can be recovered; 5 if that is nothing, or too old."""
    with job(stream=True) as one:
        found = rds_status(one.run, source)
        _record(one.output, source, found)
        _lines(one.output, source, found)
    return _MISSED if any(finding.alert for finding in found.findings) else 0


def _record(output: Output, source: str, found: Status) -> None:
    record = found.record
    output.record(
        "rds_status",
        source=source,
        kind=record.kind,
        identifier=record.identifier,
        arn=record.arn,
        region=record.region,
        engine=record.engine,
        status=record.status,
        retention_days=record.document.get("BackupRetentionPeriod", 0),
        encrypted=bool(record.document.get("StorageEncrypted")),
        kms_key=record.document.get("KmsKeyId"),
        deletion_protection=bool(record.document.get("DeletionProtection")),
        endpoint=record.endpoints.get("writer"),
        reader_endpoint=record.endpoints.get("reader"),
        members=[one["DBInstanceIdentifier"] for one in record.members],
        maintenance=list(found.maintenance),
    )
    for window in found.windows:
        output.record(
            "rds_window",
            resource=window.resource,
            live=window.live,
            earliest=rfc3339(window.earliest_ns),
            latest=rfc3339(window.latest_ns),
        )
    for one in found.snapshots:
        output.record(
            "rds_snapshot",
            name=name_of(one),
            manual=is_manual(one),
            status=str(one.get("Status")),
        )
    for finding in found.findings:
        severity = "alert" if finding.alert else "warning"
        output.record("finding", severity=severity, object=record.identifier, text=finding.text)


def _lines(output: Output, source: str, found: Status) -> None:
    record, line = found.record, output.wanted
    line(f"{source}: {record.kind} {record.identifier} in {record.region}, {record.engine}")
    days = record.document.get("BackupRetentionPeriod", 0)
    sealed = "encrypted" if record.document.get("StorageEncrypted") else "not encrypted"
    line(f"  {record.status}, {sealed}, automated backups of {counted(days, 'day')}")
    for member in record.members:
        line(f"  instance {member['DBInstanceIdentifier']}, {member.get('DBInstanceClass', '')}")
    for window in found.windows:
        whose = "" if window.live else f", of one that is deleted ({window.resource})"
        line(f"  reachable: {moment(window.earliest_ns)} to {moment(window.latest_ns)}{whose}")
    for one in found.snapshots[:_MOST]:
        how = "manual" if is_manual(one) else "automated"
        line(f"  snapshot {name_of(one)}: {how}, {one.get('Status')}")
    if len(found.snapshots) > _MOST:
        line(f"  and {counted(len(found.snapshots) - _MOST, 'older snapshot')}")
    for finding in found.findings:
        level = "alert" if finding.alert else "warning"
        line(f"{level}: {finding.text}. {finding.hint.replace('SOURCE', source)}")


def snapshot(source: str, *, name: str | None) -> int:
    """Make a snapshot."""
    with job() as one:
        taken = take_snapshot(one.run, source, name or "")
        _tell(one.output, source, taken)
        one.output.line(f"snapshot {taken.name} is available after {duration(taken.seconds)}")
        one.output.line(f"it has {taken.size} GiB, {_sealed(taken)}: {taken.arn}")
    return 0


def copy(
    source: str,
    *,
    to_region: str,
    snapshot: str | None,
    name: str | None,
    kms_key: str | None,
) -> int:
    """Copy a snapshot into another region."""
    request = CopyRequest(
        region=to_region, snapshot=snapshot or "", name=name or "", kms_key=kms_key or ""
    )
    with job() as one:
        plan, taken = copy_snapshot(one.run, source, request)
        _tell(one.output, source, taken, copy_of=name_of(plan.snapshot))
        one.output.line(
            f"{name_of(plan.snapshot)} is {taken.name} in {taken.region} after "
            f"{duration(taken.seconds)}"
        )
        one.output.line(f"it has {taken.size} GiB, {_sealed(taken)}: {taken.arn}")
    return 0


def _tell(output: Output, source: str, taken: Taken, copy_of: str | None = None) -> None:
    output.record(
        "summary",
        source=source,
        snapshot=taken.name,
        copy_of=copy_of,
        arn=taken.arn,
        region=taken.region,
        allocated_gib=taken.size,
        encrypted=taken.encrypted,
        total_duration=round(taken.seconds, 6),
    )


def _sealed(taken: Taken) -> str:
    return "encrypted" if taken.encrypted else "not encrypted"
