"""Trees: the entries of a source, cut into chunks level upon level (``docs/format.md`` 8)."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from strongroom.crypto.primitives import sha256
from strongroom.errors import DamageError
from strongroom.model.entry import MAX_COMPONENT, MAX_PATH, Entry, sort_key
from strongroom.model.snapshot import Order
from strongroom.repository.canonical import FormatError, decode, encode
from strongroom.repository.content import FetchTree, SaveTree
from strongroom.repository.layout import HASH_SIZE

MAX_LEVELS: Final = 32
MAX_ENTRY: Final = 8 << 20
LEAVES_AT_ONCE: Final = 16
_LEAST, _MOST, _DIVISOR = 64, 4096, 512
_LEAST_BYTES, _MOST_BYTES = 4096, 1 << 20
_FEW, _MANY = 16, 1 << 16
_ODD: Final = re.compile(rb"//|/\.|\0").search

SortKey = Callable[[bytes], bytes]


class Child(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An element of a branch: the first path below, its chunk, and the entries below."""

    path: bytes
    chunk_id: bytes
    count: int


class Leaf(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A tree chunk of level 0."""

    level: int
    entries: tuple[Entry, ...]


class Branch(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A tree chunk of a level above 0."""

    level: int
    children: tuple[Child, ...]


@dataclass(frozen=True, slots=True)
class Root:
    """A finished tree; ``chunk_id`` is empty for one without entries."""

    chunk_id: bytes
    levels: int
    count: int


class _Level:
    """The elements of one level since its last cut."""

    __slots__ = ("count", "encoded", "first", "size")

    def __init__(self) -> None:
        self.encoded: list[bytes] = []
        self.first = b""
        self.count = 0
        self.size = 0


def _node(level: int, elements: list[bytes]) -> bytes:
    count = len(elements)
    if count < _FEW:
        head = bytes([0x90 | count])
    elif count < _MANY:
        head = b"\xdc" + struct.pack(">H", count)
    else:
        head = b"\xdd" + struct.pack(">I", count)
    return b"\x92" + encode(level) + head + b"".join(elements)


def _is_cut(level: int, path: bytes) -> bool:
    if level == 0:
        return zlib.crc32(path) % _DIVISOR == 0
    # Not a checksum again: that of a path follows from that of the path before it, which allowed
    # a cut below, so that numbered names would hardly ever be cut here.
    return int.from_bytes(sha256(bytes([level]) + path)[:2], "big") % _DIVISOR == 0


class TreeWriter:
    """Takes entries in order; ``save_tree`` stores a chunk and returns its id."""

    def __init__(self, save_tree: SaveTree, order: Order = Order.COMPONENTS) -> None:
        self._save_tree = save_tree
        self._order = order
        self._key = key_of(order)
        self._levels = [_Level()]
        self._last = b""
        self._count = 0

    def add(self, entry: Entry) -> bytes:
        """Append an entry; the id of the leaf that it completes, empty if it completes none.

        ``ValueError`` if it does not belong here.
        """
        key = self._key(entry.path)
        if self._count and key <= self._last:
            msg = "entry out of order"
            raise ValueError(msg)
        if _is_suspicious(entry.path) and not are_paths([entry.path], self._order):
            msg = "not a path that can be kept"
            raise ValueError(msg)
        encoded = encode(entry)
        if len(encoded) > MAX_ENTRY:
            msg = f"entry too large: {len(encoded)} bytes"
            raise ValueError(msg)
        self._last = key
        self._count += 1
        return self._append(0, entry.path, encoded, 1)

    @property
    def is_between_leaves(self) -> bool:
        """Whether the next entry begins a leaf."""
        return not self._levels[0].encoded

    def add_leaf(self, chunk_id: bytes, first: bytes, last: bytes, count: int) -> None:
        """Append a stored leaf that ``add`` completed once, with its first and last path."""
        if not self.is_between_leaves or (self._count and self._key(first) <= self._last):
            raise ValueError("leaf out of order")
        self._last = self._key(last)
        self._count += count
        self._append_child(1, Child(first, chunk_id, count))

    def finish(self) -> Root:
        """Store what is left and return the root."""
        if self._count == 0:
            return Root(b"", 0, 0)
        level = 0
        while True:
            waiting = self._levels[level]
            top = level == len(self._levels) - 1
            if top and level and len(waiting.encoded) == 1:
                child = decode(waiting.encoded[0], Child)
                return Root(child.chunk_id, level, self._count)
            if waiting.encoded:
                self._cut(level)
            level += 1

    def _append(self, level: int, path: bytes, encoded: bytes, count: int) -> bytes:
        """Append an element; the id of the node that it completes, or nothing."""
        waiting = self._levels[level]
        if not waiting.encoded:
            waiting.first = path
        waiting.encoded.append(encoded)
        waiting.count += count
        waiting.size += len(encoded)
        elements = len(waiting.encoded)
        enough = elements >= _LEAST or waiting.size >= _LEAST_BYTES
        full = elements >= _MOST or waiting.size >= _MOST_BYTES
        alone = level > 0 and elements == 1
        if not alone and (full or (enough and _is_cut(level, path))):
            return self._cut(level)
        return b""

    def _cut(self, level: int) -> bytes:
        waiting, self._levels[level] = self._levels[level], _Level()
        chunk_id = self._save_tree(_node(level, waiting.encoded))
        self._append_child(level + 1, Child(waiting.first, chunk_id, waiting.count))
        return chunk_id

    def _append_child(self, level: int, child: Child) -> None:
        if level == len(self._levels):
            self._levels.append(_Level())
        self._append(level, child.path, encode(child), child.count)


class TreeReader:
    """Reads one tree; ``fetch`` returns tree chunks by their ids. All errors: ``DamageError``."""

    def __init__(self, where: str, root: Root, order: Order, fetch: FetchTree) -> None:
        if not bool(root.chunk_id) <= root.levels <= MAX_LEVELS:
            msg = f"{where} is damaged: a tree of {root.levels} levels"
            raise DamageError(msg)
        self._where = where
        self._root = root
        self._fetch = fetch
        self._order = order
        self._key = key_of(order)

    def entries(self, below: bytes = b"") -> Iterator[tuple[Entry, ...]]:
        """Yield the entries in order, a leaf at a time; only ``below`` a path, and that path."""
        if not self._root.chunk_id:
            return
        last = None
        total = 0
        for leaf in self._leaves(self._root.chunk_id, self._root.levels - 1, below):
            for entry in leaf:
                key = self._key(entry.path)
                if last is not None and key <= last:
                    raise self._damage("its entries are out of order")
                last = key
            total += len(leaf)
            yield tuple(e for e in leaf if is_below(e.path, below)) if below else leaf
        if not below and total != self._root.count:
            raise self._damage(f"it holds {total} entries and states {self._root.count}")

    def _damage(self, what: str) -> DamageError:
        return DamageError(f"the tree of {self._where} is damaged: {what}")

    def _leaves(self, chunk_id: bytes, level: int, below: bytes) -> Iterator[tuple[Entry, ...]]:
        pending = [(level, [chunk_id])]
        while pending:
            level, ids = pending.pop()
            if not ids:
                continue
            width = LEAVES_AT_ONCE if level == 0 else 1
            part, rest = ids[:width], ids[width:]
            pending.append((level, rest))
            for data in self._fetch(part):
                if level == 0:
                    yield self._leaf(data)
                else:
                    pending.append((level - 1, self._children(data, level, below)))

    def _leaf(self, data: bytes) -> tuple[Entry, ...]:
        return read_leaf(self._where, data, self._order).entries

    def _children(self, data: bytes, level: int, below: bytes) -> list[bytes]:
        children: Sequence[Child] = read_branch(self._where, data, level).children
        if below:
            children = children_below(children, below, self._key)
        return [child.chunk_id for child in children]


def key_of(order: Order) -> SortKey:
    """Return what the paths of a tree are sorted by."""
    return sort_key if order is Order.COMPONENTS else bytes


def children_below(children: Sequence[Child], below: bytes, key: SortKey) -> list[Child]:
    """Return those that may hold a path, or something below it."""
    low = key(below)
    high = low + b"\x01" if key is sort_key else low.removesuffix(b"/") + b"0"  # what follows "/"
    chosen = []
    for i, child in enumerate(children):
        after = key(children[i + 1].path) if i + 1 < len(children) else None
        if after is not None and after <= low:
            continue
        if key(child.path) >= high:
            break
        chosen.append(child)
    return chosen


def _is_suspicious(path: bytes) -> bool:
    """Whether it takes a closer look to see if this is the path of an entry."""
    return (
        _ODD(path) is not None
        or path[:1] in b"/."
        or path[-1:] == b"/"
        or len(path) > MAX_COMPONENT
    )


def are_paths(paths: Sequence[bytes], order: Order) -> bool:
    """Whether each may be the path of an entry in this order (``docs/format.md`` 11)."""
    if order is Order.RAW:
        return all(0 < len(path) <= MAX_PATH for path in paths)
    joined = b"/%b/" % b"/-/".join(paths)
    if b"//" in joined or b"/./" in joined or b"/../" in joined or b"\0" in joined:
        return False
    longest = max(map(len, paths), default=0)
    return longest <= MAX_COMPONENT or all(
        len(path) <= MAX_PATH and max(map(len, path.split(b"/"))) <= MAX_COMPONENT for path in paths
    )


def is_below(path: bytes, top: bytes) -> bool:
    """Whether ``path`` is ``top`` or lies below it; everything lies below an empty path.

    Below a top that ends in a slash, as the key of an object may, is what begins with it.
    """
    if not top or path == top:
        return True
    return path.startswith(top if top.endswith(b"/") else top + b"/")


def read_leaf(where: str, data: bytes, order: Order = Order.COMPONENTS) -> Leaf:
    """Decode a tree chunk of level 0 of a tree of this order; ``DamageError``."""
    try:
        leaf = decode(data, Leaf)
    except FormatError as error:
        msg = f"the tree of {where} is damaged: {error}"
        raise DamageError(msg) from error
    if leaf.level != 0 or not leaf.entries:
        msg = f"the tree of {where} is damaged: a leaf is of another level"
        raise DamageError(msg)
    if not are_paths([entry.path for entry in leaf.entries], order):
        msg = f"the tree of {where} is damaged: it holds what is no path"
        raise DamageError(msg)
    if len(data) > MAX_ENTRY and any(len(encode(entry)) > MAX_ENTRY for entry in leaf.entries):
        msg = f"the tree of {where} is damaged: an entry is too large"
        raise DamageError(msg)
    return leaf


def read_branch(where: str, data: bytes, level: int) -> Branch:
    """Decode a tree chunk of ``level`` above 0; ``DamageError``."""
    try:
        branch = decode(data, Branch)
    except FormatError as error:
        msg = f"the tree of {where} is damaged: {error}"
        raise DamageError(msg) from error
    named = all(len(child.chunk_id) == HASH_SIZE for child in branch.children)
    if branch.level != level or not branch.children or not named:
        msg = f"the tree of {where} is damaged: a branch is of another level"
        raise DamageError(msg)
    return branch
