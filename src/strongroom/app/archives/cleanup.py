"""Remove archives by their age."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from strongroom.app.archives.place import ArchivePlace, settle, shelf_of
from strongroom.app.machine import Run
from strongroom.operations.archives.cleanup import Ages, Verdict, choose, remove

__all__ = ["Ages", "Cleaned", "Verdict", "clean_up"]


class Cleaned(NamedTuple):
    """What was decided about each, and the bytes that are, or would be, free."""

    verdicts: Sequence[Verdict]
    freed: int


def clean_up(run: Run, place: ArchivePlace, ages: Ages, *, dry_run: bool) -> Cleaned:
    """Decide, and remove what goes unless it is a ``dry_run``."""
    shelf = shelf_of(run, place)
    if not dry_run:
        settle(run, shelf)
    verdicts = choose(shelf.listed(), run.machine.clock.now_ns(), ages)
    freed = sum(verdict.one.size for verdict in verdicts if verdict.goes)
    return Cleaned(verdicts, freed if dry_run else remove(shelf, verdicts))
