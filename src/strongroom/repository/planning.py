"""What a backup has to do for what a walk found, and what it can leave as it was."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from strongroom.model.source import Item
from strongroom.repository.lastwalk import LastWalk, WalkBlock, WalkRecord
from strongroom.repository.writer import ChunkWriter

BATCH_ITEMS: Final = 256
BATCH_BYTES: Final = 4 << 20


class Small(NamedTuple):
    """Items to be loaded together; ``size`` in bytes."""

    items: list[Item]
    size: int


# Load small items; stream a large one; keep what one record says, or a leaf of the tree.
Step = Small | Item | WalkRecord | WalkBlock


class Planner:
    """Compares a walk with the last one; used by one thread.

    What the last walk says is used only where ``writer`` may rely on every chunk that it takes.
    """

    def __init__(self, last: LastWalk, writer: ChunkWriter, large: int) -> None:
        """Take items of ``large`` bytes and more as large."""
        self._last = last
        self._writer = writer
        self._large = large
        self._held: list[Item] = []

    def plan(self, items: Sequence[Item]) -> Iterator[Step]:
        """Yield the steps for the items, in their order; some may wait for the items after them."""
        return self._plan([*self._held, *items], at_end=False)

    def finish(self) -> Iterator[Step]:
        """Yield the steps for what is still waiting."""
        return self._plan(self._held, at_end=True)

    def _plan(self, items: Sequence[Item], *, at_end: bool) -> Iterator[Step]:
        """Find leaves of which nothing has changed, and plan what lies between them."""
        last = self._last
        self._held = []
        between: list[Item] = []
        records: list[WalkRecord | None] = []
        place = 0
        while place < len(items):
            path, token, _, _ = items[place]
            leaf = last.leaf_at(path)
            if leaf is None:
                between.append(items[place])
                records.append(last.match(path, token))
                place += 1
                continue
            if leaf.count > len(items) - place and not at_end:
                self._held = list(items[place:])
                break
            if leaf.covers(items[place : place + leaf.count]) and self._writer.has(leaf.needs):
                yield from self._entries(between, records)
                between, records = [], []
                yield leaf
                last.meet()
                place += leaf.count
            else:
                last.enter()
        yield from self._entries(between, records)

    def _entries(
        self, items: Sequence[Item], records: Sequence[WalkRecord | None]
    ) -> Iterator[Step]:
        reliable = self._reliable(records)
        small: list[Item] = []
        size = 0
        for item, record, is_reliable in zip(items, records, reliable, strict=True):
            large = item.size >= self._large
            if small and (large or (record is not None and is_reliable)):
                yield Small(small, size)
                small, size = [], 0
            if record is not None and is_reliable:
                yield record
            elif large:
                yield item
            else:
                small.append(item)
                size += item.size
                if len(small) >= BATCH_ITEMS or size >= BATCH_BYTES:
                    yield Small(small, size)
                    small, size = [], 0
        if small:
            yield Small(small, size)

    def _reliable(self, records: Sequence[WalkRecord | None]) -> list[bool]:
        needs = [record.needs() if record is not None else [] for record in records]
        known = iter(self._writer.relies_on([i for ids in needs for i in ids]))
        return [sum(itertools.islice(known, len(ids))) == len(ids) for ids in needs]
