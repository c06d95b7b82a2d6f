"""What is decided before anything is changed, without any server: which backup, and which WAL."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from strongroom.errors import NotFoundError, RefusedError, StrongroomError, UsageError
from strongroom.operations.recovery_plan import (
    Candidate,
    RecoveryTarget,
    TargetKind,
    Wal,
    find_way,
)
from strongroom.postgres.cluster import Position
from strongroom.postgres.wal.history import Fork, Histories
from strongroom.postgres.wal.names import segment_name
from strongroom.postgres.wal.ranges import WalExtent
from strongroom.restore.cluster.settings import (
    after_recovery,
    tablespace_map,
    with_settings,
    without,
)

pytestmark = pytest.mark.spec("C7")

SIZE = 1 << 20
MINUTE = 60_000_000_000
NOW = 1000 * MINUTE


def backup(
    name: str, segment: int, minute: int, *, timeline: int = 1, own: bool = False
) -> Candidate:
    """Return a base backup that begins and ends in one segment, and ended at a minute."""
    start = segment * SIZE + 40
    position = Position(
        1, 77, 15, timeline, start, start + 500, minute * MINUTE - 1, minute * MINUTE, SIZE, own
    )
    return Candidate(name, position)


def wal(segments: Sequence[tuple[int, int]], histories: Histories | None = None) -> Wal:
    """Return an archive with (timeline, number) of segments, each archived in its own minute."""

    def extent_of(position: Position) -> WalExtent:
        names = [segment_name(*one, SIZE) for one in segments]
        if position.standalone:
            numbers = range(position.first_segment, position.last_segment + 1)
            names += [segment_name(position.timeline, one, SIZE) for one in numbers]
        return WalExtent(names, SIZE, histories)

    times = {one: one[1] * MINUTE + MINUTE // 2 for one in segments}
    return Wal(extent_of, lambda timeline, number: times.get((timeline, number)))


def target(kind: TargetKind, value: int = 0, timeline: int | None = None) -> RecoveryTarget:
    """Return a target; times in minutes."""
    if kind is TargetKind.TIME:
        value *= MINUTE
    return RecoveryTarget(kind, str(value), value, timeline=timeline)


LATEST = target(TargetKind.LATEST)
TWO = [backup("a", 2, 2), backup("b", 6, 6)]
ALL = [(1, n) for n in range(2, 10)]


@pytest.mark.parametrize(
    ("wanted", "name", "last"),
    [
        (LATEST, "b", 9),
        (target(TargetKind.TIME, 6), "b", 9),
        (target(TargetKind.TIME, 5), "a", 9),
        (target(TargetKind.TIME, 9), "b", 9),
        (target(TargetKind.LSN, 6 * SIZE + 540), "b", 9),
        (target(TargetKind.LSN, 6 * SIZE + 539), "a", 9),
        (target(TargetKind.LSN, 10 * SIZE), "b", 9),
    ],
)
def test_the_newest_backup_that_ended_before(wanted: RecoveryTarget, name: str, last: int) -> None:
    """One that ended after the target would be promoted at its end without an error."""
    way = find_way(TWO, wal(ALL), wanted, NOW, named=False)
    assert (way.candidate.id, way.last) == (name, last)


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        (target(TargetKind.TIME, 1), NotFoundError, "no base backup ended before"),
        (target(TargetKind.LSN, 5), NotFoundError, "no base backup ended before"),
        (target(TargetKind.TIME, 2000), RefusedError, "in the future"),
        (target(TargetKind.TIME, 20), RefusedError, "cannot be reached"),
        (target(TargetKind.LSN, 10 * SIZE + 1), RefusedError, "cannot be reached"),
        (target(TargetKind.XID, 700), UsageError, "--snapshot|name the base backup|no backup says"),
        (target(TargetKind.LATEST, timeline=9), NotFoundError, "no timeline 9"),
    ],
)
def test_what_cannot_be_reached(
    wanted: RecoveryTarget, error: type[StrongroomError], says: str
) -> None:
    """An error of its meaning, with what can be reached."""
    with pytest.raises(error, match=says) as caught:
        find_way(TWO, wal(ALL), wanted, NOW, named=False)
    assert caught.value.hint


def test_no_backup_at_all() -> None:
    """Exit code 15."""
    with pytest.raises(NotFoundError):
        find_way([], wal(ALL), LATEST, NOW, named=False)


def test_a_hole_after_the_newest_backup() -> None:
    """Named, and no promotion short of it; a target before the hole is fine."""
    holed = [one for one in ALL if one != (1, 8)]
    with pytest.raises(RefusedError, match=segment_name(1, 8, SIZE).text):
        find_way(TWO, wal(holed), LATEST, NOW, named=False)
    way = find_way(TWO, wal(holed), target(TargetKind.LSN, 7 * SIZE), NOW, named=False)
    assert (way.candidate.id, way.last, way.before_hole) == ("b", 7, True)


def test_a_backup_without_its_own_wal_is_passed_over() -> None:
    """An older one reaches the target too, unless WAL between them is missing as well."""
    holed = [one for one in ALL if one != (1, 6)]
    with pytest.raises(RefusedError, match=segment_name(1, 6, SIZE).text):
        find_way(TWO, wal(holed), LATEST, NOW, named=False)
    own = [TWO[0], backup("b", 6, 6, own=True)]
    assert find_way(own, wal(holed), LATEST, NOW, named=False).candidate.id == "b"


def test_a_backup_that_stands_alone() -> None:
    """Its end is what can be reached, and nothing else."""
    alone = [backup("a", 2, 2, own=True), backup("b", 6, 6, own=True)]
    way = find_way(alone, wal([]), LATEST, NOW, named=False)
    assert (way.candidate.id, way.is_end) == ("b", True)
    way = find_way(alone, wal([]), target(TargetKind.LSN, 2 * SIZE + 540), NOW, named=False)
    assert (way.candidate.id, way.is_end) == ("a", True)
    with pytest.raises(RefusedError, match="stands alone"):
        find_way(alone, wal([]), target(TargetKind.TIME, 7), NOW, named=False)


def test_timelines() -> None:
    """The newest is followed where the backup is on its way; a backup after the fork is refused."""
    histories = {2: (Fork(1, 7 * SIZE + 100),)}
    forked = [*ALL, (2, 7), (2, 8)]
    way = find_way(TWO, wal(forked, histories), LATEST, NOW, named=False)
    assert (way.candidate.id, way.timeline, way.last) == ("b", 2, 8)
    way = find_way(
        TWO, wal(forked, histories), target(TargetKind.LATEST, timeline=1), NOW, named=False
    )
    assert (way.timeline, way.last) == (1, 9)
    late = [*TWO, backup("c", 8, 8)]
    with pytest.raises(RefusedError, match="timeline 2 left timeline 1"):
        find_way(late, wal(forked, histories), LATEST, NOW, named=False)
    for timeline, name in ((1, "c"), (2, "b")):
        wanted = target(TargetKind.LATEST, timeline=timeline)
        way = find_way(late, wal(forked, histories), wanted, NOW, named=False)
        assert (way.candidate.id, way.timeline) == (name, timeline)
    after = [*TWO, backup("c", 8, 8, timeline=2)]
    way = find_way(after, wal(forked, histories), LATEST, NOW, named=False)
    assert (way.candidate.id, way.timeline) == ("c", 2)


def test_settings_of_an_earlier_recovery_are_comments() -> None:
    """Two targets would be a FATAL, an old command destructive; ours are the only ones."""
    old = (
        "# kept\nwork_mem = '4MB'\nrecovery_target_time = 'x'\nRecovery_Target_Action='pause'\n"
        "restore_command = 'rm -fr pg_wal'\nprimary_conninfo 'host=a'\n port = 1\n"
    )
    new = with_settings(old, {"restore_command": "it's", "port": "2"})
    lines = [line for line in new.splitlines() if not line.startswith("#")]
    assert lines == ["work_mem = '4MB'", "restore_command = 'it''s'", "port = '2'"]
    assert "# kept" in new
    left = [line for line in after_recovery(new).splitlines() if not line.startswith("#")]
    assert left == ["work_mem = '4MB'", "port = '2'"]
    assert without("data_directory = 'x'\n", ["data_directory"]).startswith("#")


def test_the_map_of_tablespaces() -> None:
    """As the server reads it: a line each, with backslashes before what would end it."""
    assert tablespace_map({7: "/a b", 5: "/odd\\\n"}) == b"5 /odd\\\\\\\n\n7 /a b\n"
