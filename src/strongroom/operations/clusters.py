"""The base backups among the snapshots of a repository."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from strongroom.clock import Clock
from strongroom.errors import StrongroomError
from strongroom.model.snapshot import ListedSnapshot, SourceRecord
from strongroom.postgres.cluster import KIND, Position, read_position
from strongroom.postgres.wal.names import segment_name
from strongroom.repository.wal import WalArchive

_PAUSE: Final = 1.0


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


def wait_for_segments(
    archive: WalArchive, position: Position, seconds: float, clock: Clock
) -> None:
    """Wait until every segment that a base backup needs is in the archive; else an error."""
    began = clock.elapsed()
    numbers = range(position.first_segment, position.last_segment + 1)
    wanted = [segment_name(position.timeline, one, position.segment_size) for one in numbers]
    while True:
        there = {one.name for one in archive.files(position.system, position.timeline)}
        missing = [one for one in wanted if one not in there]
        if not missing:
            return
        if clock.elapsed() - began >= seconds:
            raise StrongroomError(
                f"the base backup needs {missing[0].text}, which did not come into the archive "
                f"within {seconds:.0f} seconds, so there is no snapshot of it",
                hint="Look at pg_stat_archiver and the log of the server, whether 'strongroom wal "
                "push' works; of a standby, end the segment by SELECT pg_switch_wal() on its "
                "primary. physical = true makes backups that carry their WAL.",
            )
        clock.sleep(_PAUSE)
