"""Going through trees by their parts: nothing is missed, nothing bad is taken for good."""

from __future__ import annotations

import pytest

from strongroom.errors import DamageError
from strongroom.model.entry import Entry
from strongroom.model.snapshot import Order
from strongroom.repository.tree import Root, TreeReader, TreeWriter
from strongroom.repository.treecursor import TreeCursor
from tests.support.chunks import Chunks
from tests.support.fakes import file_entry
from tests.support.kit import Kit
from tests.support.tree_shapes import BAD, GOOD, Forger, Shape

pytestmark = pytest.mark.spec("B1")


def tree_of(chunks: Chunks, names: list[bytes]) -> Root:
    """Write a tree of empty files."""
    writer = TreeWriter(chunks.save)
    for name in names:
        writer.add(file_entry(name, 0))
    return writer.finish()


def everything(cursor: TreeCursor) -> list[Entry]:
    """Enter every part."""
    found: list[Entry] = []
    while cursor.part is not None:
        found += cursor.enter() or ()
    return found


NAMES = [b"d%02d/%05d" % (n // 500, n) for n in range(15_000)]


@pytest.mark.parametrize("below", [b"", b"d07", b"d07/03600", b"d99", b"d"])
def test_all_parts_together_are_the_tree(below: bytes) -> None:
    """Entering every part gives what the reader gives, but for what lies beside a path."""
    chunks = Chunks()
    root = tree_of(chunks, NAMES)
    cursor = TreeCursor("a test", root, Order.COMPONENTS, chunks.fetch, below)
    read = TreeReader("a test", root, Order.COMPONENTS, chunks.fetch).entries(below)
    wanted = {entry.path for leaf in read for entry in leaf}
    found = [entry.path for entry in everything(cursor)]
    assert found == sorted(found)
    assert wanted <= set(found)
    assert below or wanted == set(found)


def test_a_part_that_is_passed_by_is_not_read() -> None:
    """Only what is entered is fetched, each part once; known parts are not read ahead."""
    chunks = Chunks()
    root = tree_of(chunks, NAMES)
    cursor = TreeCursor("a test", root, Order.COMPONENTS, chunks.fetch)
    leaves = []
    while (part := cursor.part) is not None:
        if part.level == 0:
            leaves.append(part.chunk_id)
            cursor.skip()
        else:
            cursor.enter()
    assert len(leaves) > 20
    chunks.fetched = 0
    known = set(leaves[1:])
    cursor = TreeCursor("a test", root, Order.COMPONENTS, chunks.fetch)
    while (part := cursor.part) is not None:
        if part.chunk_id in known:
            cursor.skip()
        else:
            cursor.enter(known.__contains__)
    assert chunks.fetched == len(chunks.held) - len(known)
    chunks.fetched = 0
    everything(TreeCursor("a test", root, Order.COMPONENTS, chunks.fetch))
    assert chunks.fetched == len(chunks.held)


def test_an_empty_tree_has_no_part() -> None:
    """A tree without entries ends at once."""
    cursor = TreeCursor("a test", Root(b"", 0, 0), Order.COMPONENTS, Chunks().fetch)
    assert cursor.part is None


@pytest.mark.parametrize("shape", BAD.values(), ids=BAD)
def test_bad_trees_are_damage(kit: Kit, shape: Shape) -> None:
    """Whichever rule a tree breaks, somewhere a part says so."""
    forger = Forger(kit)
    root = Root(*shape(forger))
    forger.session.writer.finish()
    fetch = kit.open().reader().fetch
    with pytest.raises(DamageError):
        everything(TreeCursor("a test", root, Order.COMPONENTS, fetch))


@pytest.mark.parametrize("shape", GOOD.values(), ids=GOOD)
def test_good_trees_are_read(kit: Kit, shape: Shape) -> None:
    """A tree made by hand that keeps to the rules is read whole."""
    forger = Forger(kit)
    root = Root(*shape(forger))
    forger.session.writer.finish()
    fetch = kit.open().reader().fetch
    cursor = TreeCursor("a test", root, Order.COMPONENTS, fetch)
    assert len(everything(cursor)) == root.count


@pytest.mark.parametrize("lost", [0, 3, 11, -1])
def test_what_comes_after_damage_is_read(lost: int) -> None:
    """A missing part is said once, and every other part is read all the same."""
    chunks = Chunks()
    root = tree_of(chunks, NAMES)
    leaves = [chunk for chunk in chunks.held if chunks.held[chunk][1:2] == b"\0"]
    held = chunks.held.pop(leaves[lost])
    cursor = TreeCursor("a test", root, Order.COMPONENTS, chunks.fetch)
    found: list[bytes] = []
    failures = 0
    while cursor.part is not None:
        try:
            found += [entry.path for entry in cursor.enter() or ()]
        except DamageError:
            failures += 1
    assert failures == 1
    assert set(NAMES) - set(found) == {name for name in NAMES if name in held}
