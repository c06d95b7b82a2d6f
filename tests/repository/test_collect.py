"""What a collector keeps, what it removes, and when it removes nothing at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from strongroom.crypto.primitives import sha256
from strongroom.errors import (
    BusyError,
    DamageError,
    FencedError,
    KeyRefusedError,
    NotFoundError,
    RefusedError,
)
from strongroom.model.events import Notice
from strongroom.model.snapshot import Status
from strongroom.model.store import ObjectInfo, Store
from strongroom.repository import layout
from strongroom.repository.records import OrderKind, PackIds, Targets, Voided
from strongroom.repository.saving import hold, unforget
from strongroom.storage.memory import MemoryStore
from strongroom.storage.wrappers.forwarding import ForwardingStore
from tests.faults.workloads import die_at_put, undecided
from tests.repository.test_collect_races import keys, other_host, stop_at
from tests.support.agents import agent_host
from tests.support.forging import begun, commit, source_record
from tests.support.invariants import check_invariants, check_nothing_left
from tests.support.kit import DAY_NS, SAYING, Kit
from tests.support.noise import noise
from tests.support.runs import pack_ids

pytestmark = pytest.mark.spec("B2")

A, B, C = ({name: noise(1000, name.decode())} for name in (b"a", b"b", b"c"))
YEAR = 365 * 86_400


def days(kit: Kit, count: float) -> None:
    """Let days pass."""
    kit.clock.sleep(count * 86_400)


def ids(kit: Kit) -> set[str]:
    """Return the snapshots that are there, forgotten or not."""
    listing = kit.listing()
    return {one.id for one in [*listing.found, *listing.forgotten]}


class TestGrace:
    """How long what is forgotten stays."""

    def test_it_stays_until_its_grace_is_over(self, host: Kit) -> None:
        """A forgotten snapshot restores for seven days; the next collection takes it."""
        gone, kept = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(gone)
        days(host, 6.9)
        assert host.prune(grace_ns=7 * DAY_NS).in_grace == 1
        assert host.restore(gone)[1] == A
        days(host, 0.2)
        done = host.prune(grace_ns=7 * DAY_NS)
        assert (done.commits, done.packs, done.in_grace) == (1, 1, 0)
        assert ids(host) == {kept}
        check_nothing_left(host)
        check_invariants(host, {kept: B})

    @pytest.mark.parametrize("years", [-30, 30])
    def test_the_clock_of_a_host_does_not_matter(self, host: Kit, years: int) -> None:
        """Hosts whose clocks are wrong by decades forget and collect: the store's time counts."""
        gone = host.backup(A).snapshot.id
        host.backup(B)
        wrong = Kit(host.store, host.state_path.parent / "wrong")
        wrong.clock.sleep(years * YEAR)
        wrong.forget(gone)
        days(host, 6)
        assert wrong.prune(grace_ns=7 * DAY_NS).commits == 0
        days(host, 2)
        assert wrong.prune(grace_ns=7 * DAY_NS).commits == 1

    def test_the_first_of_several_forgets_counts(self, host: Kit) -> None:
        """To forget again what is forgotten does not make it stay longer; after an un-forget the
        grace begins anew.
        """
        gone = host.backup(A).snapshot.id
        host.backup(B)
        host.forget(gone)
        days(host, 5)
        host.forget(gone)
        days(host, 3)
        host.undelete(gone)
        host.forget(gone)
        assert host.prune(grace_ns=7 * DAY_NS).commits == 0
        days(host, 5)
        host.forget(gone)
        days(host, 3)
        assert host.prune(grace_ns=7 * DAY_NS).commits == 2

    def test_it_begins_anew_when_the_last_hold_is_released(self, host: Kit) -> None:
        """Who releases a hold by mistake has the grace to notice, however old the forget is."""
        gone = host.backup(A).snapshot.id
        host.backup(B)
        saved = host.hold(gone)
        host.forget(gone)
        days(host, 100)
        host.release(saved)
        days(host, 6)
        assert host.prune(grace_ns=7 * DAY_NS).commits == 0
        days(host, 2)
        assert host.prune(grace_ns=7 * DAY_NS).commits == 2


