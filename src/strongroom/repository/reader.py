"""Reading chunks: planned by pack, in coalesced ranges, several at a time, every chunk verified.

A chunk that cannot be read where the index says is looked for in its other places, and, if a pack
was missing, once more with a fresh index (a collector may have moved it). What is left is lost.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from itertools import repeat
from typing import Final, NamedTuple

from strongroom.compression.codec import Decompressor
from strongroom.errors import DamageError, MissingObjectError, ObjectMissingError, RangeError
from strongroom.model.store import StoreReading
from strongroom.repository import layout
from strongroom.repository.index import ChunkIndex, FramePlace, Place
from strongroom.repository.keyring import Keys
from strongroom.repository.loading import LoadedIndex
from strongroom.repository.pack import HEADER_SIZE, PackOpener, open_pack
from strongroom.repository.packer import Workers

RANGE_SIZE: Final = 8 << 20
RANGE_GAP: Final = 256 << 10
RANGE_PLAIN: Final = 32 << 20  # bytes that come of one range, so that all threads end together
BYTES_AHEAD: Final = 48 << 20
READ_AT_ONCE: Final = 3


class ReadChunk(NamedTuple):
    """A chunk that is what its id says: ``frame`` from ``at`` on.

    Chunks that were saved one after the other mostly follow each other in their frame.
    """

    chunk_id: bytes
    data: memoryview
    frame: memoryview
    at: int


Consume = Callable[[Sequence[ReadChunk]], None]
Failing = Future[dict[bytes, DamageError]]
_Turn = AbstractContextManager[object]
_AT_ONCE: Final[_Turn] = nullcontext()


class Lost(NamedTuple):
    """A chunk that cannot be read anywhere, and why."""

    chunk_id: bytes
    error: DamageError


class _Wanted(NamedTuple):
    """Chunks of one frame."""

    place: FramePlace
    chunks: list[tuple[bytes, Place]]


class _Range(NamedTuple):
    """Neighbouring frames of one pack, read by one request."""

    pack_id: bytes
    offset: int
    length: int
    frames: list[_Wanted]


class Stream:
    """Chunks on their way to whoever wants them; made by ``Reader.begin``, used by one thread.

    What is asked for ahead is bounded in bytes as they are stored; each worker holds one frame
    opened, besides.
    """

    def __init__(
        self,
        reader: Reader,
        work: tuple[Iterator[_Range], dict[bytes, DamageError]],
        submit: Callable[[_Range], Failing],
        consume: Consume,
    ) -> None:
        self._reader = reader
        self._ranges, self._failed = work
        self._submit = submit
        self._consume = consume
        self._running: deque[tuple[int, Failing]] = deque()
        self._next = next(self._ranges, None)

    def push(self, *, must: bool = False) -> None:
        """Ask for more, as far as there is room, without waiting; if it ``must``, for one at least.

        Room is what all streams of a reader share.
        """
        reader = self._reader
        while self._running and self._running[0][1].done():
            self._reap()
        while (piece := self._next) is not None:
            is_full = reader.ahead > 0 and reader.ahead + piece.length > reader.bytes_ahead
            if is_full and (self._running or not must):
                return
            reader.ahead += piece.length
            self._running.append((piece.length, self._submit(piece)))
            self._next = next(self._ranges, None)

    def finish(self) -> list[Lost]:
        """Wait for all of it; return what could not be read.

        An exception of ``consume`` ends the stream and is raised.
        """
        try:
            self.push(must=True)
            while self._running:
                self._reap()
                self.push(must=True)
            return self._reader.try_again(self._failed, self._consume)
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Ask for no more, and wait for what cannot be called back."""
        self._next = None
        for _, future in self._running:
            future.cancel()
        for _, future in self._running:
            if not future.cancelled():
                future.exception()
        self._reader.ahead -= sum(length for length, _ in self._running)
        self._running.clear()

    def _reap(self) -> None:
        length, future = self._running[0]
        self._failed.update(future.result())
        self._running.popleft()
        self._reader.ahead -= length


