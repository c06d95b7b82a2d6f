"""Snapshots in another repository: the same bytes, once, whoever copied what from where."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest

from strongroom.errors import KeyRefusedError, UsageError
from strongroom.model.entry import Entry
from strongroom.model.snapshot import Counts, ListedSnapshot, Order, Status
from strongroom.model.source import Item, Problem, Report
from strongroom.operations.copy import CopyPlan, CopyResult, copy, plan_copy, refuse_same
from strongroom.operations.keys import add_key
from strongroom.operations.listing import entries_below
from strongroom.repository import layout
from strongroom.repository.copying import WINDOW
from strongroom.repository.envelope import Kind as ObjectKind
from strongroom.repository.ordering import put_order
from strongroom.repository.records import CopyOf, OrderKind, SlotKind, SlotRole, Targets
from strongroom.repository.slots import Secret
from strongroom.storage.memory import MemoryStore
from tests.faults.test_crash_at_requests import STOPS, succeeds
from tests.faults.workloads import make_base
from tests.support.agents import agent_host
from tests.support.fakes import MemorySource, file_entry
from tests.support.faulty_store import FaultyStore, Script
from tests.support.forging import begun, commit, source_record
from tests.support.hooks import HookedStore
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.recording import RecordingStore
from tests.support.runs import pack_ids, put_removals
from tests.support.sources import SparseSource

pytestmark = pytest.mark.spec("B8")

READER = Secret(SlotKind.KEY_FILE, b"reads in thirty-two bytes, fixed")
QUICK_STOPS = {"dies after", "fails from then on", "reply lost"}  # the others take a minute
FILES = {b"d/%04d" % n: noise(300, str(n)) for n in range(900)}
LARGE = noise(3 << 20, "large") + bytes(1 << 20) + noise(1 << 20, "end")


@pytest.fixture(name="other")
def _other(tmp_path: Path) -> Kit:
    other = Kit(MemoryStore(), tmp_path / "other")
    other.init()
    return other


def planned(source: Kit, destination: Kit) -> CopyPlan:
    """Return what a copy of everything would do."""
    repository, listing = source.open(), source.open().list_snapshots()
    there = destination.open()
    refuse_same(repository, there)
    seen = (there.id, there.list_snapshots())
    return plan_copy(listing.found, (repository.id, listing.history), seen)


def copied(source: Kit, destination: Kit) -> CopyResult:
    """Copy everything."""
    plan = planned(source, destination)
    return copy(source.open(), destination.open(), plan, source.open().read_history())


def forget(kit: Kit, *keys: str) -> None:
    """Forget snapshots."""
    repository = kit.open()
    put_order(repository, repository.read_history(), OrderKind.FORGET, Targets(tuple(sorted(keys))))


def test_a_copy_restores_what_the_original_does(kit: Kit, other: Kit) -> None:
    """Small files, large ones and holes; record and counts are those of the original."""
    source = SparseSource(FILES | {b"large": LARGE}, "test")
    kit.backup_source(source)
    kit.backup(FILES | {b"d/0500": b"changed"})
    assert len(copied(kit, other).copied) == 2
    originals, copies = kit.snapshots(), other.snapshots()
    for original, copy_ in zip(originals, copies, strict=True):
        assert kit.restore(original.id)[1] == other.restore(copy_.id)[1]
        ours, theirs = original.snapshot, copy_.snapshot
        assert (ours.started_ns, ours.ended_ns) == (theirs.started_ns, theirs.ended_ns)
        assert (ours.host, ours.user, ours.program) == (theirs.host, theirs.user, theirs.program)
        (one,), (another,) = ours.sources, theirs.sources
        assert one.counts == another.counts
        assert one.root != another.root, "ids are those of another key"
    assert other.verify().findings == []


def test_what_did_not_change_is_neither_read_nor_stored_again(kit: Kit, other: Kit) -> None:
    """Of a second snapshot that differs in one file, little more than that file is read."""
    kit.backup(FILES | {b"large": LARGE})
    kit.backup(FILES | {b"large": LARGE, b"d/0500": noise(700, "changed")})
    first, second = copied(kit, other).copied
    assert first.read > len(LARGE)
    assert second.read == 700
    assert second.written.plain_bytes < 200_000


def test_a_second_run_copies_nothing(kit: Kit, other: Kit) -> None:
    """What is there is known by where it was made, and nothing is put."""
    kit.backup(FILES)
    copied(kit, other)
    recording = RecordingStore(other.store)
    other.store = recording
    plan = planned(kit, other)
    assert (len(plan.wanted), len(plan.there)) == (0, 1)
    assert copied(kit, other).copied == []
    assert not [key for verb, key in recording.requests if verb in {"put", "delete"}]


def test_chunks_that_are_there_are_not_stored_twice(kit: Kit, other: Kit) -> None:
    """The destination had backed up the same files itself."""
    kit.backup(FILES | {b"large": LARGE})
    other.backup(FILES | {b"large": LARGE})
    (one,) = copied(kit, other).copied
    assert one.written.chunks == 0


def test_copies_of_copies_are_known_in_every_direction(
    kit: Kit, other: Kit, tmp_path: Path
) -> None:
    """From a to b to c, and back to a and b: nothing is made twice, and all name the first."""
    third = Kit(MemoryStore(), tmp_path / "third")
    third.init()
    made = kit.backup({b"a": b"1"}).snapshot
    copied(kit, other)
    copied(other, third)
    for source, destination in ((third, kit), (third, other), (other, kit), (kit, third)):
        assert planned(source, destination).wanted == []
    (last,) = third.snapshots()
    standing = third.open().read_history().standing
    assert standing.copies[last.key] == CopyOf(kit.open().id, made.key)


def test_first_seen_is_carried_over(kit: Kit, other: Kit, tmp_path: Path) -> None:
    """It is the time of the first store, however often and late the snapshot is copied."""
    third = Kit(MemoryStore(), tmp_path / "third")
    third.init()
    made = kit.backup({b"a": b"1"}).snapshot
    (stored,) = (i.stored_ns for i in kit.store.list(layout.COMMITS))
    claimed = kit.open().log.read(made.key).commit
    assert claimed is not None
    other.clock.sleep(1e6)
    third.clock.sleep(1e7)
    copied(kit, other)
    copied(other, third)
    for place in (other, third):
        (seen,) = place.open().read_history().standing.first_seen.values()
        assert seen == (claimed.committed_ns if stored is None else stored)


def test_a_copy_is_not_the_latest_because_it_came_last(kit: Kit, other: Kit) -> None:
    """An old snapshot that is copied after a new one was made stands before it."""
    kit.backup({b"a": b"old"})
    other.clock.sleep(1000)
    new = other.backup({b"a": b"new"}).snapshot
    copied(kit, other)
    assert [one.id for one in other.snapshots()][-1] == new.id
    other.clock.sleep(1000)
    newer = other.backup({b"a": b"newer"}).snapshot
    assert [one.id for one in other.snapshots()][1:] == [new.id, newer.id]


def test_what_was_forgotten_there_is_not_copied_again(kit: Kit, other: Kit) -> None:
    """It is said, and a copy that is not forgotten counts before one that is."""
    kit.backup({b"a": b"1"})
    copied(kit, other)
    forget(other, other.snapshots()[0].key)
    plan = planned(kit, other)
    assert plan.wanted == []
    assert [known.forgotten for known in plan.there] == [True]
    forget(kit, kit.snapshots()[0].key)
    assert planned(kit, other).there == []


def test_a_damaged_snapshot_is_left_out_and_the_others_are_copied(kit: Kit, other: Kit) -> None:
    """The error names the file; nothing of that snapshot is listed, and the session has ended."""
    kit.backup({b"a": b"1"})
    before = set(pack_ids(kit))
    kit.backup({b"a": b"1", b"lost": noise(5000)})
    (pack,) = set(pack_ids(kit)) - before
    kit.backup({b"a": b"2"})
    spoilt = bytearray(kit.store.get(layout.pack(pack)))
    spoilt[300] ^= 1
    kit.store.delete(layout.pack(pack))
    kit.store.put(layout.pack(pack), spoilt)
    result = copied(kit, other)
    assert len(result.copied) == 2
    (failed,) = result.failed
    assert "/lost in snapshot" in failed.error.message
    assert len(other.snapshots()) == 2
    assert len(list(other.store.list(layout.SESSIONS))) == len(list(other.store.list("commits/")))
    assert other.verify().damage == []


def test_a_leaf_serves_again_only_if_all_of_it_may_be_relied_on(kit: Kit, other: Kit) -> None:
    """Packs that a collector named between two sessions count for nothing: all is stored anew."""
    kit.backup(FILES)
    kit.backup(FILES | {b"z": b"new"})
    plan = planned(kit, other)
    hooked, there = HookedStore(other.store), other.open()
    there.store = hooked
    tombed: list[bytes] = []

    def tomb() -> None:
        tombed.extend(pack_ids(other))
        put_removals(other, 1, ObjectKind.TOMBS, packs=tombed)

    hooked.after("put", layout.COMMITS, tomb)
    first, second = copy(kit.open(), there, plan, kit.open().read_history()).copied
    assert second.written.plain_bytes >= first.written.plain_bytes
    for pack in tombed:
        other.store.delete(layout.pack(pack))
    assert other.restore(second.copy.id)[1] == FILES | {b"z": b"new"}


def test_keys_that_are_too_weak_and_a_copy_onto_itself(
    kit: Kit, other: Kit, tmp_path: Path
) -> None:
    """The source needs a reader, the destination a full key; both are different repositories."""
    kit.backup({b"a": b"1"})
    with pytest.raises(UsageError, match="the same repository"):
        planned(kit, kit)
    agent = agent_host(kit, tmp_path)
    with pytest.raises(KeyRefusedError):
        planned(agent, other)
    add_key(kit.open(), READER, SlotRole.READER)
    reader = Kit(kit.store, tmp_path / "reader")
    reader.secrets = [READER]
    with pytest.raises(KeyRefusedError, match="cannot write"):
        planned(other, reader)
    assert len(copied(reader, other).copied) == 1


def test_trees_in_the_order_of_raw_bytes(kit: Kit, other: Kit) -> None:
    """A source whose order is that of bytes is copied in that order."""
    session = begun(kit)
    tree = session.writer.new_tree(Order.RAW)
    for path in (b"a", b"a-b", b"a/b"):
        tree.add(file_entry(path, 0))
    record = source_record(tree.finish(), order=Order.RAW)
    commit(session, msgspec.structs.replace(record, counts=Counts(entries=3, files=3)))
    assert copied(kit, other).failed == []
    assert other.verify().damage == []
    assert [entry.path for entry in restored_entries(other, other.snapshots()[0])] == [
        b"a",
        b"a-b",
        b"a/b",
    ]


def restored_entries(kit: Kit, listed: ListedSnapshot) -> list[Entry]:
    """Return the entries of a snapshot."""
    return [entry for batch in entries_below(kit.open(), listed, b"") for entry in batch]


def test_counts_that_are_not_those_of_the_tree_are_damage(kit: Kit, other: Kit) -> None:
    """A record that states another number of files than its tree holds is not copied."""
    session = begun(kit)
    tree = session.writer.new_tree()
    tree.add(file_entry(b"a", 0))
    commit(session, source_record(tree.finish()))
    (failed,) = copied(kit, other).failed
    assert "states" in failed.error.message


def test_the_list_of_problems_is_copied(kit: Kit, other: Kit) -> None:
    """A snapshot that is incomplete stays so, and says what it lacks."""

    class Ailing(MemorySource):
        def walk(self, report: Report) -> Iterator[Sequence[Item]]:
            report(Problem(b"gone", "permission denied"))
            yield from super().walk(report)

    kit.backup_source(Ailing({b"a": b"1"}))
    copied(kit, other)
    (ours,), (theirs,) = kit.snapshots()[0].snapshot.sources, other.snapshots()[0].snapshot.sources
    assert ours.status == theirs.status == Status.INCOMPLETE
    chunk = theirs.problems.content[:32]
    assert b"permission denied" in other.open().reader().fetch([chunk])[0]


@pytest.mark.parametrize(
    "stop",
    [pytest.param(stop, marks=[] if stop in QUICK_STOPS else pytest.mark.slow) for stop in STOPS],
)
def test_a_copy_stopped_at_any_request_goes_on_where_it_was(
    tmp_path: Path, kit: Kit, stop: str
) -> None:
    """Whatever request to the destination it is stopped at, a second run ends with each snapshot
    once, as if there had been one run; nothing that was there before is hurt.
    """
    kit.backup({b"a": b"1", b"b": noise(9000)})
    kit.backup({b"a": b"2", b"b": noise(9000)})
    base = make_base(tmp_path / "made", [{b"own": b"of the destination"}])
    wanted = [kit.restore(one.id)[1] for one in kit.snapshots()]
    store, state = base.again(tmp_path / "again")
    counted = FaultyStore(store, Script())
    assert len(copied(kit, Kit(counted, state)).copied) == 2
    for nth in range(1, sum(counted.requests.values()) + 1):
        store, state = base.again(tmp_path / "again")
        faulty = FaultyStore(store, Script(*STOPS[stop](nth)))
        done = succeeds(partial(copied, kit, Kit(faulty, state)), stop)
        again = Kit(store, state)
        assert not done or planned(kit, again).wanted == []
        copied(kit, again)
        listed = [one.id for one in again.snapshots()]
        copies = [one for one in listed if one not in base.acknowledged]
        assert [again.restore(one)[1] for one in copies] == wanted, (stop, nth)
        assert set(base.acknowledged) <= set(listed)
        assert again.verify().damage == []


def test_lists_of_extents_are_written_anew(kit: Kit, other: Kit) -> None:
    """A file of so many pieces and holes that its list lies in chunks, and whose lists change."""
    blocks = [noise(4096, str(n)) if n % 2 else bytes(4096) for n in range(1200)]
    for files in ({b"holes": b"".join(blocks)}, {b"holes": b"".join(blocks[:-7])}):
        kit.backup_source(SparseSource(files))
        copied(kit, other)
        (*_, ours), (*_, theirs) = kit.snapshots(), other.snapshots()
        assert max(entry.depth for entry in restored_entries(other, theirs)) > 0
        assert other.restore(theirs.id)[1] == kit.restore(ours.id)[1] == files
    assert other.verify().findings == []


def test_more_than_is_read_at_once(kit: Kit, other: Kit) -> None:
    """A file of several windows between small ones, twice: once it is read."""
    large = random.Random(7).randbytes(WINDOW + WINDOW // 2)
    files = {b"a": b"a", b"b": large, b"c": large, b"d": b"d"}
    kit.backup(files)
    (one,) = copied(kit, other).copied
    assert one.read < WINDOW * 2
    assert other.restore(one.copy.id)[1] == files
