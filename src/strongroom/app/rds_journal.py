"""The journal of recoveries of RDS: on this machine, and in the repository for another one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from strongroom import __version__
from strongroom.app.folders import walks_of
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.app.recovery_tools import read_one
from strongroom.aws.rds.record import JOURNAL_KIND, KIND, Record, decoded, settings_path
from strongroom.errors import KeyRefusedError, NotFoundError, StrongroomError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations import listing
from strongroom.operations.backup import Circumstances, PlannedArrivals, back_up
from strongroom.operations.rds.plan import (
    Journal,
    journal_path,
    journal_source,
    read_journal,
    record_path,
)
from strongroom.repository.localfiles import LocalFiles
from strongroom.sources.rds.source import RecordsSource
from strongroom.system.causes import cause_of

_LARGEST: Final = 16 << 20
_TYPE: Final = "recovery"


class Journals:
    """The journals of one source; ``opened`` is None where no repository is to be used."""

    def __init__(self, run: Run, source: str, opened: Opened | None) -> None:
        self._run = run
        self._source = source
        self._opened = opened
        machine = run.machine
        root = os.fsencode(run.settings.state_dir)
        self._local = LocalFiles(machine.fs, root, machine.randomness)
        self._name = f"rds/{source}.json"

    def newest(self) -> Journal | None:
        """Return the journal of the last recovery, wherever it is known; None if there was none."""
        found = [one for one in (self._here(), self._there()) if one is not None]
        return max(found, key=lambda one: one.rank, default=None)

    def save(self, journal: Journal, record: Record | None = None) -> None:
        """Write it down, here and in the repository, with what is known of the source."""
        kept = self.note(journal)
        if self._opened is not None:
            kept = self._put(self._opened, journal, record) or kept
        if not kept:
            raise StrongroomError(
                "the journal of the recovery cannot be kept anywhere, so nothing was begun",
                hint="Set STRONGROOM_STATE_DIR to a folder that this user can write.",
            )

    def note(self, journal: Journal) -> bool:
        """Write down here how far it came; whether that was possible."""
        try:
            self._local.write(self._name, journal.encoded(), durable=True)
        except OSError as error:
            self._run.warn(f"the journal is not kept on this machine: {cause_of(error)}")
            return False
        return True

    def record(self, snapshot: str) -> tuple[Record, str]:
        """Return what a snapshot knows of the source, the newest if none is named.

        ``NotFoundError`` if none does.
        """
        opened = self._opened
        if opened is None or opened.repository.keyring.only_domain is not None:
            raise NotFoundError(
                f"what the settings of '{self._source}' were is in a repository that is not read",
                hint="Open it with a key that can restore.",
            )
        snapshots = (
            listing.named_snapshots(opened.repository, [snapshot])
            if snapshot
            else opened.repository.snapshots()
        )
        listed = self._last(snapshots, KIND, self._source)
        if listed is None:
            raise NotFoundError(
                f"no snapshot knows the settings of '{self._source}' in AWS",
                hint=f"They are saved by each backup of it: strongroom backup {self._source}.",
            )
        path = settings_path(self._source)
        where = f"{path} in snapshot {listed.short_id}"
        return decoded(read_one(opened, listed, path.encode()), where), listed.short_id

    def _here(self) -> Journal | None:
        try:
            data = self._local.read_bounded(self._name, _LARGEST)
        except OSError as error:
            self._run.warn(f"the journal of this machine cannot be read: {cause_of(error)}")
            return None
        where = f"{self._run.settings.state_dir}/{self._name}"
        return None if data is None else read_journal(data, where)

    def _there(self) -> Journal | None:
        opened = self._opened
        if opened is None or opened.repository.keyring.only_domain is not None:
            return None
        name = journal_source(self._source)
        # an agent's key may be stolen, and a journal says where clients are sent
        signed = [one for one in opened.repository.list_snapshots().found if not one.agent]
        listed = self._last(signed, JOURNAL_KIND, name)
        if listed is None:
            return None
        path = journal_path(self._source)
        return read_journal(
            read_one(opened, listed, path.encode()), f"{path} in snapshot {listed.short_id}"
        )

    def _last(
        self, snapshots: Sequence[ListedSnapshot], kind: str, name: str
    ) -> ListedSnapshot | None:
        """Return the newest snapshot with such a source that is whole."""
        wanted = (kind.encode(), name.encode())
        return next(
            (
                listed
                for listed in reversed(snapshots)
                for one in listed.snapshot.sources
                if (one.kind, one.name) == wanted and one.root
            ),
            None,
        )

    def _put(self, opened: Opened, journal: Journal, record: Record | None) -> bool:
        """Save it as a snapshot; whether the key allows that."""
        machine = self._run.machine
        files = {journal_path(self._source): journal.encoded()}
        if record is not None:  # under its own name: a backup of the source is something else
            files[record_path(self._source)] = record.encoded()
        source = RecordsSource(
            JOURNAL_KIND, journal_source(self._source), lambda: files, machine.clock, needed=True
        )
        planned = PlannedArrivals(source, [f"/{JOURNAL_KIND}/{self._source}".encode()])
        try:
            back_up(
                opened.repository,
                [planned],
                Circumstances(
                    host=machine.host,
                    user=machine.user,
                    program=f"strongroom {__version__}",
                    type=_TYPE,
                ),
                walks_of(self._run, opened.repository.id),
            )
        except KeyRefusedError as error:
            self._run.warn(
                f"the journal is kept on this machine only, for the key may not write: "
                f"{error.message}"
            )
            return False
        return True


@contextmanager
def opened_journals(run: Run, source: str, *, alone: bool) -> Iterator[Journals]:
    """Open the journals of a source; ``alone``: without a repository, on this machine only."""
    if alone:
        yield Journals(run, source, None)
        return
    with opened_repository(run) as opened:
        yield Journals(run, source, opened)
