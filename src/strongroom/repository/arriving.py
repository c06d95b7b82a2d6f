"""From a source whose files arrive as they are being made to a tree.

Bytes are saved as they come, of several files at once. Entries wait, packed and sorted, until all
came: then the order is that of a tree. So neither the order of the source matters nor how much
it gives, and no file has to be there as a whole.
"""

from __future__ import annotations

from contextlib import closing

import msgspec

from strongroom.chunking.cutter import ChunkerParameters
from strongroom.errors import StrongroomError
from strongroom.model.entry import EXTENT, Entry
from strongroom.model.events import Advanced, ProblemFound, Sink
from strongroom.model.snapshot import SourceRecord
from strongroom.model.source import ArrivingSource, Part, Problem
from strongroom.repository.session import BackupSession
from strongroom.repository.spool import Spool, Spooled
from strongroom.repository.streaming import InPieces, Streaming
from strongroom.repository.tally import Tally, source_record
from strongroom.repository.tree import TreeWriter


class Arriving:
    """Captures one such source into a session."""

    def __init__(self, session: BackupSession, parameters: ChunkerParameters, sink: Sink) -> None:
        self._session = session
        self._whole_below = parameters.whole_below
        self._streaming = Streaming(session, parameters)
        self._sink = sink
        self._open: dict[bytes, InPieces] = {}
        self._spool = Spool()
        self._number = 0
        self.tally = Tally()

    def report(self, problem: Problem) -> None:
        """Note a problem, for the snapshot and for whoever watches."""
        self.tally.problems.append(problem)
        self._sink(ProblemFound(problem))

    def run(self, source: ArrivingSource) -> SourceRecord:
        """Capture everything and return the record of the source."""
        with closing(source.arrivals(self.report)) as parts:
            for part in parts:
                self._session.beat()
                if part is not None:
                    self._take(part)
        for path in self._open:
            shown = path.decode("utf-8", "backslashreplace")
            raise StrongroomError(f"{shown} did not come to its end, so no snapshot was made")
        self._streaming.chunks.flush()
        tree = self._session.writer.new_tree()
        for spooled in self._spool.sorted():
            self._add(tree, spooled.entry)
            self._session.beat()
        names = (source.name, source.kind)
        return source_record(self.tally, names, tree.finish(), self._streaming)

    @staticmethod
    def _add(tree: TreeWriter, entry: Entry) -> None:
        try:
            tree.add(entry)
        except ValueError as error:  # what came twice, or has a name that no file has
            shown = entry.path.decode("utf-8", "backslashreplace")
            raise StrongroomError(f"{shown} cannot be saved: {error}") from error

    def _take(self, part: Part) -> None:
        path, data, entry, block = part
        saving = self._open.get(path)
        if saving is None:
            if entry is not None and len(data) < (block or self._whole_below):
                self._end(self._whole(entry, bytes(data)), len(data))
                return
            saving = self._open[path] = self._streaming.begin(block)
        saving.add(data)
        if entry is None:
            self._advance(0, len(data), path)
            return
        content, depth = self._open.pop(path).finish()
        self._end(msgspec.structs.replace(entry, content=content, depth=depth), len(data))

    def _whole(self, entry: Entry, data: bytes) -> Entry:
        if not data:
            return entry
        chunk_id = self._streaming.chunks.add(data)
        return msgspec.structs.replace(entry, content=EXTENT.pack(chunk_id, len(data)))

    def _end(self, entry: Entry, read: int) -> None:
        self._number += 1
        self._spool.add(Spooled(entry, self._number))
        self.tally.count(entry)
        self.tally.new += 1
        self._advance(1, read, entry.path)

    def _advance(self, items: int, size: int, path: bytes) -> None:
        self.tally.bytes_read += size
        self._sink(Advanced(items, size, path))
