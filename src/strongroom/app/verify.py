"""Verify the repository that the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.operations.listing import named_snapshots
from strongroom.operations.verify import Subset, overdue, verify_and_note
from strongroom.repository.findings import Finding, Severity

__all__ = ["Finding", "Severity", "VerifyReport", "Wanted", "verify"]

_SEED_SIZE = 16
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which bytes are to be read; ``every`` in seconds, ``budget`` in bytes."""

    read_data: bool = False
    subset: str | None = None
    every: int | None = None
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was looked at and found; sizes in bytes. ``damaged`` counts findings of damage.

    ``by_age``: what was read was chosen by when it was read last; ``packs_overdue`` and their bytes
    were not read for longer than wanted, and were not read now.
    """

    snapshots: int
    packs: int
    packs_read: int
    bytes_read: int
    chunks: int
    unreferenced_packs: int
    wal_files: int
    wal_read: int
    findings: Sequence[Finding]
    damaged: int
    by_age: bool
    packs_overdue: int
    bytes_overdue: int
    seconds: float
    requests: int


def verify(run: Run, snapshot: str | None, wanted: Wanted) -> VerifyReport:
    """Check the structure; and the bytes of all packs, or of those that are ``wanted``.

    With a full key it is noted which packs were read.
    """
    machine = run.machine
    subset = wanted.subset
    choice = Subset(subset, machine.randomness.take(_SEED_SIZE)) if subset is not None else None
    began = machine.clock.elapsed()
    with opened_repository(run) as opened:
        repository = opened.repository
        only = named_snapshots(repository, [snapshot])[0] if snapshot is not None else None
        late = None
        if wanted.every is not None:
            late = overdue(repository, wanted.every * _SECOND_NS, wanted.budget)
        found = verify_and_note(repository, late or choice, only, read_data=wanted.read_data)
        result = found.result
        if late is not None and found.unnoted and result.packs_read:
            run.tell(f"which packs were read is noted nowhere: {found.unnoted}")
        return VerifyReport(
            snapshots=result.snapshots,
            packs=result.packs,
            packs_read=result.packs_read,
            bytes_read=result.bytes_read,
            chunks=result.chunks,
            unreferenced_packs=result.unreferenced_packs,
            wal_files=result.wal_files,
            wal_read=result.wal_read,
            findings=result.findings,
            damaged=len(result.damage),
            by_age=late is not None,
            packs_overdue=late.left if late is not None else 0,
            bytes_overdue=late.bytes_left if late is not None else 0,
            seconds=machine.clock.elapsed() - began,
            requests=opened.store.traffic().requests,
        )
