"""Read back what a restore has written, and compare it with the snapshot."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Final, Protocol

from strongroom.errors import DamageError
from strongroom.model.entry import HOLE, Entry, EntryKind, Extent, extents
from strongroom.model.events import Advanced, ProblemFound, Sink
from strongroom.model.source import Difference, Problem
from strongroom.repository.columns import MAX_CHUNK
from strongroom.repository.content import flatten
from strongroom.repository.reader import Reader

_BATCH: Final = 200
_BATCH_BYTES: Final = 8 << 20
_AHEAD: Final = 8
_FILES: Final = frozenset({EntryKind.FILE, EntryKind.STREAM, EntryKind.RECORD})

IdOf = Callable[[memoryview], bytes]
Work = list[tuple[Entry, list[Extent]]]


class Comparison(Protocol):
    """Compares what was restored with an entry."""

    def differences(self, entry: Entry, pieces: Sequence[Extent], id_of: IdOf) -> list[Difference]:
        """Return what is not as the entry says; from any thread."""
        ...


@dataclass(slots=True)
class Checked:
    """What reading back came to; ``different`` counts entries."""

    entries: int = 0
    bytes: int = 0
    different: int = 0
    problems: list[Problem] = field(default_factory=list)


class Check:
    """Reads back one restore.

    ``id_of`` makes the id of a chunk of data; ``executor`` reads and computes. ``skip``: paths that
    are known not to be there, with all below them; ``left``: paths that were left as they were.
    """

    def __init__(
        self, reader: Reader, comparison: Comparison, executor: Executor, sink: Sink
    ) -> None:
        self._reader = reader
        self._comparison = comparison
        self._executor = executor
        self._sink = sink
        self._counts: dict[str, tuple[bytes, int]] = {}
        self.result = Checked()

    def run(
        self,
        entries: Iterator[Sequence[Entry]],
        id_of: IdOf,
        skip: Collection[bytes],
        left: Collection[bytes],
    ) -> Checked:
        """Compare everything; of attributes, each kind of difference is one problem."""
        running: deque[tuple[Work, Future[list[list[Difference]]]]] = deque()
        try:
            for work in self._batches(_present(entries, skip, left)):
                if len(running) >= _AHEAD:
                    self._take(*running.popleft())
                running.append((work, self._executor.submit(self._compare, work, id_of)))
            while running:
                self._take(*running.popleft())
        finally:
            for _, future in running:
                future.cancel()
        for what, (path, count) in self._counts.items():
            more = "" if count == 1 else f" (and {count - 1:,} more)"
            self._problem(path, f"read back: {what}{more}")
        return self.result

    def _batches(self, entries: Iterator[Entry]) -> Iterator[Work]:
        work: Work = []
        size = 0
        for entry in entries:
            pieces = self._pieces(entry)
            if pieces is None:
                continue
            work.append((entry, pieces))
            size += entry.size
            if len(work) >= _BATCH or size >= _BATCH_BYTES:
                yield work
                work, size = [], 0
        if work:
            yield work

    def _pieces(self, entry: Entry) -> list[Extent] | None:
        """Return what a file must hold; None, with a problem, if that cannot be known."""
        if entry.kind not in _FILES or not entry.content:
            return []
        try:
            if entry.depth:
                pieces = list(flatten("a file", entry.content, entry.depth, self._reader.fetch))
            else:
                pieces = extents(entry.content)
        except (DamageError, ValueError) as error:
            self._problem(entry.path, f"it cannot be compared: {error}")
            return None
        if any(p.length > MAX_CHUNK and p.chunk_id != HOLE for p in pieces):
            self._problem(entry.path, "it cannot be compared: one of its chunks has another size")
            return None
        return pieces

    def _compare(self, work: Work, id_of: IdOf) -> list[list[Difference]]:
        differences = self._comparison.differences
        return [differences(entry, pieces, id_of) for entry, pieces in work]

    def _take(self, work: Work, future: Future[list[list[Difference]]]) -> None:
        result = self.result
        size = 0
        for (entry, _), differences in zip(work, future.result(), strict=True):
            result.entries += 1
            size += entry.size if entry.kind in _FILES else 0
            result.different += bool(differences)
            for what, of_bytes in differences:
                if of_bytes:
                    self._problem(entry.path, f"read back: {what}")
                    continue
                first, count = self._counts.get(what, (entry.path, 0))
                self._counts[what] = first, count + 1
        result.bytes += size
        self._sink(Advanced(len(work), size, work[-1][0].path))

    def _problem(self, path: bytes, cause: str) -> None:
        problem = Problem(path, cause, missing=False)
        self.result.problems.append(problem)
        self._sink(ProblemFound(problem))


def _present(
    entries: Iterator[Sequence[Entry]], skip: Collection[bytes], left: Collection[bytes]
) -> Iterator[Entry]:
    """Yield the entries that should be there as the snapshot has them."""
    lost = b""
    for batch in entries:
        for entry in batch:
            if lost and entry.path.startswith(lost):
                continue
            if entry.path in skip:
                lost = entry.path + b"/"
            elif entry.path not in left:
                yield entry
