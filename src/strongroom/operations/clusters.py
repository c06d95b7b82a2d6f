"""The base backups among the snapshots of a repository."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from strongroom.clock import Clock
from strongroom.errors import DamageError, StrongroomError
from strongroom.model.snapshot import ListedSnapshot, SourceRecord
from strongroom.postgres.cluster import KIND, Position, read_position
from strongroom.postgres.wal.names import segment_name
from strongroom.repository.records import WalPosition
from strongroom.repository.session import BackupSession
from strongroom.repository.wal import WalArchive

_SHORTEST: Final = 0.02  # seconds between two looks, and twice as long each time
_LONGEST: Final = 1.0


class BaseBackup(NamedTuple):
    """A base backup in a snapshot."""

    listed: ListedSnapshot
    source: SourceRecord
    position: Position


def base_backups(snapshots: Iterable[ListedSnapshot], name: str) -> list[BaseBackup]:
    """Return the base backups of a source, as the snapshots come."""
    kind = KIND.encode()
    found = []
    for listed in snapshots:
        for source in listed.snapshot.sources:
            if (source.kind, source.name) == (kind, name.encode()):
                position = read_position(source.position)
                if position is not None:
                    found.append(BaseBackup(listed, source, position))
    return found


class WalInSession:
    """The WAL that a base backup needs, and the session that it is saved into.

    Without a session, as one that knows of no collector, nothing may be relied on.
    """

    def __init__(self, archive: WalArchive, clock: Clock) -> None:
        self._archive = archive
        self._clock = clock
        self._session: BackupSession | None = None

    def begins(self, session: BackupSession) -> None:
        """Take the session, when it has begun."""
        self._session = session

    def began(self, system: int, timeline: int, lsn: int) -> None:
        """Say in the session where the base backup begins."""
        if self._session is not None:
            self._session.need_wal(WalPosition(system, timeline, lsn))

    def wait(self, position: Position, seconds: float) -> None:
        """Wait until every segment that a base backup needs is in the archive, and durable.

        What a collector removes, or removed, does not count, whether it is still there or not.
        """
        absent = self._session.absent_wal() if self._session is not None else None
        if absent is None:
            raise DamageError(
                "something below gc/ cannot be read, so nobody knows which WAL stays, and the base "
                "backup relies on none",
                hint="Run 'strongroom verify'. physical = true makes backups that carry their WAL.",
            )
        began, pause = self._clock.elapsed(), _SHORTEST
        numbers = range(position.first_segment, position.last_segment + 1)
        wanted = [segment_name(position.timeline, one, position.segment_size) for one in numbers]
        while True:
            listed = self._archive.files(position.system, position.timeline)
            there = {one.name for one in listed if one.key not in absent}
            missing = [one for one in wanted if one not in there]
            if not missing:
                self._archive.sync(one for one in listed if one.name in set(wanted))
                return
            going = [one for one in missing if any(one == other.name for other in listed)]
            if going:
                raise StrongroomError(
                    f"the base backup needs {going[0].text}, which a collector removes, so there "
                    "is no snapshot of it",
                    hint="Nothing is lost: run the same command again when the collection is over.",
                )
            if self._clock.elapsed() - began >= seconds:
                raise _did_not_come(missing[0].text, seconds)
            self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST)


def _did_not_come(name: str, seconds: float) -> StrongroomError:
    return StrongroomError(
        f"the base backup needs {name}, which did not come into the archive "
        f"within {seconds:.0f} seconds, so there is no snapshot of it",
        hint="Look at pg_stat_archiver and the log of the server, whether 'strongroom wal "
        "push' works; of a standby, end the segment by SELECT pg_switch_wal() on its "
        "primary. physical = true makes backups that carry their WAL.",
    )
