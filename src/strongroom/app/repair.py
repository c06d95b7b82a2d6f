"""Repair the repository that the settings name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.app.other import opened_other
from strongroom.app.verify import Finding, Severity
from strongroom.config.settings import Settings
from strongroom.operations.repair import Other, lost_snapshots
from strongroom.operations.repair import repair as mend
from strongroom.operations.verify import all_packs, no_packs
from strongroom.repository.repairplan import Action, Step
from strongroom.repository.repository import Repository

__all__ = ["OPTION", "Action", "Finding", "RepairReport", "RepairRequest", "Severity", "Step"]

OPTION = "--from"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairRequest:
    """What the command line says; ``source``: the settings of a good copy, if there is one."""

    source: Settings | None = None
    void: Sequence[str] = ()
    read_data: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What was found, planned and done; sizes in bytes.

    ``left`` is what is damaged in the end, ``lost_snapshots`` of which snapshots something is lost.
    """

    actions: Sequence[Action]
    done: bool
    found: int
    left: Sequence[Finding]
    lost_snapshots: Sequence[str]
    chunks: int
    stored: int
    seconds: float


def repair(run: Run, request: RepairRequest) -> RepairReport:
    """Repair; nobody is asked anything."""
    clock = run.machine.clock
    began = clock.elapsed()
    alone = replace(run, person=None)
    with (
        opened_repository(alone) as opened,
        _other(alone, opened.repository, request.source) as other,
    ):
        choose = all_packs if request.read_data else no_packs
        result = mend(opened.repository, other, choose, request.void, dry_run=request.dry_run)
        written = result.written
        return RepairReport(
            actions=result.plan.actions,
            done=result.after is not None,
            found=len(result.before.damage),
            left=result.left.damage,
            lost_snapshots=lost_snapshots(result.left),
            chunks=written.chunks if written is not None else 0,
            stored=written.stored_bytes if written is not None else 0,
            seconds=clock.elapsed() - began,
        )


@contextmanager
def _other(run: Run, ours: Repository, settings: Settings | None) -> Iterator[Other | None]:
    if settings is None:
        yield None
        return
    with opened_other(run, settings, OPTION, asks=False) as opened:
        yield Other(ours, opened.repository)
