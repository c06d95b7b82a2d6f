"""End a restore that was killed: forwards, or back to what was before."""

from __future__ import annotations

import os
from pathlib import Path

from strongroom.app.archives.place import WORK, command_for, shelf_at
from strongroom.app.machine import Run
from strongroom.errors import RefusedError
from strongroom.restore.swap import swapping
from strongroom.restore.swap.swapping import Outcome, Phase, SwapState

__all__ = ["Outcome", "Phase", "finish", "unfinished"]


def unfinished(run: Run, target: Path) -> SwapState:
    """Say how far a restore is that did not come to its end; ``RefusedError`` if there is none."""
    work = target / WORK
    if not os.path.lexists(work):
        raise RefusedError(f"no restore of {target} is unfinished", hint="There is nothing to end.")
    return swapping.state(run.machine.fs, os.fsencode(work))


def finish(run: Run, target: Path, *, forward: bool) -> Outcome:
    """Bring a restore that was killed to its end, or the target back to what it was."""
    state = unfinished(run, target)
    work = target / WORK
    path, fs, command = os.fsencode(work), run.machine.fs, command_for(target)
    with shelf_at(run, work).files.locked() as mine:
        if not mine:
            raise RefusedError(f"a restore of {target} is at work", hint="Wait for it, or stop it.")
        if state.phase is Phase.NOTHING:
            if forward:
                raise RefusedError(
                    f"the restore of {target} was killed before it changed anything",
                    hint=f"Run '{command} --rollback', and restore again.",
                )
            outcome = Outcome(Phase.NOTHING, os.fsencode(target))
        elif forward:
            outcome = swapping.resume(fs, path, command=command)
        else:
            outcome = swapping.rollback(fs, path, command=command)
        swapping.discard(fs, path)
    return outcome
