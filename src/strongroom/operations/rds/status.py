"""What the backups of AWS's own reach, and what about an instance would hurt one day. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from strongroom.aws.rds.record import INSTANCE, Record
from strongroom.aws.rds.service import Answer
from strongroom.aws.rds.window import Window, nanoseconds
from strongroom.operations.rds.snapshots import is_manual

_SECOND: Final = 1_000_000_000
_DAY: Final = 86_400 * _SECOND
_LATE: Final = 15 * 60 * _SECOND
_OLD: Final = 26 * 3600 * _SECOND
_SHORT: Final = 7  # days
_EXPIRES: Final = 90 * _DAY


class Finding(NamedTuple):
    """Something to look at; an ``alert`` means that a moment cannot be reached."""

    text: str
    hint: str
    alert: bool = False


class Status(NamedTuple):
    """An instance or a cluster, what can be reached, and what was found."""

    record: Record
    windows: Sequence[Window]
    snapshots: Sequence[Answer]
    maintenance: Sequence[str]
    findings: Sequence[Finding]


def findings(
    record: Record,
    windows: Sequence[Window],
    snapshots: Sequence[Answer],
    maintenance: Sequence[str],
    now_ns: int,
) -> list[Finding]:
    """Judge what is known of an instance or a cluster."""
    found = [*_backups(record, windows, now_ns), *_snapshots(snapshots, now_ns)]
    found += [*_protection(record), *_upkeep(record, now_ns)]
    found += [
        Finding(f"maintenance waits: {one}", "See when it is applied.") for one in maintenance
    ]
    return found


def _backups(record: Record, windows: Sequence[Window], now_ns: int) -> list[Finding]:
    days = record.document.get("BackupRetentionPeriod", 0)
    if not days:
        return [
            Finding(
                "automated backups are off (retention 0): no moment can be reached",
                "Set BackupRetentionPeriod, up to 35 days.",
                alert=True,
            )
        ]
    found = []
    live = [one for one in windows if one.live]
    if not live:
        text = "there is no automated backup yet: no moment can be reached"
        found.append(Finding(text, "The first one is made within a day.", alert=True))
    elif now_ns - live[0].latest_ns > _LATE:
        minutes = (now_ns - live[0].latest_ns) // (60 * _SECOND)
        text = f"the latest moment that can be reached is {minutes} minutes ago"
        found.append(Finding(text, "It should be about five: see its events.", alert=True))
    if days < _SHORT:
        text = f"automated backups are kept for {days} day(s) only"
        found.append(Finding(text, "Damage that is found later cannot be undone: set 7 or more."))
    return found


def _snapshots(snapshots: Sequence[Answer], now_ns: int) -> list[Finding]:
    newest = [_made_ns(one) for one in snapshots]
    found = []
    if not newest or now_ns - max(newest) > _OLD:
        text = "no snapshot was made in the last 26 hours"
        found.append(Finding(text, "Make one: strongroom rds snapshot SOURCE."))
    if not any(map(is_manual, snapshots)):
        text = "there is no manual snapshot: automated ones can go with the instance"
        found.append(Finding(text, "Make one, and copy it: strongroom rds copy SOURCE."))
    return found


def _protection(record: Record) -> list[Finding]:
    document, found = record.document, []
    if not document.get("DeletionProtection"):
        found.append(Finding("deletion protection is off", "Set DeletionProtection."))
    if not document.get("StorageEncrypted"):
        text = "its storage is not encrypted"
        found.append(Finding(text, "Copy a snapshot with a key, and restore that."))
    if document.get("PubliclyAccessible"):
        text = "it has an address that the internet reaches"
        found.append(Finding(text, "Set PubliclyAccessible to false."))
    if record.kind == INSTANCE and not document.get("MultiAZ"):
        text = "it runs in one zone"
        found.append(Finding(text, "Set MultiAZ, if it must outlive the loss of one."))
    if record.kind != INSTANCE and len(record.members) == 1:
        found.append(Finding("the cluster has one instance", "Add a reader in another zone."))
    if record.kind == INSTANCE and not document.get("DBInstanceAutomatedBackupsReplications"):
        text = "its automated backups stay in its region"
        hint = "Copy snapshots: strongroom rds copy SOURCE; or replicate automated backups."
        found.append(Finding(text, hint))
    return found


def _upkeep(record: Record, now_ns: int) -> list[Finding]:
    found = []
    pending = sorted(record.document.get("PendingModifiedValues") or {})
    if pending:
        text = f"changes wait for the maintenance window: {', '.join(pending)}"
        found.append(Finding(text, "A recovery takes the settings that count now."))
    for document in [record.document, *record.members]:
        name = document.get("DBInstanceIdentifier", record.identifier)
        groups = document.get("DBParameterGroups") or []
        if any(one.get("ParameterApplyStatus") == "pending-reboot" for one in groups):
            found.append(Finding(f"parameters of {name} wait for a restart", "Restart it."))
        until = (document.get("CertificateDetails") or {}).get("ValidTill")
        if until and nanoseconds(datetime.fromisoformat(until)) - now_ns < _EXPIRES:
            text = f"the certificate of {name} ends on {until[:10]}"
            found.append(Finding(text, "Set another CACertificateIdentifier in time."))
    return found


def _made_ns(snapshot: Answer) -> int:
    made = snapshot.get("SnapshotCreateTime")
    return nanoseconds(made) if made is not None else 0
