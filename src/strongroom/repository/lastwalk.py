"""The last walk of a source: what lets a backup skip unchanged things without reading them.

A file of blocks, each ``u32`` length, SHA-256, MessagePack list of records in the order of the
source. It is disposable: a missing, foreign or damaged file costs one full read and nothing else. A
record is used only if its token equals the new one and every chunk it names may be relied on.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from strongroom.crypto.primitives import sha256
from strongroom.model.entry import EXTENT, HOLE, Entry, extents, sort_key
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.localfiles import LocalFiles, NewFile

_HEAD: Final = struct.Struct(">I32s")
_MAGIC: Final = b"strongroom last walk 0\n"
_RECORDS_IN_BLOCK: Final = 1000
_MAX_BLOCK: Final = 1 << 30


class WalkRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One thing as it was captured. ``chunks``: ids beyond those in the entry itself."""

    token: bytes
    entry: Entry
    chunks: bytes = b""

    def needs(self) -> list[bytes]:
        """Ids of every chunk that must still be there."""
        content = self.entry.content
        if len(content) % EXTENT.size or len(self.chunks) % HASH_SIZE:
            return [HOLE]  # an id that no chunk has
        if len(content) == HASH_SIZE + 8 and not self.chunks:
            return [] if content.startswith(HOLE) else [content[:HASH_SIZE]]
        ids = [extent.chunk_id for extent in extents(content) if extent.chunk_id != HOLE]
        ids += [self.chunks[i : i + HASH_SIZE] for i in range(0, len(self.chunks), HASH_SIZE)]
        return ids


_decoder: Final = msgspec.msgpack.Decoder(list[WalkRecord])
_encoder: Final = msgspec.msgpack.Encoder()


def _records(files: LocalFiles, name: str) -> Iterator[WalkRecord]:
    buffer = bytearray()
    pieces = files.blocks(name)

    def filled(size: int) -> bool:
        while len(buffer) < size:
            piece = next(pieces, None)
            if piece is None:
                return False
            buffer.extend(piece)
        return True

    if not filled(len(_MAGIC)) or buffer[: len(_MAGIC)] != _MAGIC:
        return
    del buffer[: len(_MAGIC)]
    while filled(_HEAD.size):
        length, digest = _HEAD.unpack_from(buffer)
        if length > _MAX_BLOCK or not filled(_HEAD.size + length):
            return
        block = bytes(memoryview(buffer)[_HEAD.size : _HEAD.size + length])
        del buffer[: _HEAD.size + length]
        if sha256(block) != digest:
            return
        try:
            yield from _decoder.decode(block)
        except (msgspec.DecodeError, RecursionError):
            return


class LastWalk:
    """Reads the last walk beside a new one: both in the same order, each once."""

    def __init__(self, files: LocalFiles, name: str) -> None:
        self._records = _records(files, name)
        self._next: WalkRecord | None = None
        self._next_key = b""
        self._advance()

    def match(self, path: bytes, token: bytes) -> WalkRecord | None:
        """Return the record of ``path`` if its token is the same; paths must be asked in order."""
        key = sort_key(path)
        while self._next is not None and self._next_key < key:
            self._advance()
        record = self._next
        if record is None or record.entry.path != path:
            return None
        return record if token and record.token == token else None

    def _advance(self) -> None:
        try:
            self._next = next(self._records, None)
        except OSError:
            self._next = None
        self._next_key = sort_key(self._next.entry.path) if self._next else b""


class WalkWriter:
    """Writes the records of a new walk; when that fails it stops, and the backup goes on."""

    def __init__(self, file: NewFile | None) -> None:
        self._file = file
        self._waiting: list[WalkRecord] = []
        self.failure: OSError | None = None
        self._write(_MAGIC)

    def add(self, record: WalkRecord) -> None:
        """Append a record; the order is that of the source."""
        self._waiting.append(record)
        if len(self._waiting) >= _RECORDS_IN_BLOCK:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting."""
        if self._waiting:
            block = _encoder.encode(self._waiting)
            self._write(_HEAD.pack(len(block), sha256(block)) + block)
            self._waiting = []

    def _write(self, data: bytes) -> None:
        if self._file is not None and self.failure is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.failure = error


class _NotKeptError(Exception):
    """The walk could not be written; nothing takes the place of the last one."""


@contextlib.contextmanager
def new_walk(files: LocalFiles, name: str) -> Iterator[WalkWriter]:
    """Write a walk that replaces the last one when the block ends without an error.

    A state folder that cannot be written costs the next backup a full read and nothing else; the
    writer's ``failure`` says why.
    """
    with contextlib.suppress(_NotKeptError), contextlib.ExitStack() as stack:
        try:
            writer = WalkWriter(stack.enter_context(files.replacing(name)))
        except OSError as error:
            writer = WalkWriter(None)
            writer.failure = error
        yield writer
        writer.flush()
        if writer.failure is not None:
            raise _NotKeptError
        try:
            stack.pop_all().close()
        except OSError as error:
            writer.failure = error
