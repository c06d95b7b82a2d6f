"""Copying the sources of a snapshot into a session of another repository.

Chunks are read and verified (``Reader``), get their id of the destination, and are stored if they
are not there; lists of extents and trees are written anew, because they consist of ids. Windows of
chunks are read while those of the window before are compressed: at most two of ``WINDOW`` bytes are
held. A leaf that was copied before in this run serves again, if all that it needs may be relied on.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from strongroom.errors import DamageError
from strongroom.model.entry import HOLE, Entry, EntryKind, Extent
from strongroom.model.events import Advanced, Sink
from strongroom.model.snapshot import Counts, Order, SourceRecord, Stream
from strongroom.repository.content import flatten
from strongroom.repository.reader import Lost, ReadChunk, Reader
from strongroom.repository.reader import Stream as Reading
from strongroom.repository.translating import CopiedLeaf, Translation
from strongroom.repository.tree import Root
from strongroom.repository.treecursor import Part, TreeCursor
from strongroom.repository.writer import ChunkWriter

WINDOW: Final = 32 << 20
_CHUNKS: Final = 20_000
_AT_ONCE: Final = 4096


class Destination(Protocol):
    """A session that has begun, as far as copying goes."""

    @property
    def writer(self) -> ChunkWriter:
        """Where chunks are saved."""
        ...

    def beat(self) -> None:
        """Show a sign of life; called now and then."""
        ...


class _Leaf(NamedTuple):
    """A leaf of the source whose chunks are on their way."""

    chunk_id: bytes
    entries: tuple[Entry, ...]


class _Window:
    """Chunks that are read together, and the leaves that are finished with them."""

    def __init__(self) -> None:
        self.wanted: dict[bytes, bytes] = {}  # chunk id: a path that needs it
        self.size = 0
        self.leaves: list[_Leaf] = []
        self.asked: set[bytes] = set()
        self.stream: Reading | None = None
        self._lock = threading.Lock()
        self._got: list[tuple[bytes, bytes, bytes]] = []

    @property
    def is_full(self) -> bool:
        """Whether it is time to read it."""
        return self.size >= WINDOW or len(self.wanted) >= _CHUNKS

    def add(self, extent: Extent, path: bytes) -> None:
        """Want a chunk, that is in no window that came before."""
        if extent.chunk_id != HOLE and extent.chunk_id not in self.wanted:
            self.wanted[extent.chunk_id] = path
            self.size += extent.length

    def keep(self, chunks: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        """Take chunks in: id in the source, id in the destination, bytes. From any thread."""
        with self._lock:
            self._got += chunks

    def take(self) -> list[tuple[bytes, bytes, bytes]]:
        """Return what has come."""
        with self._lock:
            got, self._got = self._got, []
        return got


class SourceCopier:
    """Copies sources into ``session``, which has begun; ``DamageError`` for what is not whole.

    ``where`` names the snapshot in errors.
    """

    def __init__(
        self,
        where: str,
        reader: Reader,
        session: Destination,
        translation: Translation,
        sink: Sink,
    ) -> None:
        self._where = where
        self._reader = reader
        self._session = session
        self._writer = session.writer
        self._translation = translation
        self._sink = sink
        self._tree = session.writer.new_tree()
        self._window = _Window()
        self._running: _Window | None = None
        self._counts = Counts()
        self.read = 0  # bytes of chunks

    def copy(self, source: SourceRecord) -> SourceRecord:
        """Copy one source; what it is in the destination."""
        try:
            return self._copy(source)
        finally:
            for window in (self._running, self._window):
                if window is not None and window.stream is not None:
                    window.stream.cancel()

    def _copy(self, source: SourceRecord) -> SourceRecord:
        order = Order(source.order)
        self._tree = self._writer.new_tree(order)
        self._counts = Counts()
        counts = source.counts
        root = Root(source.root, source.levels, counts.entries)
        cursor = TreeCursor(self._where, root, order, self._reader.fetch)
        while (part := cursor.part) is not None:
            if part.level == 0 and self._serves_again(part):
                cursor.skip()
                continue
            entries = cursor.enter(lambda leaf: self._translation.leaf(leaf) is not None)
            if entries:
                self._begin(part, entries)
        self._settle()
        copied = self._tree.finish()
        ours = msgspec.structs.replace(self._counts, problems=counts.problems)
        if ours != counts or copied.count != counts.entries:
            raise self._damage(b"", f"its tree holds {ours} and states {counts}")
        return msgspec.structs.replace(
            source,
            root=copied.chunk_id,
            levels=copied.levels,
            problems=self._stream(source.problems),
        )

    def _damage(self, path: bytes, what: str) -> DamageError:
        shown = f"/{path.decode('utf-8', 'backslashreplace')} in " if path else ""
        return DamageError(
            f"{shown}{self._where}: {what}",
            hint="Nothing was committed of this snapshot. Run 'strongroom verify' and "
            "'strongroom repair' on the repository that it comes from.",
        )

    # -- leaves that were copied before

    def _serves_again(self, part: Part) -> bool:
        leaf = self._translation.leaf(part.chunk_id)
        if leaf is None or leaf.counts.entries != part.entries:
            return False
        if part.first and part.first != leaf.first:
            return False
        self._settle()
        if not self._tree.is_between_leaves or not self._writer.has(leaf.needs):
            return False
        try:
            self._tree.add_leaf(leaf.chunk_id, leaf.first, leaf.last, leaf.counts.entries)
        except ValueError as error:
            raise self._damage(leaf.first, str(error)) from error
        self._counts = _sum(self._counts, leaf.counts)
        self._sink(Advanced(leaf.counts.entries, leaf.counts.bytes, leaf.last))
        return True

    # -- leaves that are new

    def _begin(self, part: Part, entries: tuple[Entry, ...]) -> None:
        for entry in entries:
            for extent in self._extents(entry.path, entry.content, entry.depth):
                self._window.add(extent, entry.path)
                if self._window.is_full:
                    self._turn()
        self._window.leaves.append(_Leaf(part.chunk_id, entries))
        if len(self._window.leaves) >= _AT_ONCE:
            self._turn()

    def _extents(self, path: bytes, content: bytes, depth: int) -> Iterator[Extent]:
        if not content:
            return iter(())
        shown = path.decode("utf-8", "backslashreplace")
        return flatten(f"/{shown} in {self._where}", content, depth, self._reader.fetch)

    def _turn(self) -> None:
        """Begin to read the window, and finish the one before."""
        window, self._window = self._window, _Window()
        before = self._running
        ids = list(window.wanted)
        missing = [i for i, here in zip(ids, self._are_here(ids), strict=True) if not here]
        on_the_way = before.asked if before is not None else set[bytes]()
        window.asked = {chunk_id for chunk_id in missing if chunk_id not in on_the_way}
        hash_data = self._writer.hash_data

        def consume(chunks: Sequence[ReadChunk]) -> None:
            window.keep([(one.chunk_id, hash_data(one.data), bytes(one.data)) for one in chunks])

        window.stream = self._reader.begin([i for i in ids if i in window.asked], consume)
        self._running = window
        if before is not None:
            self._finish(before)
        self._session.beat()

    def _settle(self) -> None:
        """Finish everything that was begun."""
        if self._window.wanted or self._window.leaves:
            self._turn()
        if self._running is not None:
            window, self._running = self._running, None
            self._finish(window)

    def _are_here(self, ids: Sequence[bytes]) -> list[bool]:
        ours = self._translation.find(ids)
        relied = iter(self._writer.relies_on([one for one in ours if one]))
        return [bool(one) and next(relied) for one in ours]

    def _finish(self, window: _Window) -> None:
        lost: list[Lost] = []
        if window.stream is not None:
            lost = window.stream.finish()
        got = window.take()
        self._writer.save_data([(ours, data) for _, ours, data in got])
        self._translation.learn([(theirs, ours) for theirs, ours, _ in got])
        self.read += sum(len(data) for _, _, data in got)
        if lost:
            first = lost[0]
            raise self._damage(window.wanted[first.chunk_id], first.error.message)
        for leaf in window.leaves:
            self._add(leaf)

    def _add(self, leaf: _Leaf) -> None:
        known = self._looked_up(leaf.entries)
        between = self._tree.is_between_leaves
        needs: list[bytes] = []
        counts = Counts()
        done = b""
        for number, entry in enumerate(leaf.entries, 1):
            copied = self._rewritten(entry, known, needs)
            try:
                done = self._tree.add(copied)
            except ValueError as error:
                raise self._damage(entry.path, str(error)) from error
            between = between and (not done or number == len(leaf.entries))
            counts = _sum(counts, _counted(entry))
        self._counts = _sum(self._counts, counts)
        first, last = leaf.entries[0].path, leaf.entries[-1].path
        if between and done:
            whole = CopiedLeaf(done, first, last, counts, b"".join([done, *needs]))
            self._translation.keep_leaf(leaf.chunk_id, whole)
        self._sink(Advanced(counts.entries, counts.bytes, last))

    def _looked_up(self, entries: Sequence[Entry]) -> dict[bytes, bytes]:
        """Return the new ids of the chunks of entries that name them themselves, all at once."""
        ids = [
            extent.chunk_id
            for entry in entries
            if entry.depth == 0
            for extent in self._extents(entry.path, entry.content, 0)
        ]
        return dict(zip(ids, self._translation.find(ids), strict=True))

    def _rewritten(self, entry: Entry, known: dict[bytes, bytes], needs: list[bytes]) -> Entry:
        """Return an entry of the destination; ``needs`` grows by the ids of all its chunks."""
        if not entry.content:
            return entry
        stream = Stream(entry.content, entry.depth)
        content, depth = self._content(
            entry.path, stream, known if entry.depth == 0 else None, needs
        )
        return msgspec.structs.replace(entry, content=content, depth=depth)

    def _content(
        self, path: bytes, stream: Stream, known: dict[bytes, bytes] | None, needs: list[bytes]
    ) -> tuple[bytes, int]:
        builder = self._writer.new_content()
        extents = self._extents(path, stream.content, stream.depth)
        while part := list(itertools.islice(extents, _AT_ONCE)):
            ids = [extent.chunk_id for extent in part]
            if known is None:
                ours = self._translation.find(ids)
            else:
                ours = [known[chunk_id] for chunk_id in ids]
            for extent, chunk_id in zip(part, ours, strict=True):
                if extent.chunk_id == HOLE:
                    builder.add(HOLE, extent.length)
                elif chunk_id:
                    builder.add(chunk_id, extent.length)
                    needs.append(chunk_id)
                else:
                    raise self._damage(path, "one of its chunks is in no index")
        content, depth = builder.finish()
        needs += builder.list_ids
        return content, depth

    def _stream(self, stream: Stream) -> Stream:
        """Copy the list of problems."""
        if not stream.content:
            return stream
        for extent in self._extents(b"", stream.content, stream.depth):
            self._window.add(extent, b"")
        self._settle()
        content, depth = self._content(b"", stream, None, [])
        return Stream(content, depth)


def _counted(entry: Entry) -> Counts:
    return Counts(
        entries=1,
        files=int(entry.kind == EntryKind.FILE),
        directories=int(entry.kind == EntryKind.DIRECTORY),
        bytes=entry.size if entry.kind == EntryKind.FILE else 0,
    )


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(
        entries=one.entries + other.entries,
        files=one.files + other.files,
        directories=one.directories + other.directories,
        bytes=one.bytes + other.bytes,
        problems=one.problems + other.problems,
    )
