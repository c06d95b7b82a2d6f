"""How far each base backup of a cluster can be recovered, by what there is of its WAL. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from strongroom.operations.clusters import BaseBackup
from strongroom.postgres.cluster import Position
from strongroom.postgres.wal.history import leads_through
from strongroom.postgres.wal.names import WalName, parse_name, segment_name
from strongroom.postgres.wal.ranges import WalExtent


class Reach(NamedTuple):
    """A base backup, and where recoveries from it can end: the last segment on each timeline.

    ``missing``: the first segment that is needed and not there, of one that reaches nothing; a
    ``standalone`` one can be recovered to its own end all the same. Times in nanoseconds.
    ``started_ns``: when the server began it; ``size``: bytes of its files; ``until_ns``: when the
    last segment that it reaches was archived, by the store's clock: no target is later than that.
    """

    id: str
    stopped_ns: int
    timeline: int
    standalone: bool
    ends: tuple[tuple[int, str], ...]
    missing: str
    started_ns: int = 0
    size: int = 0
    until_ns: int | None = None


def reach_of(
    extent: WalExtent,
    backups: Iterable[BaseBackup],
    system_id: int,
    stored: Mapping[WalName, int] | None = None,
) -> list[Reach]:
    """Return how far base backups of a cluster reach, in their order.

    ``stored``: when segments were archived.
    """
    mine = (one for one in backups if one.position.system == system_id)
    return [_reach(extent, one, stored or {}) for one in mine]


def _reach(extent: WalExtent, backup: BaseBackup, stored: Mapping[WalName, int]) -> Reach:
    position = backup.position
    size = extent.segment_size
    first, last = position.first_segment, position.last_segment
    ends = tuple(_ends(extent, position))
    gaps = extent.missing(position.timeline, first, last)
    missing = "" if ends or not gaps else gaps[0]._replace(last=gaps[0].first).text(size)
    return Reach(
        backup.listed.short_id,
        position.stopped_ns,
        position.timeline,
        position.standalone,
        ends,
        missing,
        position.started_ns,
        backup.source.counts.bytes,
        max(_times(ends, stored), default=None),
    )


def _times(ends: Iterable[tuple[int, str]], stored: Mapping[WalName, int]) -> Iterator[int]:
    for _, text in ends:
        name = parse_name(text)
        if name is not None and name in stored:
            yield stored[name]


def _ends(extent: WalExtent, position: Position) -> Iterator[tuple[int, str]]:
    """Yield the end on each timeline that comes from the one of a backup after it was made.

    A timeline may begin in the very segment in which the backup ends, so the position decides.
    """
    for other in extent.timelines:
        if not leads_through(extent.histories, other, position.timeline, position.stop):
            continue
        end = extent.reachable(other, position.first_segment)
        if end is None or end < position.last_segment:
            continue
        way = extent.path(other)
        on = next(one[0] for one in way if one[1] <= end and (one[2] is None or end <= one[2]))
        if on == other:
            yield other, segment_name(on, end, extent.segment_size).text