class Reader:
    """Reads chunks of one repository; one thread asks, those of ``workers`` that transfer work.

    At most ``bytes_ahead``, or one range, is asked for and not yet handed on, over all streams.
    """

    def __init__(
        self,
        store: StoreReading,
        keyring: Keys,
        load_index: Callable[[], LoadedIndex],
        workers: Workers,
        *,
        bytes_ahead: int = BYTES_AHEAD,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._load_index = load_index
        self._transfer = workers.transfer
        self._at_once = workers.at_once
        # of threads that work for streams: more at once would wait for each other's locks
        self._computing = threading.BoundedSemaphore(workers.at_once)
        self._loaded = load_index()
        self._decompressor = Decompressor()
        self._openers: dict[bytes, PackOpener] = {}
        self.bytes_ahead = bytes_ahead
        self.ahead = 0  # bytes that all streams have asked for and not handed on

    @property
    def index(self) -> ChunkIndex:
        """The index that is read by."""
        return self._loaded.index

    @property
    def index_damage(self) -> Sequence[DamageError]:
        """Index segments that could not be read."""
        return self._loaded.damaged

    def fetch(self, ids: list[bytes]) -> list[bytes]:
        """Return whole chunks in the order asked for; ``DamageError`` if one is lost."""
        found: dict[bytes, bytes] = {}

        def keep(chunks: Sequence[ReadChunk]) -> None:
            found.update((one.chunk_id, bytes(one.data)) for one in chunks)

        planned, failed = self._planned(ids)
        ranges = list(self._ranges(planned))
        if len(ranges) <= READ_AT_ONCE:  # not behind all that streams have asked for
            for piece in ranges:
                failed |= self._read_range(piece, keep)
            lost = self.try_again(failed, keep)
        else:
            lost = self._streamed(iter(ranges), keep, failed).finish()
        if lost:
            raise lost[0].error
        return [found[chunk_id] for chunk_id in ids]

    def stream(self, ids: Iterable[bytes], consume: Consume) -> list[Lost]:
        """Give every chunk of ``ids`` to ``consume`` once, in any order, from any thread.

        Returns what could not be read; an exception of ``consume`` ends the stream and is raised.
        """
        return self.begin(ids, consume).finish()

    def begin(self, ids: Iterable[bytes], consume: Consume) -> Stream:
        """Begin what ``stream`` does, and go on by ``push`` while there is something else to do."""
        planned, failed = self._planned(ids)
        stream = self._streamed(self._ranges(planned), consume, failed)
        stream.push()
        return stream

    def _planned(
        self, ids: Iterable[bytes]
    ) -> tuple[list[tuple[bytes, Place]], dict[bytes, DamageError]]:
        wanted = list(dict.fromkeys(ids))
        places = self.index.find(wanted)
        failed: dict[bytes, DamageError] = {}
        planned: list[tuple[bytes, Place]] = []
        for chunk_id, place in zip(wanted, places, strict=True):
            if place is None:
                failed[chunk_id] = _not_indexed(chunk_id)
            else:
                planned.append((chunk_id, place))
        return planned, failed

    def try_again(self, failed: dict[bytes, DamageError], consume: Consume) -> list[Lost]:
        """Look for what could not be read in its other places; return what is lost."""
        if failed:
            self._try_other_places(failed, consume)
        if any(isinstance(error, MissingObjectError) for error in failed.values()):
            self._loaded = self._load_index()
            self._try_other_places(failed, consume)
        return [Lost(chunk_id, error) for chunk_id, error in failed.items()]

    def _try_other_places(self, failed: dict[bytes, DamageError], consume: Consume) -> None:
        for chunk_id in list(failed):
            for place in self.index.places(chunk_id):
                attempt: dict[bytes, DamageError] = {}
                for piece in self._ranges([(chunk_id, place)]):
                    attempt |= self._read_range(piece, consume)
                if not attempt:
                    del failed[chunk_id]
                    break

    def _streamed(
        self, ranges: Iterator[_Range], consume: Consume, failed: dict[bytes, DamageError]
    ) -> Stream:
        def submit(piece: _Range) -> Failing:
            return self._transfer.submit(self._read_range, piece, consume, self._computing)

        return Stream(self, (ranges, failed), submit, consume)

    def _ranges(self, planned: Sequence[tuple[bytes, Place]]) -> Iterator[_Range]:
        frames: dict[int, _Wanted] = {}
        for chunk_id, place in planned:
            wanted = frames.get(place.frame)
            if wanted is None:
                wanted = frames[place.frame] = _Wanted(self.index.frame(place.frame), [])
            wanted.chunks.append((chunk_id, place))
        packs: dict[bytes, list[_Wanted]] = {}
        for wanted in frames.values():
            packs.setdefault(wanted.place.pack_id, []).append(wanted)
        ranges: list[_Range] = []
        for pack_id, members in packs.items():
            members.sort(key=lambda w: w.place.span.offset)
            ranges += _coalesced(pack_id, members)
        return _spread(ranges, self._at_once)

    def _read_range(
        self, piece: _Range, consume: Consume, turn: _Turn = _AT_ONCE
    ) -> dict[bytes, DamageError]:
        """Read, wait for a ``turn``, and hand on what is right; return what is not."""
        failed: dict[bytes, DamageError] = {}
        key = layout.pack(piece.pack_id)
        try:
            data = memoryview(self._store.get_range(key, piece.offset, piece.length))
            opener = self._opener(piece, data)
        except ObjectMissingError:
            error: DamageError = MissingObjectError(f"{key} is missing")
            return {chunk_id: error for w in piece.frames for chunk_id, _ in w.chunks}
        except RangeError:
            error = DamageError(f"{key} is damaged: it is shorter than the index says")
            return {chunk_id: error for w in piece.frames for chunk_id, _ in w.chunks}
        except DamageError as found:
            return {chunk_id: found for w in piece.frames for chunk_id, _ in w.chunks}
        with turn:
            for wanted in piece.frames:
                self._read_frame(opener, wanted, data, piece.offset, consume, failed)
        return failed

    def _read_frame(
        self,
        opener: PackOpener,
        wanted: _Wanted,
        data: memoryview,
        start: int,
        consume: Consume,
        failed: dict[bytes, DamageError],
    ) -> None:
        span = wanted.place.span
        sealed = data[span.offset - start : span.offset - start + span.sealed_length]
        try:
            plain = opener.plain(span, sealed, self._decompressor)
        except DamageError as error:
            failed.update((chunk_id, error) for chunk_id, _ in wanted.chunks)
            return
        ids = [chunk_id for chunk_id, _ in wanted.chunks]
        starts = [place.at for _, place in wanted.chunks]
        chunks = [plain[place.at : place.at + place.length] for _, place in wanted.chunks]
        found = list(map(opener.hasher(span.kind), chunks))
        read = list(map(ReadChunk, ids, chunks, repeat(plain), starts))
        if found != ids:
            bad = {one for one, other in zip(ids, found, strict=True) if one != other}
            failed.update((chunk_id, opener.other_than(chunk_id)) for chunk_id in bad)
            read = [one for one in read if one.chunk_id not in bad]
        if read:
            consume(read)

    def _opener(self, piece: _Range, data: memoryview) -> PackOpener:
        opener = self._openers.get(piece.pack_id)
        if opener is None:
            key = layout.pack(piece.pack_id)
            if piece.offset == 0:
                header = bytes(data[:HEADER_SIZE])
            else:
                header = self._store.get_range(key, 0, HEADER_SIZE)
            opener = self._openers[piece.pack_id] = open_pack(key, header, self._keyring)
        return opener


def _spread(ranges: list[_Range], parts: int) -> Iterator[_Range]:
    """Yield ranges in turn of so many stretches.

    Threads that work at the same time are far from each other then, and write to different files.
    """
    size = -(-len(ranges) // parts)
    for first in range(size):
        yield from ranges[first::size]


def _coalesced(pack_id: bytes, members: list[_Wanted]) -> Iterator[_Range]:
    first = members[0].place.span.offset
    start = 0 if first <= RANGE_GAP else first
    end = start
    frames: list[_Wanted] = []
    plain = 0
    for wanted in members:
        span = wanted.place.span
        after = span.offset + span.sealed_length
        plain += span.plain_length
        is_full = after - start > RANGE_SIZE or plain > RANGE_PLAIN
        if frames and (is_full or span.offset - end > RANGE_GAP):
            yield _Range(pack_id, start, end - start, frames)
            start, frames, plain = span.offset, [], span.plain_length
        frames.append(wanted)
        end = after
    yield _Range(pack_id, start, end - start, frames)


def _not_indexed(chunk_id: bytes) -> DamageError:
    return MissingObjectError(
        f"chunk {chunk_id.hex()[:16]} is in no index: an index segment or a pack is missing"
    )
