"""Going through a tree by its parts: each can be passed by unread, or entered.

For whoever need not read all of a tree: parts that were seen before, or that two trees share, are
known by their chunk ids. ``docs/format.md`` 8.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final, NamedTuple

from strongroom.errors import DamageError
from strongroom.model.entry import Entry
from strongroom.model.snapshot import Order
from strongroom.repository.content import FetchTree
from strongroom.repository.tree import (
    MAX_LEVELS,
    Child,
    Root,
    children_below,
    key_of,
    read_branch,
    read_leaf,
)

_AHEAD: Final = 8

Known = Callable[[bytes], bool]
"""Whether the part with this chunk id will be passed by, so that it is not read ahead."""


class Part(NamedTuple):
    """A piece of a tree: its first path (empty for a whole tree), and how many entries it holds."""

    first: bytes
    chunk_id: bytes
    level: int
    entries: int


class TreeCursor:
    """Stands before one part of a tree after the other, in order.

    ``below``: only parts that may hold this path or something below it.
    """

    def __init__(
        self, where: str, root: Root, order: Order, fetch: FetchTree, below: bytes = b""
    ) -> None:
        if not bool(root.chunk_id) <= root.levels <= MAX_LEVELS:
            msg = f"{where} is damaged: a tree of {root.levels} levels"
            raise DamageError(msg)
        self._where = where
        self._order = order
        self._key = key_of(order)
        self._fetch = fetch
        self._below = below
        whole = Part(b"", root.chunk_id, root.levels - 1, root.count)
        self._pending = [whole] if root.chunk_id else []
        self._ahead: dict[bytes, bytes] = {}
        self._last: bytes | None = None

    @property
    def part(self) -> Part | None:
        """The part that comes next; None at the end."""
        return self._pending[-1] if self._pending else None

    @property
    def after(self) -> bytes | None:
        """The first path of what comes after the next part; None if nothing does."""
        return self._pending[-2].first if len(self._pending) > 1 else None

    def __len__(self) -> int:
        """The number of parts that come next, as far as they are known."""
        return len(self._pending)

    def waiting(self) -> frozenset[bytes]:
        """Return the chunk ids of the parts that come next, as far as they are known."""
        return frozenset(part.chunk_id for part in self._pending)

    def skip(self) -> None:
        """Pass the next part by."""
        self._pending.pop()

    def enter(self, known: Known | None = None) -> tuple[Entry, ...] | None:
        """Go into the next part: its entries, or None if it consists of parts in turn.

        ``DamageError`` if it is not what is stated of it; it is passed by then. Parts that are not
        ``known`` are read ahead.
        """
        data = self._read(self._pending[-1], known)
        part = self._pending.pop()
        if part.level == 0:
            return self._entries(part, data)
        children = read_branch(self._where, data, part.level).children
        self._check(part, [child.path for child in children], sum(c.count for c in children))
        chosen = children_below(children, self._below, self._key) if self._below else children
        self._pending += [_part(child, part.level - 1) for child in reversed(chosen)]
        return None

    def _read(self, part: Part, known: Known | None) -> bytes:
        if part.chunk_id not in self._ahead:
            beside = self._pending[: -_AHEAD - 1 : -1] if part.level == 0 else [part]
            ids = [
                one.chunk_id
                for one in beside
                if one is part or (one.level == 0 and not (known and known(one.chunk_id)))
            ]
            self._ahead = {}
            try:
                self._ahead = dict(zip(ids, self._fetch(ids), strict=True))
            except DamageError:
                self._ahead = self._alone(part)
        return self._ahead.pop(part.chunk_id)

    def _alone(self, part: Part) -> dict[bytes, bytes]:
        """Read one part; what comes after it may be what is damaged."""
        try:
            (data,) = self._fetch([part.chunk_id])
        except DamageError:
            self._pending.pop()
            raise
        return {part.chunk_id: data}

    def _entries(self, part: Part, data: bytes) -> tuple[Entry, ...]:
        entries = read_leaf(self._where, data, self._order).entries
        self._check(part, [entry.path for entry in entries], len(entries))
        return entries

    def _check(self, part: Part, paths: list[bytes], count: int) -> None:
        keys = [self._key(path) for path in paths]
        after = self._key(self._pending[-1].first) if self._pending else None
        ordered = all(earlier < later for earlier, later in pairwise(keys))
        if part.level == 0:
            ordered = ordered and (self._last is None or self._last < keys[0])
        if not ordered or (after is not None and keys[-1] >= after):
            raise self._damage("its entries are out of order")
        if part.first and part.first != paths[0]:
            raise self._damage("a part of it begins elsewhere than is stated")
        if count != part.entries:
            raise self._damage(f"a part of it holds {count} entries and states {part.entries}")
        if part.level == 0:
            self._last = keys[-1]

    def _damage(self, what: str) -> DamageError:
        return DamageError(f"the tree of {self._where} is damaged: {what}")


def _part(child: Child, level: int) -> Part:
    return Part(child.path, child.chunk_id, level, child.count)
