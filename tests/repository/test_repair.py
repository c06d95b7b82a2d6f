"""What a repair does about each kind of damage, and what it never does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from strongroom.crypto.primitives import sha256
from strongroom.errors import KeyRefusedError, RefusedError, UsageError
from strongroom.operations.keys import add_key
from strongroom.operations.repair import RepairResult, lost_snapshots
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.collection.collect import CollectLimits, Collector
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.ordering import put_order
from strongroom.repository.records import (
    IndexBody,
    IndexedPack,
    OrderKind,
    PackIds,
    SlotKind,
    SlotRole,
    Targets,
    Waits,
)
from strongroom.repository.repair.repairplan import Step
from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from strongroom.storage.wrappers.metered import MeteredStore
from tests.faults.workloads import objects_of
from tests.support.agents import agent_host
from tests.support.hooks import HookedStore
from tests.support.kit import Kit
from tests.support.mending import (
    copied,
    copy_of,
    files_of,
    flipped,
    mended,
    notes,
    replica_of,
    spoil,
)
from tests.support.noise import noise
from tests.support.runs import pack_ids, put_removals, segment_ids
from tests.support.segments import listed_pack, sealed_segment

pytestmark = pytest.mark.spec("B8")

FILES = {b"f%02d" % n: noise(400_000, str(n)) for n in range(24)}  # three frames
HOUR_NS = 3_600_000_000_000


def steps(result: RepairResult) -> list[Step]:
    """Return what is done, each step once, in order."""
    return list(dict.fromkeys(action.step for action in result.plan.actions))


def only_pack(kit: Kit) -> str:
    """Return the key of the only pack."""
    (pack,) = pack_ids(kit)
    return layout.pack(pack)


def collect(kit: Kit) -> None:
    """Collect once, without any grace."""
    limits = CollectLimits(
        grace_ns=0, silent_ns=HOUR_NS, wait_seconds=1, max_unused=0.0, max_repack_bytes=None
    )
    kit.clock.sleep(7200)
    Collector(kit.open(), limits).run()


# -- nothing is wrong, or nothing is to be changed


def test_a_sound_repository_is_left_alone(kit: Kit) -> None:
    """Nothing is put, not even a session; packs of sessions that died are no damage."""
    kit.backup(FILES)
    before = objects_of(kit.store)
    result = mended(kit)
    assert (result.plan.actions, result.after, result.left.damage) == ((), None, [])
    assert objects_of(kit.store) == before


def test_a_dry_run_says_what_would_be_done_and_puts_nothing(kit: Kit) -> None:
    """The plan of a dry run is the plan of the repair."""
    kit.backup(FILES)
    spoil(kit, only_pack(kit), flipped(kit.store.get(only_pack(kit))))
    before = objects_of(kit.store)
    dry = mended(kit, dry_run=True)
    assert objects_of(kit.store) == before
    assert dry.after is None
    assert dry.left.damage
    assert mended(kit).plan == dry.plan


def test_only_a_full_key_repairs(kit: Kit, tmp_path: Path) -> None:
    """A reader and an agent are refused before anything is looked at."""
    reader = Kit(kit.store, tmp_path / "reader")
    reader.secrets = [Secret(SlotKind.KEY_FILE, b"reads in thirty-two bytes, fixed")]
    add_key(kit.open(), reader.secrets[0], SlotRole.READER)
    for weak in (reader, agent_host(kit, tmp_path)):
        with pytest.raises(KeyRefusedError):
            mended(weak)


# -- packs


def test_what_can_still_be_read_of_a_damaged_pack_is_saved(kit: Kit) -> None:
    """One frame is damaged: its files are named, the others are written anew, the pack is in
    quarantine, and a second repair has nothing more to do than the first one left.
    """
    snapshot = kit.backup(FILES).snapshot
    key = only_pack(kit)
    spoil(kit, key, flipped(kit.store.get(key), 1000))
    result = mended(kit)
    assert steps(result) == [Step.WRITE, Step.QUARANTINE]
    lost = {finding.path for finding in result.left.damage}
    assert lost
    assert lost < FILES.keys()
    assert lost_snapshots(result.left) == [snapshot.short_id]
    restored, files = kit.restore(snapshot.id)
    assert {problem.path for problem in restored.damaged} == lost
    assert files == {path: data for path, data in FILES.items() if path not in lost}
    assert key in notes(result)
    spoil(kit, key, None)  # nobody relies on it: what was saved is elsewhere
    assert kit.restore(snapshot.id)[1] == files
    again = mended(kit)
    assert {finding.path for finding in again.left.damage} == lost


def test_the_next_backup_stores_again_what_was_lost(kit: Kit) -> None:
    """The source still has it: nobody relies on the bad pack, so the old snapshot is whole too."""
    kit.backup(FILES)
    spoil(kit, only_pack(kit), flipped(kit.store.get(only_pack(kit))))
    mended(kit)
    kit.clock.sleep(10)
    backup = kit.backup(FILES, "another source")
    assert 0 < backup.written.plain_bytes < 6_000_000
    assert kit.verify().damage == []
    assert files_of(kit) == [FILES, FILES]


def test_a_pack_that_is_back_after_it_was_in_quarantine_counts_no_more(
    kit: Kit, tmp_path: Path
) -> None:
    """A repair without a copy gave it up; one with a copy writes its chunks into new packs."""
    kit.backup(FILES)
    replica = replica_of(kit, tmp_path / "replica")
    key = only_pack(kit)
    spoil(kit, key, None)
    assert mended(kit).left.damage
    result = mended(kit, replica)
    assert steps(result) == [Step.WRITE]
    assert result.left.damage == []
    assert key not in objects_of(kit.store)
    assert files_of(kit) == [FILES]


def test_a_missing_pack_is_put_back_under_its_name(kit: Kit, tmp_path: Path) -> None:
    """The same object, and nothing else: neither a new pack nor an order."""
    kit.backup(FILES)
    replica = replica_of(kit, tmp_path / "replica")
    before = objects_of(kit.store)
    spoil(kit, only_pack(kit), None)
    result = mended(kit, replica)
    assert Step.PUT_BACK in steps(result)
    assert Step.QUARANTINE not in steps(result)
    assert result.left.damage == []
    after = objects_of(kit.store)
    assert {k for k in after.keys() - before.keys() if not k.startswith(("sess", "comm"))} == set()


def test_a_pack_of_the_replica_that_is_not_what_its_name_says_is_not_taken(
    kit: Kit, tmp_path: Path
) -> None:
    """A replica that lies, or is damaged itself, gives nothing."""
    kit.backup(FILES)
    replica = replica_of(kit, tmp_path / "replica")
    key = only_pack(kit)
    spoil(replica, key, noise(5000))
    spoil(kit, key, None)
    result = mended(kit, replica)
    assert Step.PUT_BACK not in steps(result)
    assert key not in objects_of(kit.store)
    assert result.left.damage


def test_a_pack_that_seems_sound_is_found_out_without_reading_all(kit: Kit, tmp_path: Path) -> None:
    """Its tree cannot be read, so it is read whole, and all of it is saved from the replica."""
    kit.backup({b"a": b"1"})
    replica = replica_of(kit, tmp_path / "replica")
    key = only_pack(kit)
    data = kit.store.get(key)
    spoil(kit, key, data[:220] + bytes(len(data) - 300) + data[-80:])
    result = mended(kit, replica, read_data=False)
    assert steps(result) == [Step.WRITE, Step.QUARANTINE]
    assert kit.verify().damage == []


def test_chunks_of_an_agent_stay_in_its_domain(kit: Kit, tmp_path: Path) -> None:
    """The agent can go on relying on them, and nobody else has them in the index."""
    agent = agent_host(kit, tmp_path)
    agent.backup(FILES)
    replica = replica_of(kit, tmp_path / "replica")
    spoil(kit, only_pack(kit), flipped(kit.store.get(only_pack(kit))))
    assert mended(kit, replica).left.damage == []
    agent.clock.sleep(60)
    assert agent.backup(FILES, "another source").written.plain_bytes < 1000
    assert files_of(kit) == [FILES, FILES]


# -- index


def _lying_segment(kit: Kit, salt: bytes) -> tuple[str, bytes]:
    """Return a segment that lists chunks of the only pack at places where others are."""
    good = listed_pack(kit)
    ids = [good.ids[i : i + 32] for i in range(0, len(good.ids), 32)]
    swapped = b"".join([*ids[1:2], *ids[:1], *ids[2:]])
    lying = IndexedPack(good.pack_id, good.size, good.frames, swapped, good.lengths)
    data = sealed_segment(IndexBody((lying,), b"", b""), kit.open().keyring.own_domain, salt)
    return layout.index_segment(sha256(data)), data


def test_a_segment_that_says_what_is_not_so_is_void(kit: Kit) -> None:
    """It lists chunks at places of a pack where others are; the pack itself says what is where."""
    kit.backup(FILES)
    (segment,) = segment_ids(kit)
    key, data = _lying_segment(kit, noise(32, "salt"))
    spoil(kit, layout.index_segment(segment), None)
    kit.store.put(key, data)
    assert kit.verify().damage
    result = mended(kit)
    assert [a.key for a in result.plan.actions if a.step is Step.VOID] == [key]
    assert result.left.damage == []
    assert files_of(kit) == [FILES]


@pytest.mark.parametrize("first", [True, False])
def test_of_two_segments_that_differ_the_pack_says_which_is_right(kit: Kit, *, first: bool) -> None:
    """Whichever is listed first: the one that lies is void, the other stays, nothing is lost."""
    kit.backup(FILES)
    (segment,) = segment_ids(kit)
    honest = layout.index_segment(segment)
    lying = (_lying_segment(kit, noise(32, f"salt {n}")) for n in range(1000))
    key, data = next(one for one in lying if (one[0] < honest) is first)
    kit.store.put(key, data)
    assert kit.verify(read_data=False).damage
    result = mended(kit, read_data=False)
    assert [a.key for a in result.plan.actions if a.step is Step.VOID] == [key]
    assert kit.verify().damage == []
    assert files_of(kit) == [FILES]


def test_a_void_segment_disturbs_nobody(kit: Kit) -> None:
    """Backups rely on what is listed again, and no warning comes any more."""
    kit.backup(FILES)
    (segment,) = segment_ids(kit)
    key = layout.index_segment(segment)
    spoil(kit, key, flipped(kit.store.get(key)))
    mended(kit)
    kit.events.clear()
    kit.clock.sleep(60)
    assert kit.backup(FILES, "another source").written.plain_bytes < 1000
    assert not [event for event in kit.events if "warning" in str(event)]
    assert key in [finding.subject for finding in kit.verify().findings]


# -- what a person must say


def test_no_commit_is_given_up_unless_a_person_names_it(kit: Kit) -> None:
    """Borg's repair killed archives whose manifest it could not read (#1837): here a commit that
    cannot be read stays what it is, until somebody names it; then its key stays taken.
    """
    first = kit.backup({b"a": b"1"}).snapshot
    kit.backup({b"a": b"2"})
    spoil(kit, first.key, flipped(kit.store.get(first.key)))
    result = mended(kit)
    assert steps(result) == [Step.LEFT]
    assert f"--void {first.key}" in result.plan.actions[0].reason
    assert [finding.subject for finding in result.left.damage] == [first.key]
    result = mended(kit, void=[first.key])
    assert result.left.damage == []
    assert first.key in notes(result)
    assert first.key in objects_of(kit.store)
    assert files_of(kit) == [{b"a": b"2"}]
    kit.backup({b"a": b"3"})


def test_a_void_commit_counts_for_nobody_who_has_it_cached(kit: Kit) -> None:
    """The host that made it still has the good bytes; what an order says holds there as well."""
    first = kit.backup({b"a": b"1"}).snapshot
    kit.backup({b"a": b"2"})
    kit.snapshots()
    spoil(kit, first.key, flipped(kit.store.get(first.key)))
    assert len(kit.snapshots()) == 2
    mended(kit, void=[first.key])
    assert len(kit.snapshots()) == 1


def test_where_a_commit_is_gone_an_abort_is_put_first(kit: Kit) -> None:
    """Or a late COMMIT of that session would count, after its packs were collected."""
    first = kit.backup({b"a": b"1"}).snapshot
    kit.backup({b"a": b"2"})
    spoil(kit, first.key, None)
    with pytest.raises(RefusedError):
        kit.backup({b"a": b"3"})
    hooked = HookedStore(kit.store)
    seen: list[bool] = []
    hooked.before("put", layout.ORDERS, lambda: seen.append(first.key in objects_of(kit.store)))
    assert mended(Kit(hooked, kit.state_path), void=[first.key]).left.damage == []
    assert seen == [True]
    assert kit.open().log.read(first.key, cached=False).commit is None
    kit.backup({b"a": b"3"})


def test_orders_are_given_up_by_name(kit: Kit) -> None:
    """What it said is lost; the order that says so is all that changes."""
    snapshot = kit.backup({b"a": b"1"}).snapshot
    repository = kit.open()
    forget = Targets((snapshot.key,))
    order = put_order(repository, repository.read_history(), OrderKind.FORGET, forget)
    for data in (flipped(kit.store.get(order.key)), None):
        spoil(kit, order.key, data)
        assert [f.subject for f in mended(kit).left.damage] == [order.key]
    assert mended(kit, void=[order.key]).left.damage == []
    assert [listed.id for listed in kit.snapshots()] == [snapshot.id]


@pytest.mark.parametrize(
    ("key", "error", "why"),
    [
        ("config", UsageError, "declare void"),
        ("packs/aa", UsageError, "declare void"),
        ("gc/00000001/tombs", UsageError, "declare void"),
        ("orders/" + "ab" * 16, RefusedError, "nobody misses it"),
        ("commits", UsageError, "declare void"),
    ],
)
def test_what_cannot_be_declared_void(kit: Kit, key: str, error: type[Exception], why: str) -> None:
    """Not what no order can be about, and not what nobody misses."""
    kit.backup({b"a": b"1"})
    with pytest.raises(error, match=why):
        mended(kit, void=[key])


def test_what_can_be_read_cannot_be_declared_void(kit: Kit) -> None:
    """A slip of the pen deletes no snapshot."""
    snapshot = kit.backup({b"a": b"1"}).snapshot
    with pytest.raises(RefusedError, match="it can be read"):
        mended(kit, void=[snapshot.key])


# -- runs of collectors


def test_a_run_that_cannot_be_read_removes_nothing(kit: Kit) -> None:
    """Its tombs are damaged: it is ended by an empty kills, and collecting goes on."""
    kit.backup(FILES)
    key = put_removals(kit, 1, Kind.TOMBS, packs=pack_ids(kit))
    _put_waits(kit, 1)
    spoil(kit, key, flipped(kit.store.get(key)))
    assert kit.verify().damage
    result = mended(kit)
    assert steps(result) == [Step.END_RUN]
    assert result.left.damage == []
    collect(kit)
    assert files_of(kit) == [FILES]


def _put_waits(kit: Kit, run: int) -> None:
    repository = kit.open()
    key = layout.run_object(run, "waits")
    body = encode(Waits(()))
    admin = repository.keyring.admin_signer()
    kit.store.put(key, wrap(Kind.WAITS, repository.id, key, body, admin.sign))


def test_kills_that_cannot_be_read_are_given_up_by_name(kit: Kit) -> None:
    """What that run tombed counts for nothing any more: needed chunks are written anew first."""
    kit.backup(FILES)
    old = pack_ids(kit)
    put_removals(kit, 1, Kind.TOMBS, packs=old)
    key = put_removals(kit, 1, Kind.KILLS, packs=old)
    spoil(kit, key, flipped(kit.store.get(key)))
    result = mended(kit, void=[key])
    assert steps(result) == [Step.WRITE, Step.VOID]
    assert result.left.damage == []
    for pack in old:  # by somebody who had read them
        spoil(kit, layout.pack(pack), None)
    assert files_of(kit) == [FILES]
    assert kit.verify().damage == []


def test_a_pack_that_a_run_tombed_is_no_sound_place(kit: Kit) -> None:
    """The chunk lies in a bad pack and in one that an unfinished run may remove: it is written
    anew, whatever that run decides.
    """
    kit.backup(FILES)
    (bad,) = pack_ids(kit)
    data, segment = kit.store.get(layout.pack(bad)), layout.index_segment(segment_ids(kit)[0])
    listing = kit.store.get(segment)
    spoil(kit, layout.pack(bad), None)
    spoil(kit, segment, None)
    kit.clock.sleep(60)
    kit.backup(FILES, "another source")
    (good,) = pack_ids(kit)
    kit.store.put(layout.pack(bad), flipped(data))
    kit.store.put(segment, listing)
    put_removals(kit, 1, Kind.TOMBS, packs=[good])
    assert steps(mended(kit)) == [Step.WRITE, Step.QUARANTINE]
    spoil(kit, layout.pack(good), None)
    assert files_of(kit) == [FILES, FILES]


def test_a_collector_keeps_what_a_repair_wrote(kit: Kit, tmp_path: Path) -> None:
    """After a repair everything that is collected is what is in quarantine, and what is void."""
    kit.backup(FILES)
    kit.clock.sleep(60)
    kit.backup(FILES | {b"new": b"new"})
    replica = replica_of(kit, tmp_path / "replica")
    bad = sorted(pack_ids(kit))
    for pack in bad:
        spoil(kit, layout.pack(pack), flipped(kit.store.get(layout.pack(pack))))
    assert mended(kit, replica).left.damage == []
    collect(kit)
    assert not set(bad) & set(pack_ids(kit))
    assert kit.verify().damage == []
    assert files_of(kit) == [FILES, FILES | {b"new": b"new"}]
    collect(kit)
    assert kit.verify().damage == []


@pytest.mark.parametrize("nth", range(12))
def test_a_collector_at_any_moment_of_a_repair(kit: Kit, tmp_path: Path, nth: int) -> None:
    """Before any put of a repair somebody collects: in the end everything is whole."""
    kit.backup(FILES)
    kit.clock.sleep(60)
    kit.backup(FILES | {b"new": b"new"})
    replica = replica_of(kit, tmp_path / "replica")
    bad = min(pack_ids(kit))
    spoil(kit, layout.pack(bad), flipped(kit.store.get(layout.pack(bad))))
    hooked = HookedStore(kit.store)
    other = Kit(kit.store, tmp_path / "collector")
    other.clock.sleep(1000)

    def later(left: int) -> None:
        if left:
            hooked.before("put", "", lambda: later(left - 1))
        else:
            _collect_if_it_can(other)

    later(nth + 1)
    mended(Kit(hooked, kit.state_path), replica, alone=False)
    collect(other)
    assert kit.verify().damage == []
    assert files_of(kit) == [FILES, FILES | {b"new": b"new"}]


def _collect_if_it_can(kit: Kit) -> None:
    """Collect; it may have to wait for the repair, or stop because of the damage."""
    limits = CollectLimits(
        grace_ns=0, silent_ns=HOUR_NS, wait_seconds=0, max_unused=0.0, max_repack_bytes=None
    )
    try:
        Collector(kit.open(), limits).run()
    except Exception as error:  # noqa: BLE001 - told apart here
        assert getattr(error, "code", None) in {4, 11}, error


# -- copies


def test_a_snapshot_is_made_whole_from_its_copy_in_either_direction(
    kit: Kit, tmp_path: Path
) -> None:
    """What was copied from a to b repairs a from b, and b from a."""
    kit.backup(FILES)
    kit.clock.sleep(60)
    kit.backup(FILES | {b"new": noise(3 << 20)})
    other = copy_of(kit, tmp_path / "other")
    wanted = files_of(kit)
    for hurt, source in ((kit, other), (other, kit)):
        for pack in pack_ids(hurt):
            spoil(hurt, layout.pack(pack), flipped(hurt.store.get(layout.pack(pack))))
        assert mended(hurt, source).left.damage == []
        assert files_of(hurt) == wanted


def test_a_commit_of_a_copy_comes_back_from_where_it_was_first_made(
    kit: Kit, tmp_path: Path
) -> None:
    """The copy's commit cannot be read; the order about its origin says whose copy it is."""
    kit.backup({b"a": b"1"})
    other = copy_of(kit, tmp_path / "other")
    (copy,) = other.snapshots()
    spoil(other, copy.key, flipped(other.store.get(copy.key)))
    other.clock.sleep(60)
    assert mended(other, kit, void=[copy.key]).left.damage == []
    assert files_of(other) == [{b"a": b"1"}]
    assert mended(other, kit).plan.actions == ()
    assert copied(kit, other).copied == []