def test_while_something_needed_is_gone_nothing_is_removed(host: Kit) -> None:
    """It is said what to do; and when the damaged snapshot is let go of, collecting goes on."""
    lost = host.backup(A).snapshot.id
    host.store.delete(layout.pack(pack_ids(host)[0]))
    host.clock.sleep(10)
    kept = host.backup(B, "other").snapshot.id
    before = keys(host, layout.PACKS)
    with pytest.raises(DamageError, match="is needed, and is in no pack") as told:
        host.prune()
    assert "strongroom repair" in (told.value.hint or "")
    assert keys(host, layout.PACKS) == before
    host.forget(lost, allow_empty=True)
    host.prune()
    assert ids(host) == {kept}
    assert host.restore(kept)[1] == B


class TestLastGood:
    """The last good snapshot of a source stays, unless somebody allows that none does."""

    def test_it_stays_though_forgotten(self, host: Kit) -> None:
        """All snapshots of a source are forgotten: the last complete one stays, and is told of."""
        first, second = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(first, second)
        done = host.prune()
        assert [one.id for one in done.last_good] == [second]
        assert done.in_grace == 0
        assert ids(host) == {second}
        check_nothing_left(host)
        assert host.restore(second)[1] == B

    def test_an_incomplete_one_does_not_take_its_place(self, host: Kit) -> None:
        """A later snapshot with problems is no reason to remove the last complete one."""
        good = host.backup(A).snapshot
        session = begun(host)
        bad = commit(
            session, source_record(session.writer.new_tree().finish(), status=Status.INCOMPLETE)
        )
        host.forget(good.id, bad.id)
        host.prune()
        assert good.id in ids(host)

    def test_of_a_source_that_was_never_complete_the_last_one_stays(self, host: Kit) -> None:
        """The newest of what there is, not the oldest."""
        made = []
        for _ in range(2):
            session = begun(host)
            tree = session.writer.new_tree().finish()
            made.append(commit(session, source_record(tree, status=Status.INCOMPLETE)).id)
        host.forget(*made)
        host.prune()
        assert ids(host) == {made[1]}

    def test_sources_are_told_apart(self, host: Kit, tmp_path: Path) -> None:
        """Another source, and another writer with the same one, do not count as later ones."""
        mine = host.backup(A).snapshot.id
        other = host.backup(B, "other").snapshot.id
        agent = agent_host(host, tmp_path)
        agent.clock = host.clock
        agents = agent.backup(C).snapshot.id
        host.forget(mine, other, agents)
        assert len(host.prune().last_good) == 3
        assert ids(host) == {mine, other, agents}

    def test_one_that_may_go_does_not_take_the_place_of_another(self, host: Kit) -> None:
        """Of the last one it was said that it may go, and of the one before it never was."""
        first, second = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(second, allow_empty=True)
        host.undelete(second)
        host.forget(first, second)
        done = host.prune()
        assert [one.id for one in done.last_good] == [first]
        assert host.restore(first)[1] == A
        check_nothing_left(host)

    def test_one_that_might_have_gone_and_is_wanted_stands_for_its_source(self, host: Kit) -> None:
        """It was once said that the last one may go; it is wanted again, so the one before is not
        the last good one and goes.
        """
        first, second = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(second, allow_empty=True)
        host.undelete(second)
        host.forget(first)
        done = host.prune()
        assert list(done.last_good) == []
        assert ids(host) == {second}
        check_nothing_left(host)

    def test_it_goes_when_that_is_allowed(self, host: Kit) -> None:
        """With an order that allows it nothing is left: no pack, no segment, no commit."""
        host.forget(host.backup(A).snapshot.id, allow_empty=True)
        host.prune()
        assert ids(host) == set()
        assert keys(host, layout.PACKS) == keys(host, layout.INDEX) == keys(host, layout.COMMITS)
        check_nothing_left(host)
        check_invariants(host, {})


