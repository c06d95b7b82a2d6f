"""Learning from two trees of one snapshot which chunks are the same, without reading them.

A copy has the entries of its original, and each file in pieces of the same lengths. What is learnt
saves reading, and is not believed: whoever uses it compares the root of the tree that comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from strongroom.errors import DamageError
from strongroom.model.entry import HOLE, Entry
from strongroom.model.snapshot import Order, SourceRecord
from strongroom.repository.content import FetchTree, flatten
from strongroom.repository.translating import Translation
from strongroom.repository.tree import Root, key_of
from strongroom.repository.treecursor import TreeCursor

_AT_ONCE: Final = 1 << 16


class Side(NamedTuple):
    """A source in one repository, and what reads its tree chunks."""

    source: SourceRecord
    fetch: FetchTree

    def entries(self) -> Iterator[Entry]:
        """Yield the entries that can be read, in order."""
        source = self.source
        root = Root(source.root, source.levels, source.counts.entries)
        cursor = TreeCursor("it", root, Order(source.order), self.fetch)
        while cursor.part is not None:
            try:
                entries = cursor.enter()
            except DamageError:
                continue
            yield from entries or ()


def teach(translation: Translation, theirs: Side, ours: Side) -> None:
    """Tell a translation, from theirs to ours, what both trees say."""
    key = key_of(Order(ours.source.order))
    others = theirs.entries()
    other = next(others, None)
    pairs: list[tuple[bytes, bytes]] = []
    for entry in ours.entries():
        while other is not None and key(other.path) < key(entry.path):
            other = next(others, None)
        if other is None:
            break
        if other.path == entry.path and other.size == entry.size:
            pairs += _pairs(theirs, other, ours, entry)
        if len(pairs) >= _AT_ONCE:
            translation.learn(pairs)
            pairs = []
    if pairs:
        translation.learn(pairs)


def _pairs(theirs: Side, other: Entry, ours: Side, entry: Entry) -> list[tuple[bytes, bytes]]:
    try:
        one = list(flatten("it", other.content, other.depth, theirs.fetch))
        two = list(flatten("it", entry.content, entry.depth, ours.fetch))
    except DamageError:
        return []
    lengths = [(extent.length, extent.chunk_id == HOLE) for extent in one]
    if lengths != [(extent.length, extent.chunk_id == HOLE) for extent in two]:
        return []
    both = zip(one, two, strict=True)
    return [(a.chunk_id, b.chunk_id) for a, b in both if a.chunk_id != HOLE]
