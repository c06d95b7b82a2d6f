"""Restore a snapshot, or a part of it, into a folder: plan, decide, write, read back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from strongroom.app.awsconfig_found import warn_of_secrets
from strongroom.app.environments import admitted
from strongroom.app.listing import path_in_snapshot
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.app.owners import owners_of
from strongroom.app.selection import Selection
from strongroom.app.targets import TargetFolder, examine_target, kept_in, refuse_in_use
from strongroom.errors import RefusedError, UsageError
from strongroom.model.events import PhaseBegan, ProblemFound
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.source import Problem
from strongroom.operations.listing import snapshot_to_restore
from strongroom.operations.restore import Removal, RestoreResult, selected_entries
from strongroom.operations.restore import restore as bring_back
from strongroom.operations.restore_check import Check, Checked
from strongroom.operations.restore_delete import Extras, extras_of
from strongroom.operations.restore_plan import restore_totals, stated_totals
from strongroom.policy.landing import NOWHERE, Landing
from strongroom.repository.reader import Reader
from strongroom.restore.files.begin import TargetOptions, begin, begin_comparison, begin_looking
from strongroom.restore.files.naming import Overwrite
from strongroom.restore.files.owners import Owners, Ownership
from strongroom.restore.files.target import FilesTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What the command line says; ``path`` is empty for everything.

    ``overwrite``: what happens to what is in the folder; None: nothing may be. ``delete``: what
    only the folder has goes. ``owner_map`` and ``group_map``: pairs or files, see ``owners_of``.
    ``environment``: the one that the folder belongs to, if that was said.
    """

    snapshot: str
    path: str = ""
    to: str
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    ownership: Ownership = "name"
    owner_map: Sequence[str] = ()
    group_map: Sequence[str] = ()
    overwrite: Overwrite | None = None
    delete: bool = False
    verify: bool = False
    environment: str = ""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do; sizes in bytes, ``space`` on disk at most."""

    snapshot: ListedSnapshot
    path: bytes
    target: TargetFolder
    overwrite: Overwrite | None
    extras: Extras
    entries: int
    files: int
    bytes: int
    space: int
    into: Landing = NOWHERE

    @property
    def fits(self) -> bool:
        """Whether there is room for all of it, on top of what is there."""
        return self.space <= self.target.free_bytes


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore came to; sizes in bytes.

    ``damaged`` could not be read back, ``refused`` counts entries that no restore may write,
    ``kept`` what was right already or had to stay. ``checked`` is None without ``--verify``.
    """

    plan: RestorePlan
    entries: int
    files: int
    bytes: int
    kept: int
    removed: int
    checked: Checked | None
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

    def missing(self) -> set[bytes]:
        """Return the paths of what was not restored."""
        with self.lock:
            return {problem.path for problem in self.found if problem.missing}


def restore(
    run: Run, request: RestoreRequest, decide: Callable[[RestorePlan], bool]
) -> RestoreReport | None:
    """Plan, let ``decide`` see the plan, and restore if it says so; None if it does not.

    ``RefusedError`` before anything is written: no target, something in it, or no room.
    """
    top = path_in_snapshot(request.path)
    owners = _owners(run, request)
    with opened_repository(run) as opened:
        folder = opened.store.folder
        target = examine_target(
            request.to, str(run.settings.folder), folder.url if folder is not None else None
        )
        if request.overwrite is None:
            refuse_in_use(target)
        all_of_it = not (top or request.include or request.exclude)
        meant = snapshot_to_restore(opened.repository, request.snapshot, all_of_it=all_of_it)
        listed, reader = meant
        into = admitted(run.settings, request.environment, listed)
        work = _Restore(run, opened, request, listed, reader, top, target, owners, into)
        plan = work.plan()
        if not plan.fits and not target.in_use:
            raise RefusedError(
                f"{target.path} has {target.free_bytes:,} bytes free, and this restore needs "
                f"{plan.space:,}",
                hint="Free some space, choose another disk, or restore a part of the snapshot.",
            )
        return work.carry_out(plan) if decide(plan) else None


def _owners(run: Run, request: RestoreRequest) -> Owners:
    if request.ownership == "skip" and (request.owner_map or request.group_map):
        raise UsageError(
            "--no-owner sets no owners, so there is nothing to map",
            hint="Leave out --no-owner, or the maps.",
        )
    return owners_of(request.ownership, request.owner_map, request.group_map, run.settings.folder)


