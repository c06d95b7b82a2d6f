"""How far the archive is behind a server. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from strongroom.operations.wal.survey import ClusterWal
from strongroom.postgres.wal.names import segment_name

_SECOND_NS: Final = 1_000_000_000


class Lag(NamedTuple):
    """What would be lost with the server: ``bytes`` of WAL, written within so many ``seconds``.

    None where that is not known: nothing of the timeline is archived, or the store tells no times.
    """

    bytes: int | None
    seconds: float | None


def lag_of(cluster: ClusterWal, timeline: int, lsn: int, now_ns: int) -> Lag:
    """Return how far the archive of a cluster is behind a server at ``lsn`` of a timeline."""
    line = cluster.extent.timelines.get(timeline)
    if line is None:
        return Lag(None, None)
    size = cluster.cluster.segment_size
    if line.last is None:
        end, stored_ns = (line.fork.lsn if line.fork is not None else None), None
    else:
        end = (line.last + 1) * size
        stored_ns = cluster.stored.get(segment_name(timeline, line.last, size))
    if end is None:
        return Lag(None, None)
    behind = max(0, lsn - end)
    if not behind:
        return Lag(0, 0.0)
    return Lag(behind, max(0, now_ns - stored_ns) / _SECOND_NS if stored_ns is not None else None)