class TestHolds:
    """What is held stays, and what is un-forgotten is as if nobody had forgotten it."""

    def test_what_is_held_stays_until_the_hold_is_released(self, host: Kit) -> None:
        """A hold outlasts a forget before or after it; when it is released the snapshot goes, and
        the hold with it.
        """
        first, second, kept = (host.backup(files).snapshot.id for files in (A, B, C))
        host.forget(first)
        saved = host.hold(first, second)
        host.forget(second)
        host.prune()
        assert ids(host) == {first, second, kept}
        assert {one.id for one in host.snapshots()} == {first, second, kept}
        host.release(saved)
        days(host, 1)
        host.prune()
        assert ids(host) == {kept}
        assert saved.key not in keys(host, layout.COMMITS)
        check_nothing_left(host)

    def test_one_of_two_holds_is_enough(self, host: Kit) -> None:
        """A snapshot with two holds stays when one of them is released."""
        gone = host.backup(A).snapshot.id
        host.backup(B)
        first, _second = host.hold(gone), host.hold(gone)
        host.forget(gone)
        host.release(first)
        host.prune()
        assert gone in ids(host)

    def test_a_hold_of_several_goes_with_the_last_of_them(self, host: Kit) -> None:
        """An un-forget of two snapshots, one of which is forgotten anew and goes, stays for the
        other one.
        """
        first, second, _kept = (host.backup(files).snapshot.id for files in (A, B, C))
        host.forget(first, second)
        saved = host.undelete(first, second)
        host.forget(first)
        host.prune()
        assert first not in ids(host)
        assert saved.key in keys(host, layout.COMMITS)
        host.forget(second)
        host.prune()
        assert saved.key not in keys(host, layout.COMMITS)
        check_nothing_left(host)

    def test_what_is_undeleted_within_its_grace_stays(self, host: Kit) -> None:
        """It is listed again, restores, and no later collection takes it."""
        back, kept = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(back)
        host.prune(grace_ns=7 * DAY_NS)
        host.undelete(back)
        days(host, 30)
        host.prune()
        check_nothing_left(host)
        check_invariants(host, {back: A, kept: B})

    def test_only_snapshots_that_are_there_are_kept(self, host: Kit) -> None:
        """A snapshot that never was, and a hold itself, are not found, exit 15."""
        saved = host.hold(host.backup(A).snapshot.id)
        for one in (bytes(16).hex(), saved.key.rpartition("/")[2]):
            with pytest.raises(NotFoundError, match="is gone"):
                host.hold(one)
        assert undecided(host.store) == set()

    def test_a_hold_that_is_gone_is_missed(self, host: Kit) -> None:
        """The host that put it remembers it, though nobody has named it yet."""
        saved = host.hold(host.backup(A).snapshot.id)
        host.store.delete(saved.key)
        with pytest.raises(RefusedError, match="are gone"):
            host.snapshots()

    def test_what_nobody_forgot_cannot_be_undeleted(self, host: Kit) -> None:
        """It is refused, exit 6, and nothing stays open; with another one that is forgotten too."""
        first, second = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(first)
        with pytest.raises(RefusedError, match="is not forgotten"):
            host.undelete(first, second)
        assert first not in {one.id for one in host.snapshots()}
        assert undecided(host.store) == set()

    @pytest.mark.parametrize("save", [Kit.hold, Kit.undelete])
    def test_an_order_that_cannot_be_read_may_have_forgotten_the_same(
        self, host: Kit, save: Callable[[Kit, str], object]
    ) -> None:
        """An un-forget could not cancel it: with any order damaged, nothing is kept, exit 4."""
        first, second = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(first)
        host.forget(second)
        order = keys(host, layout.ORDERS)[0]
        data = host.store.get(order)
        host.store.delete(order)
        host.store.put(order, data[:-1] + bytes([data[-1] ^ 1]))
        for name in (first, second):
            with pytest.raises(DamageError, match="may have forgotten"):
                save(other_host(host, f"other {name}"), name)
        assert undecided(host.store) == set()

    @pytest.mark.parametrize("save", [Kit.hold, Kit.undelete])
    def test_what_is_on_its_way_out_cannot_be_kept(
        self, host: Kit, save: Callable[[Kit, str], object]
    ) -> None:
        """From the tombs of a run on it is refused, with exit 6; after the run it is gone, exit 15.
        With several snapshots none is kept. Nothing stays open.
        """
        gone, kept = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(gone)
        key = host.keys_of([gone])
        for last in ("waits", "kills", "done"):
            stop_at(host, layout.run_object(1, last), host.prune)
            if key[0] in keys(host, layout.COMMITS) or last != "done":
                with pytest.raises(RefusedError, match="being removed"):
                    save(host, gone)
        host.prune()
        with pytest.raises((NotFoundError, RefusedError)):
            save(host, gone)
        with pytest.raises((NotFoundError, RefusedError)):
            host.hold(kept, gone)
        check_nothing_left(host)
        check_invariants(host, {kept: B})

    def test_a_hold_that_comes_before_the_tombs_is_waited_for(self, host: Kit) -> None:
        """A hold looked, and the collector put tombs for the same snapshot: it waits, and the
        snapshot stays.
        """
        gone, kept = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(gone)
        other = other_host(host, "other")
        stop_at(other, layout.COMMITS, lambda: other.hold(gone))
        (session,) = undecided(host.store)
        with pytest.raises(BusyError, match=session[:8]):
            host.prune()
        days(host, 2)
        host.prune()
        assert ids(host) == {kept}