@dataclass(slots=True)
class _Restore:
    """One restore; the plan and what follows read by one reader."""

    run: Run
    opened: Opened
    request: RestoreRequest
    listed: ListedSnapshot
    reader: Reader
    top: bytes
    target: TargetFolder
    owners: Owners
    into: Landing

    def wanted(self) -> Selection | None:
        """Return what decides about entries, for one walk in their order."""
        request = self.request
        if not request.include and not request.exclude:
            return None
        sources = self.listed.snapshot.sources
        saved = [path.strip(b"/") for source in sources for path in source.paths]
        return Selection([self.top] if self.top else saved, request.include, request.exclude)

    def plan(self) -> RestorePlan:
        """Look at snapshot and target; nothing is written."""
        self.run.sink(PhaseBegan("plan"))
        listed, target = self.listed, self.target
        warn_of_secrets(self.run, listed, self.top)
        wanted = self.wanted()
        totals = stated_totals(listed)
        partial = bool(self.top) or wanted is not None or len(listed.snapshot.sources) != 1
        if partial or totals.space > target.free_bytes:
            totals = restore_totals(self.reader, listed, self.top, wanted)
        return RestorePlan(
            snapshot=listed,
            path=self.top,
            target=target,
            overwrite=self.request.overwrite,
            extras=self._extras(),
            entries=totals.entries,
            files=totals.files,
            bytes=totals.bytes,
            space=totals.space,
            into=self.into,
        )

    def _extras(self) -> Extras:
        if not self.request.delete or not self.target.in_use:
            return Extras()
        fs = self.run.machine.fs
        keep = kept_in(self.target, self._own_places())
        with begin_looking(fs, os.fsencode(self.target.path)) as looking:
            extras = extras_of(
                self.reader, self.listed, self.top, self.wanted(), looking.names, keep
            )
        if self.request.overwrite == "never":
            extras.in_the_way.clear()
        return extras

    def _own_places(self) -> list[str]:
        """Return what this program itself needs, and would miss."""
        settings, folder = self.run.settings, self.opened.store.folder
        places = [str(settings.cache_dir), str(settings.state_dir)]
        places += [folder.url] if folder is not None else []
        places += [str(settings.config_file)] if settings.config_file is not None else []
        places += [secret.setting.value for secret in settings.secrets if secret.is_file]
        return places

    def carry_out(self, plan: RestorePlan) -> RestoreReport:
        """Restore, and read back if that was asked for."""
        machine = self.run.machine
        began = machine.clock.elapsed()
        problems = _Problems(self.run)
        options = TargetOptions(self.request.overwrite, self.owners)
        path = os.fsencode(plan.target.path)
        target = begin(machine.fs, path, problems, machine.randomness, options)
        self.run.sink(PhaseBegan("restore", plan.files, plan.bytes))
        extras = plan.extras
        removal = Removal(extras.in_the_way, extras.others, lambda: not problems.missing())
        with closing(target):
            result = bring_back(
                self.opened.repository,
                self.listed,
                target,
                self.top,
                self.wanted(),
                reader=self.reader,
                removal=removal if extras else None,
            )
        if result.removed < len(extras):
            self._tell_what_stays(len(extras) - result.removed)
        checked = self._check(plan, target, problems, result) if self.request.verify else None
        return RestoreReport(
            plan=plan,
            entries=result.entries,
            files=result.files,
            bytes=result.bytes,
            kept=target.kept,
            removed=result.removed,
            checked=checked,
            damaged=result.damaged,
            problems=[*problems.found, *(checked.problems if checked is not None else ())],
            refused=target.refused,
            seconds=machine.clock.elapsed() - began,
            requests=self.opened.store.traffic().requests,
        )

    def _tell_what_stays(self, count: int) -> None:
        self.run.warn(
            f"{count:,} of what the snapshot does not have stay in the target: nothing is removed "
            "while something could not be restored, or they could not be removed"
        )

    def _check(
        self, plan: RestorePlan, target: FilesTarget, problems: _Problems, result: RestoreResult
    ) -> Checked:
        opened, fs = self.opened, self.run.machine.fs
        self.run.sink(PhaseBegan("read back", plan.entries, plan.bytes))
        domain = opened.repository.keyring.domain(self.listed.domain)
        skip = problems.missing() | {problem.path for problem in result.damaged}
        entries = selected_entries(self.reader, self.listed, self.top, self.wanted())
        path = os.fsencode(plan.target.path)
        with begin_comparison(fs, path, target.attributes) as comparison:
            compute = opened.repository.around.workers.compute
            check = Check(self.reader, comparison, compute, self.run.sink)
            return check.run(entries, domain.data_hasher, skip, target.left)
