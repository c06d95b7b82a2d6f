"""Hand out one WAL file: what ``restore_command`` is for.

PostgreSQL takes a refusal for the end of the archive, promotes and is content. So "it is not there"
is said only where the archive was listed and nothing that comes later is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from strongroom.errors import (
    DamageError,
    NotFoundError,
    ObjectMissingError,
    RefusedError,
    UsageError,
)
from strongroom.model.events import Notice, Sink
from strongroom.model.fs import Fs
from strongroom.operations.wal.files import deliver, system_id_here
from strongroom.postgres.wal.names import WalKind, WalName, parse_name
from strongroom.postgres.wal.ranges import WalExtent
from strongroom.repository.wal import StoredWal, WalArchive
from strongroom.repository.walgaps import WalGaps

_TRIES = 3


class Wanted(NamedTuple):
    """What is asked for: a name as PostgreSQL writes it, and where it goes.

    ``system_id``: of which cluster; None: of that in whose data folder the command runs.
    ``domains``: whose files count; None: everybody's. ``past_holes``: a hole is an end as well.
    """

    name: str
    destination: bytes
    system_id: int | None = None
    domains: Sequence[bytes] | None = None
    past_holes: bool = False


class Fetched(NamedTuple):
    """What was handed out; ``partial``: it was only the begin of a segment; ``size`` in bytes."""

    name: WalName
    delivered: bool
    partial: bool = False
    system_id: int = 0
    size: int = 0


class HoleError(RefusedError):
    """A file is missing in the middle of an archive."""


class Fetcher:
    """Hands out WAL files of an archive."""

    def __init__(self, archive: WalArchive, gaps: WalGaps, fs: Fs, sink: Sink) -> None:
        self._archive = archive
        self._gaps = gaps
        self._fs = fs
        self._sink = sink

    def fetch(self, wanted: Wanted) -> Fetched:
        """Deliver a file, or prove that it is not there; everything else is an error."""
        name = parse_name(wanted.name)
        if name is None:
            raise UsageError(
                f"{wanted.name!r} is no name of a WAL file",
                hint='restore_command = \'strongroom wal fetch "%f" "%p"\'',
            )
        system_id = self._system_id(wanted)
        for _ in range(_TRIES):
            places = self._archive.find(system_id, name, wanted.domains)
            if places:
                content = self._archive.get_agreed(places)
                deliver(self._fs, wanted.destination, content)
                return Fetched(name, delivered=True, system_id=system_id, size=len(content))
            listed = self._archive.files(system_id, domains=wanted.domains)
            if not any(one.name == name for one in listed):
                return self._absent(wanted, name, system_id, listed)
        msg = f"{name.text} is in the listing and cannot be read: it comes and goes"
        raise DamageError(msg)

    def _system_id(self, wanted: Wanted) -> int:
        here = system_id_here(self._fs)
        if wanted.system_id is None and here is None:
            raise UsageError(
                "nothing says of which cluster the file is to be",
                hint="PostgreSQL runs restore_command in its data folder; elsewhere give "
                "--system-id.",
            )
        if wanted.system_id is not None and here is not None and wanted.system_id != here:
            raise RefusedError(
                f"the data folder here is of cluster {here}, and --system-id says "
                f"{wanted.system_id}",
            )
        return wanted.system_id or here or 0

    def _absent(
        self, wanted: Wanted, name: WalName, system_id: int, listed: Sequence[StoredWal]
    ) -> Fetched:
        """Decide whether it is the end of the archive that a listed one has no such file."""
        if not listed:
            raise NotFoundError(
                f"there is no WAL of cluster {system_id} in the repository at all",
                hint="Is it the right repository? 'strongroom wal status' shows the clusters.",
            )
        hole = self._extent(system_id, listed).hole(name)
        if hole is not None:
            if not wanted.past_holes:
                raise HoleError(
                    f"hole in the archive: {hole}",
                    hint="PostgreSQL must not take this for the end. Find the file on the server "
                    "or a replica of the repository and archive it; to go on without what comes "
                    "after, stop before it with a recovery target, or say --past-holes.",
                )
            self._sink(Notice(f"warning: {hole}; taken for the end, as --past-holes says"))
            return Fetched(name, delivered=False)
        partial = [
            one
            for one in listed
            if name.kind is WalKind.SEGMENT
            and one.name.kind is WalKind.PARTIAL
            and one.name.segment == name
        ]
        if partial:
            last = max(partial, key=lambda one: (one.stored_ns or 0, one.generation))
            deliver(self._fs, wanted.destination, self._archive.get(last))
            self._sink(Notice(f"{name.text} is there in part only; that was handed out"))
            return Fetched(name, delivered=True, partial=True)
        return Fetched(name, delivered=False)

    def _extent(self, system_id: int, listed: Sequence[StoredWal]) -> WalExtent:
        """Return what is there, by the size that its segments have."""
        size = self._archive.segment_size(listed)
        names = [one.name for one in listed]
        try:
            never = [one.missing for one in self._gaps.of(system_id)]
            return WalExtent(names, size, self._archive.histories(listed), never)
        except ObjectMissingError as error:
            msg = "a history or a gap went away while the archive was read"
            raise DamageError(msg) from error
