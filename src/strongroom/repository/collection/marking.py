"""Marking what snapshots need: every chunk of their trees, read no more than once.

A part of a tree that was gone through for another snapshot is passed by, so what a thousand
snapshots of one source share is read once. Whether entries are in order is for ``verify`` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from strongroom.errors import DamageError
from strongroom.model.entry import EXTENT, Entry
from strongroom.model.snapshot import ListedSnapshot, Order, SourceRecord
from strongroom.repository.collection.census import Census
from strongroom.repository.content import MAX_DEPTH, FetchTree
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.tree import MAX_LEVELS, read_branch, read_leaf

_AT_ONCE: Final = 64  # chunks that are read together


class Marker:
    """Marks in a census; ``fetch`` reads tree chunks. ``DamageError`` wherever one is missing."""

    def __init__(self, census: Census, fetch: FetchTree) -> None:
        self._census = census
        self._fetch = fetch

    def mark(
        self, snapshots: Iterable[ListedSnapshot], told: Callable[[ListedSnapshot], None]
    ) -> None:
        """Mark what snapshots need; ``told`` hears of each when it is done."""
        for listed in snapshots:
            where = f"snapshot {listed.short_id}"
            for source in listed.snapshot.sources:
                self._tree(where, source)
                self._content(where, source.problems.content, source.problems.depth)
            told(listed)

    def _tree(self, where: str, source: SourceRecord) -> None:
        if not source.root:
            return
        if not 1 <= source.levels <= MAX_LEVELS:
            msg = f"{where} is damaged: a tree of {source.levels} levels"
            raise DamageError(msg)
        self._nodes(where, [source.root], source.levels - 1, Order(source.order))

    def _nodes(self, where: str, ids: Sequence[bytes], level: int, order: Order) -> None:
        """Mark nodes of one level, and all below those that were not gone through before."""
        fresh = self._census.enter(ids, ("tree", level))
        new = [chunk_id for chunk_id, is_new in zip(ids, fresh, strict=True) if is_new]
        for start in range(0, len(new), _AT_ONCE):
            for data in self._fetch(new[start : start + _AT_ONCE]):
                if level == 0:
                    self._entries(where, read_leaf(where, data, order).entries)
                else:
                    children = read_branch(where, data, level).children
                    self._nodes(where, [one.chunk_id for one in children], level - 1, order)

    def _entries(self, where: str, entries: Iterable[Entry]) -> None:
        inline: list[bytes] = []
        for entry in entries:
            if entry.depth:
                self._content(where, entry.content, entry.depth)
            elif entry.content:
                inline.append(entry.content)
        self._content(where, b"".join(inline), 0)

    def _content(self, where: str, content: bytes, depth: int) -> None:
        """Mark what a list of extents names, and the lists below it."""
        if not 0 <= depth <= MAX_DEPTH:
            msg = f"{where} is damaged: a list of chunks is {depth} levels deep"
            raise DamageError(msg)
        joined = _ids(where, content)
        if depth == 0:
            self._census.need(joined)
            return
        ids = [joined[i : i + HASH_SIZE] for i in range(0, len(joined), HASH_SIZE)]
        fresh = self._census.enter(ids, ("list", depth))
        lists = [chunk_id for chunk_id, is_new in zip(ids, fresh, strict=True) if is_new]
        for start in range(0, len(lists), _AT_ONCE):
            for nested in self._fetch(lists[start : start + _AT_ONCE]):
                self._content(where, nested, depth - 1)


def _ids(where: str, content: bytes) -> bytes:
    """Return the ids of the chunks in a list of extents, one after the other, without holes."""
    if len(content) % EXTENT.size:
        msg = f"{where} is damaged: content of {len(content)} bytes is not a list of extents"
        raise DamageError(msg)
    ids = np.frombuffer(content, np.uint8).reshape(-1, EXTENT.size)[:, :HASH_SIZE]
    return ids[ids.any(axis=1)].tobytes()
