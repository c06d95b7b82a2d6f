"""Compare a snapshot with what is on the disk now; bytes are read only where that tells more."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from strongroom.errors import DamageError
from strongroom.model.entry import HOLE, Entry, Extent, sort_key
from strongroom.model.snapshot import ListedSnapshot, Order, SourceRecord
from strongroom.model.source import Content, InspectableSource, Item, Problem
from strongroom.operations.changes import Change, DiffResult, Modifier, change_of
from strongroom.operations.comparing import Head, TreeSide, pairs, path_of
from strongroom.operations.diff import Take, damage
from strongroom.operations.restore import cursor_of
from strongroom.repository.columns import MAX_FRAME_PLAIN
from strongroom.repository.content import FetchTree, flatten
from strongroom.repository.repository import Repository
from strongroom.repository.tree import is_below, key_of

_PIECE: Final = 1 << 20
_ZEROS: Final = bytes(_PIECE)

Hasher = Callable[[bytes | bytearray | memoryview], bytes]


class Living(NamedTuple):
    """A source of a snapshot as it is now: how to walk it, None if none of it is there any more.

    ``tops``: paths; only what is at or below one of them is compared. ``whole``: they are all that
    the source saved, so that groups of hard links are the same. ``wanted`` is asked, in order, for
    what the walk did not find: what was left out of it on purpose is not removed.
    """

    record: SourceRecord
    source: InspectableSource | None
    tops: Sequence[bytes]
    whole: bool
    wanted: Callable[[Entry], bool]


class DiskSide:
    """The disk as a side of a comparison: entries, one after the other."""

    def __init__(
        self, source: InspectableSource | None, tops: Sequence[bytes], problems: list[Problem]
    ) -> None:
        self._source = source
        self._tops = tops
        self._problems = problems
        self._unread: set[bytes] = set()
        self._entries = self._walk() if source is not None else iter(())
        self._current = next(self._entries, None)

    @property
    def item(self) -> Item | None:
        """What the entry that comes next was made of."""
        return self._current[1] if self._current else None

    def report(self, problem: Problem) -> None:
        """Keep a problem; what is missing because of it is not taken for removed."""
        self._problems.append(problem)
        if problem.missing:
            self._unread.add(problem.path)

    def _walk(self) -> Iterator[tuple[Entry, Item]]:
        if self._source is None:
            return
        for batch in self._source.walk(self.report):
            wanted = [i for i in batch if any(is_below(i.path, top) for top in self._tops)]
            for loaded in self._source.look(wanted):
                if loaded.problem is not None:
                    self.report(loaded.problem)
                if loaded.entry is not None:
                    yield loaded.entry, loaded.item

    def head(self) -> Head | None:
        """See ``Side``."""
        return Head(sort_key(self._current[0].path), self._current[0]) if self._current else None

    def skip(self) -> None:
        """See ``Side``."""
        self._current = next(self._entries, None)

    def enter(self, shared: frozenset[bytes]) -> None:
        """See ``Side``; there are no parts here."""
        raise TypeError(shared)

    def waiting(self) -> frozenset[bytes]:
        """See ``Side``."""
        return frozenset()

    def may_pass(self) -> bool:
        """See ``Side``."""
        return False

    def is_unknown(self, head: Head) -> bool:
        """See ``Side``: whether something at or above it could not be looked at."""
        path = head.key.replace(b"\0", b"/")
        while path:
            if path in self._unread:
                return True
            path = path.rpartition(b"/")[0]
        return b"" in self._unread


def diff_disk(
    repository: Repository,
    listed: ListedSnapshot,
    living: Sequence[Living],
    take: Take,
    *,
    read_content: bool,
) -> DiffResult:
    """Give every difference to ``take``, source by source, in the order of paths.

    The content of a file whose size and time are the same is taken to be the same, unless
    ``read_content``.
    """
    result = DiffResult()
    reader = repository.reader()
    hasher = repository.keyring.domain(listed.domain).data_hasher
    for one in living:
        disk = DiskSide(one.source, one.tops, result.problems)
        below = one.tops[0] if len(one.tops) == 1 else b""
        tree = TreeSide(
            [cursor_of(reader, listed, one.record, below)],
            key_of(Order(one.record.order)),
            lambda first, error: result.damaged.append(damage(listed, first, error)),
            tops=one.tops,
        )
        contents = _Contents(one.source, disk, hasher, reader.fetch, always=read_content)
        for pair in pairs(tree, disk):
            if pair[0] is not None and pair[1] is None and not one.wanted(pair[0]):
                continue
            try:
                change = change_of(*pair, contents.are_same)
            except DamageError as error:
                result.damaged.append(damage(listed, path_of(pair), error))
            except OSError as error:
                disk.report(Problem(path_of(pair), error.strerror or str(error)))
            else:
                change = change if one.whole else _without_links(change)
                if change is not None:
                    result.add(change)
                    take(change)
    return result


def _without_links(change: Change | None) -> Change | None:
    """Drop what cannot be known of a part: whether hard links lead to what lies beside it."""
    if change is None or (change.aspects == ("links",) and change.modifier is Modifier.METADATA):
        return None
    return change._replace(aspects=tuple(one for one in change.aspects if one != "links"))


class _Contents:
    """Compares what files contain with the chunks of a snapshot, by their ids."""

    def __init__(
        self,
        source: InspectableSource | None,
        disk: DiskSide,
        hasher: Hasher,
        fetch: FetchTree,
        *,
        always: bool,
    ) -> None:
        self._source = source
        self._disk = disk
        self._hasher = hasher
        self._fetch = fetch
        self._always = always

    def are_same(self, before: Entry, after: Entry) -> bool:
        """Whether a file contains what it did; its size is the same. OSError, ``DamageError``."""
        if before.mtime_ns == after.mtime_ns and not self._always:
            return True
        item = self._disk.item
        if self._source is None or item is None:
            return False
        shown = before.path.decode("utf-8", "backslashreplace")
        with self._source.open(item) as content:
            same = self._matches(content, flatten(shown, before.content, before.depth, self._fetch))
            problem = content.finish(before.size).problem if same else None
        if problem is not None:
            self._disk.report(problem)
        return same

    def _matches(self, content: Content, extents: Iterator[Extent]) -> bool:
        on_disk = [(start, length) for start, length, is_data in content.extents() if is_data]
        offset = 0
        for extent in extents:
            if extent.chunk_id == HOLE:
                if not _is_empty(content, on_disk, offset, extent.length):
                    return False
            else:
                if extent.length > MAX_FRAME_PLAIN:
                    msg = f"a chunk of {extent.length} bytes is stated, which none has"
                    raise DamageError(msg)
                buffer = bytearray(extent.length)
                if content.readinto(offset, memoryview(buffer)) < extent.length:
                    return False
                if self._hasher(buffer) != extent.chunk_id:
                    return False
            offset += extent.length
        return True


def _is_empty(
    content: Content, on_disk: Sequence[tuple[int, int]], offset: int, length: int
) -> bool:
    """Whether a range holds zeros only; holes need not be read."""
    end = offset + length
    at = max(bisect_right(on_disk, (offset, 0)) - 1, 0)
    buffer = bytearray(_PIECE)
    for start, size in on_disk[at:]:
        if start >= end:
            break
        position, stop = max(start, offset), min(start + size, end)
        while position < stop:
            piece = memoryview(buffer)[: min(_PIECE, stop - position)]
            if content.readinto(position, piece) < len(piece) or piece != _ZEROS[: len(piece)]:
                return False
            position += len(piece)
    return True