def test_of_a_copy_only_what_is_lost_is_read(kit: Kit, tmp_path: Path) -> None:
    """Both trees say which chunks are the same, so what has a place here is not read there."""
    kit.backup({b"kept": noise(3_000_000, "kept")})
    before = set(pack_ids(kit))
    kit.clock.sleep(60)
    kit.backup({b"kept": noise(3_000_000, "kept"), b"lost": noise(200_000, "lost")})
    other = copy_of(kit, tmp_path / "other")
    (pack,) = set(pack_ids(kit)) - before
    spoil(kit, layout.pack(pack), flipped(kit.store.get(layout.pack(pack)), 1000))
    other.store = metered = MeteredStore(other.store)
    assert mended(kit, other).left.damage == []
    assert metered.snapshot()["get_range"].received_bytes < 1_000_000


def test_a_repository_that_shares_nothing_gives_nothing(kit: Kit, tmp_path: Path) -> None:
    """It is said that the snapshot is not there, and what is lost is named."""
    kit.backup(FILES)
    other = Kit(MemoryStore("memory:other"), tmp_path / "other")
    other.init()
    other.backup(FILES)
    spoil(kit, only_pack(kit), None)
    result = mended(kit, other)
    assert result.left.damage
    assert any("is not in memory:other" in str(event) for event in kit.events)


