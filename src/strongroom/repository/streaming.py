"""Saving what is too large to be loaded whole: cut on the way, holes left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from strongroom.chunking.cutter import Blocks, ChunkerParameters, Cutting, FastCdc, cut_stream
from strongroom.model.entry import HOLE
from strongroom.model.fs import Buffer
from strongroom.model.snapshot import Stream
from strongroom.model.source import Content, Problem
from strongroom.repository.columns import MAX_CHUNK
from strongroom.repository.content import ContentBuilder
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


class Chunks:
    """Chunks of data on their way to a session, handed on in batches; used by one thread."""

    def __init__(self, session: BackupSession) -> None:
        self._writer = session.writer
        self._hash = session.writer.hash_data
        self._waiting: list[tuple[bytes, Buffer]] = []
        self._size = 0

    def add(self, chunk: Buffer) -> bytes:
        """Take a chunk, which must stay as it is; its id."""
        chunk_id = self._hash(chunk)
        self._waiting.append((chunk_id, chunk))
        self._size += len(chunk)
        if self._size >= BATCH_BYTES or len(self._waiting) >= BATCH_ITEMS:
            self.flush()
        return chunk_id

    def flush(self) -> None:
        """Hand on what is waiting."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        self._writer.save_data(waiting)


class InPieces:
    """A file that is saved as its bytes come, while others are; made by ``Streaming.begin``."""

    def __init__(self, chunks: Chunks, builder: ContentBuilder, cutting: Cutting | Blocks) -> None:
        self._chunks = chunks
        self._builder = builder
        self._cutting = cutting

    def add(self, data: Buffer) -> None:
        """Take the next bytes of it."""
        self._save(self._cutting.put(data))

    def finish(self) -> tuple[bytes, int]:
        """Return content and depth of its entry; its last chunks may still wait for their batch."""
        self._save(self._cutting.finish())
        return self._builder.finish()

    def _save(self, chunks: Iterable[Buffer]) -> None:
        for chunk in chunks:
            self._builder.add(self._chunks.add(chunk), len(chunk))


class Streaming:
    """Saves large files of one session; used by one thread."""

    def __init__(self, session: BackupSession, parameters: ChunkerParameters) -> None:
        self._session = session
        self._writer = session.writer
        self._parameters = parameters
        self.chunks = Chunks(session)

    def begin(self, block: int = 0) -> InPieces:
        """Begin a file whose bytes come in pieces; with a ``block`` it is cut every so many."""
        parameters = self._parameters
        cutting = Blocks(block) if block else Cutting(FastCdc(parameters), parameters.whole_below)
        return InPieces(self.chunks, self._writer.new_content(), cutting)

    def save(self, content: Content, tell: Callable[[int], object]) -> Saved:
        """Save all of it; ``tell`` gets the length of each chunk."""
        builder = self._writer.new_content()
        ids: list[bytes] = []
        for offset, length, is_data in content.extents():
            if not is_data:
                builder.add(HOLE, length)
                continue
            for chunk in self._chunks(content, offset, length):
                chunk_id = self.chunks.add(chunk)
                builder.add(chunk_id, len(chunk))
                ids.append(chunk_id)
                tell(len(chunk))
                self._session.beat()
        self.chunks.flush()
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
            builder.add(self.chunks.add(piece), len(piece))
        self.chunks.flush()
        content, depth = builder.finish()
        return Stream(content, depth)

    def _chunks(self, content: Content, offset: int, length: int) -> Iterator[bytes]:
        place, end = offset, offset + length

        def readinto(view: memoryview) -> int:
            nonlocal place
            count = content.readinto(place, view[: end - place]) if place < end else 0
            place += count
            return count

        yield from cut_stream(FastCdc(self._parameters), readinto, most=length)
