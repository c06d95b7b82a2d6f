"""From a source to a tree, in the order of the source.

What is unchanged is skipped, small items are loaded in batches on worker threads, large ones are
streamed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Final, NamedTuple

import msgspec

from strongroom.chunking.cutter import ChunkerParameters
from strongroom.clock import Clock
from strongroom.model.entry import CHANGED_WHILE_READ, EXTENT, Entry
from strongroom.model.events import Advanced, ProblemFound
from strongroom.model.snapshot import Order, SourceRecord
from strongroom.model.source import Content, Item, Loaded, Problem, Source
from strongroom.repository.columns import MAX_CHUNK
from strongroom.repository.lastwalk import LastWalk, WalkBlock, WalkRecord, WalkWriter
from strongroom.repository.planning import Planner, Small, Step
from strongroom.repository.repository import Surroundings
from strongroom.repository.session import BackupSession
from strongroom.repository.streaming import Streaming
from strongroom.repository.tally import Tally, source_record

BYTES_AHEAD: Final = 64 << 20
BATCHES_AHEAD: Final = 24
SLOW_SECONDS: Final = 0.00006  # an item, when it takes this long to read it from memory
SLOW_BYTES: Final = 1 << 30  # a second, as above
PROBE_EVERY: Final = 8


class _Captured(NamedTuple):
    """Items as loaded by a worker, each with the id of its bytes (empty without bytes)."""

    loaded: list[Loaded]
    ids: list[bytes]


class _Batch(NamedTuple):
    """Small items being loaded."""

    future: Future[_Captured]
    size: int


class _Streamed(NamedTuple):
    """A large item as captured; ``chunks``: what its record in the last walk must name."""

    entry: Entry | None
    token: bytes
    chunks: bytes
    problem: Problem | None

    @property
    def is_torn(self) -> bool:
        """Whether it changed while it was read, so that another try may have it as it is.

        What else is wrong with it, such as an attribute that may not be read, stays.
        """
        changed = self.entry is not None and self.entry.flags & CHANGED_WHILE_READ
        return bool(changed) and self.problem is not None


_Begun = _Batch | Item | WalkRecord | WalkBlock


class _Pace:
    """Decides where small items are read.

    While the file system answers from memory, one thread that reads and hands on is fastest: every
    short call on several threads is a fight for the interpreter. Where it makes us wait, for a disk
    or a network, several threads wait at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slow = False
        self._batches = 0

    def reads_here(self) -> bool:
        """Whether the next batch is read by the calling thread; measured again now and then."""
        self._batches += 1
        return not self._slow or self._batches % PROBE_EVERY == 0

    def timed(self, source: Source, items: list[Item]) -> list[Loaded]:
        """Read a batch here and learn from the time it takes."""
        began = self._clock.elapsed()
        loaded = source.load(items)
        size = sum(item.size for item in items)
        patience = SLOW_SECONDS * len(items) + size / SLOW_BYTES
        self._slow = self._clock.elapsed() - began > patience
        return loaded


