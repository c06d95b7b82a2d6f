"""The verbs of a swap: plan, carry out, resume, roll back, ask, discard.

Only one process may be at work on a work folder; the caller sees to that. A failure of
``carry_out`` or ``resume`` is rolled back at once. Nothing of what was in the target is deleted by
anything but ``discard``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.errors import (
    DamageError,
    InterruptError,
    RefusedError,
    RestoreError,
    RolledBackError,
    StrongroomError,
)
from strongroom.model.entry import Entry
from strongroom.model.fs import Fs
from strongroom.restore.swap.clearing import clear, holds_anything
from strongroom.restore.swap.ground import (
    UNDO,
    Ground,
    Root,
    open_work,
    opened,
    opened_again,
    shown,
)
from strongroom.restore.swap.journal import (
    Journal,
    Standing,
    read_journal,
    set_standing,
    write_journal,
)
from strongroom.restore.swap.moving import Aside, Moving
from strongroom.restore.swap.plan import Removal, SwapPlan
from strongroom.restore.swap.planning import Planner
from strongroom.restore.swap.recording import check_unchanged, journal_of
from strongroom.system.causes import cause_of

COMMAND: Final = "strongroom archive restore"


class Phase(enum.Enum):
    """How far a swap is."""

    NOTHING = "nothing"
    PLANNED = "planned"
    MIDDLE = "in the middle"
    DONE = "done"
    ROLLED_BACK = "rolled back"


class SwapState(NamedTuple):
    """How far a swap is; ``done`` of ``steps`` paths are as wanted. ``target``: whose it is."""

    phase: Phase
    done: int = 0
    steps: int = 0
    target: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a swap.

    ``aside``: what somebody else put where something had to go, and where it is now.
    ``shortfalls``: attributes of directories that this user may not set, as path and sentence.
    """

    phase: Phase
    target: bytes
    aside: Sequence[Aside] = ()
    shortfalls: Sequence[tuple[bytes, str]] = ()


def plan(
    fs: Fs, target: bytes, work: bytes, entries: Iterable[Entry], removal: Removal | None = None
) -> SwapPlan:
    """Find out what has to change so that the wanted entries are in ``target``; change nothing.

    ``work`` holds ``staged/`` with all of them, in tree order; of an entry only path and kind
    are asked, all else is as it was staged. Directories that lead to an entry, and are none, keep
    their attributes. ``RefusedError`` if it cannot be carried out.
    """
    with opened(fs, target, work) as ground:
        if read_journal(fs, ground.work_fd) is not None:
            raise RefusedError(
                f"{shown(work)} belongs to another restore",
                hint=f"Run `{COMMAND} --resume` or `{COMMAND} --rollback` first.",
            )
        return Planner(ground, removal or Removal()).plan(entries)


def carry_out(fs: Fs, swap_plan: SwapPlan, *, command: str = COMMAND) -> Outcome:
    """Make the target as planned; if that fails or is interrupted, it is as before.

    ``command`` is what ``--rollback`` can be given to. ``RefusedError``: something changed since
    the plan, and nothing was done. ``RolledBackError``; ``RestoreError`` if it stays in the middle.
    """
    with opened(fs, swap_plan.target, swap_plan.work) as ground:
        check_unchanged(ground, swap_plan)
        journal = journal_of(ground, swap_plan)
        moving = Moving(ground, journal)
        with _rolled_back_on_failure(ground, journal, moving, command):
            moving.prepare()
            ground.sync()  # what was staged, too
            write_journal(fs, ground.work_fd, journal)
            moving.forward()
            set_standing(fs, ground.work_fd, Standing.OPEN, Standing.DONE)
        return _outcome(ground, moving, Phase.DONE)


def resume(fs: Fs, work: bytes, *, command: str = COMMAND) -> Outcome:
    """Bring a swap that was cut short to its end; the errors are those of ``carry_out``."""
    with _begun(fs, work) as (ground, journal, standing):
        moving = Moving(ground, journal)
        if standing is Standing.ROLLED_BACK:
            raise RefusedError(
                f"the restore of {ground.target.where()} was rolled back",
                hint="Restore again from the beginning.",
            )
        if standing is Standing.OPEN:
            _check_whole(ground, ground.undo, ground.staged)
            with _rolled_back_on_failure(ground, journal, moving, command):
                moving.forward()
                set_standing(fs, ground.work_fd, Standing.OPEN, Standing.DONE)
        return _outcome(ground, moving, Phase.DONE)


