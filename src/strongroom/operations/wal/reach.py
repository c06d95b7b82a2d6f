"""How far each base backup of a cluster can be recovered, by what there is of its WAL. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from strongroom.operations.clusters import BaseBackup
from strongroom.postgres.wal.names import segment_name
from strongroom.postgres.wal.ranges import WalExtent


class Reach(NamedTuple):
    """A base backup, and where recoveries from it can end: the last segment on each timeline.

    ``missing``: the first segment that is needed and not there, of one that reaches nothing; a
    ``standalone`` one can be recovered to its own end all the same. Times in nanoseconds.
    """

    id: str
    stopped_ns: int
    timeline: int
    standalone: bool
    ends: tuple[tuple[int, str], ...]
    missing: str


def reach_of(extent: WalExtent, backups: Iterable[BaseBackup], system_id: int) -> list[Reach]:
    """Return how far base backups of a cluster reach, in their order."""
    return [_reach(extent, one) for one in backups if one.position.system == system_id]


def _reach(extent: WalExtent, backup: BaseBackup) -> Reach:
    position = backup.position
    size = extent.segment_size
    first, last = position.first_segment, position.last_segment
    ends = tuple(_ends(extent, position.timeline, first, last))
    gaps = extent.missing(position.timeline, first, last)
    missing = "" if ends or not gaps else gaps[0]._replace(last=gaps[0].first).text(size)
    return Reach(
        backup.listed.short_id,
        position.stopped_ns,
        position.timeline,
        position.standalone,
        ends,
        missing,
    )


def _ends(extent: WalExtent, timeline: int, first: int, last: int) -> Iterator[tuple[int, str]]:
    """Yield the end on each timeline that comes from the one of a backup after it was made."""
    for other in extent.timelines:
        way = extent.path(other)
        step = next(
            (one for one in way if one[1] <= last and (one[2] is None or last <= one[2])), None
        )
        end = extent.reachable(other, first)
        if step is None or step[0] != timeline or end is None or end < last:
            continue
        on = next(one[0] for one in way if one[1] <= end and (one[2] is None or end <= one[2]))
        if on == other:
            yield other, segment_name(on, end, extent.segment_size).text
