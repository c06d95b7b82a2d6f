"""Saving what is too large to be loaded whole: cut on the way, holes left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from strongroom.chunking.cutter import READ_SIZE, ChunkerParameters, Cutter, FastCdc, cut_stream
from strongroom.model.entry import HOLE
from strongroom.model.fs import Buffer
from strongroom.model.snapshot import Stream
from strongroom.model.source import Content, Problem
from strongroom.repository.columns import MAX_CHUNK
from strongroom.repository.planning import BATCH_BYTES, BATCH_ITEMS
from strongroom.repository.problems import pack_problems
from strongroom.repository.session import BackupSession


@dataclass(frozen=True, slots=True)
class Saved:
    """What a file contains, in terms of an entry. ``ids``: of its chunks of data, in order.

    ``list_ids``: of those that hold lists of it.
    """

    content: bytes
    depth: int
    size: int
    ids: list[bytes]
    list_ids: list[bytes]


class Streaming:
    """Saves large files of one session; used by one thread."""

    def __init__(self, session: BackupSession, parameters: ChunkerParameters) -> None:
        self._session = session
        self._writer = session.writer
        self._hash = session.writer.hash_data
        self._parameters = parameters

    def save(
        self, content: Content, tell: Callable[[int], object], cutter: Cutter | None = None
    ) -> Saved:
        """Save all of it; ``tell`` gets the length of each chunk.

        ``cutter``: where to cut; None: as large files are cut.
        """
        builder = self._writer.new_content()
        ids: list[bytes] = []
        waiting: list[tuple[bytes, Buffer]] = []
        size = 0
        for offset, length, is_data in content.extents():
            if not is_data:
                builder.add(HOLE, length)
                continue
            cuts = cutter or FastCdc(self._parameters)
            for chunk in self._chunks(content, offset, length, cuts):
                chunk_id = self._hash(chunk)
                builder.add(chunk_id, len(chunk))
                ids.append(chunk_id)
                waiting.append((chunk_id, chunk))
                size += len(chunk)
                if size >= BATCH_BYTES or len(waiting) >= BATCH_ITEMS:
                    self._writer.save_data(waiting)
                    waiting, size = [], 0
                tell(len(chunk))
                self._session.beat()
        self._writer.save_data(waiting)
        references, depth = builder.finish()
        return Saved(references, depth, builder.size, ids, builder.list_ids)

    def save_problems(self, problems: Sequence[Problem]) -> Stream:
        """Save what could not be captured; an empty stream for nothing."""
        if not problems:
            return Stream()
        data = pack_problems(problems)
        builder = self._writer.new_content()
        step = self._parameters.whole_below or MAX_CHUNK
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            chunk_id = self._hash(piece)
            self._writer.save_data([(chunk_id, piece)])
            builder.add(chunk_id, len(piece))
        content, depth = builder.finish()
        return Stream(content, depth)

    @staticmethod
    def _chunks(content: Content, offset: int, length: int, cutter: Cutter) -> Iterator[bytes]:
        place, end = offset, offset + length

        def readinto(view: memoryview) -> int:
            nonlocal place
            count = content.readinto(place, view[: end - place]) if place < end else 0
            place += count
            return count

        yield from cut_stream(cutter, readinto, min(READ_SIZE, 4 * cutter.maximum), length)
