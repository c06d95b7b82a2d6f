"""From chunks to packs: frames are compressed on worker threads, packed in order, sealed, stored.

One thread adds. Workers compress, decompress, check what came back, and seal; transfer threads put.
Of frames of many chunks the one thread checks what came back: many short calls on several threads
fight for the interpreter. What is in flight is bounded in bytes: plaintext until it is compressed,
then the frame until its pack is stored. A failure anywhere is raised by the next call.
"""

from __future__ import annotations

import contextlib
import struct
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Final, NamedTuple

from strongroom.compression.codec import Compressor, Decompressor
from strongroom.crypto.primitives import sha256
from strongroom.model.fs import Buffer
from strongroom.model.randomness import Randomness
from strongroom.repository.canonical import padme
from strongroom.repository.columns import MAX_FRAME_PLAIN, ChunkKind
from strongroom.repository.keyring import SessionKeys
from strongroom.repository.pack import (
    EMPTY_WEIGHT,
    CompressedFrame,
    PlainFrame,
    SealedPack,
    check_frame,
    compress_frame,
    seal_pack,
)
from strongroom.repository.records import IndexedPack

DEFAULT_BUDGET: Final = 128 << 20
_DATA_FRAMES: Final = 4  # times the size of a frame of trees
_SPARE: Final = 8  # rooms of frames that are kept for the next ones
_CHECKED_HERE: Final = 16  # chunks of a frame: more are too many calls for a worker

_Compressed = tuple[CompressedFrame, memoryview | None]


class Workers(NamedTuple):
    """Threads for work that needs a processor, and for requests that wait.

    ``at_once``: how many of those that transfer gain anything by computing at the same time.
    """

    compute: Executor
    transfer: Executor
    at_once: int


class StoredPack(NamedTuple):
    """A pack whose put returned."""

    entry: IndexedPack
    plain_bytes: int


class _Frame:
    """Chunks of one kind side by side in a room, which is to be full."""

    __slots__ = ("ids", "lengths", "room", "size")

    def __init__(self, room: memoryview) -> None:
        self.room = room
        self.ids: list[bytes] = []
        self.lengths: list[int] = []
        self.size = 0

    def add(self, chunk_id: bytes, chunk: Buffer) -> None:
        """Copy a chunk, for which there is room."""
        end = self.size + len(chunk)
        self.room[self.size : end] = chunk
        self.ids.append(chunk_id)
        self.lengths.append(len(chunk))
        self.size = end


class _Compressing(NamedTuple):
    """A frame on its way: ``size`` in flight; ``room`` where its chunks are, if it has one."""

    future: Future[_Compressed]
    kind: ChunkKind
    size: int
    room: memoryview | None


class _OpenPack:
    """Compressed frames waiting for their pack to be full."""

    __slots__ = ("frames", "weight")

    def __init__(self) -> None:
        self.frames: list[CompressedFrame] = []
        self.weight = EMPTY_WEIGHT


class PackLimits(NamedTuple):
    """Sizes in bytes: plaintext of a frame of trees, a padded pack, everything in flight."""

    frame: int
    pack: int
    in_flight: int = DEFAULT_BUDGET

    def of(self, kind: ChunkKind) -> int:
        """Return the size of a frame of a kind.

        A frame of data is larger, since that makes it smaller in the end. Whoever looks for a path
        reads one piece of a tree on each level, so those frames are small.
        """
        if kind is ChunkKind.TREE:
            return self.frame
        return max(self.frame, min(_DATA_FRAMES * self.frame, MAX_FRAME_PLAIN))


