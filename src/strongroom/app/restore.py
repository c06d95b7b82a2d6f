"""Restore a snapshot, or a part of it, into a folder: plan, decide, write."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from strongroom.app.listing import path_in_snapshot
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.app.selection import Selection
from strongroom.app.targets import TargetFolder, examine_target, refuse_in_use
from strongroom.errors import RefusedError
from strongroom.model.events import PhaseBegan, ProblemFound
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.source import Problem
from strongroom.operations.listing import find_snapshot
from strongroom.operations.restore import restore as bring_back
from strongroom.operations.restore_plan import restore_totals, stated_totals
from strongroom.restore.files.begin import TargetOptions, begin
from strongroom.restore.files.owners import Owners, Ownership


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What the command line says; ``path`` is empty for everything."""

    snapshot: str
    path: str = ""
    to: str
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    ownership: Ownership = "name"
    into_existing: bool = False


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do; sizes in bytes, ``space`` on disk at most."""

    snapshot: ListedSnapshot
    path: bytes
    target: TargetFolder
    entries: int
    files: int
    bytes: int
    space: int

    @property
    def fits(self) -> bool:
        """Whether there is room for all of it, on top of what is there."""
        return self.space <= self.target.free_bytes


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore came to; sizes in bytes.

    ``damaged`` could not be read back, ``refused`` counts entries that no restore may write.
    """

    plan: RestorePlan
    entries: int
    files: int
    bytes: int
    damaged: Sequence[Problem]
    problems: Sequence[Problem]
    refused: int
    seconds: float
    requests: int


@dataclass(slots=True)
class _Problems:
    """Collects what a target reports, from any thread, and passes it on."""

    run: Run
    found: list[Problem] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, problem: Problem) -> None:
        with self.lock:
            self.found.append(problem)
        self.run.sink(ProblemFound(problem))


def restore(
    run: Run, request: RestoreRequest, decide: Callable[[RestorePlan], bool]
) -> RestoreReport | None:
    """Plan, let ``decide`` see the plan, and restore if it says so; None if it does not.

    ``RefusedError`` before anything is written: no target, something in it, or no room.
    """
    top = path_in_snapshot(request.path)
    with opened_repository(run) as opened:
        folder = opened.store.folder
        target = examine_target(
            request.to, str(run.settings.folder), folder.url if folder is not None else None
        )
        if not request.into_existing:
            refuse_in_use(target)
        listed = find_snapshot(opened.repository.snapshots(), request.snapshot)
        plan = _planned(opened, request, listed, top, target)
        if not plan.fits and not target.in_use:
            raise RefusedError(
                f"{target.path} has {target.free_bytes:,} bytes free, and this restore needs "
                f"{plan.space:,}",
                hint="Free some space, choose another disk, or restore a part of the snapshot.",
            )
        return _carried_out(run, opened, request, plan) if decide(plan) else None


def _wanted(request: RestoreRequest, listed: ListedSnapshot, top: bytes) -> Selection | None:
    if not request.include and not request.exclude:
        return None
    saved = [path.strip(b"/") for source in listed.snapshot.sources for path in source.paths]
    return Selection([top] if top else saved, request.include, request.exclude)


def _planned(
    opened: Opened,
    request: RestoreRequest,
    listed: ListedSnapshot,
    top: bytes,
    target: TargetFolder,
) -> RestorePlan:
    repository = opened.repository
    repository.around.sink(PhaseBegan("plan"))
    wanted = _wanted(request, listed, top)
    totals = stated_totals(listed)
    partial = bool(top) or wanted is not None or len(listed.snapshot.sources) != 1
    if partial or totals.space > target.free_bytes:
        totals = restore_totals(repository.reader(), listed, top, wanted)
    return RestorePlan(
        snapshot=listed,
        path=top,
        target=target,
        entries=totals.entries,
        files=totals.files,
        bytes=totals.bytes,
        space=totals.space,
    )


def _carried_out(
    run: Run, opened: Opened, request: RestoreRequest, plan: RestorePlan
) -> RestoreReport:
    machine = run.machine
    began = machine.clock.elapsed()
    problems = _Problems(run)
    options = TargetOptions(replace=request.into_existing, owners=Owners(request.ownership))
    target = begin(machine.fs, os.fsencode(plan.target.path), problems, machine.randomness, options)
    run.sink(PhaseBegan("restore", plan.files, plan.bytes))
    with closing(target):
        wanted = _wanted(request, plan.snapshot, plan.path)
        result = bring_back(opened.repository, plan.snapshot, target, plan.path, wanted)
    return RestoreReport(
        plan=plan,
        entries=result.entries,
        files=result.files,
        bytes=result.bytes,
        damaged=result.damaged,
        problems=problems.found,
        refused=target.refused,
        seconds=machine.clock.elapsed() - began,
        requests=opened.store.traffic().requests,
    )
