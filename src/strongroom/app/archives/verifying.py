"""Verify the archives that a person names, each with those that it builds on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from strongroom.app.archives.keys import archive_keys
from strongroom.app.archives.logs import kept_log
from strongroom.app.archives.place import ArchivePlace, shelf_of
from strongroom.app.machine import Run
from strongroom.app.restorers import restorers_of
from strongroom.archive.files import TROUBLE
from strongroom.archive.runlog import RunLog
from strongroom.archive.shelf import Shelf, Shelved
from strongroom.operations.archives.plainfiles import CHECKSUM, STRUCTURE
from strongroom.operations.archives.verifying import Verified, note, verify

__all__ = ["CHECKSUM", "STRUCTURE", "Verified", "verify_archives"]


def verify_archives(
    run: Run, place: ArchivePlace, names: Sequence[str], *, all_of_them: bool
) -> Iterator[Verified]:
    """Yield what reading each came to; without names the latest. ``NotFoundError``."""
    shelf = shelf_of(run, place)
    keys = archive_keys(run, ())
    restorers = restorers_of(run)
    with kept_log(run, shelf.files, "verify") as (heard, log):
        for one in _chosen(shelf, names, all_of_them=all_of_them):
            found = verify(shelf, one, keys.unseal, restorers, run.machine.clock, heard.sink)
            _write_down(log, found)
            _note(heard, shelf, found)
            yield found


def _note(run: Run, shelf: Shelf, found: Verified) -> None:
    try:
        note(shelf, found, run.machine.clock)
    except TROUBLE as error:
        run.warn(f"nobody will know of it later: {error.message}")


def _write_down(log: RunLog, found: Verified) -> None:
    for finding in found.findings:
        log.fail(finding)
    if found.closed:
        log.caution(f"{found.one.id}: {found.closed}; only its checksum was compared")
    elif not found.findings:
        log.say(f"{found.one.id}: no damage, {found.entries:,} entries read")


def _chosen(shelf: Shelf, names: Sequence[str], *, all_of_them: bool) -> list[Shelved]:
    if all_of_them:
        return [one for one in shelf.listed() if one.is_archive]
    found: dict[str, Shelved] = {}
    for name in names or ["latest"]:
        one = shelf.find(name)
        chain = one.metadata.chain if one.metadata is not None else ()
        there = {str(each.id): each for each in shelf.listed() if each.is_archive}
        for base in chain:
            if base in there:  # one that is gone is a finding of those that need it
                found[base] = there[base]
        found[str(one.id)] = one
    return list(found.values())
