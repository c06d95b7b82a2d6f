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
from collections.abc import Callable
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
    SealedPack,
    check_frame,
    compress_frame,
    seal_pack,
)
from strongroom.repository.records import IndexedPack

DEFAULT_BUDGET: Final = 128 << 20
_DATA_FRAMES: Final = 4  # times the size of a frame of trees
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
    """Chunks of one kind waiting for their frame to be full."""

    __slots__ = ("chunks", "size")

    def __init__(self) -> None:
        self.chunks: list[tuple[bytes, Buffer]] = []
        self.size = 0


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
        self._randomness = randomness
        self._compressor = compressor
        self._decompressor = Decompressor()
        self._filling = {kind: _Frame() for kind in ChunkKind}
        self._compressing: deque[tuple[Future[_Compressed], int]] = deque()
        self._packs = {kind: _OpenPack() for kind in ChunkKind}
        self._storing: deque[tuple[Future[Future[StoredPack]], int]] = deque()
        self._stored: list[StoredPack] = []
        self._in_flight = 0
        self._salts = 0

    def add(self, kind: ChunkKind, chunk_id: bytes, chunk: Buffer) -> None:
        """Take a chunk that is to be stored; waits while too much is in flight."""
        filling = self._filling[kind]
        limit = self._limits.of(kind)
        if filling.size and filling.size + len(chunk) > limit:
            self._close_frame(kind)
            filling = self._filling[kind]
        filling.chunks.append((chunk_id, chunk))
        filling.size += len(chunk)
        if filling.size >= limit:
            self._close_frame(kind)

    def compress_with(self, compressor: Compressor) -> None:
        """Compress with this one what is added from now on."""
        for kind in ChunkKind:
            if self._filling[kind].chunks:
                self._close_frame(kind)
        self._compressor = compressor

    def take_stored(self) -> list[StoredPack]:
        """Return the packs that were stored since the last call."""
        self._collect()
        stored, self._stored = self._stored, []
        return stored

    def flush(self) -> None:
        """Store everything that was added and wait for it."""
        for kind in ChunkKind:
            if self._filling[kind].chunks:
                self._close_frame(kind)
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

    def _close_frame(self, kind: ChunkKind) -> None:
        filled, self._filling[kind] = self._filling[kind], _Frame()
        self._make_room()
        is_kept = len(filled.chunks) > _CHECKED_HERE  # what came back, until it is checked
        size = 2 * filled.size if is_kept else filled.size
        self._in_flight += size
        future = self._workers.compute.submit(self._compress, kind, filled.chunks, self._compressor)
        self._compressing.append((future, size))
        self._collect()

    def _compress(
        self, kind: ChunkKind, chunks: list[tuple[bytes, Buffer]], compressor: Compressor
    ) -> _Compressed:
        """Return a frame, and what it decompresses to if that is not checked yet."""
        frame, back = compress_frame(kind, chunks, compressor, self._decompressor)
        if len(chunks) > _CHECKED_HERE:
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
        while self._compressing and self._compressing[0][0].done():
            self._take_frame()
        while self._storing:
            sealing = self._storing[0][0]
            if not sealing.done() or not sealing.result().done():
                break
            self._take_pack()

    def _take_frame(self) -> None:
        future, size = self._compressing.popleft()
        self._in_flight -= size
        frame, back = future.result()
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