def texts(result: RepairResult) -> Sequence[str]:
    """Return what is lost in the end."""
    return [finding.text for finding in result.left.damage]


def test_the_digest_of_a_void_is_that_of_what_is_there(kit: Kit) -> None:
    """So an object that is put back later, or by a replica, is not void by an old order."""
    first = kit.backup({b"a": b"1"}).snapshot
    good = kit.store.get(first.key)
    kit.backup({b"a": b"2"})
    spoil(kit, first.key, flipped(good))
    bad = sha256(kit.store.get(first.key))
    mended(kit, void=[first.key])
    (void,) = kit.open().read_history().standing.voids
    assert (void.key, void.sha256) == (first.key, bad)
    spoil(kit, first.key, good)
    assert len(kit.snapshots()) == 2


def test_packs_in_quarantine_by_an_order_of_somebody_else(kit: Kit) -> None:
    """Whoever quarantined a pack that is sound: a repair writes anew what is needed of it."""
    kit.backup(FILES)
    repository = kit.open()
    packs = PackIds(b"".join(pack_ids(kit)))
    put_order(repository, repository.read_history(), OrderKind.QUARANTINE, packs)
    result = mended(kit)
    assert steps(result) == [Step.WRITE]
    assert texts(result) == []
    collect(kit)
    assert files_of(kit) == [FILES]
