"""Two sorted sides beside each other, a merge-join: what both share as a whole is not looked into.

A side stands before one thing after the other: an entry, or a part of a tree that is not read yet.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from strongroom.errors import DamageError
from strongroom.model.entry import Entry
from strongroom.model.snapshot import Order, SourceRecord
from strongroom.repository.tree import SortKey, is_below
from strongroom.repository.treecursor import Part, TreeCursor

Pair = tuple[Entry | None, Entry | None]
OnDamage = Callable[[bytes, DamageError], None]


class Head(NamedTuple):
    """What comes next on a side, and the key that it is sorted by."""

    key: bytes
    thing: Part | Entry


class Side(Protocol):
    """One of the two things that are compared."""

    def head(self) -> Head | None:
        """Return what comes next; None at the end."""
        ...

    def skip(self) -> None:
        """Pass it by."""
        ...

    def enter(self, shared: frozenset[bytes]) -> None:
        """Look into the part that comes next; ``shared``: parts that will be passed by."""
        ...

    def waiting(self) -> frozenset[bytes]:
        """Return the parts that come next, as far as they are known and may be passed by."""
        ...

    def may_pass(self) -> bool:
        """Whether the part that comes next can be passed by as a whole."""
        ...

    def is_unknown(self, head: Head) -> bool:
        """Whether nobody can say if this side has it, because something could not be read."""
        ...


class _Stream:
    """One tree: its cursor, and the entries of the part that was entered last."""

    __slots__ = ("at", "cursor", "entries")

    def __init__(self, cursor: TreeCursor) -> None:
        self.cursor = cursor
        self.entries: Sequence[Entry] = ()
        self.at = 0


class TreeSide:
    """The trees of a snapshot as one, all of the same order; a path in several comes once.

    ``tops``: only what is at or below one of these paths. ``held``: paths that several trees may
    have, sorted; a part that may hold one is always looked into.
    """

    def __init__(
        self,
        cursors: Sequence[TreeCursor],
        key: SortKey,
        on_damage: OnDamage,
        *,
        tops: Sequence[bytes] = (),
        held: Sequence[bytes] = (),
    ) -> None:
        self._streams = [_Stream(cursor) for cursor in cursors]
        self._key = key
        self._order = Order.RAW if key is bytes else Order.COMPONENTS
        self._on_damage = on_damage
        self._tops = tops
        self._held = sorted(key(path) for path in held)
        self._done: bytes | None = None
        self._gap: tuple[bytes, bytes | None] | None = None
        self._next: tuple[Head, _Stream] | None = None

    def head(self) -> Head | None:
        """See ``Side``."""
        if self._next is None:
            found = [(head, s) for s in self._streams if (head := self._head_of(s)) is not None]
            self._next = min(found, key=lambda one: one[0].key, default=None)
        return self._next[0] if self._next else None

    def _head_of(self, stream: _Stream) -> Head | None:
        while stream.at < len(stream.entries):
            entry = stream.entries[stream.at]
            key = self._key(entry.path)
            if self._done is None or key > self._done:
                return Head(key, entry)
            stream.at += 1
        part = stream.cursor.part
        return None if part is None else Head(self._key(part.first), part)

    def skip(self) -> None:
        """See ``Side``."""
        head, stream = self._current()
        if isinstance(head.thing, Part):
            stream.cursor.skip()
        else:
            stream.at += 1
            self._done = head.key
        self._next = None

    def enter(self, shared: frozenset[bytes]) -> None:
        """See ``Side``."""
        head, stream = self._current()
        after = stream.cursor.after
        self._next = None
        try:
            entries = stream.cursor.enter(shared.__contains__) or ()
        except DamageError as error:
            end = None if after is None else self._key(after)
            self._gap = (head.key, self._later(end))
            first = head.thing.first if isinstance(head.thing, Part) else b""
            self._on_damage(first, error)
            return
        if self._tops:
            entries = tuple(
                e for e in entries if any(is_below(e.path, top, self._order) for top in self._tops)
            )
        stream.entries, stream.at = entries, 0

    def _later(self, end: bytes | None) -> bytes | None:
        """Return the end of a gap that another one, of another tree, may reach beyond."""
        if self._gap is None or end is None:
            return end
        before = self._gap[1]
        return None if before is None else max(before, end)

    def _current(self) -> tuple[Head, _Stream]:
        self.head()
        if self._next is None:
            msg = "the side is at its end"
            raise IndexError(msg)
        return self._next

    def waiting(self) -> frozenset[bytes]:
        """See ``Side``."""
        return frozenset().union(*(stream.cursor.waiting() for stream in self._streams))

    def may_pass(self) -> bool:
        """See ``Side``."""
        head, stream = self._current()
        after = stream.cursor.after
        at = bisect_left(self._held, head.key)
        return at == len(self._held) or (after is not None and self._held[at] >= self._key(after))

    def is_unknown(self, head: Head) -> bool:
        """See ``Side``."""
        if self._gap is None:
            return False
        begin, end = self._gap
        return head.key >= begin and (end is None or head.key < end)


def pairs(old: Side, new: Side, *, sharing: bool = True) -> Iterator[Pair]:
    """Yield what is on both sides, or on one alone; not what both have in a shared part.

    ``sharing``: equal parts mean equal entries. An entry is not yielded where the other side could
    not be read. A side stands before what was yielded until the next pair is asked for.
    """
    while True:
        left, right = old.head(), new.head()
        if left is None and right is None:
            return
        if right is None or (left is not None and left.key < right.key):
            yield from _alone(old, new, is_old=True)
        elif left is None or right.key < left.key:
            yield from _alone(new, old, is_old=False)
        elif isinstance(left.thing, Entry) and isinstance(right.thing, Entry):
            yield left.thing, right.thing
            old.skip()
            new.skip()
        elif sharing and _are_same(left, right) and old.may_pass() and new.may_pass():
            old.skip()
            new.skip()
        else:
            _look_into(old, new, sharing=sharing)


def path_of(pair: Pair) -> bytes:
    """Return the path that a pair is about."""
    return next(entry.path for entry in pair if entry is not None)


def _are_same(left: Head, right: Head) -> bool:
    return (
        isinstance(left.thing, Part)
        and isinstance(right.thing, Part)
        and (left.thing.chunk_id, left.thing.level) == (right.thing.chunk_id, right.thing.level)
    )


def _look_into(old: Side, new: Side, *, sharing: bool) -> None:
    """Enter what is the larger part; both if they are of one level."""
    left, right = _level(old), _level(new)
    shared = [s.waiting() if sharing else frozenset[bytes]() for s in (old, new)]
    if left >= right:
        old.enter(shared[1])
    if right >= left:
        new.enter(shared[0])


def _level(side: Side) -> int:
    head = side.head()
    return head.thing.level if head is not None and isinstance(head.thing, Part) else -1


def _alone(side: Side, other: Side, *, is_old: bool) -> Iterator[Pair]:
    head = side.head()
    if head is None:
        return
    if isinstance(head.thing, Part):
        side.enter(other.waiting())
        return
    if not other.is_unknown(head):
        yield (head.thing, None) if is_old else (None, head.thing)
    side.skip()


def overlap(sources: Sequence[SourceRecord]) -> bool:
    """Whether something was saved by more than one source."""
    saved = sorted(
        (path.strip(b"/").replace(b"/", b"\0"), number)
        for number, source in enumerate(sources)
        for path in source.paths
    )
    around: list[tuple[bytes, int]] = []
    for path, number in saved:
        while around and around[-1][0] and not (path + b"\0").startswith(around[-1][0] + b"\0"):
            around.pop()
        if any(other != number for _, other in around):
            return True
        around.append((path, number))
    return False


def above(sources: Sequence[SourceRecord]) -> list[bytes]:
    """Return the folders above what sources saved, which each of them has entries of."""
    found = set()
    for source in sources:
        for path in source.paths:
            folder = path.strip(b"/").rpartition(b"/")[0]
            while folder:
                found.add(folder)
                folder = folder.rpartition(b"/")[0]
    return sorted(found)