class TestSessions:
    """Who is at work is waited for, and who is silent for long is given up."""

    def test_who_is_at_work_is_waited_for_and_named(self, host: Kit) -> None:
        """Exit 11, with the session, its writer and the way out; nothing is removed. The next run
        finishes this one.
        """
        gone, kept = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(gone)
        session = begun(other_host(host, "writer"))
        before = pack_ids(host)
        with pytest.raises(BusyError, match="still at work") as told:
            host.prune()
        assert told.value.code == 11
        assert session.id.hex()[:8] in told.value.message
        assert "main" in told.value.message
        assert pack_ids(host) == before
        session.abort()
        assert host.prune().finished == 1
        check_nothing_left(host)
        check_invariants(host, {kept: B})

    def test_nobody_is_waited_for_when_nothing_is_to_be_removed(self, host: Kit) -> None:
        """While a backup goes on, a collection that finds nothing takes away the objects of the
        sessions that ended, and waits for none.
        """
        kept = host.backup(A).snapshot.id
        session = begun(other_host(host, "writer"))
        host.prune()
        (left,) = keys(host, layout.SESSIONS)
        assert left.endswith(session.id.hex())
        session.abort()
        check_nothing_left(host)
        check_invariants(host, {kept: A})

    def test_patience_has_an_end(self, host: Kit) -> None:
        """It looks again every five seconds, and gives up after as long as it was told."""
        host.forget(host.backup(A).snapshot.id)
        host.backup(B)
        session = begun(other_host(host, "writer"))
        began = host.clock.elapsed()
        with pytest.raises(BusyError):
            host.prune(wait_seconds=11)
        assert host.clock.elapsed() - began == 11
        told = [event.text for event in host.events if isinstance(event, Notice)]
        assert len([text for text in told if session.id.hex()[:8] in text]) == 1

    @pytest.mark.parametrize("years", [-30, 30])
    def test_silence_is_measured_by_the_store(self, host: Kit, years: int) -> None:
        """A collector whose clock is wrong by decades gives nobody up early, and nobody late."""
        host.forget(host.backup(A).snapshot.id)
        host.backup(B)
        session = begun(other_host(host, "writer"))
        wrong = Kit(host.store, host.state_path.parent / "wrong")
        wrong.clock.sleep(years * YEAR)
        days(host, 0.9)
        with pytest.raises(BusyError):
            wrong.prune()
        days(host, 0.2)
        wrong.prune()
        assert session.key in keys(host, layout.COMMITS)

    def test_a_sign_of_life_is_enough(self, host: Kit) -> None:
        """A session of three days that beats every hour is waited for."""
        host.forget(host.backup(A).snapshot.id)
        host.backup(B)
        session = begun(other_host(host, "writer"))
        for _ in range(3):
            days(host, 0.9)
            session.beat()
        with pytest.raises(BusyError):
            host.prune()
        days(host, 1.1)
        host.prune()
        assert session.key in keys(host, layout.COMMITS)
        check_nothing_left(host)

    def test_who_was_given_up_cannot_commit(self, host: Kit) -> None:
        """What a silent writer relied on goes; its COMMIT is refused with exit 11, and the next
        backup works.
        """
        gone, kept = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(gone)
        writer = other_host(host, "writer")
        session = begun(writer)
        tree = session.writer.new_tree().finish()
        days(host, 2)
        host.prune()
        with pytest.raises(Exception, match="given up") as told:
            commit(session, source_record(tree))
        assert getattr(told.value, "code", 0) == 11
        again = writer.backup(A).snapshot.id
        check_nothing_left(host)
        check_invariants(host, {kept: B, again: A})

    def test_what_sessions_left_that_died_goes(self, host: Kit) -> None:
        """Packs of dead sessions, in an index or in none, go with their sessions."""
        kept = host.backup(A).snapshot.id
        die_at_put(host, B, layout.INDEX)
        die_at_put(host, C, layout.COMMITS)
        assert len(pack_ids(host)) == 3
        with pytest.raises(BusyError):
            host.prune()
        assert len(pack_ids(host)) == 3
        days(host, 2)
        assert host.prune().packs == 2
        check_nothing_left(host)
        check_invariants(host, {kept: A})

    def test_without_a_time_of_the_store_nobody_is_given_up(self, kit: Kit) -> None:
        """A store that does not say when a session was put: it is waited for, for ever."""
        kit.forget(kit.backup(A).snapshot.id, allow_empty=True)
        begun(kit)
        kit.clock.sleep(YEAR)
        with pytest.raises(BusyError):
            kit.prune()


