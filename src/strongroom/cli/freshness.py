"""``strongroom freshness``."""

from __future__ import annotations

from typing import Literal

from strongroom.app.freshness import archive_freshness, snapshot_freshness
from strongroom.cli.job import Job, job
from strongroom.cli.names import harmless
from strongroom.cli.quantities import duration

MISSED = 5
_SECOND = 1_000_000_000


def run(
    *,
    max_age: int,
    which: Literal["archives", "snapshots"] | None,
    project: str,
    folder: str | None,
) -> int:
    """Say whether the last good backup is recent; 5 if it is not."""
    with job(stream=True) as one:
        named = one.run.settings.place is not None
        if which == "snapshots" or (which is None and named):
            return _snapshots(one, max_age)
        return _archives(one, max_age, project, folder)


def _archives(one: Job, max_age: int, project: str, folder: str | None) -> int:
    found = archive_freshness(one.run, project, folder, max_age, duration(max_age))
    newest = found.newest
    one.output.record(
        "freshness",
        kind="archive",
        id=str(newest.id) if newest else None,
        created_ns=newest.created_ns if newest else None,
        age_seconds=found.age_ns // _SECOND if newest else None,
        max_age_seconds=max_age,
        alert=found.alert or None,
    )
    if found.alert:
        one.output.wanted(f"ALERT: {found.alert}")
        return MISSED
    if newest is not None:
        one.output.line(f"good: {newest.id}, {duration(found.age_ns / _SECOND)} old")
    return 0


def _snapshots(one: Job, max_age: int) -> int:
    found = snapshot_freshness(one.run, max_age, duration(max_age))
    for row in found:
        one.output.record(
            "freshness",
            kind="snapshot",
            id=row.newest.id if row.newest else None,
            host=row.host.decode("utf-8", "replace"),
            source=row.source.decode("utf-8", "replace"),
            saved=row.saved,
            age_seconds=row.age_ns // _SECOND if row.newest else None,
            max_age_seconds=max_age,
            alert=row.alert or None,
        )
        if row.alert:
            one.output.wanted(harmless(f"ALERT: {row.alert}"))
        elif row.newest is not None:
            age = duration(row.age_ns / _SECOND)
            one.output.line(harmless(f"good: {row.saved}, {row.newest.short_id}, {age} old"))
    if not found:
        one.output.wanted("ALERT: No backups found")
    return MISSED if not found or any(row.alert for row in found) else 0
