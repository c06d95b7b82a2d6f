"""Marking what snapshots need: every chunk of their trees, read no more than once.

A part of a tree that was gone through for another snapshot is passed by, so what a thousand
snapshots of one source share is read once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from strongroom.errors import DamageError
from strongroom.model.entry import HOLE, Entry, extents
from strongroom.model.snapshot import ListedSnapshot, Order, SourceRecord
from strongroom.repository.census import Census, Way
from strongroom.repository.content import INLINE, MAX_DEPTH, FetchTree
from strongroom.repository.tree import Root
from strongroom.repository.treecursor import TreeCursor


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
        root = Root(source.root, source.levels, source.counts.entries)
        cursor = TreeCursor(where, root, Order(source.order), self._fetch)
        while (part := cursor.part) is not None:
            way: Way = ("tree", part.level)
            if not self._census.enter([part.chunk_id], way)[0]:
                cursor.skip()
                continue
            entries = cursor.enter(lambda chunk_id: self._census.was_entered(chunk_id, ("tree", 0)))
            self._entries(where, entries or ())

    def _entries(self, where: str, entries: Iterable[Entry]) -> None:
        data: list[bytes] = []
        for entry in entries:
            if entry.depth:
                self._content(where, entry.content, entry.depth)
            else:
                data += _ids(where, entry.content)
        self._census.need(data)

    def _content(self, where: str, content: bytes, depth: int) -> None:
        """Mark what a list of extents names, and the lists below it."""
        if not 0 <= depth <= MAX_DEPTH:
            msg = f"{where} is damaged: a list of chunks is {depth} levels deep"
            raise DamageError(msg)
        ids = _ids(where, content)
        if depth == 0:
            self._census.need(ids)
            return
        fresh = self._census.enter(ids, ("list", depth))
        lists = [chunk_id for chunk_id, is_new in zip(ids, fresh, strict=True) if is_new]
        for start in range(0, len(lists), INLINE):
            for nested in self._fetch(lists[start : start + INLINE]):
                self._content(where, nested, depth - 1)


def _ids(where: str, content: bytes) -> list[bytes]:
    try:
        return [extent.chunk_id for extent in extents(content) if extent.chunk_id != HOLE]
    except ValueError as error:
        msg = f"{where} is damaged: {error}"
        raise DamageError(msg) from error
