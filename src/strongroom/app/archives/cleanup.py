"""Remove archives by their age."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from strongroom.app.archives.logs import kept_log, old_logs
from strongroom.app.archives.place import ArchivePlace, settle, shelf_of
from strongroom.app.machine import Run
from strongroom.operations.archives.cleanup import DAY_NS, Ages, Verdict, choose, remove

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
    now_ns = run.machine.clock.now_ns()
    verdicts = choose(shelf.listed(), now_ns, ages)
    freed = sum(verdict.one.size for verdict in verdicts if verdict.goes)
    if dry_run:
        return Cleaned(verdicts, freed)
    old = old_logs(shelf.files, now_ns - ages.archives * DAY_NS)
    with kept_log(run, shelf.files, "cleanup") as (_, log):
        for verdict in verdicts:
            log.say(f"{'removes' if verdict.goes else 'keeps'} {verdict.one.id}: {verdict.why}")
        freed = remove(shelf, verdicts)
        for name in old:
            shelf.files.remove(name)
    return Cleaned(verdicts, freed)
