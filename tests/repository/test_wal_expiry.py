"""WAL goes when no base backup needs it, and not before."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from strongroom.errors import DamageError, StrongroomError
from strongroom.operations.backup import Circumstances, PlannedArrivals, back_up
from strongroom.operations.clusters import base_backups
from strongroom.operations.wal.reach import Reach, reach_of
from strongroom.postgres.cluster import Position
from strongroom.postgres.wal.names import WalKind
from strongroom.repository import layout
from strongroom.repository.collection.survey import Keep, survey
from strongroom.repository.collection.walexpiry import LATER, NO_BACKUP, SIZES
from strongroom.repository.envelope import Kind, unwrap
from strongroom.repository.records import Heartbeat, WalPosition, read_body
from strongroom.repository.wal import archive_of
from tests.support.agents import agent_host
from tests.support.base_backups import Taken, archive, base_backup, position_of
from tests.support.invariants import check_nothing_left
from tests.support.kit import DAY_NS, Kit, timed_kit
from tests.support.wal import CLUSTER, SIZE, SYSTEM, history, named, numbered, segment

pytestmark = pytest.mark.spec("C6")


@pytest.fixture
def host(tmp_path: Path) -> Kit:
    """A repository whose store has the clock of its host."""
    return timed_kit(tmp_path / "state")


def _there(kit: Kit, timeline: int = 1) -> list[int]:
    listed = archive_of(kit.open()).files(SYSTEM, timeline)
    return [one.name.number(SIZE) for one in listed if one.name.kind is WalKind.SEGMENT]


def _names(kit: Kit) -> list[str]:
    return [one.name.text for one in archive_of(kit.open()).files(SYSTEM)]


def test_wal_before_the_oldest_base_backup_goes(host: Kit) -> None:
    """With the base backup that needed it, segments, labels and partial segments before the next
    one go; a history and the sources never, and the next prune has nothing to do.
    """
    archive(host, range(1, 9))
    wal = archive_of(host.open())
    label = named("000000010000000000000002.00000028.backup")
    wal.put(CLUSTER, label, b"START WAL LOCATION: 0/200028\n")
    wal.put(CLUSTER, named("000000010000000000000003.partial"), segment(numbered(3), "part"))
    wal.put(CLUSTER, named("000000010000000000000009.partial"), segment(numbered(9), "part"))
    first = base_backup(host, position_of(2, 3)).snapshot
    done = host.prune()
    assert (done.wal_files, _there(host)) == (1, [2, 3, 4, 5, 6, 7, 8])
    second = base_backup(host, position_of(6, 6)).snapshot
    host.forget(first.id)
    in_grace = host.prune(grace_ns=DAY_NS)
    assert in_grace.wal_files == 0
    assert [(one.base, one.needed) for one in in_grace.wal] == [(first.short_id, numbered(2).text)]
    done = host.prune()
    assert _there(host) == [6, 7, 8]
    assert done.wal_files == 6  # with the label and a partial segment
    (judged,) = done.wal
    assert (judged.system, judged.files, judged.kept_files) == (SYSTEM, 6, 4)
    assert (judged.base, judged.needed) == (second.short_id, numbered(6).text)
    assert host.prune().wal_files == 0
    check_nothing_left(host)
    assert host.verify().damage == []


def test_a_collector_killed_nothing_that_others_push_again(host: Kit) -> None:
    """What a collector removed and somebody archives again counts as absent, and goes again."""
    archive(host, range(1, 5))
    base_backup(host, position_of(3, 3))
    host.prune()
    archive(host, [2])
    assert _there(host) == [2, 3, 4]
    with pytest.raises(StrongroomError, match="000000010000000000000002, which a collector rem"):
        base_backup(host, position_of(2, 3))
    host.prune()
    assert _there(host) == [3, 4]


def test_without_a_complete_base_backup_nothing_goes(host: Kit) -> None:
    """None at all, one with a problem, or one of another cluster lets no WAL go."""
    archive(host, range(1, 5))
    host.backup({b"a": b"1"})
    assert [one.why for one in host.prune().wal] == [NO_BACKUP]
    base_backup(host, position_of(3, 3), broken=True)
    assert [one.why for one in host.prune().wal] == [NO_BACKUP]

    assert _there(host) == [1, 2, 3, 4]


def test_a_base_backup_that_is_not_complete_keeps_its_wal(host: Kit) -> None:
    """An older one with a damaged page may be all that there is of a moment."""
    archive(host, range(1, 7))
    base_backup(host, position_of(2, 2), broken=True)
    base_backup(host, position_of(5, 5))
    host.prune()
    assert _there(host) == [2, 3, 4, 5, 6]


def test_the_cut_follows_timelines(host: Kit) -> None:
    """Before a base backup on timeline 2, timeline 1 goes up to where it was left; what was written
    on timeline 1 after that stays, since nobody knows whether its server goes on.
    """
    archive(host, range(1, 8))
    archive(host, range(4, 8), timeline=2)
    archive_of(host.open()).put(CLUSTER, named("00000002.history"), history((1, "0/400100")))
    base_backup(host, position_of(6, 6, timeline=2))
    host.prune()
    assert (_there(host, 1), _there(host, 2)) == ([4, 5, 6, 7], [6, 7])
    assert "00000002.history" in _names(host)


def test_what_comes_after_a_base_backup_on_a_later_timeline_stays(host: Kit) -> None:
    """A base backup of timeline 1 can be recovered along timeline 2, so it needs its WAL too."""
    archive(host, range(1, 5))
    archive(host, range(4, 8), timeline=2)
    archive_of(host.open()).put(CLUSTER, named("00000002.history"), history((1, "0/400100")))
    base_backup(host, position_of(2, 2))
    base_backup(host, position_of(6, 6, timeline=2))
    host.prune()
    assert (_there(host, 1), _there(host, 2)) == ([2, 3, 4], [4, 5, 6, 7])


def test_a_timeline_whose_history_never_came_may_be_needed(host: Kit) -> None:
    """Nobody knows that timeline 2 came from timeline 1, so WAL of it stays while a base backup of
    timeline 1 does; without one it goes.
    """
    archive(host, range(1, 5))
    archive(host, range(4, 8), timeline=2)
    old = base_backup(host, position_of(2, 2)).snapshot
    base_backup(host, position_of(6, 6, timeline=2))
    host.prune()
    assert (_there(host, 1), _there(host, 2)) == ([2, 3, 4], [4, 5, 6, 7])
    host.forget(old.id)
    host.prune()
    assert _there(host, 2) == [6, 7]


def test_two_clusters_are_apart(host: Kit) -> None:
    """A base backup of one says nothing of the WAL of the other."""
    archive(host, range(1, 5))
    with pytest.raises(StrongroomError):
        base_backup(host, position_of(3, 3, system=SYSTEM + 1))
    done = host.prune()
    assert (done.wal_files, [one.why for one in done.wal]) == (0, [NO_BACKUP])


def test_segments_of_two_sizes_stay(host: Kit) -> None:
    """Where base backups disagree about segments, nobody knows which comes first."""
    archive(host, range(1, 5))
    base_backup(host, position_of(3, 3))
    other = position_of(3, 3)
    _commit_without_wal(host, msgspec.structs.replace(other, segment_size=2 * SIZE))
    done = host.prune()
    assert (done.wal_files, [one.why for one in done.wal]) == (0, [SIZES])


def test_a_base_backup_of_a_later_release_keeps_everything(host: Kit) -> None:
    """What it needs cannot be read here."""
    archive(host, range(1, 5))
    base_backup(host, position_of(3, 3))
    _commit_without_wal(host, msgspec.structs.replace(position_of(1, 1), version=99))
    done = host.prune()
    assert (done.wal_files, [one.why for one in done.wal]) == (0, [LATER])


def _commit_without_wal(host: Kit, position: Position) -> None:
    """Commit what claims to be at a position, whatever WAL is there."""
    planned = PlannedArrivals(Taken(position), [b"/cluster/db"], position.encoded)
    back_up(host.open(), [planned], Circumstances("host", "user", "test"), host.state)


def test_an_agent_lets_only_wal_of_its_domain_go(host: Kit, tmp_path: Path) -> None:
    """A stolen agent key cannot make the WAL of others go by a base backup that it made up."""
    archive(host, range(1, 5))
    agent = agent_host(host, tmp_path / "agent", "db1")
    archive(agent, range(1, 5))
    base_backup(agent, position_of(4, 4))
    host.prune()
    domains = [one.domain_id for one in archive_of(host.open()).files(SYSTEM)]
    main = host.open().keyring.own_domain.domain_id
    assert (domains.count(main), len(domains)) == (4, 5)
    base_backup(host, position_of(3, 3))
    host.prune()
    assert len(archive_of(host.open()).files(SYSTEM)) == 3


def test_a_window_keeps_what_makes_older_base_backups_whole(host: Kit) -> None:
    """Every moment in the window can be reached, and each older base backup at its end; WAL between
    older ones goes.
    """
    archive(host, range(1, 21))
    for number in (2, 6, 10, 14, 18):
        base_backup(host, position_of(number, number + 1))
        host.clock.sleep(86_400)
    host.prune(wal_keep_ns=2 * DAY_NS + DAY_NS // 2)  # the last two are in it
    assert _there(host) == [2, 3, 6, 7, *range(10, 21)]
    host.prune()
    assert _there(host) == [2, 3, 6, 7, *range(10, 21)]


def test_a_base_backup_at_work_says_where_it_begins(host: Kit) -> None:
    """Its session is told of at once, with the position; heartbeats repeat it."""
    archive(host, range(1, 4))
    seen: list[Heartbeat] = []

    def look() -> None:
        (key,) = [i.key for i in host.store.list(layout.SESSIONS) if i.key.endswith(".1")]
        found = unwrap(host.store.get(key), Kind.HEARTBEAT, key, host.open().id)
        seen.append(read_body(key, found.body, Heartbeat))

    base_backup(host, position_of(3, 3), meanwhile=look)
    assert [one.positions for one in seen] == [(WalPosition(SYSTEM, 1, 3 * SIZE + 40),)]


def test_wal_that_is_going_is_not_relied_on(host: Kit) -> None:
    """A run that names it and waits for nobody else is unfinished: the base backup gives up, and
    nothing that was acknowledged is lost.
    """
    archive(host, range(1, 6))
    old = base_backup(host, position_of(1, 1)).snapshot
    base_backup(host, position_of(4, 4))
    host.forget(old.id)
    busy = Kit(host.store, host.state_path.parent / "busy")
    busy.clock = host.clock

    def prune_beside() -> None:
        with pytest.raises(StrongroomError, match="still at work"):
            busy.prune()

    base_backup(host, position_of(5, 5), meanwhile=prune_beside)
    with pytest.raises(StrongroomError, match="a collector removes"):
        base_backup(host, position_of(2, 3))
    busy.prune()
    assert _there(host) == [4, 5]


def test_a_base_backup_that_began_before_keeps_its_wal(host: Kit) -> None:
    """A collection that begins while it is at work waits for it, and then spares what it needs."""
    archive(host, range(1, 6))
    old = base_backup(host, position_of(1, 1)).snapshot
    base_backup(host, position_of(4, 4))
    host.forget(old.id)
    busy = Kit(host.store, host.state_path.parent / "busy")
    busy.clock = host.clock

    def prune_beside() -> None:
        says = f"still at work: .* of main, a base backup of cluster {SYSTEM} from 0/200028 on"
        with pytest.raises(StrongroomError, match=says):
            busy.prune()

    base_backup(host, position_of(2, 3), meanwhile=prune_beside)
    busy.prune()
    assert _there(host) == [2, 3, 4, 5]


def test_unreadable_gc_is_relied_on_by_nobody(host: Kit) -> None:
    """If nobody can say what is going, a base backup with WAL in the archive is not made."""
    archive(host, range(1, 5))
    base_backup(host, position_of(3, 3))
    host.prune()
    key = layout.run_object(1, "kills")
    data = host.store.get(key)
    host.store.delete(key)
    host.store.put(key, data[:-1] + bytes([data[-1] ^ 1]))
    other = Kit(host.store, host.state_path.parent / "other")  # what a host read once it knows
    with pytest.raises(DamageError, match="nobody knows which WAL stays"):
        base_backup(other, position_of(4, 4))


def _fork(host: Kit, lsn: str) -> None:
    archive_of(host.open()).put(CLUSTER, named("00000002.history"), history((1, lsn)))


def test_a_fork_in_the_segment_of_a_base_backup_may_come_after_it(host: Kit) -> None:
    """The segment of the switch belongs to both timelines: a base backup that begins and ends in it
    before the switch can be recovered along the new one, so what comes there stays.
    """
    archive(host, range(1, 5))
    base_backup(host, position_of(4, 4))
    archive(host, range(4, 9), timeline=2)
    _fork(host, "0/400500")
    base_backup(host, position_of(7, 7, timeline=2))
    host.prune()
    assert (_there(host, 1), _there(host, 2)) == ([4], [4, 5, 6, 7, 8])
    (reach, _) = _reaches(host)
    assert dict(reach.ends) == {1: numbered(4).text, 2: numbered(8, 2).text}


def _reaches(host: Kit) -> list[Reach]:
    repository = host.open()
    backups = base_backups(repository.snapshots(), "db")
    return reach_of(archive_of(repository).extent(CLUSTER), backups, SYSTEM)


def test_a_base_backup_after_a_fork_does_not_replace_one_before_it(host: Kit) -> None:
    """With a window: the way to timeline 2 leaves timeline 1 before the second base backup, so the
    window of timeline 2 is reached from the first one alone.
    """
    archive(host, range(1, 12))
    base_backup(host, position_of(1, 1))
    base_backup(host, position_of(8, 8))
    archive(host, range(4, 12), timeline=2)
    _fork(host, "0/400100")
    host.clock.sleep(7 * 86_400)
    base_backup(host, position_of(10, 10, timeline=2))
    host.prune(wal_keep_ns=DAY_NS)
    assert _there(host, 2) == [*range(4, 12)]
    assert _there(host, 1) == [*range(1, 12)]


def test_a_base_backup_that_a_fork_cuts_does_not_replace_one_before_it(host: Kit) -> None:
    """With a window: the second one ends after the fork, in the same segment."""
    archive(host, range(1, 7))
    base_backup(host, position_of(1, 1))
    base_backup(host, position_of(4, 4))  # ends at 0/400190
    archive(host, range(4, 9), timeline=2)
    _fork(host, "0/400100")
    host.clock.sleep(7 * 86_400)
    base_backup(host, position_of(8, 8, timeline=2))
    host.prune(wal_keep_ns=DAY_NS)
    assert _there(host, 1) == [1, 2, 3, 4, 5, 6]


def test_a_base_backup_before_the_fork_replaces_one_before_it(host: Kit) -> None:
    """With a window: both timelines are reached from the second one, in time of both."""
    archive(host, range(1, 7))
    base_backup(host, position_of(1, 1))
    base_backup(host, position_of(4, 4))  # ends at 0/400190
    archive(host, range(4, 9), timeline=2)
    _fork(host, "0/400190")
    host.clock.sleep(7 * 86_400)
    base_backup(host, position_of(8, 8, timeline=2))
    host.prune(wal_keep_ns=DAY_NS)
    assert (_there(host, 1), _there(host, 2)) == ([1, 4, 5, 6], [*range(4, 9)])


def test_a_timeline_of_unknown_origin_may_be_reached_from_an_old_base_backup(host: Kit) -> None:
    """With a window: nobody knows from which of two the timeline can be reached."""
    archive(host, range(1, 7))
    base_backup(host, position_of(1, 1))
    base_backup(host, position_of(4, 4))
    archive(host, range(3, 9), timeline=2)
    host.clock.sleep(7 * 86_400)
    base_backup(host, position_of(8, 8, timeline=2))
    host.prune(wal_keep_ns=DAY_NS)
    assert (_there(host, 1), _there(host, 2)) == ([*range(1, 7)], [*range(3, 9)])


def test_a_forgotten_base_backup_replaces_none_that_is_wanted(host: Kit) -> None:
    """With a window: one in its grace will be gone, and with it the way into the window; a hold
    makes it count again.
    """
    archive(host, range(1, 13))
    base_backup(host, position_of(1, 1))
    forgotten = base_backup(host, position_of(6, 6)).snapshot
    host.clock.sleep(3 * 86_400)
    host.forget(forgotten.id)
    base_backup(host, position_of(11, 11))
    host.prune(wal_keep_ns=2 * DAY_NS, grace_ns=7 * DAY_NS)
    assert _there(host) == [*range(1, 13)]
    host.hold(forgotten.id)
    host.prune(wal_keep_ns=2 * DAY_NS, grace_ns=7 * DAY_NS)
    assert _there(host) == [1, *range(6, 13)]


def test_wal_that_a_listing_does_not_show_is_needed_all_the_same(host: Kit) -> None:
    """What is needed does not depend on a list of what is there, which may be short."""
    archive(host, range(1, 5))
    base_backup(host, position_of(3, 3))
    keys = [one.key for one in archive_of(host.open()).files(SYSTEM)]
    for key in keys:
        host.store.delete(key)
    needs = survey(host.open(), Keep(0)).wal.needs
    assert needs.spared(keys) == {key for key in keys if key.endswith(("03", "04"))}


def test_a_timeline_that_a_listing_does_not_show_is_one_all_the_same(host: Kit) -> None:
    """With a window: a timeline counts that only what is to go speaks of."""
    archive(host, range(1, 9))
    base_backup(host, position_of(1, 1))
    base_backup(host, position_of(8, 8))
    host.clock.sleep(7 * 86_400)
    archive(host, [4], timeline=2)
    *own, other = [one.key for one in archive_of(host.open()).files(SYSTEM)]
    host.store.delete(other)
    needs = survey(host.open(), Keep(0, DAY_NS)).wal.needs
    assert needs.spared(own) == {own[0], own[-1]}
    assert needs.spared([*own, other]) == {*own, other}