class Ingest:
    """Captures one source into a session."""

    def __init__(
        self,
        session: BackupSession,
        parameters: ChunkerParameters,
        around: Surroundings,
        order: Order = Order.COMPONENTS,
    ) -> None:
        """Take a source whose items come in this order."""
        self._order = order
        self._session = session
        self._writer = session.writer
        self._hash = session.writer.hash_data
        self._parameters = parameters
        self._streaming = Streaming(session, parameters)
        self._workers = around.workers
        self._sink = around.sink
        self._pace = _Pace(around.clock)
        self._tree = session.writer.new_tree(order)
        self._steps: deque[_Begun] = deque()
        self._ahead = 0
        self._batches = 0
        self.tally = Tally()

    def report(self, problem: Problem) -> None:
        """Note a problem, for the snapshot and for whoever watches."""
        self.tally.problems.append(problem)
        self._sink(ProblemFound(problem))

    def run(self, source: Source, last: LastWalk, walk: WalkWriter) -> SourceRecord:
        """Capture everything and return the record of the source."""
        planner = Planner(last, self._writer, self._parameters.whole_below)
        for items in source.walk(self.report):
            self._session.beat()
            self._begin(source, planner.plan(items))
            self._drain(source, walk, all_of_it=False)
        self._begin(source, planner.finish())
        self._drain(source, walk, all_of_it=True)
        root = self._tree.finish()
        names = source.name, source.kind
        return source_record(self.tally, names, root, self._streaming, self._order)

    def _begin(self, source: Source, plan: Iterable[Step]) -> None:
        for step in plan:
            if isinstance(step, Small):
                self._load(source, step.items, step.size)
            else:
                self._steps.append(step)

    def _load(self, source: Source, items: list[Item], size: int) -> None:
        self._ahead += size
        self._batches += 1
        if self._pace.reads_here():
            future: Future[_Captured] = Future()
            future.set_result(self._captured(self._pace.timed(source, items)))
        else:
            future = self._workers.transfer.submit(self._capture, source, items)
        self._steps.append(_Batch(future, size))

    def _capture(self, source: Source, items: list[Item]) -> _Captured:
        return self._captured(source.load(items))

    def _captured(self, loaded: list[Loaded]) -> _Captured:
        hasher = self._hash
        loaded = [one if len(one.data) <= MAX_CHUNK else _too_large(one) for one in loaded]
        return _Captured(loaded, [hasher(one.data) if one.data else b"" for one in loaded])

    # -- draining: in the order of the source

    def _drain(self, source: Source, walk: WalkWriter, *, all_of_it: bool) -> None:
        steps = self._steps
        while steps:
            step = steps[0]
            if isinstance(step, _Batch):
                busy = self._ahead > BYTES_AHEAD or self._batches > BATCHES_AHEAD
                if not (all_of_it or busy or step.future.done()):
                    return
                steps.popleft()
                self._ahead -= step.size
                self._batches -= 1
                self._save_batch(step.future.result(), walk)
            else:
                steps.popleft()
                if isinstance(step, WalkRecord):
                    self._keep(step, walk)
                elif isinstance(step, WalkBlock):
                    self._keep_leaf(step, walk)
                else:
                    self._stream(source, step, walk)
            self._session.beat()

    def _keep(self, record: WalkRecord, walk: WalkWriter) -> None:
        self.tally.count(record.entry)
        self.tally.unchanged += 1
        leaf = self._tree.add(record.entry)
        walk.add(record)
        if leaf:
            walk.end_leaf(leaf)
        self._sink(Advanced(1, record.entry.size, record.entry.path))

    def _keep_leaf(self, block: WalkBlock, walk: WalkWriter) -> None:
        if not self._tree.is_between_leaves:  # what was before it was cut elsewhere
            for record in block.records():
                self._keep(record, walk)
            return
        self._tree.add_leaf(block.leaf, block.first, block.last, block.count)
        walk.copy(block)
        tally = self.tally
        tally.unchanged += block.count
        tally.entries += block.count
        tally.files += block.files
        tally.directories += block.directories
        tally.bytes += block.size
        self._sink(Advanced(block.count, block.size, block.last))

    def _save_batch(self, captured: _Captured, walk: WalkWriter) -> None:
        self._writer.save_data(
            [
                (chunk_id, one.data)
                for one, chunk_id in zip(captured.loaded, captured.ids, strict=True)
                if chunk_id
            ]
        )
        read = 0
        for one, chunk_id in zip(captured.loaded, captured.ids, strict=True):
            if one.problem is not None:
                self.report(one.problem)
            entry = one.entry
            if entry is None:
                continue
            if chunk_id:
                read += len(one.data)
                entry = msgspec.structs.replace(entry, content=EXTENT.pack(chunk_id, len(one.data)))
            self._add(entry, one.token, b"", walk)
        self.tally.bytes_read += read
        if captured.loaded:
            self._sink(Advanced(len(captured.loaded), read, captured.loaded[-1].item.path))

    def _add(self, entry: Entry, token: bytes, chunks: bytes, walk: WalkWriter) -> None:
        try:
            leaf = self._tree.add(entry)
        except ValueError as error:
            self.report(Problem(entry.path, str(error)))
            return
        self.tally.count(entry)
        self.tally.new += 1
        if token:
            walk.add(WalkRecord(token, entry, chunks))
        else:
            walk.leave_out()
        if leaf:
            walk.end_leaf(leaf)

    # -- large items

    def _stream(self, source: Source, item: Item, walk: WalkWriter) -> None:
        try:
            captured = self._stream_once(source, item)
            if captured.is_torn:
                captured = self._stream_once(source, item)
        except OSError as error:
            self.report(Problem(item.path, (error.strerror or str(error)).lower()))
            return
        if captured.problem is not None:
            self.report(captured.problem)
        if captured.entry is not None:
            self._add(captured.entry, captured.token, captured.chunks, walk)
        self._sink(Advanced(1, 0, item.path))

    def _stream_once(self, source: Source, item: Item) -> _Streamed:
        with source.open(item) as content:
            return self._stream_content(content, item)

    def _stream_content(self, content: Content, item: Item) -> _Streamed:
        def tell(length: int) -> None:
            self.tally.bytes_read += length
            self._sink(Advanced(0, length, item.path))

        saved = self._streaming.save(content, tell)
        loaded = content.finish(saved.size)
        if loaded.entry is None:
            return _Streamed(None, b"", b"", loaded.problem)
        entry = msgspec.structs.replace(loaded.entry, content=saved.content, depth=saved.depth)
        chunks = b"".join([*saved.list_ids, *saved.ids]) if saved.depth else b""
        return _Streamed(entry, loaded.token, chunks, loaded.problem)


def _too_large(loaded: Loaded) -> Loaded:
    """Return a small item that was not small any more when it was loaded, without its bytes."""
    problem = Problem(loaded.item.path, "grew too large while the backup ran")
    return Loaded(loaded.item, None, b"", b"", problem)
