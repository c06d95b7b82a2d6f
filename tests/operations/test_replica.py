"""A replica that is filled in any order: what is said of it is what a restore then finds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from strongroom.errors import MissingObjectError, RefusedError, StrongroomError
from strongroom.model.events import Notice
from strongroom.model.fs import Buffer
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.store import Store
from strongroom.operations.copy import copy, plan_copy
from strongroom.operations.listing import snapshot_to_restore
from strongroom.operations.replica import (
    Objective,
    ReplicaState,
    missed,
    original_of,
    replica_state,
)
from strongroom.operations.restore import restore, selected_entries
from strongroom.repository import layout
from strongroom.repository.repository import Repository
from strongroom.storage.memory import MemoryStore
from tests.support.agents import agent_host
from tests.support.fakes import MemoryTarget
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.recording import RecordingStore

pytestmark = pytest.mark.spec("D8")

ROOTS = ("config", layout.SLOTS, layout.WRITERS)


class Keeping(MemoryStore):
    """A store that knows what was ever put."""

    def __init__(self) -> None:
        super().__init__("memory:original")
        self.ever: dict[str, bytes] = {}

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        super().put(key, value)
        self.ever[key] = bytes(value)


def history_of(kit: Kit) -> dict[str, dict[bytes, bytes]]:
    """Back up six times, two sources; by id what each snapshot holds.

    In between the first one is forgotten and collected.
    """
    files = {f"{number}".encode(): noise(40_000, f"{number}") for number in range(12)}
    made: dict[str, dict[bytes, bytes]] = {}
    for number in range(5):
        files |= {b"%d" % number: noise(30_000, f"new {number}"), b"x%d" % number: b"x" * 1000}
        made[kit.backup(files).snapshot.id] = dict(files)
        if number == 2:
            kit.forget(next(iter(made)))
            kit.prune(max_unused=0)
    made[kit.backup({b"own": noise(5000, "own")}, "other").snapshot.id] = {
        b"own": noise(5000, "own")
    }
    return made


def arrive(source: Store, replica: Store, keys: Sequence[str]) -> None:
    """Let objects arrive."""
    for key in keys:
        replica.put(key, source.get(key))


def restored(repository: Repository, listed: ListedSnapshot) -> dict[bytes, bytes] | None:
    """Return what a restore brings back; None if it does not bring back all of it."""
    target = MemoryTarget()
    try:
        result = restore(repository, listed, target)
    except StrongroomError:
        return None
    return None if result.damaged else target.files


def listed_in(repository: Repository) -> list[ListedSnapshot]:
    """Return the snapshots of which the commit is there."""
    return repository.listing(repository.read_history()).found


def whole_in(state: ReplicaState, repository: Repository) -> set[str]:
    """Return the ids that a look at everything does not wait for."""
    waiting = {one.snapshot.id for series in state.series for one in series.waiting}
    return {one.id for one in listed_in(repository)} - waiting


@pytest.mark.parametrize("deletes", [True, False], ids=["deletes", "keeps"])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_called_whole_is_what_a_restore_brings_back(
    tmp_path: Path, seed: int, *, deletes: bool
) -> None:
    """At each object that arrives, in any order: no more, no less; in the end all of it.

    So too where what a collector removed was replicated before, and never goes.
    """
    original_store = Keeping()
    kit = Kit(original_store, tmp_path / "state")
    kit.init()
    made = history_of(kit)
    there = MemoryStore("memory:replica")
    stays = [info.key for info in kit.store.list("")]
    keys = stays if deletes else sorted(original_store.ever)
    assert (len(keys) > len(stays)) is not deletes
    first = [key for key in keys if key.startswith(ROOTS)]
    arrive(kit.store, there, first)
    rest = [key for key in keys if key not in first]
    random.Random(seed).shuffle(rest)
    original = original_of(Kit(there, tmp_path / "replica").open(), kit.open())
    for number, key in enumerate(rest):
        there.put(key, original_store.ever[key])
        replica = Kit(there, tmp_path / f"replica {number}")
        repository = replica.open()
        here = replica_state(repository, None, 0, every=True)
        found = listed_in(repository)
        truth = {one.id for one in found if restored(repository, one) == made[one.id]}
        assert whole_in(here, repository) == truth, key
        assert here.damage == []
        both = replica_state(repository, original, 0)
        for series in both.series:
            ids = [one.id for one in original.listing.found if _is_of(one, series.source)]
            newest = [one for one in ids if one in truth][-1:]
            assert [one.id for one in [series.newest] if one is not None] == newest
            behind = ids[ids.index(newest[0]) + 1 :] if newest else ids
            assert {one.snapshot.id for one in series.waiting} == set(behind)
    repository = Kit(there, tmp_path / "last").open()
    here = replica_state(repository, None, 0, every=True)
    assert whole_in(here, repository) == set(list(made)[1:])
    assert not missed(replica_state(repository, original, 0), Objective())


def _is_of(listed: ListedSnapshot, source: bytes) -> bool:
    return any(one.name == source for one in listed.snapshot.sources)


@pytest.mark.parametrize("seed", range(3))
def test_latest_is_whole_or_refused_before_anything_is_written(tmp_path: Path, seed: int) -> None:
    """At each object that arrives, on a host that is new: what is refused is not whole, and names
    the newest that is; what is not refused comes back.
    """
    store = Keeping()
    kit = Kit(store, tmp_path / "state")
    kit.init()
    made = history_of(kit)
    there = MemoryStore("memory:replica")
    keys = [info.key for info in kit.store.list("")]
    first = [key for key in keys if key.startswith(ROOTS)]
    arrive(kit.store, there, first)
    rest = [key for key in keys if key not in first]
    random.Random(seed).shuffle(rest)
    rest.sort(key=lambda key: key == [one for one in store.ever if "packs/" in one][-1])
    refusals = 0
    for number, key in enumerate(rest):
        arrive(kit.store, there, [key])
        repository = Kit(there, tmp_path / f"replica {number}").open()
        found = listed_in(repository)
        if not found:
            continue
        whole = [one for one in found if restored(repository, one) == made[one.id]]
        try:
            chosen = snapshot_to_restore(repository, "latest").listed
        except MissingObjectError as refused:
            refusals += 1
            named = [one for one in found if one.short_id in refused.message]
            assert named[0] not in whole
            older = [one for one in whole if _is_of(one, named[0].snapshot.sources[0].name)]
            older = [one for one in older if found.index(one) < found.index(named[0])]
            assert (older[-1].short_id if older else "No older") in refused.hint
            assert snapshot_to_restore(repository, named[0].id).listed == named[0]
        else:
            assert chosen in whole
    assert refusals


@pytest.mark.parametrize("seed", range(4))
def test_removals_that_arrive_before_what_takes_their_place(tmp_path: Path, seed: int) -> None:
    """With deletes replicated too, at each step: what is called whole comes back, and nothing else;
    the latest is refused unless it does.
    """
    store = Keeping()
    kit = Kit(store, tmp_path / "state")
    kit.init()
    made = history_of(kit)
    stays = {info.key for info in kit.store.list("")}
    order = list(store.ever)
    gone = [key for key in order if key not in stays and not key.startswith(layout.SESSIONS)]
    cut = 1 + max(order.index(key) for key in gone)  # what was there when it was collected
    there = MemoryStore("memory:replica")
    arrive_as_put(store, there, order[:cut])
    steps = [*order[cut:], *gone]
    random.Random(seed).shuffle(steps)
    for number, key in enumerate(steps):
        there.delete(key) if key in gone else arrive_as_put(store, there, [key])
        repository = Kit(there, tmp_path / f"host {number}").open()
        found = listed_in(repository)
        truth = {one.id for one in found if restored(repository, one) == made[one.id]}
        assert whole_in(replica_state(repository, None, 0, every=True), repository) == truth
        try:
            chosen = snapshot_to_restore(repository, "latest", all_of_it=True).listed
        except MissingObjectError:
            assert found[-1].id not in truth
        else:
            assert chosen.id in truth


def test_the_index_is_listed_once_to_look_and_to_read(kit: Kit) -> None:
    """What reads a snapshot has the index by which it was found to be whole."""
    kit.backup({b"a": b"1", b"b": b"2" * 5000})
    repository = kit.open()
    repository.store = recording = RecordingStore(kit.store)
    listed, reader = snapshot_to_restore(repository, "latest", all_of_it=True)
    entries = [one for batch in selected_entries(reader, listed, b"", None) for one in batch]
    assert {one.path for one in entries} >= {b"a", b"b"}
    assert recording.requests.count(("list", layout.INDEX)) == 1


def arrive_as_put(source: Keeping, replica: Store, keys: Sequence[str]) -> None:
    """Let objects arrive that may be gone from the original by now."""
    for key in keys:
        replica.put(key, source.ever[key])


def _is_told(kit: Kit, text: str) -> bool:
    return any(isinstance(event, Notice) and text in event.text for event in kit.events)


def test_a_commit_that_has_not_arrived_is_as_one_that_is_gone(kit: Kit, tmp_path: Path) -> None:
    """A host that knows the replica refuses it, for a thief may have removed it, and says what may
    be the reason; a new one is told, and reads on. When it has arrived both do.
    """
    first = kit.backup({b"a": b"1"}).snapshot
    there = MemoryStore("memory:replica")
    arrive(kit.store, there, [info.key for info in kit.store.list("")])
    replica, new = Kit(there, tmp_path / "replica"), Kit(there, tmp_path / "new")
    assert [one.id for one in replica.snapshots()] == [first.id]
    second, third = (kit.backup({b"a": b"%d" % number}).snapshot for number in range(2))
    known = {info.key for info in there.list("")}
    late = [info.key for info in kit.store.list("") if info.key not in {*known, second.key}]
    arrive(kit.store, there, late)
    for _ in range(2):
        with pytest.raises(RefusedError, match=second.key) as refused:
            replica.snapshots()
        assert "strongroom store replica" in refused.value.hint
        assert [one.id for one in new.snapshots()] == [first.id, third.id]
        assert _is_told(new, second.key)
    arrive(kit.store, there, [second.key])
    assert len(replica.snapshots()) == len(new.snapshots()) == 3


def test_the_lag_is_how_long_the_first_is_waited_for(kit: Kit, tmp_path: Path) -> None:
    """Of what is only in the original, of what lacks packs here, of a commit that others name."""
    kit.backup({b"a": b"1"})
    there = MemoryStore("memory:replica")
    arrive(kit.store, there, [info.key for info in kit.store.list("")])
    replica = Kit(there, tmp_path / "replica").open()
    second, third = (kit.backup({b"a": noise(9000, f"{n}")}).snapshot for n in range(2))
    original = original_of(replica, kit.open())
    now = second.snapshot.ended_ns + 100_000_000_000
    state = replica_state(replica, original, now)
    assert (state.lag, state.heads) == (100, [])
    assert [one.lack for one in state.series[0].waiting] == [None, None]
    assert replica_state(replica, None, now).lag == 0
    arrive(kit.store, there, [third.key])
    state = replica_state(replica, None, now)
    assert state.heads == [second.key]
    since = (now - third.snapshot.ended_ns) // 1_000_000_000
    assert abs(state.lag - since) <= 1
    assert missed(state, Objective())
    assert missed(state, Objective(lag=10))
    assert not missed(state, Objective(lag=1000))
    assert not missed(state, Objective(lag=1000, age=1000))
    assert missed(state, Objective(lag=1000, age=10)) != []


def test_a_copy_is_the_snapshot_that_it_was_made_of(kit: Kit, tmp_path: Path) -> None:
    """A replica of its own keys, filled by ``copy``; what was forgotten there is not waited for."""
    first = kit.backup({b"a": b"1"}).snapshot
    other = Kit(MemoryStore("memory:replica"), tmp_path / "other")
    other.init()

    def copied() -> None:
        source, destination = kit.open(), other.open()
        listing = source.list_snapshots()
        ids = (source.id, listing.history), (destination.id, destination.list_snapshots())
        plan = plan_copy(listing.found, *ids)
        copy(source, destination, plan, listing.history)

    def state() -> ReplicaState:
        replica = other.open()
        return replica_state(replica, original_of(replica, kit.open()), 0)

    assert len(state().series[0].waiting) == 1
    copied()
    kept = state().series[0].newest
    assert kept is not None
    assert kept.id != first.id
    assert not missed(state(), Objective())
    second = kit.backup({b"a": b"2"}).snapshot
    (waiting,) = state().series[0].waiting
    assert (waiting.snapshot.id, waiting.lack) == (second.id, None)
    copied()
    assert not missed(state(), Objective())
    kit.backup({b"a": b"3"})
    copied()
    other.forget(other.snapshots()[-1].id)
    assert not missed(state(), Objective())


def test_a_pack_of_another_size_is_damage(kit: Kit, tmp_path: Path) -> None:
    """It is not waited for: it will not become right."""
    kit.backup({b"a": noise(9000, "a")})
    there = MemoryStore("memory:replica")
    (pack, *_) = [info.key for info in kit.store.list(layout.PACKS)]
    arrive(kit.store, there, [info.key for info in kit.store.list("") if info.key != pack])
    there.put(pack, kit.store.get(pack)[:-1])
    state = replica_state(Kit(there, tmp_path / "replica").open(), None, 0)
    assert any(pack in text for text in state.damage)
    assert state.series[0].newest is None


def test_a_writer_who_has_not_arrived_is_no_damage(kit: Kit, tmp_path: Path) -> None:
    """Whose commit it is cannot be told, so what it holds is not known."""
    agent = agent_host(kit, tmp_path)
    agent.backup({b"a": b"1"})
    there = MemoryStore("memory:replica")
    (writer,) = [
        info.key
        for info in kit.store.list(layout.WRITERS)
        if info.key != layout.writer(kit.open().keyring.writer().id)
    ]
    arrive(kit.store, there, [info.key for info in kit.store.list("") if info.key != writer])
    replica = Kit(there, tmp_path / "replica")
    state = replica_state(replica.open(), None, 0)
    assert (state.unreadable, state.damage, state.series) == (1, [], [])
    arrive(kit.store, there, [writer])
    assert replica_state(replica.open(), None, 0).unreadable == 0


def test_a_replica_is_not_its_own_original(kit: Kit) -> None:
    """It would always be up to date."""
    with pytest.raises(RefusedError, match="itself"):
        original_of(kit.open(), kit.open())


def test_nothing_is_written_and_of_packs_only_trees_are_read(kit: Kit, tmp_path: Path) -> None:
    """A key that only reads is enough, and content stays where it is."""
    contents = {b"%d" % number: noise(1_000_000, f"{number}") for number in range(10)}
    kit.backup(contents)
    recording = RecordingStore(kit.store)
    replica = Kit(recording, tmp_path / "replica").open()
    recording.requests.clear()
    state = replica_state(replica, None, 0)
    assert state.series[0].newest is not None
    assert {verb for verb, _ in recording.requests} <= {"list", "get", "get_range", "size"}
    whole = [key for verb, key in recording.requests if verb == "get"]
    assert not any(key.startswith(layout.PACKS) for key in whole)
    ranges = [key for verb, key in recording.requests if verb == "get_range"]
    assert len(ranges) <= 2