class Packer:
    """Packs chunks of one session; ``put`` returns when a finished pack is durable."""

    def __init__(
        self,
        keys: SessionKeys,
        put: Callable[[SealedPack], None],
        workers: Workers,
        limits: PackLimits,
        randomness: Randomness,
        compressor: Compressor,
    ) -> None:
        self._keys = keys
        self._put = put
        self._workers = workers
        self._limits = limits
        self._frame_sizes = {kind: limits.of(kind) for kind in ChunkKind}
        self._randomness = randomness
        self._compressor = compressor
        self._decompressor = Decompressor()
        self._filling: dict[ChunkKind, _Frame] = {}
        self._rooms: dict[ChunkKind, list[memoryview]] = {kind: [] for kind in ChunkKind}
        self._compressing: deque[_Compressing] = deque()
        self._packs = {kind: _OpenPack() for kind in ChunkKind}
        self._storing: deque[tuple[Future[Future[StoredPack]], int]] = deque()
        self._stored: list[StoredPack] = []
        self._in_flight = 0
        self._salts = 0

    def add(self, kind: ChunkKind, chunk_id: bytes, chunk: Buffer) -> None:
        """Take a chunk that is to be stored; waits while too much is in flight.

        It is copied, unless it fills a frame alone: then it must stay as it is.
        """
        size = self._frame_sizes[kind]
        filling = self._filling.get(kind)
        if filling is not None and filling.size + len(chunk) > size:
            self._close_frame(kind)
            filling = None
        if filling is None:
            if len(chunk) >= size:
                self._compress_later(PlainFrame(kind, chunk_id, (len(chunk),), chunk), None)
                return
            filling = self._filling[kind] = _Frame(self._room(kind))
        filling.add(chunk_id, chunk)
        if filling.size == size:
            self._close_frame(kind)

    def compress_with(self, compressor: Compressor) -> None:
        """Compress with this one what is added from now on."""
        self._close_frames()
        self._compressor = compressor

    def take_stored(self) -> list[StoredPack]:
        """Return the packs that were stored since the last call."""
        self._collect()
        stored, self._stored = self._stored, []
        return stored

    def flush(self) -> None:
        """Store everything that was added and wait for it."""
        self._close_frames()
        while self._compressing:
            self._take_frame()
        self._join_packs()
        for kind in ChunkKind:
            self._close_pack(kind)
        while self._storing:
            self._take_pack()

    def settle(self) -> None:
        """Wait for the packs that are on their way; what is not in one yet is dropped."""
        while self._storing:
            with contextlib.suppress(Exception):  # it is not listed, and that is all
                self._take_pack()

    def fresh_salt(self, content: bytes) -> bytes:
        """Return a salt for what ``content`` identifies.

        A random generator that repeats itself does not repeat it for anything else (format 2).
        """
        self._salts += 1
        return sha256(
            self._randomness.take(32)
            + sha256(content)
            + self._keys.domain.domain_id
            + struct.pack(">Q", self._salts)
        )

    def _close_frames(self) -> None:
        for kind in ChunkKind:
            if kind in self._filling:
                self._close_frame(kind)

    def _close_frame(self, kind: ChunkKind) -> None:
        filled = self._filling.pop(kind)
        plain = filled.room[: filled.size]
        self._compress_later(
            PlainFrame(kind, b"".join(filled.ids), filled.lengths, plain), filled.room
        )

    def _compress_later(self, frame: PlainFrame, room: memoryview | None) -> None:
        self._make_room()
        size = len(frame.plain) if room is None else len(room)
        if self._is_checked_here(frame.lengths):
            size += len(frame.plain)  # what came back, until it is checked
        self._in_flight += size
        future = self._workers.compute.submit(self._compress, frame, self._compressor)
        self._compressing.append(_Compressing(future, frame.kind, size, room))
        self._collect()

    def _room(self, kind: ChunkKind) -> memoryview:
        """Return room for a frame: one that was used before has its memory already."""
        free = self._rooms[kind]
        return free.pop() if free else memoryview(bytearray(self._frame_sizes[kind]))

    @staticmethod
    def _is_checked_here(lengths: Sequence[int]) -> bool:
        return len(lengths) > _CHECKED_HERE

    def _compress(self, given: PlainFrame, compressor: Compressor) -> _Compressed:
        """Return a frame, and what it decompresses to if that is not checked yet."""
        frame, back = compress_frame(given, compressor, self._decompressor)
        if self._is_checked_here(given.lengths):
            return frame, back
        check_frame(frame, back, self._keys.domain)
        return frame, None

    def _make_room(self) -> None:
        """Wait until what is in flight is within its limit, or nothing else can be waited for."""
        while self._in_flight > self._limits.in_flight and (self._storing or self._compressing):
            if self._storing:
                self._take_pack()
            else:
                self._take_frame()

    def _collect(self) -> None:
        while self._compressing and self._compressing[0].future.done():
            self._take_frame()
        while self._storing:
            sealing = self._storing[0][0]
            if not sealing.done() or not sealing.result().done():
                break
            self._take_pack()

    def _take_frame(self) -> None:
        future, kind, size, room = self._compressing.popleft()
        self._in_flight -= size
        frame, back = future.result()
        if room is not None and len(self._rooms[kind]) < _SPARE:
            self._rooms[kind].append(room)
        if back is not None:
            check_frame(frame, back, self._keys.domain)
        pack = self._packs[frame.kind]
        if pack.frames and padme(pack.weight + frame.weight) > self._limits.pack:
            self._close_pack(frame.kind)
            pack = self._packs[frame.kind]
        pack.frames.append(frame)
        pack.weight += frame.weight
        self._in_flight += frame.weight

    def _join_packs(self) -> None:
        data, tree = self._packs[ChunkKind.DATA], self._packs[ChunkKind.TREE]
        if padme(data.weight + tree.weight) <= self._limits.pack:
            data.frames += tree.frames
            data.weight += tree.weight - EMPTY_WEIGHT
            self._packs[ChunkKind.TREE] = _OpenPack()

    def _close_pack(self, kind: ChunkKind) -> None:
        pack, self._packs[kind] = self._packs[kind], _OpenPack()
        if pack.frames:
            salt = self.fresh_salt(b"".join(frame.digest + frame.ids for frame in pack.frames))
            future = self._workers.compute.submit(self._seal, pack.frames, salt)
            self._storing.append((future, pack.weight - EMPTY_WEIGHT))

    def _seal(self, frames: list[CompressedFrame], salt: bytes) -> Future[StoredPack]:
        sealed = seal_pack(frames, self._keys, salt)
        return self._workers.transfer.submit(self._store, sealed)

    def _store(self, sealed: SealedPack) -> StoredPack:
        self._put(sealed)
        columns = sealed.columns
        entry = IndexedPack(
            sealed.pack_id, len(sealed.data), columns.frames, columns.ids, columns.lengths
        )
        return StoredPack(entry, sealed.plain_bytes)

    def _take_pack(self) -> None:
        future, size = self._storing.popleft()
        self._in_flight -= size
        self._stored.append(future.result().result())
