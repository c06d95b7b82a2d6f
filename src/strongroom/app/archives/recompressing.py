"""Recompress the archives that a person names, or all that are old enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from strongroom.app.archives.keys import archive_keys
from strongroom.app.archives.making import packing_of
from strongroom.app.archives.place import ArchivePlace, settle, shelf_of
from strongroom.app.machine import Run
from strongroom.archive.shelf import Shelf, Shelved, State
from strongroom.errors import UsageError
from strongroom.operations.archives.cleanup import DAY_NS
from strongroom.operations.archives.making import Around
from strongroom.operations.archives.recompressing import Recompressed, recompress

_SOUND = frozenset({State.GOOD, State.INCOMPLETE, State.UNPROVEN})


def recompress_archives(
    run: Run,
    place: ArchivePlace,
    names: Sequence[str],
    older_than: int | None,
    packing: tuple[str | None, int | None, int | None],
) -> Iterator[Recompressed]:
    """Yield what became of each. ``packing``: format, level and jobs, as they were said."""
    if bool(names) == (older_than is not None):
        raise UsageError("name archives, or give --older-than DAYS")
    shelf = shelf_of(run, place)
    settle(run, shelf)
    keys = archive_keys(run, ())
    how = packing_of(run, *packing)
    around = Around(run.machine.clock, run.sink)
    for one in _chosen(run, shelf, names, older_than):
        yield recompress(shelf, one, how, keys.seal, keys.unseal, around)


def _chosen(run: Run, shelf: Shelf, names: Sequence[str], older_than: int | None) -> list[Shelved]:
    if names:
        return [shelf.find(name) for name in names]
    before = run.machine.clock.now_ns() - (older_than or 0) * DAY_NS
    return [one for one in shelf.listed() if one.state in _SOUND and one.created_ns < before]
