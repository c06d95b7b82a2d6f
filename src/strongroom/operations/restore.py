"""Restore a snapshot, or what lies below one of its paths, into a target."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from strongroom.errors import DamageError, NotFoundError
from strongroom.model.entry import (
    HOLE,
    Entry,
    EntryKind,
    sort_key,
    without_object_attributes,
)
from strongroom.model.events import Advanced, PhaseBegan, ProblemFound, Sink
from strongroom.model.snapshot import ListedSnapshot, Order, SourceRecord
from strongroom.model.source import Extra, Problem, Target
from strongroom.operations.objects_as_files import Names, as_files
from strongroom.operations.restore_window import Joined, LargeFile, Piece, Window, is_small
from strongroom.repository.content import FetchTree, flatten, lists_ahead
from strongroom.repository.reader import Consume, ReadChunk, Reader, Stream
from strongroom.repository.repository import Repository
from strongroom.repository.tree import Root, TreeReader
from strongroom.repository.treecursor import TreeCursor

WINDOW_ENTRIES: Final = 20_000
WINDOW_BYTES: Final = 1 << 30
WINDOW_LARGE: Final = 200
PLACED_AT_ONCE: Final = 1000
_OTHER_SIZE: Final = "one of its chunks has another size"

Wanted = Callable[[Entry], bool]


@dataclass(slots=True)
class RestoreResult:
    """What a restore came to; sizes in bytes. ``damaged`` paths could not be read back.

    ``removed`` counts what only the target had.
    """

    entries: int = 0
    removed: int = 0
    files: int = 0
    bytes: int = 0
    damaged: list[Problem] = field(default_factory=list)


class Removal(NamedTuple):
    """What only the target has: ``in_the_way`` goes first, ``others`` when all is restored.

    ``allowed`` is asked between the two: something that was moved may be the last copy of what
    could not be restored.
    """

    in_the_way: Sequence[Extra]
    others: Sequence[Extra]
    allowed: Callable[[], bool]


class Restore:
    """Carries one restore out."""

    def __init__(self, reader: Reader, target: Target, sink: Sink) -> None:
        self._reader = reader
        self._target = target
        self._sink = sink
        self._lock = threading.Lock()
        self._running: deque[tuple[Stream, Window]] = deque()
        self.result = RestoreResult()

    def run(self, entries: Iterator[Sequence[Entry]]) -> None:
        """Restore entries given in tree order; ``finish`` is left to the caller."""
        waiting: list[Entry] = []
        size, large = 0, 0
        try:
            for batch in entries:
                for entry in batch:
                    waiting.append(entry)
                    size += entry.size
                    large += bool(entry.content) and not is_small(entry)
                    full = len(waiting) >= WINDOW_ENTRIES or size >= WINDOW_BYTES
                    if full or large >= WINDOW_LARGE:
                        self._restore(waiting)
                        waiting, size, large = [], 0, 0
            self._restore(waiting)
            while self._running:
                self._await()
        finally:
            for stream, window in self._running:
                stream.cancel()
                window.abandon()

    def _restore(self, entries: list[Entry]) -> None:
        """Plan a window while the one before is on its way, and begin it before that has ended."""
        self.result.entries += len(entries)
        window = Window()
        try:
            empty = []
            wanted = self._placed(entries)
            self._pass_over(entries, wanted)
            large = []
            for entry in wanted:
                if not entry.content and entry.size == 0:
                    empty.append((entry, b""))
                elif is_small(entry):
                    window.small.setdefault(entry.content[:32], []).append(entry)
                else:
                    large.append(entry)
            fetch = lists_ahead(large, self._reader.fetch)
            for entry in large:
                self._open(entry, window, fetch)
            self._count(self._target.write(empty), 0)
            stream = self._reader.begin(window.chunk_ids(), self._consumer(window))
        except BaseException:
            window.abandon()
            raise
        self._running.append((stream, window))
        if len(self._running) > 1:
            self._await()

    def _placed(self, entries: list[Entry]) -> list[Entry]:
        """Place entries, and keep the line busy meanwhile with what was placed before."""
        wanted: list[Entry] = []
        for start in range(0, len(entries), PLACED_AT_ONCE):
            wanted += self._target.place(entries[start : start + PLACED_AT_ONCE])
            for stream, _ in self._running:
                stream.push()
        return wanted

    def _await(self) -> None:
        """Wait for the first window that is on its way."""
        stream, window = self._running.popleft()
        try:
            for lost in stream.finish():
                self._lose(lost.chunk_id, lost.error, window)
        finally:
            window.abandon()

    def _pass_over(self, entries: Sequence[Entry], wanted: Sequence[Entry]) -> None:
        """Tell whoever watches of files that need no bytes: right already, or linked."""
        size = sum(e.size for e in entries if e.kind == EntryKind.FILE)
        size -= sum(e.size for e in wanted if e.kind == EntryKind.FILE)
        if size:
            self._sink(Advanced(0, size))

    def _open(self, entry: Entry, window: Window, fetch: FetchTree) -> None:
        try:
            extents = list(flatten(_shown(entry.path), entry.content, entry.depth, fetch))
        except DamageError as error:
            self._damaged(entry, error)
            return
        offset = 0
        placed = []
        for chunk_id, length in extents:
            if chunk_id != HOLE:
                placed.append((chunk_id, offset, length))
            offset += length
        if offset != entry.size:
            self._damaged(entry, DamageError("its chunks do not add up to its size"))
            return
        opened = self._target.open(entry)
        if opened is None:
            return
        file = LargeFile(entry, opened, len(placed))
        if not placed:
            file.finish_empty()
            self._count(1, 0)
            return
        window.large.append(file)
        for chunk_id, offset, length in placed:
            window.pieces.setdefault(chunk_id, []).append(Piece(file, offset, length))

    def _consumer(self, window: Window) -> Consume:
        def consume(chunks: Sequence[ReadChunk]) -> None:
            files = []
            joined, size = Joined(), 0
            for one in chunks:
                chunk_id, length = one.chunk_id, len(one.data)
                for entry in window.small.get(chunk_id, ()):
                    if length == entry.size:
                        files.append((entry, one.data))
                        size += length
                    else:
                        self._damaged(entry, DamageError(_OTHER_SIZE))
                for piece in window.pieces.get(chunk_id, ()):
                    if length == piece.length:
                        joined.add(piece, one)
                        size += length
                    else:
                        piece.file.abandon()
                        self._damaged(piece.file.entry, DamageError(_OTHER_SIZE))
            joined.flush()
            self._count(joined.finished + self._target.write(files), size)

        return consume

    def _count(self, files: int, size: int) -> None:
        with self._lock:
            self.result.files += files
            self.result.bytes += size
        self._sink(Advanced(files, size))

    def _lose(self, chunk_id: bytes, error: DamageError, window: Window) -> None:
        for entry in window.small.get(chunk_id, ()):
            self._damaged(entry, error)
        for piece in window.pieces.get(chunk_id, ()):
            piece.file.abandon()
            self._damaged(piece.file.entry, error)

    def _damaged(self, entry: Entry, error: DamageError) -> None:
        problem = Problem(entry.path, error.message)
        with self._lock:
            if any(known.path == entry.path for known in self.result.damaged[-8:]):
                return
            self.result.damaged.append(problem)
        self._sink(ProblemFound(problem))


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def tree_of(reader: Reader, listed: ListedSnapshot, source: SourceRecord) -> TreeReader:
    """Begin to read the tree of one source."""
    return TreeReader(_named(listed), _root(source), Order(source.order), reader.fetch)


def cursor_of(
    reader: Reader, listed: ListedSnapshot, source: SourceRecord, below: bytes = b""
) -> TreeCursor:
    """Begin to go through the tree of one source by its parts."""
    order = Order(source.order)
    return TreeCursor(_named(listed), _root(source), order, reader.fetch, below)


def _named(listed: ListedSnapshot) -> str:
    return f"snapshot {listed.short_id}"


def _root(source: SourceRecord) -> Root:
    return Root(source.root, source.levels, source.counts.entries)


def kind_of(reader: Reader, listed: ListedSnapshot, path: bytes) -> int:
    """Return what a path of a snapshot is; ``NotFoundError``.

    What something lies below is a directory, also where no entry is of it.
    """
    for batch, top, _ in _entries(reader, listed, path):
        for entry in batch:
            return entry.kind if entry.path == top else EntryKind.DIRECTORY
    raise _no_path(listed, path)


def selected_entries(
    reader: Reader,
    listed: ListedSnapshot,
    top: bytes,
    wanted: Wanted | None,
    *,
    object_attributes: bool = False,
) -> Iterator[list[Entry]]:
    """Yield what is to be restored, with the paths it gets below the target.

    With ``top``, what lies below it, relative to it; a file alone keeps its last component. A
    directory above something wanted comes along. Objects come as files, see ``as_files``, and
    without what only S3 keeps of them unless ``object_attributes`` are wanted. ``NotFoundError`` if
    ``top`` is not there.
    """
    found = False
    above: list[Entry] = []
    for batch, place, name in _entries(reader, listed, top):
        chosen: list[Entry] = []
        for entry in batch:
            found = True
            moved = _moved(entry, place, name)
            if moved is None:
                continue
            if not object_attributes:
                moved = without_object_attributes(moved)
            while above and not moved.path.startswith(above[-1].path + b"/"):
                above.pop()
            if wanted is None or wanted(entry):
                chosen += above
                above = []
                chosen.append(moved)
            elif moved.kind == EntryKind.DIRECTORY:
                above.append(moved)
        if chosen:
            yield chosen
    if top and not found:
        raise _no_path(listed, top)


def _no_path(listed: ListedSnapshot, path: bytes) -> NotFoundError:
    return NotFoundError(
        f"no path {_shown(path)} in snapshot {listed.short_id}",
        hint=f"See what it holds with 'strongroom ls {listed.short_id}'.",
    )


class _Batch(NamedTuple):
    """Entries that follow each other, and the path that ``top`` has among them.

    ``name``: what of that path a file alone keeps, if it is not the last component.
    """

    entries: Sequence[Entry]
    top: bytes
    name: bytes = b""


def _entries(reader: Reader, listed: ListedSnapshot, top: bytes) -> Iterator[_Batch]:
    """Yield the entries of all sources in one order; a directory in several comes once."""
    streams = [_of_source(reader, listed, source, top) for source in listed.snapshot.sources]
    if len(streams) == 1:
        yield from streams[0]
        return
    last = None
    singles = [(b._replace(entries=[e]) for b in stream for e in b.entries) for stream in streams]
    for one in heapq.merge(*singles, key=lambda single: sort_key(single.entries[0].path)):
        if one.entries[0].path != last:
            yield one
        last = one.entries[0].path


def _of_source(
    reader: Reader, listed: ListedSnapshot, source: SourceRecord, top: bytes
) -> Iterator[_Batch]:
    batches = tree_of(reader, listed, source).entries(top)
    if source.order != Order.RAW:
        yield from (_Batch(batch, top) for batch in batches)
        return
    place = Names().name(top.removesuffix(b"/")) if top else b""
    name = Names().name(top.rpartition(b"/")[2])  # of a long piece several components
    files = as_files(batches, top, place)
    while batch := list(islice(files, PLACED_AT_ONCE)):
        yield _Batch(batch, place, name)


def _moved(entry: Entry, top: bytes, name: bytes) -> Entry | None:
    if not top:
        return entry
    if entry.path == top:
        if entry.kind == EntryKind.DIRECTORY:
            return None
        return msgspec.structs.replace(entry, path=name or top.rpartition(b"/")[2], link=b"")
    link = entry.link
    if link.startswith(top + b"/"):
        link = link[len(top) + 1 :]
    elif link:
        link = b"/" + link  # a group that begins elsewhere; no path below the target is like this
    return msgspec.structs.replace(entry, path=entry.path[len(top) + 1 :], link=link)


def restore(  # noqa: PLR0913 - what to restore, where to, and what is known of it already
    repository: Repository,
    listed: ListedSnapshot,
    target: Target,
    top: bytes = b"",
    wanted: Wanted | None = None,
    *,
    reader: Reader | None = None,
    removal: Removal | None = None,
) -> RestoreResult:
    """Restore into ``target``; what could not be read back is in the result.

    ``reader``: one that was made for the plan, whose index need not be loaded again.
    """
    sink = repository.around.sink
    counts = [source.counts for source in listed.snapshot.sources]
    known = not top and wanted is None
    sink(
        PhaseBegan(
            "restore",
            sum(c.entries for c in counts) if known else 0,
            sum(c.bytes for c in counts) if known else 0,
        )
    )
    reader = reader or repository.reader()
    work = Restore(reader, target, sink)
    if removal is not None:
        work.result.removed += target.remove(removal.in_the_way)
    work.run(selected_entries(reader, listed, top, wanted))
    if removal is not None and not work.result.damaged and removal.allowed():
        work.result.removed += target.remove(removal.others)
    target.finish()
    return work.result