def rollback(fs: Fs, work: bytes, *, command: str = COMMAND) -> Outcome:
    """Make the target as it was before the swap, also after it was done.

    ``RestoreError`` if that fails: it can be tried again at any time. Without a journal nothing
    was changed, and nothing is.
    """
    if state(fs, work).phase is Phase.NOTHING:
        return Outcome(Phase.NOTHING, b"")
    with _begun(fs, work) as (ground, journal, standing):
        moving = Moving(ground, journal)
        if standing is not Standing.ROLLED_BACK:
            _roll_back(ground, moving, standing, command)
        return _outcome(ground, moving, Phase.ROLLED_BACK)


def state(fs: Fs, work: bytes) -> SwapState:
    """Look how far the swap of a work folder is; changes nothing."""
    work_fd = open_work(fs, work)
    try:
        is_begun = read_journal_of(fs, work, work_fd) is not None
    finally:
        fs.close(work_fd)
    if not is_begun:
        return SwapState(Phase.NOTHING)
    with _begun(fs, work) as (ground, journal, standing):
        steps = len(journal.puts) + len(journal.takes)
        target = ground.names.target
        if standing is Standing.DONE:
            return SwapState(Phase.DONE, steps, steps, target)
        if standing is Standing.ROLLED_BACK:
            return SwapState(Phase.ROLLED_BACK, 0, steps, target)
        try:
            found = Moving(ground, journal).progress()
        except OSError as error:
            raise RestoreError(f"{shown(work)} cannot be read: {cause_of(error)}") from error
        phase = Phase.MIDDLE if found.begun else Phase.PLANNED
        return SwapState(phase, found.done, steps, target)


def discard(fs: Fs, work: bytes) -> None:
    """Delete a work folder with all that was moved out of the way; no rollback after this.

    What somebody else put in the way stays, and the folder with it. ``RefusedError`` while a swap
    is in the middle; ``StrongroomError`` if something cannot be deleted.
    """
    if state(fs, work).phase in {Phase.PLANNED, Phase.MIDDLE}:
        raise RefusedError(
            f"the restore in {shown(work)} has not come to its end",
            hint=f"Run `{COMMAND} --resume` or `{COMMAND} --rollback` first.",
        )
    try:
        clear(fs, work)
    except OSError as error:
        raise StrongroomError(
            f"{shown(work)} could not be deleted: {cause_of(error)}",
            hint="It is no longer needed; delete it by hand.",
        ) from error


def read_journal_of(fs: Fs, work: bytes, work_fd: int) -> tuple[Journal, Standing] | None:
    """Read a journal; ``DamageError`` says what lies where, also where one must have been."""
    try:
        read = read_journal(fs, work_fd)
        is_lost = read is None and holds_anything(fs, work_fd, UNDO)
    except OSError as error:
        raise RestoreError(
            f"the journal in {shown(work)} cannot be read: {cause_of(error)}",
            hint="Nothing was done. Try again when that is put right.",
        ) from error
    except DamageError as error:
        raise _damage(work, error.message) from error
    if is_lost:
        raise _damage(work, "the journal is missing")
    return read


@contextmanager
def _begun(fs: Fs, work: bytes) -> Iterator[tuple[Ground, Journal, Standing]]:
    work_fd = open_work(fs, work)
    try:
        journal, standing = _read_begun(fs, work, work_fd)
    except BaseException:
        fs.close(work_fd)
        raise
    with opened_again(fs, work, work_fd, journal.target, journal.inside) as ground:
        yield ground, journal, standing


def _read_begun(fs: Fs, work: bytes, work_fd: int) -> tuple[Journal, Standing]:
    read = read_journal_of(fs, work, work_fd)
    if read is None:
        raise RefusedError(
            f"no restore has begun in {shown(work)}", hint="Nothing was changed by one."
        )
    return read


