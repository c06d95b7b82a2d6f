"""What the summaries of a backup and of an import have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strongroom.clock import rfc3339

if TYPE_CHECKING:  # one of the two is what the program began for, and the other takes long to load
    from strongroom.app.backup import BackupReport
    from strongroom.app.import_ import ImportReport


def saved(report: BackupReport | ImportReport) -> dict[str, str | int | float]:
    """Return the fields of the snapshot that was made, and of what it took; sizes in bytes."""
    snapshot = report.snapshot.snapshot
    return {
        "snapshot_id": report.snapshot.id,
        "status": snapshot.status.name.lower(),
        "backup_start": rfc3339(snapshot.started_ns),
        "backup_end": rfc3339(snapshot.ended_ns),
        "total_duration": round(report.seconds, 6),
        "total_files_processed": report.files,
        "total_bytes_processed": report.bytes,
        "directories": report.directories,
        "entries": report.entries,
        "bytes_read": report.bytes_read,
        "data_added": report.data_added,
        "data_added_packed": report.data_added_packed,
        "problems": len(report.problems),
        "store_requests": report.requests,
    }
