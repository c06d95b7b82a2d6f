"""Check trees: every node reads, is in order, and every chunk that an entry names is to be had.

A node that was found good is not looked at again for another snapshot; a node with damage below it
is, so that each snapshot it touches is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import lt
from typing import Final, NamedTuple, Protocol

from strongroom.errors import DamageError
from strongroom.model.entry import EXTENT, HOLE, Entry, EntryKind, sort_key
from strongroom.model.snapshot import ListedSnapshot, Order, SourceRecord
from strongroom.repository.content import FetchTree, flatten, lists_ahead
from strongroom.repository.findings import Finding, Found, Severity
from strongroom.repository.tree import MAX_LEVELS, Child, read_branch, read_leaf

_WITH_CONTENT: Final = frozenset({EntryKind.FILE, EntryKind.STREAM})

_AHEAD: Final = 64  # leaves of some 60 KB, of 1 MiB at most

SortKey = Callable[[bytes], bytes]


class _Part(NamedTuple):
    """A node and all below it, found good: its first and last path, and its number of entries."""

    level: int
    first: bytes
    last: bytes
    entries: int


class Fetching(Protocol):
    """Reads chunks."""

    def fetch(self, ids: list[bytes]) -> list[bytes]:
        """Return whole chunks in the order asked for; ``DamageError`` if one is not to be had."""
        ...


class Lengths(Protocol):
    """Knows which chunks are to be had."""

    def lengths(self, ids: Sequence[bytes]) -> list[int | None]:
        """Return the length in bytes of each chunk, None where it is not to be had."""
        ...


class TreeCheck:
    """Checks snapshots one after the other, and says what it finds.

    ``usable`` holds the chunks whose packs are there and, as far as they were read, sound.
    """

    def __init__(self, reader: Fetching, usable: Lengths, found: Found) -> None:
        self._reader = reader
        self._usable = usable
        self._found = found
        self._good: dict[bytes, _Part] = {}
        self._ahead: dict[bytes, bytes] = {}
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
        key = sort_key if source.order == Order.COMPONENTS else bytes
        part = self._node(name, source.root, source.levels - 1, b"", key, ())
        stated = source.counts.entries
        if part is not None and part.entries != stated:
            self._damage(name, b"", f"its tree has {part.entries} entries, {stated} are stated")

    def _damage(self, name: str, path: bytes, text: str) -> None:
        self._found(Finding(Severity.DAMAGE, f"snapshot {name}", text, name, path))

    def _node(
        self,
        name: str,
        chunk_id: bytes,
        level: int,
        first: bytes,
        key: SortKey,
        beside: Sequence[Child],
    ) -> _Part | None:
        """Return what lies below; None if something of it is damaged.

        ``beside``: leaves that are checked next, and may be read together with this one.
        """
        known = self._good.get(chunk_id)
        if known is not None and known.level == level:
            return known
        try:
            data = self._read(chunk_id, beside)
            if level == 0:
                part = self._leaf(name, data, key)
            else:
                children = read_branch(f"snapshot {name}", data, level).children
                part = self._branch(name, children, level, key)
        except DamageError as error:
            self._damage(name, first, f"everything from here on in its tree: {error.message}")
            return None
        if part is not None:
            self._good[chunk_id] = part
        return part

    def _read(self, chunk_id: bytes, beside: Sequence[Child]) -> bytes:
        """Read a node, and those beside it for later; ``DamageError`` if it is the damaged one."""
        data = self._ahead.pop(chunk_id, None)
        if data is None:
            unknown = [c.chunk_id for c in beside if c.chunk_id not in self._good]
            ids = list(dict.fromkeys([chunk_id, *unknown]))
            try:
                self._ahead = dict(zip(ids, self._reader.fetch(ids), strict=True))
            except DamageError:
                (data,) = self._reader.fetch([chunk_id])
            else:
                data = self._ahead.pop(chunk_id)
        return data

    def _branch(
        self, name: str, children: Sequence[Child], level: int, key: SortKey
    ) -> _Part | None:
        parts: list[_Part] = []
        for at, child in enumerate(children):
            beside = children[at + 1 : at + _AHEAD] if level == 1 else ()
            part = self._node(name, child.chunk_id, level - 1, child.path, key, beside)
            if part is None:
                continue
            if (part.first, part.entries) != (child.path, child.count):
                self._damage(name, child.path, "a part of its tree is not what is stated of it")
            elif parts and key(part.first) <= key(parts[-1].last):
                self._damage(name, child.path, "a part of its tree is out of order")
            else:
                parts.append(part)
        if len(parts) != len(children):
            return None
        return _Part(level, parts[0].first, parts[-1].last, sum(part.entries for part in parts))

    def _leaf(self, name: str, data: bytes, key: SortKey) -> _Part | None:
        order = Order.COMPONENTS if key is sort_key else Order.RAW
        entries = read_leaf(f"snapshot {name}", data, order).entries
        first, last = entries[0].path, entries[-1].path
        paths = [key(entry.path) for entry in entries]
        if not all(map(lt, paths, paths[1:])):
            self._damage(name, first, "a part of its tree is out of order")
            return None
        return _Part(0, first, last, len(entries)) if self._contents(name, entries) else None

    def _contents(
        self, name: str, entries: tuple[Entry, ...] | list[Entry], *, sized: bool = True
    ) -> bool:
        sound = True
        owners: list[Entry] = []
        ids: list[bytes] = []
        stated: list[int] = []
        fetch = lists_ahead(entries, self._reader.fetch)
        for entry in entries:
            if not entry.content and (entry.kind not in _WITH_CONTENT or not entry.size):
                continue
            try:
                pieces = _pieces(entry, fetch)
            except DamageError as error:
                self._damage(name, entry.path, error.message)
                sound = False
                continue
            if sized and sum(length for _, length in pieces) != entry.size:
                self._damage(name, entry.path, "its chunks do not add up to its size")
                sound = False
            for chunk_id, length in pieces:
                if chunk_id != HOLE:
                    owners.append(entry)
                    ids.append(chunk_id)
                    stated.append(length)
        self.chunks_seen += len(ids)
        found = self._usable.lengths(ids)
        return self._compared(name, owners, ids, stated, found) and sound

    def _compared(
        self,
        name: str,
        owners: Sequence[Entry],
        ids: Sequence[bytes],
        stated: Sequence[int],
        found: Sequence[int | None],
    ) -> bool:
        """Whether every chunk is there and as long as its entry states."""
        if found == stated:
            return True
        for entry, chunk_id, wanted, length in zip(owners, ids, stated, found, strict=True):
            if length != wanted:
                what = "cannot be had" if length is None else f"is {length} bytes long"
                self._damage(name, entry.path, f"chunk {chunk_id.hex()[:16]} {what}")
        return False


def _pieces(entry: Entry, fetch: FetchTree) -> Sequence[tuple[bytes, int]]:
    """Return chunk ids and lengths of what an entry contains; ``DamageError``."""
    if entry.depth == 0 and len(entry.content) == EXTENT.size:
        return (EXTENT.unpack(entry.content),)
    return list(flatten(repr(entry.path), entry.content, entry.depth, fetch))
