"""Collectors in rare moments: what came late, what another one ended, what must be durable."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.crypto.primitives import sha256
from strongroom.errors import BusyError, DamageError
from strongroom.model.events import Advanced, PhaseBegan
from strongroom.repository import layout
from strongroom.repository.collection.collect import CollectLimits, Collector
from strongroom.repository.collection.survey import Keep, MovedOnError, Survey, survey
from strongroom.repository.envelope import Kind
from strongroom.repository.records import OrderKind, PackIds, Voided
from tests.repository.test_collect import Hiding
from tests.repository.test_collect_races import A, B, Told, keys, other_host, stop_at, with_garbage
from tests.support.agents import agent_host
from tests.support.hooks import HookedStore
from tests.support.invariants import check_invariants, check_nothing_left
from tests.support.kit import DAY_NS, Kit
from tests.support.noise import noise
from tests.support.recording import RecordingStore
from tests.support.runs import pack_ids, put_removals, segment_ids

pytestmark = pytest.mark.spec("B2")

C = {b"c": noise(3000, "c")}


def look(kit: Kit) -> Survey:
    """Return what a run would find."""
    limits = CollectLimits(grace_ns=0, silent_ns=DAY_NS, wait_seconds=0, max_unused=0)
    return Collector(kit.open(), limits).look()


def test_damage_that_another_collector_did_not_meet_is_no_alarm(host: Kit) -> None:
    """A segment rots before the last look of one collector, is mended, and another collector ends
    the run: what it decided rules, it is done to the end, and nothing is told to be damaged.
    """
    kept = with_garbage(host)
    stop_at(host, layout.run_object(1, "kills"), host.prune)
    key = keys(host, layout.INDEX)[0]
    good = host.store.get(key)
    host.store.delete(key)
    host.store.put(key, good[:60] + bytes([good[60] ^ 1]) + good[61:])
    hooked = HookedStore(host.store)
    slow = other_host(host, "slow")
    slow.store = hooked

    def mend_and_collect() -> None:
        host.store.delete(key)
        host.store.put(key, good)
        host.prune()

    hooked.before("put", layout.run_object(1, "kills"), mend_and_collect)
    assert slow.prune().packs >= 0
    check_nothing_left(host)
    check_invariants(host, {kept: B})


@pytest.mark.parametrize("prefix", [layout.ORDERS, layout.COMMITS])
def test_what_only_a_collection_saw_is_missed(host: Kit, prefix: str) -> None:
    """The kills of a run name the orders and commits that were there: one that vanishes later is
    missed by a host that never saw it, though no other one names it.
    """
    with_garbage(host)
    before = set(keys(host, prefix))
    if prefix == layout.COMMITS:
        host.backup(B)
    else:
        host.forget(host.backup(A).snapshot.id)
    (last,) = set(keys(host, prefix)) - before
    host.prune()
    host.store.delete(last)
    stranger = other_host(host, "stranger")
    assert stranger.open().read_history().lost == [last]


def test_a_quarantined_pack_keeps_nothing_that_lies_elsewhere(host: Kit) -> None:
    """It is weak: of a chunk that lies in it and in another pack the other one counts."""
    host.backup(A)
    (bad,) = pack_ids(host)
    host.order(OrderKind.QUARANTINE, PackIds(bad))
    assert look(host).weak == {bad}
    assert look(host).kept_packs() == {bad}
    host.backup(A)
    found = look(host)
    assert found.weak == {bad}
    assert found.kept_packs() == set(pack_ids(host)) - {bad}


def test_a_doubtful_pack_keeps_nothing_that_lies_elsewhere(host: Kit) -> None:
    """A kills that nobody can read may have named a pack of its tombs: whoever read it may still
    remove that. It is weak: of a chunk that lies elsewhere too the other pack counts.
    """
    host.backup(A)
    (bad,) = pack_ids(host)
    put_removals(host, 1, Kind.TOMBS, packs=[bad])
    key = layout.run_object(1, "kills")
    host.store.put(key, b"rotten")
    host.order(OrderKind.VOID, (Voided(key, sha256(b"rotten")),))
    assert look(host).past.doubtful.packs == {bad}
    host.backup(A)
    found = look(host)
    assert found.weak == {bad}
    assert found.kept_packs() == set(pack_ids(host)) - {bad}


def test_a_pack_that_only_a_doubtful_segment_lists_is_weak(host: Kit) -> None:
    """A kills that nobody can read, and that is declared void, may have named a segment: whoever
    read it may still remove that, so another pack with the same counts.
    """
    host.backup(A)
    (pack,) = pack_ids(host)
    put_removals(host, 1, Kind.TOMBS, index=segment_ids(host))
    key = layout.run_object(1, "kills")
    host.store.put(key, b"rotten")
    host.order(OrderKind.VOID, (Voided(key, sha256(b"rotten")),))
    found = look(host)
    assert found.past.doubtful.packs == frozenset()
    assert found.weak == {pack}


def test_a_segment_that_an_order_declared_void_stops_nobody(host: Kit) -> None:
    """A segment rotted, an order says so, and a backup stored what it listed again: a collection
    goes on, and does not read it.
    """
    host.backup(A)
    (key,) = keys(host, layout.INDEX)
    host.store.delete(key)
    host.store.put(key, b"rotten")
    stranger = other_host(host, "stranger")
    stranger.order(OrderKind.VOID, (Voided(key, sha256(b"rotten")),))
    again = stranger.backup(A).snapshot.id
    stranger.forget(stranger.backup(B, "other").snapshot.id, allow_empty=True)
    assert stranger.prune().packs >= 1
    assert stranger.restore(again)[1] == A


def test_a_commit_that_an_order_declared_void_stops_nobody(host: Kit) -> None:
    """A commit rotted that others name, and an order says so: it is not missed, by no listing, and
    a collection goes on.
    """
    lost = host.backup(A).snapshot.id
    (key,) = host.keys_of([lost])
    kept = with_garbage(host)
    host.store.delete(key)
    host.store.put(key, b"rotten")
    stranger = other_host(host, "stranger")
    stranger.order(OrderKind.VOID, (Voided(key, sha256(b"rotten")),))
    assert stranger.prune().commits == 1
    assert [one.id for one in stranger.snapshots()] == [kept]
    assert stranger.restore(kept)[1] == B


def test_what_goes_is_not_written_anew(host: Kit) -> None:
    """Only packs that stay count as little used."""
    with_garbage(host)
    done = host.prune(max_unused=0)
    assert (done.packs, done.repacked.packs, done.unused_bytes) == (1, [], 0)


def test_what_a_snapshot_owes_its_life_to_stays_with_it(host: Kit) -> None:
    """A snapshot was forgotten, brought back and forgotten again. An un-forget that looked before
    the tombs brings it back once more: the first un-forget, which the tombs name, stays as well,
    since without it the first forget would count again.
    """
    back = host.backup(A).snapshot.id
    kept = host.backup(B).snapshot.id
    host.forget(back)
    first = host.undelete(back)
    host.forget(back)
    hooked = HookedStore(host.store)
    other = other_host(host, "other")
    other.store = hooked

    def collect_as_far_as_it_goes() -> None:
        with pytest.raises(BusyError):
            host.prune()

    hooked.before("put", layout.COMMITS, collect_as_far_as_it_goes)
    other.undelete(back)
    host.prune()
    assert first.key in keys(host, layout.COMMITS)
    check_nothing_left(host)
    check_invariants(host, {back: A, kept: B})


def test_a_run_ends_when_all_of_it_is_gone(host: Kit) -> None:
    """Its last change is its done: whoever sees that has nothing left to remove."""
    with_garbage(host)
    told = Told(host)
    kit = other_host(host, "this")
    kit.store = told
    kit.prune()
    verbs = [verb for verb, _key in told.changes]
    assert told.changes[-1] == ("put", layout.run_object(1, "done"))
    assert "delete" in verbs


def test_what_another_collector_moved_is_no_damage(host: Kit) -> None:
    """While one looks for the last time, another one ends the run and writes packs anew: what is
    needed is in none of the packs that the first one listed, and it has to look again.
    """
    gone = host.backup(A | C).snapshot.id
    kept = host.backup(A).snapshot.id
    host.forget(host.backup(B).snapshot.id)
    last = host.backup(A).snapshot.id
    stop_at(host, layout.run_object(1, "kills"), lambda: host.prune(max_unused=1))
    host.forget(gone)
    hooked = HookedStore(host.store)
    slow = other_host(host, "slow")
    slow.store = hooked
    repository = slow.open()
    (run,) = repository.read_runs(()).runs
    assert run.tombs is not None
    hooked.after("list", layout.PACKS, lambda: host.prune(max_unused=0))
    with pytest.raises(MovedOnError, match="went on"):
        survey(repository, Keep(0), within=(1, run.tombs))
    check_nothing_left(host)
    check_invariants(host, {kept: A, last: A})


def test_a_killed_pack_that_comes_back_holds_nothing(host: Kit) -> None:
    """A segment lists many packs, one of which was removed and arrives once more: its chunks count
    as lying elsewhere alone, since a late delete may take it at any time.
    """
    names = [{b"f": noise(500, str(number))} for number in range(10)]
    made = [host.backup(files, "one of many").snapshot.id for files in names]
    host.forget(host.backup(A).snapshot.id, allow_empty=True)
    host.prune()
    assert len(keys(host, layout.INDEX)) == 1
    before = {key: host.store.get(key) for key in keys(host, layout.PACKS)}
    host.forget(made[0])
    host.prune()
    (killed,) = before.keys() - set(keys(host, layout.PACKS))
    host.store.put(killed, before[killed])
    again = host.backup(names[0], "one of many").snapshot.id
    assert layout.pack_id(killed) not in look(host).census.packs
    host.prune()
    assert killed not in keys(host, layout.PACKS)
    check_nothing_left(host)
    wanted = dict(zip([*made[1:], again], [*names[1:], names[0]], strict=True))
    check_invariants(host, wanted)


def stored_twice(host: Kit) -> str:
    """Two hosts store the same files at once, so that every chunk lies in two packs; a snapshot."""
    hooked = HookedStore(host.store)
    first, second = other_host(host, "first"), other_host(host, "second")
    first.store = hooked
    hooked.before("put", layout.PACKS, lambda: second.backup(A))
    kept = first.backup(A).snapshot.id
    assert len(pack_ids(host)) == 2
    return kept


def test_a_pack_that_was_quarantined_meanwhile_takes_no_place(host: Kit) -> None:
    """Of two packs with the same the tombs name one, and then somebody finds the other one bad and
    says so by an order: the one in the tombs stays, whatever the bytes of the other are.
    """
    kept = stored_twice(host)
    stop_at(host, layout.run_object(1, "kills"), host.prune)
    (run,) = host.open().read_runs(()).runs
    assert run.tombs is not None
    (other,) = [pack for pack in pack_ids(host) if pack != run.tombs.packs]
    host.order(OrderKind.QUARANTINE, PackIds(other))
    host.prune()
    assert run.tombs.packs in pack_ids(host)
    check_nothing_left(host)
    assert pack_ids(host) == [run.tombs.packs]
    assert host.restore(kept)[1] == A


def test_only_what_takes_the_place_of_another_is_proven(host: Kit) -> None:
    """Of two packs with the same the one that stays is read whole, and not the one that goes."""
    stored_twice(host)
    recording = RecordingStore(host.store)
    kit = other_host(host, "this")
    kit.store = recording
    kit.prune()
    whole = {key for verb, key in recording.requests if (verb, key[:6]) == ("get", "packs/")}
    assert whole == set(keys(host, layout.PACKS))


def test_a_run_without_tombs_is_ended(host: Kit) -> None:
    """Its tombs vanished: nobody knows what it was about, so it ends with an empty kills and
    nothing is removed by it; the next run does the work.
    """
    kept = with_garbage(host)
    stop_at(host, layout.run_object(1, "kills"), host.prune)
    host.store.delete(layout.run_object(1, "tombs"))
    before = pack_ids(host)
    other = other_host(host, "other")
    stop_at(other, layout.run_object(2, "tombs"), other.prune)
    assert pack_ids(host) == before
    check_nothing_left(host)
    check_invariants(host, {kept: B})


def test_when_everything_is_gone_nothing_is_put(host: Kit) -> None:
    """What was removed once is no reason for another run."""
    with_garbage(host)
    host.prune()
    before = keys(host, "")
    host.prune()
    assert keys(host, "") == before


def test_what_was_gone_through_is_not_gone_through_again(host: Kit) -> None:
    """A chunk is new once for each way to go through it; else shared trees would be read for ever
    anew.
    """
    host.backup(A)
    census = look(host).census
    (chunk, *_rest) = next(census.needed_ids())
    for way in (("list", 7), ("list", 8)):
        assert [census.enter([chunk], way) for _ in range(3)] == [[True], [False], [False]]


def test_what_shares_nothing_is_not_proven(host: Kit) -> None:
    """No pack is read whole where none takes the place of another: a collection costs what it has
    to.
    """
    kept = with_garbage(host)
    recording = RecordingStore(host.store)
    kit = other_host(host, "this")
    kit.store = recording
    assert kit.prune().packs == 1
    assert not [key for verb, key in recording.requests if (verb, key[:6]) == ("get", "packs/")]
    check_invariants(host, {kept: B})


def test_damage_is_told_though_runs_ended_before(host: Kit) -> None:
    """A segment rots while the second run waits: it ends with an empty kills and the damage is
    told. That an earlier run removed something is no reason to look again.
    """
    kept = with_garbage(host)
    host.prune()
    host.forget(host.backup(C).snapshot.id)
    last = host.backup(B).snapshot.id
    stop_at(host, layout.run_object(2, "kills"), host.prune)
    key = keys(host, layout.INDEX)[0]
    good = host.store.get(key)
    host.store.delete(key)
    host.store.put(key, b"rotten")
    packs = pack_ids(host)
    with pytest.raises(DamageError, match=key):
        other_host(host, "stranger").prune()
    assert pack_ids(host) == packs
    assert layout.run_object(2, "done") in keys(host, layout.GC)
    host.store.delete(key)
    host.store.put(key, good)
    check_nothing_left(host)
    check_invariants(host, {kept: B, last: B})


@pytest.mark.parametrize("part", ["tombs", "kills"])
def test_all_that_a_decision_rests_on_is_durable_before_it(host: Kit, part: str) -> None:
    """Packs, index, commits, orders and the runs before are made durable, then tombs and kills are
    put: a power cut that takes one of the former never leaves one of the latter.
    """
    with_garbage(host)
    told = Told(host)
    kit = other_host(host, "this")
    kit.store = told
    kit.prune()
    before = told.changes[: told.changes.index(("put", layout.run_object(1, part)))]
    assert before[-1] == ("sync", str([*kit.open().relied_prefixes(), layout.GC]))


def test_a_killed_segment_that_comes_back_damaged_stops_nobody(host: Kit) -> None:
    """What was removed counts as absent, whatever its bytes are now: it is removed once more."""
    with_garbage(host)
    before = keys(host, layout.INDEX)
    host.prune()
    (killed,) = set(before) - set(keys(host, layout.INDEX))
    host.store.put(killed, b"of a request that broke off")
    other_host(host, "stranger").prune()
    assert killed not in keys(host, layout.INDEX)
    check_nothing_left(host)


def test_what_is_removed_is_told_beforehand(host: Kit) -> None:
    """The phase of removing says how many packs, segments and commits go, and advances so far."""
    with_garbage(host)
    host.events.clear()
    done = host.prune()
    assert (done.packs, done.segments, done.commits) == (1, 1, 1)
    place, phase = next(
        (place, event)
        for place, event in enumerate(host.events)
        if isinstance(event, PhaseBegan) and event.phase == "remove"
    )
    assert phase.total_items == 3
    advanced = [event.items for event in host.events[place:] if isinstance(event, Advanced)]
    assert sum(advanced) >= 3


@pytest.mark.parametrize("times", range(1, 7))
def test_a_listing_that_lacks_a_commit_is_no_evidence_at_the_end(host: Kit, times: int) -> None:
    """A run waits for its kills, and the store forgets for a while to list a commit that is there:
    whichever listing lacks it, the collector looks again until it sees it.
    """
    kept = with_garbage(host)
    stop_at(host, layout.run_object(1, "kills"), host.prune)
    (key,) = host.keys_of([kept])
    stranger = other_host(host, "stranger")
    stranger.store = Hiding(host.store, key, times)
    assert stranger.prune().packs == 1
    check_nothing_left(host)
    check_invariants(host, {kept: B})


def test_to_look_while_a_run_cannot_be_read_is_refused(host: Kit) -> None:
    """Nobody knows what is there: exit 4, with the object."""
    with_garbage(host)
    key = layout.run_object(1, "kills")
    host.store.put(key, b"rotten")
    with pytest.raises(DamageError, match=f"cannot collect: {key} is damaged"):
        look(host)


def test_what_an_agent_says_it_saw_stops_the_collector(host: Kit, tmp_path: Path) -> None:
    """A commit that only an agent's commit names is gone: it may be true, so nothing is removed."""
    agent = agent_host(host, tmp_path)
    agent.clock = host.clock
    lost, kept = agent.backup(A).snapshot, agent.backup(B).snapshot
    (key,) = [one for one in keys(host, layout.COMMITS) if one.endswith(lost.id)]
    host.store.delete(key)
    packs = pack_ids(host)
    with pytest.raises(DamageError, match=f"{key} is not there, and an agent's commit"):
        other_host(host, "stranger").prune()
    assert pack_ids(host) == packs
    assert other_host(host, "reader").restore(kept.id)[1] == B
