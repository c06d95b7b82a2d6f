"""Two trees beside each other: what both share is passed by, and nothing is missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from strongroom.errors import DamageError
from strongroom.model.entry import Entry, sort_key
from strongroom.model.snapshot import Order
from strongroom.operations.comparing import TreeSide, pairs
from strongroom.repository.tree import Root, TreeWriter
from strongroom.repository.treecursor import TreeCursor
from tests.support.chunks import Chunks
from tests.support.fakes import file_entry

pytestmark = pytest.mark.spec("B1")

NAMES = [b"d%03d/%05d" % (n // 300, n) for n in range(40_000)]


def tree(chunks: Chunks, names: Iterable[bytes], size: int = 0) -> Root:
    """Write a tree of files."""
    writer = TreeWriter(chunks.save)
    for name in sorted(names, key=sort_key):
        writer.add(file_entry(name, size))
    return writer.finish()


def side(chunks: Chunks, *roots: Root, held: Sequence[bytes] = ()) -> TreeSide:
    """Return trees as one side; damage is raised."""

    def on_damage(_first: bytes, error: DamageError) -> None:
        raise error

    cursors = [TreeCursor("a test", root, Order.COMPONENTS, chunks.fetch) for root in roots]
    return TreeSide(cursors, sort_key, on_damage, held=held)


def one_sided(old: TreeSide, new: TreeSide) -> tuple[list[bytes], list[bytes]]:
    """Return what only the old side has, and what only the new one has."""
    gone: list[bytes] = []
    came: list[bytes] = []
    for before, after in pairs(old, new):
        _note(gone, came, before, after)
    return gone, came


def _note(gone: list[bytes], came: list[bytes], before: Entry | None, after: Entry | None) -> None:
    if after is None and before is not None:
        gone.append(before.path)
    if before is None and after is not None:
        came.append(after.path)


def test_what_is_shared_is_not_read() -> None:
    """A few changes among many files cost the parts that they are in, and no others."""
    chunks = Chunks()
    old = tree(chunks, NAMES)
    new = tree(chunks, {*NAMES, b"d999/new"} - {NAMES[2100], NAMES[-1]})
    assert len(chunks.held) > 60
    chunks.fetched = 0
    assert one_sided(side(chunks, old), side(chunks, new)) == (
        [NAMES[2100], NAMES[-1]], [b"d999/new"],
    )  # fmt: skip
    assert chunks.fetched < 16
    chunks.fetched = 0
    assert one_sided(side(chunks, new), side(chunks, new)) == ([], [])
    assert chunks.fetched == 0


@pytest.mark.parametrize("count", [0, 1, 700, 40_000])
def test_one_side_alone(count: int) -> None:
    """Beside an empty side everything is on the other one."""
    chunks = Chunks()
    full, empty = tree(chunks, NAMES[:count]), tree(chunks, [])
    assert one_sided(side(chunks, full), side(chunks, empty)) == (NAMES[:count], [])
    assert one_sided(side(chunks, empty), side(chunks, full)) == ([], NAMES[:count])


def test_trees_of_other_shapes() -> None:
    """Trees that share little, and of other heights, are compared entry by entry."""
    chunks = Chunks()
    odd, third = NAMES[1::2], NAMES[::3]
    small = tree(chunks, third[:50])
    gone, came = one_sided(side(chunks, tree(chunks, odd)), side(chunks, small))
    assert gone == sorted({*odd} - {*third[:50]})
    assert came == sorted({*third[:50]} - {*odd})
    gone, came = one_sided(side(chunks, tree(chunks, odd)), side(chunks, tree(chunks, third)))
    assert gone == sorted({*odd} - {*third})
    assert came == sorted({*third} - {*odd})


def test_a_folder_that_two_trees_have_is_not_lost_with_one() -> None:
    """A tree that is passed by as a whole still has its folder, if another tree has it too."""
    chunks = Chunks()
    one = tree(chunks, [b"srv", *(b"srv/a/" + name for name in NAMES[:3000])])
    two = tree(chunks, [b"srv", b"srv/b", b"srv/b/x"])
    held = [b"srv"]
    both, alone = side(chunks, one, two, held=held), side(chunks, one)
    assert one_sided(both, alone) == ([b"srv/b", b"srv/b/x"], [])
    both, alone = side(chunks, one, two, held=held), side(chunks, two)
    assert len(one_sided(both, alone)[0]) == 3000
    chunks.fetched = 0
    assert one_sided(side(chunks, one, two, held=held), side(chunks, one, two, held=held)) == (
        [], [],
    )  # fmt: skip
    assert chunks.fetched < 8


def test_a_path_in_several_trees_comes_once() -> None:
    """What two trees of one side have is compared once, whichever part it is in."""
    chunks = Chunks()
    one, two = tree(chunks, NAMES[:5000]), tree(chunks, NAMES[2500:7500], size=1)
    found = [
        before.path
        for before, _ in pairs(side(chunks, one, two), side(chunks), sharing=False)
        if before
    ]
    assert found == NAMES[:7500]
