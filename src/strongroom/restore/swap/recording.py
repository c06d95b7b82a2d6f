"""Writing down what a plan does, with what directories look like just before it is done."""

from __future__ import annotations

import stat

from strongroom.errors import RefusedError
from strongroom.restore.swap.dress import read_dress, without_time
from strongroom.restore.swap.ground import Ground, Root, shown
from strongroom.restore.swap.journal import Journal, Kept, Moved
from strongroom.restore.swap.plan import Folder, SwapPlan
from strongroom.system.causes import cause_of


def check_unchanged(ground: Ground, swap_plan: SwapPlan) -> None:
    """See that what can stay is still as it was planned; what moves is kept as it is anyway."""
    for one in swap_plan.unchanged:
        try:
            found = ground.target.look(one.path)
        except OSError as error:
            raise _changed(one.path, cause_of(error)) from error
        if found is None or (found.inode, found.ctime_ns) != (one.inode, one.ctime_ns):
            raise _changed(one.path, "somebody wrote to it")


def journal_of(ground: Ground, swap_plan: SwapPlan) -> Journal:
    """Write down what will be done, with what directories look like now."""
    coming = (_moved(ground, ground.staged, path) for path in swap_plan.puts)
    going = (*swap_plan.puts, *swap_plan.takes)
    leaving = (_moved(ground, ground.target, path) for path in going)
    return Journal(
        ground.names.target,
        ground.names.inside,
        swap_plan.puts,
        swap_plan.takes,
        tuple(_kept(ground, folder) for folder in swap_plan.folders),
        tuple(one for one in coming if one is not None),
        tuple(one for one in leaving if one is not None),
    )


def _kept(ground: Ground, folder: Folder) -> Kept:
    path = folder.path
    try:
        with ground.target.at(path) as (dir_fd, name):
            before = read_dress(ground.fs, dir_fd, name)
        if not folder.is_wanted:
            return Kept(path, before, without_time(before))
        with ground.staged.at(path) as (dir_fd, name):
            return Kept(path, before, read_dress(ground.fs, dir_fd, name))
    except OSError as error:
        raise _changed(path, cause_of(error)) from error


def _moved(ground: Ground, root: Root, path: bytes) -> Moved | None:
    try:
        found = root.look(path)
        if found is None or not stat.S_ISDIR(found.mode):
            return None
        with root.at(path) as (dir_fd, name):
            return Moved(path, read_dress(ground.fs, dir_fd, name))
    except OSError as error:
        raise _changed(path, cause_of(error)) from error


def _changed(path: bytes, cause: str) -> RefusedError:
    return RefusedError(
        f"{shown(path)!r} is no longer what was planned with: {cause}",
        hint="Nothing was changed. Restore again, so that it is planned anew.",
    )
