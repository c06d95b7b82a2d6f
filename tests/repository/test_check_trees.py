"""A check of trees finds each broken rule, in every snapshot that it touches."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from strongroom.errors import DamageError, StrongroomError
from strongroom.model.entry import EXTENT, Entry
from strongroom.model.snapshot import Counts, Order, Stream
from strongroom.operations.verify import verify
from strongroom.repository.tree import Root, TreeReader
from strongroom.system.randomness import SystemRandomness
from tests.support.fakes import file_entry
from tests.support.forging import begun, commit, commit_tree, save, source_record
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.tree_shapes import BAD, GOOD, Forger, Shape

pytestmark = pytest.mark.spec("B7")


class Rising:
    """A ``Randomness`` whose values are each greater than the one before."""

    def __init__(self) -> None:
        self._count = itertools.count()
        self._system = SystemRandomness()

    def take(self, count: int) -> bytes:
        lead = next(self._count).to_bytes(4)[:count]
        return lead + self._system.take(count - len(lead))


@pytest.mark.parametrize("shape", GOOD.values(), ids=GOOD)
def test_good_trees_are_good(kit: Kit, shape: Shape) -> None:
    """Trees made by hand that keep to the rules are read and checked without a finding."""
    forger = Forger(kit)
    forger.commit(*shape(forger))
    assert kit.verify().damage == []


@pytest.mark.parametrize("shape", BAD.values(), ids=BAD)
def test_bad_trees_are_damage(kit: Kit, shape: Shape) -> None:
    """Trees that break one rule are found, by the snapshot that has them."""
    forger = Forger(kit)
    listed = forger.commit(*shape(forger))
    assert {finding.snapshot for finding in kit.verify().damage} == {listed.short_id}


@pytest.mark.parametrize("shape", BAD.values(), ids=BAD)
def test_bad_trees_are_damage_where_a_good_one_shares_their_parts(kit: Kit, shape: Shape) -> None:
    """A node that was found good elsewhere is judged by its place in each tree."""
    kit.randomness = Rising()  # snapshots are checked in the order of their ids
    forger = Forger(kit)
    parts = [(b"a", forger.leaf(b"a", b"b"), 2), (b"c", forger.leaf(b"c"), 1)]
    first = forger.commit(forger.branch(1, *parts), 2, 3).id
    forger = Forger(kit)
    second = forger.commit(forger.branch(1, (b"a", forger.leaf(b"a"), 1)), 2, 1).id
    forger = Forger(kit)
    bad = forger.commit(*shape(forger))
    assert first < second < bad.id
    assert {finding.snapshot for finding in kit.verify().damage} == {bad.short_id}


def test_what_a_check_passes_is_restored(kit: Kit) -> None:
    """A reader refuses no tree that the check finds good."""
    for shape in (*GOOD.values(), *BAD.values()):
        forger = Forger(kit)
        root, levels, count = shape(forger)
        listed = forger.commit(root, levels, count)
        good = not verify(kit.open(), None, listed, read_data=False).damage
        fetch = kit.open().reader().fetch
        reader = TreeReader("a test", Root(root, levels, count), Order.COMPONENTS, fetch)
        try:
            list(reader.entries())
        except DamageError:
            assert not good


@pytest.mark.parametrize(
    "change_of",
    [
        {"order": 0}, {"order": 3}, {"status": 3}, {"status": -1}, {"root": b"short"},
        {"root": b"", "levels": 1}, {"levels": 0}, {"levels": 33}, {"levels": -1},
    ],
    ids=str,
)  # fmt: skip
def test_a_record_that_states_the_impossible_is_damage(
    kit: Kit, change_of: dict[str, object]
) -> None:
    """Orders, states and heights that do not exist are found when the commit is opened."""
    session = begun(kit)
    tree = session.writer.new_tree()
    tree.add(file_entry(b"a", 0))
    source = msgspec.structs.replace(source_record(tree.finish()), **change_of)
    with pytest.raises(StrongroomError, match="damaged"):
        commit(session, source)


def test_problems_that_cannot_be_read_are_damage(kit: Kit) -> None:
    """The list of problems of a snapshot is checked like a file."""
    session = begun(kit)
    source = msgspec.structs.replace(
        source_record(Root(b"", 0, 0)), problems=Stream(EXTENT.pack(noise(32), 10), 0)
    )
    listed = commit(session, source)
    assert {finding.snapshot for finding in kit.verify().damage} == {listed.short_id}


def test_each_snapshot_that_damage_touches_is_named(kit: Kit) -> None:
    """Snapshots that share a damaged part are all told of; others are not."""
    entry: Entry = msgspec.structs.replace(
        file_entry(b"a", 5), content=EXTENT.pack(noise(32), 5), depth=0
    )
    bad = [commit_tree(kit, [entry, file_entry(b"b", 0)]).short_id for _ in range(2)]
    session = begun(kit)
    (chunk_id,) = save(session, [b"12345"])
    tree = session.writer.new_tree()
    tree.add(msgspec.structs.replace(entry, content=EXTENT.pack(chunk_id, 5)))
    good = commit(session, source_record(tree.finish()))
    found = kit.verify().damage
    assert sorted(f.snapshot for f in found) == sorted(bad)
    assert verify(kit.open(), None, good, read_data=True).damage == []


def test_wrong_counts_are_found(kit: Kit) -> None:
    """A record that states another number of entries than its tree has is found."""
    session = begun(kit)
    tree = session.writer.new_tree()
    tree.add(file_entry(b"a", 0))
    source = msgspec.structs.replace(source_record(tree.finish()), counts=Counts(entries=2))
    commit(session, source)
    assert any("2 are stated" in text for text in [finding.text for finding in kit.verify().damage])
