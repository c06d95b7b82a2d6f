"""List the archives of a project."""

from __future__ import annotations

from typing import NamedTuple

from strongroom.app.archives.place import ArchivePlace, shelf_of
from strongroom.app.machine import Run
from strongroom.archive.shelf import Shelved


class Listed(NamedTuple):
    """One archive, or what is left of a run; when it was begun, and its age, in nanoseconds."""

    one: Shelved
    created_ns: int
    age_ns: int


def listed(run: Run, place: ArchivePlace) -> list[Listed]:
    """Return everything that is there, the oldest first."""
    now_ns = run.machine.clock.now_ns()
    found = []
    for one in shelf_of(run, place).listed():
        made_ns = one.created_ns
        found.append(Listed(one, made_ns, max(now_ns - made_ns, 0)))
    return found
