"""Check trees: every node reads, is in order, and every chunk that an entry names is to be had.

A node that was found good is not looked at again for another snapshot; a node with damage below it
is, so that each snapshot it touches is named.
"""

from __future__ import annotations

from itertools import pairwise

from strongroom.errors import DamageError
from strongroom.model.entry import HOLE, Entry, sort_key
from strongroom.model.snapshot import ListedSnapshot, Order, SourceRecord
from strongroom.repository.content import flatten
from strongroom.repository.findings import CheckResult, Finding, Severity
from strongroom.repository.index import ChunkIndex
from strongroom.repository.reader import Reader
from strongroom.repository.tree import MAX_LEVELS, read_branch, read_leaf


class TreeCheck:
    """Checks snapshots one after the other; findings go to ``result``.

    ``usable`` holds the chunks whose packs are there and, as far as they were read, sound.
    """

    def __init__(self, reader: Reader, usable: ChunkIndex, result: CheckResult) -> None:
        self._reader = reader
        self._usable = usable
        self._result = result
        self._good: set[bytes] = set()
        self.chunks_seen = 0

    def snapshot(self, listed: ListedSnapshot) -> None:
        """Check every source of a snapshot."""
        for source in listed.snapshot.sources:
            name = listed.short_id
            if source.root:
                self._source(name, source)
            if source.problems.content:
                problems = Entry(
                    path=b"(list of problems)",
                    kind=1,
                    mode=0,
                    uid=0,
                    gid=0,
                    user=b"",
                    group=b"",
                    mtime_ns=0,
                    size=0,
                    content=source.problems.content,
                    depth=source.problems.depth,
                )
                self._contents(name, [problems], sized=False)

    def _source(self, name: str, source: SourceRecord) -> None:
        if not 1 <= source.levels <= MAX_LEVELS:
            self._damage(name, b"", f"its tree has {source.levels} levels")
            return
        count = self._node(name, source.root, source.levels - 1, b"", Order(source.order))
        if count is not None and count != source.counts.entries:
            self._damage(
                name, b"", f"its tree has {count} entries, {source.counts.entries} are stated"
            )

    def _damage(self, name: str, path: bytes, text: str) -> None:
        self._result.add(Finding(Severity.DAMAGE, f"snapshot {name}", text, name, path))

    def _node(
        self, name: str, chunk_id: bytes, level: int, first: bytes, order: Order
    ) -> int | None:
        """Return the number of entries below; None if a part of them is damaged."""
        try:
            (data,) = self._reader.fetch([chunk_id])
            if level == 0:
                return self._leaf(name, chunk_id, data, first, order)
            children = read_branch(f"snapshot {name}", data, level).children
        except DamageError as error:
            self._damage(name, first, f"everything from here on in its tree: {error.message}")
            return None
        total: int | None = 0
        for child in children:
            if child.chunk_id in self._good:
                count: int | None = child.count
            else:
                count = self._node(name, child.chunk_id, level - 1, child.path, order)
            if count is not None and count != child.count:
                self._damage(name, child.path, "a part of its tree has another number of entries")
                count = None
            total = None if total is None or count is None else total + count
        if total is not None:
            self._good.add(chunk_id)
        return total

    def _leaf(
        self, name: str, chunk_id: bytes, data: bytes, first: bytes, order: Order
    ) -> int | None:
        entries = read_leaf(f"snapshot {name}", data).entries
        key = sort_key if order is Order.COMPONENTS else bytes
        paths = [key(entry.path) for entry in entries]
        if (first and entries[0].path != first) or any(
            later <= earlier for earlier, later in pairwise(paths)
        ):
            self._damage(name, entries[0].path, "a part of its tree is out of order")
            return None
        if not self._contents(name, entries):
            return None
        self._good.add(chunk_id)
        return len(entries)

    def _contents(
        self, name: str, entries: tuple[Entry, ...] | list[Entry], *, sized: bool = True
    ) -> bool:
        sound = True
        wanted: list[tuple[Entry, bytes]] = []
        for entry in entries:
            if not entry.content:
                continue
            try:
                extents = list(
                    flatten(repr(entry.path), entry.content, entry.depth, self._reader.fetch)
                )
            except DamageError as error:
                self._damage(name, entry.path, error.message)
                sound = False
                continue
            if sized and sum(extent.length for extent in extents) != entry.size:
                self._damage(name, entry.path, "its chunks do not add up to its size")
                sound = False
            wanted += [(entry, e.chunk_id) for e in extents if e.chunk_id != HOLE]
        self.chunks_seen += len(wanted)
        known = self._usable.known([chunk_id for _, chunk_id in wanted])
        for (entry, chunk_id), is_known in zip(wanted, known, strict=True):
            if not is_known:
                self._damage(name, entry.path, f"chunk {chunk_id.hex()[:16]} cannot be had")
                sound = False
        return sound
