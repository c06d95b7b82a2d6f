"""The folder in which a restore works: made for it, held by it, and gone when it has ended."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import Final

from strongroom.app.archives.place import WORK, refuse_unfinished_restore, shelf_at
from strongroom.app.machine import Run
from strongroom.errors import (
    InterruptError,
    RestoreError,
    RolledBackError,
    StrongroomError,
)
from strongroom.restore.swap import swapping
from strongroom.restore.swap.swapping import Phase
from strongroom.system.causes import cause_of

_UNCHANGED: Final = ("Nothing was changed", "is as it was")


@contextmanager
def work_folder(run: Run, target: Path) -> Iterator[Path]:
    """Make the folder in which a restore works, and remove it unless something is left to do."""
    work = target / WORK
    files = shelf_at(run, work).files
    new = list(takewhile(lambda path: not os.path.lexists(path), [target, *target.parents]))
    refuse_unfinished_restore(target)
    with ExitStack() as held:
        try:
            files.make()
            held.enter_context(files.locked())
        except StrongroomError as error:
            _remove_empty([work, *new])
            say_unchanged(error, target)
            raise
        try:
            yield work
        except RestoreError as error:
            if _is_untouched(run, work):  # it was a restore into the work folder
                raise RolledBackError(error.message, hint=f"{target} is as it was.") from error
            raise
        except OSError as error:
            if _is_untouched(run, work):
                hint = f"{target} is as it was."
                raise RolledBackError(
                    f"the restore failed: {cause_of(error)}", hint=hint
                ) from error
            raise
        except StrongroomError as error:
            if _is_untouched(run, work):
                say_unchanged(error, target)
            raise
        finally:
            _clear(run, work)
            _remove_empty(new)


def _remove_empty(folders: Sequence[Path]) -> None:
    with suppress(OSError):  # something is in it
        for folder in folders:
            folder.rmdir()


def _is_untouched(run: Run, work: Path) -> bool:
    try:
        return swapping.state(run.machine.fs, os.fsencode(work)).phase is Phase.NOTHING
    except StrongroomError:
        return False


def say_unchanged(error: StrongroomError, target: Path) -> None:
    """Say with an error that nothing was changed, unless it does."""
    if any(text in f"{error.message} {error.hint}" for text in _UNCHANGED):
        return
    if isinstance(error, InterruptError):
        error.hint = f"Nothing was changed: {target} is as it was."
    else:
        error.hint = f"{error.hint} Nothing was changed.".strip()


def _clear(run: Run, work: Path) -> None:
    """Remove a work folder that nobody needs any more; one in the middle of something stays."""
    path = os.fsencode(work)
    fs = run.machine.fs
    try:
        if swapping.state(fs, path).phase not in {Phase.PLANNED, Phase.MIDDLE}:
            swapping.discard(fs, path)
    except InterruptError:
        _clear(run, work)  # what is half cleared away would stand in the way of the next run
    except StrongroomError as error:
        run.warn(f"{work} is still there: {error.message}")