def test_two_hosts_with_one_domain_each(host: Kit, tmp_path: Path) -> None:
    """Snapshots of agents, each in its own domain, are forgotten and removed as others are, and
    what they share in content is shared in no pack.
    """
    agents = [agent_host(host, tmp_path, f"web{number}") for number in range(2)]
    for agent in agents:
        agent.clock = host.clock
    gone = [agent.backup(A | B).snapshot.id for agent in agents]
    kept = [agent.backup(A).snapshot.id for agent in agents]
    mine = host.backup(A).snapshot.id
    host.forget(*gone)
    host.prune(max_unused=0)
    check_nothing_left(host)
    assert ids(host) == {*kept, mine}
    for one in [*kept, mine]:
        assert host.restore(one)[1] == A
    assert agents[0].backup(A).written.chunks == 0


def test_an_agent_keeps_and_collects_nothing(host: Kit, tmp_path: Path) -> None:
    """Its key is refused, exit 12, before anything is put."""
    agent = agent_host(host, tmp_path)
    kept = host.backup(A).snapshot.id
    host.forget(kept)
    before = keys(host, "")
    key = host.keys_of([kept])
    for act in (
        lambda: hold(agent.open(), key, SAYING),
        lambda: unforget(agent.open(), key, SAYING),
        agent.prune,
    ):
        with pytest.raises(KeyRefusedError):
            act()
    assert keys(host, "") == before


def test_a_quarantined_pack_is_no_place_where_a_chunk_is(host: Kit) -> None:
    """It stays while it is the only one; when a backup stored its chunks again, it goes."""
    kept = host.backup(A).snapshot.id
    (bad,) = pack_ids(host)
    host.order(OrderKind.QUARANTINE, PackIds(bad))
    host.forget(host.backup(B, "other").snapshot.id, allow_empty=True)
    host.prune()
    assert bad in pack_ids(host)
    again = host.backup(A).snapshot.id
    assert len(pack_ids(host)) == 2
    host.prune()
    assert bad not in pack_ids(host)
    check_nothing_left(host)
    check_invariants(host, {kept: A, again: A})


@pytest.mark.parametrize("prefix", [layout.COMMITS, layout.ORDERS, layout.INDEX])
def test_what_cannot_be_read_stops_the_collector(host: Kit, prefix: str) -> None:
    """A commit, an order or an index segment with one changed bit: exit 4, nothing is removed. Once
    the object is there again, the collection does what it should.
    """
    gone, kept = (host.backup(files).snapshot.id for files in (A, B))
    host.forget(gone)
    before = keys(host, "")
    for number, key in enumerate(keys(host, prefix)):
        good = host.store.get(key)
        _replace(host.store, key, good[:60] + bytes([good[60] ^ 1]) + good[61:])
        stranger = Kit(host.store, host.state_path.parent / f"stranger {number}")
        with pytest.raises(DamageError) as told:
            stranger.prune()
        assert told.value.code == 4
        assert keys(host, "") == before
        _replace(host.store, key, good)
    host.prune()
    check_nothing_left(host)
    check_invariants(host, {kept: B})


def _replace(store: Store, key: str, value: bytes) -> None:
    store.delete(key)
    store.put(key, value)


def test_a_commit_that_is_gone_stops_the_collector(host: Kit) -> None:
    """A snapshot that others saw vanished: nothing is removed, on a host that never saw it too."""
    gone, lost, _kept = (host.backup(files).snapshot.id for files in (A, B, C))
    host.forget(gone)
    (key,) = host.keys_of([lost])
    value = host.store.get(key)
    host.store.delete(key)
    before = keys(host, "")
    stranger = Kit(host.store, host.state_path.parent / "stranger")
    with pytest.raises(DamageError, match="is gone"):
        stranger.prune()
    with pytest.raises(RefusedError):
        host.prune()
    assert keys(host, "") == before
    host.store.put(key, value)
    host.prune()
    check_nothing_left(host)


