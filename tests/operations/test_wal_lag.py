"""How far an archive is behind a server."""

from __future__ import annotations

import pytest

from strongroom.operations.wal.lag import Lag, lag_of
from strongroom.operations.wal.survey import ClusterWal
from strongroom.postgres.wal.history import Fork
from strongroom.postgres.wal.names import WalKind, WalName
from strongroom.postgres.wal.ranges import WalExtent
from tests.support.wal import CLUSTER, SIZE, numbered

pytestmark = pytest.mark.spec("C6")

FORKS = {2: (Fork(1, 6 * SIZE + 100),), 3: (Fork(1, 3 * SIZE + 7),)}
SECOND = 1_000_000_000


def _cluster(*names: WalName) -> ClusterWal:
    files = [*names, WalName(WalKind.HISTORY, 2)]
    stored = {name: name.number(SIZE) * SECOND for name in names}
    extent = WalExtent(files, SIZE, FORKS)
    return ClusterWal(CLUSTER, ("db",), extent, (), (), (), None, len(files), 0, {}, stored)


@pytest.mark.parametrize(
    ("timeline", "lsn", "lag"),
    [
        (1, 5 * SIZE, Lag(0, 0.0)),  # all of it is there
        (1, 4 * SIZE, Lag(0, 0.0)),  # more of it than the server said
        (1, 5 * SIZE + 10, Lag(10, 96.0)),
        (1, 7 * SIZE, Lag(2 * SIZE, 96.0)),
        (2, 6 * SIZE + 150, Lag(50, None)),  # since the fork
        (7, 9 * SIZE, Lag(None, None)),
    ],
)
def test_the_lag_is_what_the_archive_lacks(timeline: int, lsn: int, lag: Lag) -> None:
    """From the end of the last segment of the server's timeline, or from where that began."""
    cluster = _cluster(*(numbered(n) for n in (2, 3, 4)))
    assert lag_of(cluster, timeline, lsn, 100 * SECOND) == lag
