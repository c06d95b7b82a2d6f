"""The WAL that a recovery can read: in the base backup, and in the old data directory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from strongroom.app.machine import Run
from strongroom.app.opening import Opened
from strongroom.config.postgres import PostgresSettings
from strongroom.operations.clusters import BaseBackup
from strongroom.operations.recover import RecoveryPlan
from strongroom.operations.recovery_plan import Wal, Way
from strongroom.postgres.cluster import Position
from strongroom.postgres.wal.names import WalName, segment_name
from strongroom.postgres.wal.ranges import WalExtent
from strongroom.restore.cluster.present import Present, segments_in

_NONE: str = "false"  # what asks no archive: nothing is there


@dataclass(slots=True)
class RecoveryWal:
    """What there is, and what only the old data directory has (``salvage``)."""

    wal: Wal
    salvage: list[str]
    warnings: list[str] = field(default_factory=list)

    def restore_command(self, way: Way) -> str:
        """Return what the server fetches WAL with."""
        del way
        return _NONE


def recovery_wal(
    run: Run,
    opened: Opened,
    settings: PostgresSettings,
    newest: BaseBackup | None,
    present: Present,
) -> RecoveryWal:
    """Find out what WAL there is for the cluster of the newest base backup."""
    del run, opened, settings
    old: list[WalName] = []
    if newest is not None and present.system == newest.position.system:
        old = segments_in(present.wal, newest.position.system)

    def extent_of(position: Position) -> WalExtent:
        return WalExtent([*old, *own_segments(position)], position.segment_size)

    return RecoveryWal(Wal(extent_of, lambda _timeline, _number: None), [one.text for one in old])


def own_segments(position: Position) -> list[WalName]:
    """Return the segments that a base backup carries."""
    if not position.standalone:
        return []
    numbers = range(position.first_segment, position.last_segment + 1)
    return [segment_name(position.timeline, one, position.segment_size) for one in numbers]


def salvaged(
    run: Run, opened: Opened, plan: RecoveryPlan, names: Sequence[str], folder: Path
) -> None:
    """Say what becomes of WAL that only the old data directory has."""
    del opened, folder
    run.tell(
        f"{len(names)} WAL segments of the old data directory are read too; they stay in "
        f"{plan.aside}/pg_wal"
    )
