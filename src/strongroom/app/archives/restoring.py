"""Bring back an archive: read it, unpack it beside, ask, keep what goes, swap, and check."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from strongroom.app.archives.keys import Keys, archive_keys
from strongroom.app.archives.logs import kept_log
from strongroom.app.archives.making import Made, MakeRequest, make_archive
from strongroom.app.archives.place import (
    ArchivePlace,
    command_for,
    shelf_at,
    shelf_of,
)
from strongroom.app.archives.removing import Asked, keeps_ours, removal
from strongroom.app.archives.workfolder import say_unchanged, work_folder
from strongroom.app.listing import path_in_snapshot
from strongroom.app.machine import Run
from strongroom.app.targets import TargetFolder, examine_target
from strongroom.archive.files import FilesError
from strongroom.archive.metadata import ExportedSnapshot, Metadata
from strongroom.archive.scope import checked_scope
from strongroom.archive.shelf import Shelf, Shelved
from strongroom.errors import (
    DamageError,
    InterruptError,
    RefusedError,
    RolledBackError,
    StrongroomError,
)
from strongroom.model.events import PhaseBegan, ProblemFound
from strongroom.model.source import Problem
from strongroom.operations.archives.reading import ArchiveTree, read_tree, select, without
from strongroom.operations.archives.unpacking import compare, look_over, unpack
from strongroom.restore.files.begin import TargetOptions, begin, begin_comparison
from strongroom.restore.files.target import FilesTarget
from strongroom.restore.swap import swapping
from strongroom.restore.swap.plan import Kind, Removal, SwapPlan
from strongroom.restore.swap.swapping import Outcome, Phase

__all__ = [
    "Kind",
    "Outcome",
    "Phase",
    "RestorePlan",
    "RestoreReport",
    "RestoreRequest",
    "folder_of",
    "restore_archive",
]
_STAGED: Final = "staged"
_KEPT_KINDS: Final = frozenset({Kind.CHANGED, Kind.METADATA, Kind.REPLACED, Kind.REMOVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What the command line says. ``to``: a folder that is not the project.

    ``delete``: what the archive does not have goes, within its scope. ``keeps``: whether what is
    replaced goes into an archive first.
    """

    name: str
    paths: Sequence[str] = ()
    to: str | None = None
    delete: bool = False
    keeps: bool = True
    bash: str = ""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """What a restore would do, and to what; nothing is changed yet."""

    archive: Shelved
    target: TargetFolder
    tree: ArchiveTree
    swap: SwapPlan


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What came of it. ``kept``: the archive of what was replaced, None if nothing was.

    ``problems``: attributes that could not be set. ``aside``: what somebody else put in the way.
    """

    plan: RestorePlan
    kept: Made | None
    problems: Sequence[Problem]
    outcome: Outcome | None
    seconds: float


@dataclass(slots=True)
class _Problems:
    """Collects what a target reports."""

    run: Run
    found: list[Problem] = field(default_factory=list)

    def __call__(self, problem: Problem) -> None:
        self.found.append(problem)
        self.run.sink(ProblemFound(problem))


def restore_archive(
    run: Run,
    place: ArchivePlace,
    folder: Path,
    request: RestoreRequest,
    decide: Callable[[RestorePlan], bool],
) -> RestoreReport | None:
    """Restore from the archives in ``folder``; None if ``decide``, who sees the plan, says no.

    Whatever fails, the target is as it was: ``RolledBackError``, or the error itself before
    anything was changed. ``RestoreError`` if it could not be put back.
    """
    target = examine_target(request.to or str(place.project), str(run.settings.folder), None)
    shelf = shelf_at(run, folder)
    try:
        one = shelf.find(request.name)
        keys = archive_keys(run, ())
    except (FilesError, InterruptError) as error:
        say_unchanged(error, Path(target.path))
        raise
    with (
        kept_log(run, shelf_of(run, place).files, "restore") as (heard, log),
        work_folder(heard, Path(target.path)) as work,
    ):
        report = _Restore(heard, place, shelf, one, keys, request, target, work).run_it(decide)
        done = "restored" if report is not None else "not confirmed, nothing was changed"
        log.say(f"{one.id} into {target.path}: {done}")
        return report


@dataclass(slots=True)
class _Restore:
    """One restore; ``work`` is the folder that it unpacks in."""

    run: Run
    place: ArchivePlace
    shelf: Shelf
    one: Shelved
    keys: Keys
    request: RestoreRequest
    target: TargetFolder
    work: Path

    def run_it(self, decide: Callable[[RestorePlan], bool]) -> RestoreReport | None:
        """Unpack, plan, let ``decide`` see it, keep what goes, swap, and compare."""
        run, fs = self.run, self.run.machine.fs
        began = run.machine.clock.elapsed()
        tree = self._tree()
        problems = _Problems(run)
        self._unpack(tree, problems)
        target = os.fsencode(self.target.path)
        work = os.fsencode(self.work)
        run.sink(PhaseBegan("plan", len(tree.entries)))
        swap = swapping.plan(fs, target, work, tree.entries, self._removal(tree, problems))
        plan = RestorePlan(self.one, self.target, tree, swap)
        if not decide(plan):
            return None
        kept = self._keep(swap) if self.request.keeps else None
        outcome = None
        if not swap.is_empty:
            run.sink(PhaseBegan("swap", len(swap.changes)))
            command = command_for(Path(self.target.path))
            outcome = swapping.carry_out(fs, swap, command=command)
            self._check(tree, problems)
        seconds = run.machine.clock.elapsed() - began
        return RestoreReport(plan, kept, problems.found, outcome, seconds)

    def _tree(self) -> ArchiveTree:
        room = self.target.free_bytes
        tree = read_tree(self.shelf, self.one, self.keys.unseal, room, self.run.sink)
        wanted = [path_in_snapshot(path) for path in self.request.paths]
        tree = select(tree, wanted, f"archive {self.one.id}")
        tree, left = without(tree, [os.fsencode(p) for p in self._place_of_target().ours])
        if left is not None:
            self.run.warn(f"{os.fsdecode(left)} of the archive is not restored: archives are there")
        if tree.stored > room:
            raise RefusedError(
                f"{self.target.path} has {room:,} bytes free, and the archive unpacks to "
                f"{tree.stored:,}",
                hint="Nothing was changed. Free some space, or restore a part: name its paths.",
            )
        return tree

    def _unpack(self, tree: ArchiveTree, problems: _Problems) -> None:
        machine = self.run.machine
        staged = os.fsencode(self.work / _STAGED)
        options = TargetOptions()
        files = begin(machine.fs, staged, problems, machine.randomness, options)
        with closing(files):
            unpacked = unpack(self.shelf, tree, files, self.keys.unseal, self.run.sink)
        self._refuse_failures(files, problems.found)
        with begin_comparison(machine.fs, staged, files.attributes) as comparison:
            different = compare(tree, unpacked, comparison, self.run.sink)
        self._refuse_failures(files, different)

    def _refuse_failures(self, files: FilesTarget, found: Sequence[Problem]) -> None:
        """Go no further with a tree that is not wholly there; the target is untouched."""
        missing = [problem for problem in found if problem.missing]
        if not missing:
            return
        first = f"{os.fsdecode(missing[0].path)}: {missing[0].cause}"
        if files.refused:
            raise DamageError(
                f"the archive {self.one.id} is damaged: {first}", hint="Nothing was changed."
            )
        more = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
        raise RolledBackError(
            f"the archive could not be unpacked: {first}{more}",
            hint=f"{self.target.path} is as it was. Put that right, and restore again.",
        )

    # -- what goes

    def _removal(self, tree: ArchiveTree, problems: _Problems) -> Removal:
        """Let nothing that an archive would not hold be removed, however deep it lies."""
        metadata = self.one.metadata
        place = self._place_of_target()
        if not self.request.delete or metadata is None:
            return Removal(keeps=keeps_ours(place))
        snapshot = metadata.snapshot
        if isinstance(snapshot, ExportedSnapshot) and (snapshot.include or snapshot.exclude):
            raise RefusedError(
                f"{self.one.id} was exported with --include or --exclude, so what it does not have "
                "may well be wanted",
                hint="Nothing was changed. Restore it without --delete.",
            )
        wanted = [path_in_snapshot(path) for path in self.request.paths]
        staged = self.work / _STAGED
        asked = Asked(self._scope(tree, metadata), wanted, metadata)
        return removal(self.run, place, tree, staged, asked, problems)

    def _scope(self, tree: ArchiveTree, metadata: Metadata) -> tuple[str, ...]:
        """Return what the archive was made of."""
        if metadata.backup_scope:
            return checked_scope(metadata.backup_scope)
        return tuple(dict.fromkeys(os.fsdecode(e.path.split(b"/")[0]) for e in tree.entries))

    def _keep(self, swap: SwapPlan) -> Made | None:
        """Make an archive of what is there now, if anything of it would go or change."""
        if not any(swap.totals[kind].entries for kind in _KEPT_KINDS):
            return None
        tops = dict.fromkeys(change.path.split(b"/")[0] for change in swap.changes)
        metadata = self.one.metadata
        scope = checked_scope(metadata.backup_scope) if metadata and metadata.backup_scope else ()
        covered = "." in scope or all(
            any(_is_within(change.path, path) for path in scope) for change in swap.changes
        )
        names = scope if covered else tuple(map(os.fsdecode, tops))
        request = MakeRequest(scope=names, before_restore=True, bash=self.request.bash)
        made = make_archive(self.run, self._place_of_target(), request)
        if made.metadata.problems:
            raise RefusedError(
                f"what is there now could not all be kept: {made.metadata.problems[0].path}: "
                f"{made.metadata.problems[0].cause}",
                hint="Nothing was changed. Put that right, or go on without: --no-pre-backup.",
            )
        return made

    def _place_of_target(self) -> ArchivePlace:
        return ArchivePlace(Path(self.target.path), self.place.folder)

    # -- afterwards

    def _check(self, tree: ArchiveTree, problems: _Problems) -> None:
        """Look over the target; go back if it is not what it should be.

        Every byte was read back where it was staged, and what took its place are the same files.
        """
        try:
            found = self._differences(tree, problems)
        except BaseException as error:
            self._go_back()
            if isinstance(error, InterruptError):
                error.hint = f"The restore was rolled back: {self.target.path} is as it was."
            elif isinstance(error, OSError | StrongroomError):
                raise self._rolled_back(f"the restore could not be checked: {error}") from error
            raise
        wrong = [problem for problem in found if problem.missing]
        if wrong:
            self._go_back()
            raise self._rolled_back(
                f"after the restore {os.fsdecode(wrong[0].path)} was not what the archive holds: "
                f"{wrong[0].cause}"
            )

    def _differences(self, tree: ArchiveTree, problems: _Problems) -> list[Problem]:
        fs = self.run.machine.fs
        target = os.fsencode(self.target.path)
        staged = os.fsencode(self.work / _STAGED)
        quiet = begin(fs, staged, problems, self.run.machine.randomness, TargetOptions("never"))
        with closing(quiet), begin_comparison(fs, target, quiet.attributes) as comparison:
            return look_over(tree.entries, comparison, self.run.sink)

    def _go_back(self) -> None:
        command = command_for(Path(self.target.path))
        swapping.rollback(self.run.machine.fs, os.fsencode(self.work), command=command)

    def _rolled_back(self, why: str) -> RolledBackError:
        hint = f"{self.target.path} is as it was. Check the disk of this machine."
        return RolledBackError(why, hint=hint)


def _is_within(path: bytes, scope: str) -> bool:
    top = os.fsencode(scope)
    return path == top or path.startswith(top + b"/")


def folder_of(run: Run, place: ArchivePlace, home: str | None, name: str) -> Path:
    """Return where an archive is: in the project, or in ``home``, where its scripts come from."""
    other = Path(home or place.project) / run.settings.archives.folder
    own = (one for one in shelf_of(run, place).listed() if one.is_archive)
    meant = (name == str(one.id) or (name == "latest" and not one.id.before_restore) for one in own)
    return place.folder if any(meant) or not other.is_dir() else other
