"""Is there a recent good backup? Asked of a repository, or of the archives of a project."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.app.archives.place import place_of, shelf_of
from strongroom.app.choosing import Chosen
from strongroom.app.listing import snapshots
from strongroom.app.machine import Run
from strongroom.operations.archives.ages import Freshness, freshness
from strongroom.operations.freshness import SourceAge, ages

__all__ = ["archive_freshness", "snapshot_freshness"]
_SECOND: int = 1_000_000_000


def archive_freshness(
    run: Run, project: str, folder: str | None, seconds: int, shown: str
) -> Freshness:
    """Judge the archives of a project."""
    shelf = shelf_of(run, place_of(run, project, folder))
    return freshness(shelf.listed(), run.machine.clock.now_ns(), seconds * _SECOND, shown)


def snapshot_freshness(run: Run, seconds: int, shown: str) -> Sequence[SourceAge]:
    """Judge the snapshots of the repository that the settings name; a key is needed."""
    found = snapshots(run, Chosen())
    return ages(found, run.machine.clock.now_ns(), seconds * _SECOND, shown)
