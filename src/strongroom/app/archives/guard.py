"""Run a command between a verified archive and, if it fails, the restore of that very archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from strongroom.app.archives.making import Made, MakeRequest, make_archive
from strongroom.app.archives.place import ArchivePlace, command_for
from strongroom.app.archives.restoring import RestoreReport, RestoreRequest, restore_archive
from strongroom.app.machine import Run
from strongroom.errors import InterruptError, RefusedError, StrongroomError
from strongroom.operations.archives.making import CONTENTS
from strongroom.system.causes import cause_of

_CANNOT_START = 127


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRequest:
    """What the command line says; ``check`` is empty for none."""

    command: Sequence[str]
    check: Sequence[str] = ()
    scope: Sequence[str] = ()
    exclude: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class GuardReport:
    """What came of it; codes are exit codes, negative for a signal, None for what did not run.

    ``restored`` is None if the command and its check succeeded.
    """

    made: Made
    command_code: int
    check_code: int | None
    restored: RestoreReport | None


def guard(
    run: Run, place: ArchivePlace, request: GuardRequest, tell: Callable[[str], None]
) -> GuardReport:
    """Make an archive, run, check, and restore if one of them fails.

    ``RefusedError``, and nothing is run, if the archive is not whole. Whoever interrupts a command
    has it undone as well, and is told afterwards (``InterruptError``).
    """
    made = make_archive(run, place, MakeRequest(scope=request.scope, exclude=request.exclude))
    if made.metadata.problems:
        first = made.metadata.problems[0]
        raise RefusedError(
            f"nothing was run: the backup is incomplete ({first.path}: {first.cause})",
            hint="Put that right, or leave it out with --exclude.",
        )
    if made.metadata.verification != CONTENTS:
        raise RefusedError(
            f"nothing was run: {made.id} is sealed, and no key that was given opens it",
            hint="Give an identity or a secret that opens it with --key-file, or none.",
        )
    tell(f"backup {made.id} made and verified")
    stopped: InterruptError | None = None
    command_code, check_code = 1, None
    try:
        command_code = _run(run, request.command, place, tell)
        if command_code == 0 and request.check:
            check_code = _run(run, request.check, place, tell)
    except InterruptError as error:
        stopped = error
    if stopped is None and command_code == 0 and not check_code:
        return GuardReport(made, command_code, check_code, None)
    tell(f"restoring {made.id}")
    back = RestoreRequest(name=str(made.id), delete=True)
    try:
        restored = restore_archive(run, place, place.folder, back, lambda _plan: True)
    except StrongroomError as error:
        command = f"{command_for(place.project)} {made.id} --delete"
        error.hint = (
            f"{error.hint} It was not put back: the project is as the command left it. When that "
            f"is put right: '{command}'."
        ).strip()
        raise
    if stopped is not None:
        stopped.hint = f"The command was stopped, and the project is as it was in {made.id}."
        raise stopped
    return GuardReport(made, command_code, check_code, restored)


def _run(run: Run, command: Sequence[str], place: ArchivePlace, tell: Callable[[str], None]) -> int:
    """Run a command in the project with our own standard streams; its exit code."""
    try:
        code = run.machine.spawn.call(command, folder=str(place.project))
    except OSError as error:
        tell(f"{command[0]} does not start: {cause_of(error)}")
        return _CANNOT_START
    if code:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        tell(f"{command[0]} {how}")
    return code