def test_a_chunk_that_is_gone_stops_the_collector(host: Kit) -> None:
    """A pack that somebody needs vanished: exit 4, and nothing is removed."""
    kept = host.backup(A).snapshot.id
    (pack,) = keys(host, layout.PACKS)
    host.forget(host.backup(B, "other").snapshot.id, allow_empty=True)
    value = host.store.get(pack)
    host.store.delete(pack)
    before = keys(host, "")
    with pytest.raises(DamageError):
        host.prune()
    assert keys(host, "") == before
    host.store.put(pack, value)
    host.prune()
    check_invariants(host, {kept: A})


@pytest.mark.parametrize("prefix", [layout.COMMITS, layout.PACKS, layout.INDEX])
def test_damage_between_tombs_and_kills_removes_nothing(host: Kit, prefix: str) -> None:
    """What is needed vanishes while the collector waits: it ends its run with an empty kills."""
    gone, kept = (host.backup(files).snapshot.id for files in (A, B))
    host.forget(gone)
    stop_at(host, layout.run_object(1, "kills"), host.prune)
    (key,) = host.keys_of([kept])
    if prefix != layout.COMMITS:
        needed = found_of(host, kept)
        key = layout.pack(needed[0]) if prefix == layout.PACKS else layout.index_segment(needed[1])
    value = host.store.get(key)
    _replace(host.store, key, value[:60] + b"?" + value[61:])
    if prefix == layout.PACKS:
        host.store.delete(key)
    other = Kit(host.store, host.state_path.parent / "stranger")
    before = set(keys(host, ""))
    with pytest.raises(DamageError):
        other.prune()
    after = set(keys(host, ""))
    assert after - before == {layout.run_object(1, part) for part in ("kills", "done")}
    assert all(one.startswith(layout.SESSIONS) for one in before - after)
    host.store.delete(key)
    host.store.put(key, value)
    host.prune()
    check_nothing_left(host)
    check_invariants(host, {kept: B})


class TestBlindRuns:
    """A run of which something cannot be read any more."""

    @pytest.mark.parametrize("part", ["tombs", "waits"])
    def test_it_is_ended_without_removing_anything(self, host: Kit, part: str) -> None:
        """Tombs or waits rotted, and there is no kills: an empty one ends the run, and the next run
        does the work.
        """
        gone, kept = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(gone)
        stop_at(host, layout.run_object(1, "kills"), host.prune)
        _rot(host, layout.run_object(1, part))
        before = pack_ids(host)
        other = Kit(host.store, host.state_path.parent / "stranger")
        stop_at(other, layout.run_object(2, "tombs"), other.prune)
        assert pack_ids(host) == before
        other.prune()
        assert ids(other) == {kept}
        check_invariants(Kit(host.store, host.state_path.parent / "third"), {kept: B})

    @pytest.mark.parametrize("part", ["kills", "done"])
    def test_without_its_kills_or_done_nobody_goes_on(self, host: Kit, part: str) -> None:
        """Nobody knows what may be gone: exit 4 until an order says that the object is void."""
        gone, kept = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(gone)
        following = {"kills": layout.INDEX, "done": layout.run_object(2, "tombs")}[part]
        if part == "kills":
            stop_at(host, following, host.prune)
        else:
            host.prune()
        key = layout.run_object(1, part)
        _rot(host, key)
        other = Kit(host.store, host.state_path.parent / "stranger")
        with pytest.raises(DamageError, match=key):
            other.prune()
        other.order(OrderKind.VOID, (Voided(key, sha256(host.store.get(key))),))
        other.prune()
        assert kept in ids(other)
        assert other.restore(kept)[1] == B

    def test_what_a_void_kills_may_have_named_is_never_relied_on(self, host: Kit) -> None:
        """The packs and the segment that its tombs name may go at any time: a backup stores their
        chunks again, and the next run treats them as if they were not there.
        """
        gone, kept = (host.backup(files).snapshot.id for files in (A, B))
        host.forget(gone)
        stop_at(host, layout.INDEX, host.prune)
        doubtful = [pack for pack in pack_ids(host) if pack in host.store.get(_tombs(1))]
        assert doubtful
        _rot(host, layout.run_object(1, "kills"))
        other = Kit(host.store, host.state_path.parent / "stranger")
        key = layout.run_object(1, "kills")
        other.order(OrderKind.VOID, (Voided(key, sha256(host.store.get(key))),))
        again = other.backup(A)
        assert again.written.chunks > 0
        for pack in doubtful:  # whoever had read the kills goes on
            host.store.delete(layout.pack(pack))
        host.store.delete(host.keys_of([gone])[0])
        other.prune()
        for one, files in ((kept, B), (again.snapshot.id, A)):
            assert other.restore(one)[1] == files


