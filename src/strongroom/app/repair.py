"""Repair the repository that the settings name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from strongroom.app.folders import state_of
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.app.other import opened_other
from strongroom.app.stores import opened_store
from strongroom.app.verify import Finding
from strongroom.config.settings import Settings
from strongroom.errors import MissingObjectError
from strongroom.operations.repair import Other, lost_snapshots
from strongroom.operations.repair import repair as mend
from strongroom.operations.verify import all_packs, no_packs
from strongroom.repository.remembered import Memory
from strongroom.repository.repair.repairplan import Action, Step
from strongroom.repository.repair.replica import can_give_config, give_config
from strongroom.repository.repository import Repository

__all__ = [
    "OPTION",
    "Action",
    "Finding",
    "RepairReport",
    "RepairRequest",
    "Step",
    "repair",
]

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
    if request.source is not None:
        _bring_config_back(alone, request.source, dry_run=request.dry_run)
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


def _bring_config_back(run: Run, settings: Settings, *, dry_run: bool) -> None:
    """Put ``config`` back if it is gone, and the other one is proven to be a replica."""
    with opened_store(run) as ours, opened_other(run, settings, OPTION, asks=False) as other:
        store, theirs = ours.store, other.repository
        known = Memory(state_of(run)).load(store.url)
        if not can_give_config(store, theirs, known):
            return
        if dry_run:
            raise MissingObjectError(
                f"config is missing in {store.url}, and nothing can be looked at without it",
                hint=f"{theirs.store.url} has it: without --dry-run it is put back first.",
            )
        ours.adapt(theirs.config.core.mode)
        give_config(store, theirs)
        run.tell(f"config was missing, and is put back from {theirs.store.url}")


@contextmanager
def _other(run: Run, ours: Repository, settings: Settings | None) -> Iterator[Other | None]:
    if settings is None:
        yield None
        return
    with opened_other(run, settings, OPTION, asks=False) as opened:
        yield Other(ours, opened.repository)
