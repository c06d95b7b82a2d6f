"""Verify the repository that the settings name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.operations.listing import named_snapshots
from strongroom.operations.verify import Subset
from strongroom.operations.verify import verify as check
from strongroom.repository.findings import Finding, Severity

__all__ = ["Finding", "Severity", "VerifyReport", "verify"]

_SEED_SIZE = 16


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was looked at and found; sizes in bytes. ``damaged`` counts findings of damage."""

    snapshots: int
    packs: int
    packs_read: int
    bytes_read: int
    chunks: int
    unreferenced_packs: int
    findings: Sequence[Finding]
    damaged: int
    seconds: float
    requests: int


def verify(run: Run, snapshot: str | None, subset: str | None, *, read_data: bool) -> VerifyReport:
    """Check the structure; and the bytes of all packs, or of those that ``subset`` means."""
    machine = run.machine
    choice = Subset(subset, machine.randomness.take(_SEED_SIZE)) if subset is not None else None
    began = machine.clock.elapsed()
    with opened_repository(run) as opened:
        repository = opened.repository
        only = named_snapshots(repository, [snapshot])[0] if snapshot is not None else None
        result = check(repository, choice, only, read_data=read_data)
        return VerifyReport(
            snapshots=result.snapshots,
            packs=result.packs,
            packs_read=result.packs_read,
            bytes_read=result.bytes_read,
            chunks=result.chunks,
            unreferenced_packs=result.unreferenced_packs,
            findings=result.findings,
            damaged=len(result.damage),
            seconds=machine.clock.elapsed() - began,
            requests=opened.store.traffic().requests,
        )
