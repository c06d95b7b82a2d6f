"""How far each base backup can be recovered."""

from __future__ import annotations

import pytest

from strongroom.model.snapshot import Counts, ListedSnapshot, Snapshot, SourceRecord, Stream
from strongroom.operations.clusters import base_backups
from strongroom.operations.wal.reach import Reach, reach_of
from strongroom.postgres.cluster import KIND, Position
from strongroom.postgres.wal.history import Fork
from strongroom.postgres.wal.names import WalKind, WalName
from strongroom.postgres.wal.ranges import WalExtent
from tests.support.wal import OTHER_SYSTEM, SIZE, SYSTEM, numbered

pytestmark = [pytest.mark.spec("C6"), pytest.mark.spec("C7")]

FORKS = {2: (Fork(1, 6 * SIZE + 100),), 3: (Fork(1, 3 * SIZE + 7),)}


def _backup(
    first: int, last: int, *, timeline: int = 1, system: int = SYSTEM, standalone: bool = False
) -> ListedSnapshot:
    position = Position(
        1, system, 15, timeline, first * SIZE + 40, last * SIZE + 99, 1, 2, SIZE, standalone
    )
    record = SourceRecord(
        name=b"db",
        kind=KIND.encode(),
        order=1,
        paths=(b"/",),
        root=b"",
        levels=0,
        status=0,
        position=position.encoded(),
        counts=Counts(),
        problems=Stream(),
    )
    snapshot = Snapshot(b"", b"", b"", b"h", b"u", (), 0, 0, b"p", (record,))
    return ListedSnapshot("ab" * 16, "", "", b"", snapshot)


def _reach(listed: ListedSnapshot, *names: WalName) -> Reach | None:
    files = [*names, *(WalName(WalKind.HISTORY, one) for one in FORKS)]
    extent = WalExtent(files, SIZE, FORKS)
    found = reach_of(extent, base_backups([listed], "db"), SYSTEM)
    return found[0] if found else None


ALL = [
    *(numbered(n) for n in range(1, 9)),
    *(numbered(n, 2) for n in range(6, 11)),
    *(numbered(n, 3) for n in range(3, 6)),
]


def _ends(listed: ListedSnapshot, *names: WalName) -> dict[int, str]:
    reach = _reach(listed, *names)
    assert reach is not None
    return dict(reach.ends)


def test_each_timeline_that_came_after_is_an_end() -> None:
    """Of a backup on the first line: that line itself, and those that left it later."""
    assert _ends(_backup(1, 1), *ALL) == {
        1: numbered(8).text,
        2: numbered(10, 2).text,
        3: numbered(5, 3).text,
    }
    assert _ends(_backup(4, 5), *ALL) == {1: numbered(8).text, 2: numbered(10, 2).text}
    assert _ends(_backup(7, 7), *ALL) == {1: numbered(8).text}
    assert _ends(_backup(7, 8, timeline=2), *ALL) == {2: numbered(10, 2).text}


def test_the_position_decides_in_the_segment_of_a_switch() -> None:
    """A backup that ends before the switch leads on to the new timeline, one after it does not."""
    both = {1: numbered(8).text, 2: numbered(10, 2).text}
    assert _ends(_backup(6, 6), *ALL) == both  # ends at 99, the switch is at 100
    assert _ends(_backup(5, 6), *ALL) == both
    assert _ends(_backup(3, 3), *ALL) == both  # not 3, which switched at 7


def test_a_gap_is_an_end() -> None:
    """What is behind it is not reached, on whatever timeline."""
    names = [one for one in ALL if one != numbered(5)]
    assert _ends(_backup(1, 2), *names) == {1: numbered(4).text, 3: numbered(5, 3).text}


def test_without_its_own_wal_it_reaches_nothing() -> None:
    """The segment that is missing is named; one that stands alone is told apart."""
    names = [one for one in ALL if one != numbered(2)]
    reach = _reach(_backup(1, 3), *names)
    assert reach is not None
    assert (reach.ends, reach.missing, reach.standalone) == ((), numbered(2).text, False)
    alone = _reach(_backup(1, 3, standalone=True), *names)
    assert alone is not None
    assert alone.standalone


def test_another_cluster_is_not_meant() -> None:
    """A source that was another cluster before has base backups of both."""
    assert _reach(_backup(1, 1, system=OTHER_SYSTEM), *ALL) is None
