"""From things that come by themselves, in any order, to a tree: as a stream, with flat memory.

The bytes of each are saved when it is its turn; its entry waits, packed, until all came.
"""

from __future__ import annotations

import msgspec

from strongroom.chunking.cutter import ChunkerParameters, Fixed
from strongroom.errors import SourceError
from strongroom.model.entry import EXTENT, Entry, EntryKind
from strongroom.model.events import Advanced, PhaseBegan, ProblemFound, Sink
from strongroom.model.snapshot import Counts, Order, SourceRecord, Status
from strongroom.model.source import Arrived, ArrivingSource, Content, Problem
from strongroom.repository.ingest import Tally
from strongroom.repository.planning import BATCH_BYTES, BATCH_ITEMS
from strongroom.repository.session import BackupSession
from strongroom.repository.spool import Spool, Spooled
from strongroom.repository.streaming import Streaming
from strongroom.repository.tree import Root


class Arriving:
    """Saves what arrives into a session; used once."""

    def __init__(self, session: BackupSession, parameters: ChunkerParameters, sink: Sink) -> None:
        self._session = session
        self._writer = session.writer
        self._whole_below = parameters.whole_below
        self._streaming = Streaming(session, parameters)
        self._sink = sink
        self._spool = Spool()
        self._waiting: list[tuple[bytes, bytes]] = []
        self._held = 0
        self._number = 0
        self.tally = Tally()

    def run(self, source: ArrivingSource) -> SourceRecord:
        """Take everything, and return the record of the source; its paths are left to others."""
        for arrived in source.arrivals(self._report):
            if not self._number:
                self._sink(PhaseBegan("backup", 0, source.expected_bytes))
            self._take(arrived)
        self._flush()
        root = self._save_tree()
        tally = self.tally
        return SourceRecord(
            name=source.name.encode(),
            kind=source.kind.encode(),
            order=Order.COMPONENTS,
            paths=(),
            root=root.chunk_id,
            levels=root.levels,
            status=Status.INCOMPLETE if tally.problems else Status.COMPLETE,
            position=source.position(),
            counts=Counts(
                entries=tally.entries,
                files=tally.files,
                directories=tally.directories,
                bytes=tally.bytes,
                problems=len(tally.problems),
            ),
            problems=self._streaming.save_problems(tally.problems),
        )

    def _report(self, problem: Problem) -> None:
        self.tally.problems.append(problem)
        self._sink(ProblemFound(problem))

    def _take(self, arrived: Arrived) -> None:
        entry = arrived.entry
        if arrived.content is not None:
            entry = self._with_content(entry, arrived.content, arrived.block)
        self._number += 1
        self._spool.add(Spooled(entry, self._number))
        self._sink(Advanced(1, 0, entry.path))
        self._session.beat()

    def _with_content(self, entry: Entry, content: Content, block: int) -> Entry:
        if entry.size < (block or self._whole_below):
            data = _whole(content, entry.size)
            captured = content.finish(len(data)).entry
            self._count_bytes(len(data), entry.path)
            return msgspec.structs.replace(captured or entry, content=self._save_small(data))
        self._flush()
        cutter = Fixed(block) if block else None
        saved = self._streaming.save(
            content, lambda length: self._count_bytes(length, entry.path), cutter
        )
        captured = content.finish(saved.size).entry
        return msgspec.structs.replace(captured or entry, content=saved.content, depth=saved.depth)

    def _count_bytes(self, length: int, path: bytes) -> None:
        self.tally.bytes_read += length
        self._sink(Advanced(0, length, path))

    def _save_small(self, data: bytes) -> bytes:
        if not data:
            return b""
        chunk_id = self._writer.hash_data(data)
        self._waiting.append((chunk_id, data))
        self._held += len(data)
        if self._held >= BATCH_BYTES or len(self._waiting) >= BATCH_ITEMS:
            self._flush()
        return EXTENT.pack(chunk_id, len(data))

    def _flush(self) -> None:
        self._writer.save_data(self._waiting)
        self._waiting, self._held = [], 0

    def _save_tree(self) -> Root:
        tree = self._writer.new_tree()
        tally = self.tally
        for one in self._spool.sorted():
            entry = one.entry
            try:
                tree.add(entry)
            except ValueError as error:
                shown = entry.path.decode("utf-8", "backslashreplace")
                raise SourceError(f"what came cannot be saved: {shown}: {error}") from error
            tally.entries += 1
            tally.new += 1
            tally.files += entry.kind == EntryKind.FILE
            tally.bytes += entry.size if entry.kind == EntryKind.FILE else 0
            tally.directories += entry.kind == EntryKind.DIRECTORY
            self._session.beat()
        return tree.finish()


def _whole(content: Content, size: int) -> bytes:
    """Read all of something small, and one byte more if there is one: its ``finish`` sees it."""
    buffer = memoryview(bytearray(size + 1))
    filled = 0
    while filled <= size:
        count = content.readinto(filled, buffer[filled:])
        if not count:
            break
        filled += count
    return bytes(buffer[:filled])