def found_of(kit: Kit, snapshot_id: str) -> tuple[bytes, bytes]:
    """Return the pack that a snapshot was written to, and the segment that lists it."""
    repository = kit.open()
    (key,) = kit.keys_of([snapshot_id])
    commits = {one.key: one.commit for one in repository.read_history().decisions}
    commit = commits[key]
    assert commit is not None
    (segment,) = [one for one in repository.load_index().segments if commit.packs in one.packs]
    return commit.packs, segment.name


def _rot(kit: Kit, key: str) -> None:
    value = kit.store.get(key)
    _replace(kit.store, key, value[:70] + bytes([value[70] ^ 1]) + value[71:])


def _tombs(number: int) -> str:
    return layout.run_object(number, "tombs")


def test_what_a_late_request_brings_back_goes_again(host: Kit) -> None:
    """Packs, segments and commits that were removed are put once more: nobody relies on them or
    lists them, and the next collection removes them.
    """
    gone, kept = (host.backup(files).snapshot.id for files in (A, B))
    before = {key: host.store.get(key) for key in keys(host, "")}
    host.forget(gone)
    host.prune()
    removed = {key: value for key, value in before.items() if key not in keys(host, "")}
    assert {key.partition("/")[0] for key in removed} >= {"packs", "index", "commits"}
    for key, value in removed.items():
        host.store.put(key, value)
    assert ids(host) == {kept}
    again = host.backup(A)
    assert again.written.chunks > 0
    host.prune()
    assert not removed.keys() & set(keys(host, ""))
    check_nothing_left(host)
    check_invariants(host, {kept: B, again.snapshot.id: A})


def test_nothing_to_do_puts_nothing(host: Kit) -> None:
    """A collection that finds nothing to remove begins no run."""
    host.backup(A)
    host.prune()
    before = keys(host, "")
    host.prune()
    assert keys(host, "") == before


def test_a_release_names_only_its_hold(host: Kit) -> None:
    """To release what is no hold changes nothing."""
    kept = host.backup(A).snapshot.id
    host.hold(kept)
    host.order(OrderKind.RELEASE, Targets(tuple(host.keys_of([kept]))))
    host.forget(kept, allow_empty=True)
    host.prune()
    assert ids(host) == {kept}


def test_the_store_of_another_clock(tmp_path: Path) -> None:
    """A store without any time: the grace goes by the clock of the host, and the forget's own."""
    kit = Kit(MemoryStore(), tmp_path / "state")
    kit.init()
    gone, _kept = (kit.backup(files).snapshot.id for files in (A, B))
    kit.forget(gone)
    days(kit, 6)
    assert kit.prune(grace_ns=7 * DAY_NS).commits == 0
    days(kit, 2)
    assert kit.prune(grace_ns=7 * DAY_NS).commits == 1


class Hiding(ForwardingStore):
    """A store whose listings lack one object that is there, ``times`` often."""

    def __init__(self, within: Store, key: str, times: int) -> None:
        super().__init__(within)
        self._key = key
        self._left = times

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        found = list(super().list(prefix))
        if self._left > 0 and any(info.key == self._key for info in found):
            self._left -= 1
            found = [info for info in found if info.key != self._key]
        return iter(found)


@pytest.mark.parametrize("times", [1, 2, 3, 4, 1000])
def test_a_listing_that_lacks_a_commit_is_no_evidence(host: Kit, times: int) -> None:
    """A store forgets to list a commit that is there, once or always. Others name it, so nothing of
    it is removed: the collector looks again, and gives up if it stays so.
    """
    gone, kept = (host.backup(files).snapshot.id for files in (A, B))
    host.forget(gone)
    (key,) = host.keys_of([kept])
    stranger = Kit(Hiding(host.store, key, times), host.state_path.parent / "stranger")
    if times > 100:
        with pytest.raises(FencedError, match="is not listed"):
            stranger.prune()
    else:
        stranger.prune()
    check_nothing_left(host)
    check_invariants(host, {kept: B})