@contextmanager
def _rolled_back_on_failure(
    ground: Ground, journal: Journal, moving: Moving, command: str
) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        failure = _go_back(ground, Moving(ground, journal), moving, command, error)
        if failure is not None:
            raise failure from error
        raise


def _go_back(
    ground: Ground, back: Moving, moving: Moving, command: str, error: BaseException
) -> RolledBackError | None:
    """Roll back after a failure or interruption; return what says so, None for an interruption."""
    target = ground.target.where()
    read = read_journal_of(ground.fs, ground.names.work, ground.work_fd)
    if read is not None:
        _roll_back(ground, back, read[1], command)
    aside = (*moving.aside, *back.aside)
    kept = "".join(
        f" What stood in the way at {shown(one.path)!r} is now {one.now}." for one in aside
    )
    if isinstance(error, InterruptError):
        error.hint = f"The restore was rolled back: {target} is as it was.{kept}"
    if not isinstance(error, OSError | RefusedError):
        return None
    cause = cause_of(error) if isinstance(error, OSError) else error.message
    lines = back.shortfalls.lines()
    but = "".join(f" But of {shown(path)!r} the {sentence}." for path, sentence in lines)
    return RolledBackError(
        f"the restore failed at {moving.place} ({cause}) and was rolled back: "
        f"{target} is as it was",
        hint=f"Put right what failed, and restore again.{kept}{but}",
    )


def _roll_back(ground: Ground, moving: Moving, standing: Standing, command: str) -> None:
    """Roll back to the end: whoever asks to stop meanwhile is heard when the target is whole."""
    try:
        try:
            _bring_back(ground, moving, standing)
        except (InterruptError, KeyboardInterrupt) as stop:
            read = read_journal_of(ground.fs, ground.names.work, ground.work_fd)
            if read is not None:
                _bring_back(ground, moving, read[1])
            if isinstance(stop, InterruptError):
                stop.hint = f"The restore was rolled back: {ground.target.where()} is as it was."
            raise
    except OSError as error:
        raise RestoreError(
            f"the restore could not be rolled back: at {moving.place}, {cause_of(error)}",
            hint=f"Run `{command} --rollback` as soon as that is put right. Nothing is lost: what "
            f"was in {ground.target.where()} and is not there now lies below "
            f"{ground.undo.where()}, under the same paths.",
        ) from error


def _bring_back(ground: Ground, moving: Moving, standing: Standing) -> None:
    fs, work_fd = ground.fs, ground.work_fd
    if standing is Standing.ROLLED_BACK:
        return
    if standing is Standing.DONE:
        if ground.undo.look(b"") is None:
            raise RefusedError(
                f"what {ground.target.where()} held before was deleted",
                hint="Nothing was changed: it cannot be rolled back any more. `--resume` ends it.",
            )
        ground.staged.make_itself()
        set_standing(fs, work_fd, Standing.DONE, Standing.OPEN)
    _check_whole(ground, ground.undo, ground.staged)
    moving.backward()
    set_standing(fs, work_fd, Standing.OPEN, Standing.ROLLED_BACK)


def _check_whole(ground: Ground, *roots: Root) -> None:
    """See that nobody removed a folder that says how far the swap is."""
    for root in roots:
        try:
            is_there = root.look(b"") is not None
        except OSError as error:
            raise RestoreError(f"{root.where()} cannot be read: {cause_of(error)}") from error
        if not is_there:
            raise DamageError(
                f"{root.where()} is missing, so nobody can say how far the restore came",
                hint=f"Nothing was deleted or moved. Look into {shown(ground.names.work)}.",
            )


def _damage(work: bytes, why: str) -> DamageError:
    where = shown(work)
    return DamageError(
        f"{why}, in {where}",
        hint="Nothing was deleted. What was in the folder and has been moved away lies below "
        f"{where}/undo, what was to come and has not yet below {where}/staged, each under its "
        "own path: move them by hand.",
    )


def _outcome(ground: Ground, moving: Moving, phase: Phase) -> Outcome:
    return Outcome(
        phase, ground.names.target, tuple(moving.aside), tuple(moving.shortfalls.lines())
    )
