"""The last walk of a source: what lets a backup skip unchanged things without reading them.

A file of blocks, each ``u32`` length, SHA-256, MessagePack of a ``WalkBlock``; blocks and the
records in them are in the order of the source. It is disposable: a missing, foreign or damaged file
costs one full read and nothing else. A record is used only if its token equals the new one and
every chunk it names may be relied on. Most blocks are what a leaf of the tree holds: where none of
it has changed, the leaf serves again as it is, and nothing is done for each of its entries.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from strongroom.crypto.primitives import sha256
from strongroom.errors import RefusedError
from strongroom.model.entry import EXTENT, HOLE, Entry, EntryKind, extents
from strongroom.model.snapshot import Order
from strongroom.model.source import Item
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.localfiles import LocalFiles, NewFile
from strongroom.repository.tree import key_of

_HEAD: Final = struct.Struct(">I32s")
_MAGIC: Final = b"strongroom last walk 1\n"
_MOST_IN_BLOCK: Final = 8192
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


class WalkBlock(msgspec.Struct, array_like=True, frozen=True):
    """Consecutive records, from ``first`` to ``last`` path.

    ``leaf`` is the tree chunk that holds exactly these entries, empty where they make no leaf that
    the tree would cut there again. ``fingerprint`` is that of their paths and tokens, ``needs`` the
    ids of every chunk that must still be there, ``leaf`` among them. ``size``: bytes of all files.
    """

    first: bytes
    last: bytes
    count: int
    leaf: bytes
    fingerprint: bytes
    needs: bytes
    files: int
    directories: int
    size: int
    packed: msgspec.Raw

    def covers(self, items: Sequence[Item]) -> bool:
        """Whether the items are what was captured then, none changed, none more or less."""
        return len(items) == self.count and fingerprint_of(items) == self.fingerprint

    def records(self) -> list[WalkRecord]:
        """Return the records; ``RefusedError`` if the file was not written by a backup."""
        try:
            return _decoder.decode(self.packed)
        except (msgspec.DecodeError, RecursionError) as error:
            raise RefusedError(
                f"what this host remembers of the last backup cannot be read: {error}",
                hint="Remove walks in the state folder: the next backup reads everything.",
            ) from error


def fingerprint_of(items: Sequence[Item]) -> bytes:
    """Identify paths and tokens."""
    return sha256(_encoder.encode([(path, token) for path, token, _, _ in items]))


_decoder: Final = msgspec.msgpack.Decoder(list[WalkRecord])
_block_decoder: Final = msgspec.msgpack.Decoder(WalkBlock)
_encoder: Final = msgspec.msgpack.Encoder()


def _blocks(files: LocalFiles, name: str) -> Iterator[WalkBlock]:
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
            decoded = _block_decoder.decode(block)
        except (msgspec.DecodeError, RecursionError):
            return
        if len(decoded.needs) % HASH_SIZE or len(decoded.leaf) not in {0, HASH_SIZE}:
            return
        yield decoded


class LastWalk:
    """Reads the last walk beside a new one: both in the same order, each once.

    ``changed`` counts paths that were asked for and had another token, ``changed_files`` the files
    among them; ``known`` is what it holds, as far as it was read, ``met`` what of it was asked for.
    """

    def __init__(self, files: LocalFiles, name: str, order: Order = Order.COMPONENTS) -> None:
        self._key = key_of(order)
        self._blocks = _blocks(files, name)
        self._ahead: WalkBlock | None = None
        self._records: list[WalkRecord] = []
        self._at = 0
        self.changed = 0
        self.changed_files = 0
        self.known = 0
        self.met = 0
        self.pass_by()

    def match(self, path: bytes, token: bytes) -> WalkRecord | None:
        """Return the record of ``path`` if its token is the same; paths must be asked in order."""
        if self._ahead is None and self._at == len(self._records):
            return None
        key = self._key(path)
        self._go_to(key)
        if self._at == len(self._records) and self._ahead is not None:
            if self._key(self._ahead.first) > key:
                return None
            self.enter()
            self._go_to(key)
        if self._at == len(self._records):
            return None
        record = self._records[self._at]
        if record.entry.path != path:
            return None
        self.met += 1
        if token and record.token == token:
            return record
        self.changed += 1
        self.changed_files += record.entry.kind == EntryKind.FILE
        return None

    def leaf_at(self, path: bytes) -> WalkBlock | None:
        """Return the leaf that begins with ``path``, unless it was entered."""
        if self._at < len(self._records):
            self._go_to(self._key(path))
            if self._at < len(self._records):
                return None
        if self._ahead is not None and self._ahead.first != path:
            self._go_to(self._key(path))
        ahead = self._ahead
        return ahead if ahead is not None and ahead.first == path and ahead.leaf else None

    def enter(self) -> None:
        """Go through the block that is next record by record; none of one that cannot be read."""
        try:
            self._records = self._ahead.records() if self._ahead is not None else []
        except RefusedError:
            self._records = []
        self._at = 0
        self.pass_by()

    def pass_by(self) -> None:
        """Leave the block that is next behind."""
        try:
            self._ahead = next(self._blocks, None)
        except OSError:
            self._ahead = None
        self.known += self._ahead.count if self._ahead is not None else 0

    def meet(self) -> None:
        """Leave the block behind, all of which was asked for."""
        self.met += self._ahead.count if self._ahead is not None else 0
        self.pass_by()

    def gone(self) -> int:
        """Read on to the end; the number of things that were not asked for."""
        while self._ahead is not None:
            self.pass_by()
        return self.known - self.met

    def _go_to(self, key: bytes) -> None:
        """Leave behind what comes before ``key``, as far as that takes no record of a block."""
        records = self._records
        while self._at < len(records) and self._key(records[self._at].entry.path) < key:
            self._at += 1
        if self._at == len(records):
            while self._ahead is not None and self._key(self._ahead.last) < key:
                self.pass_by()


class WalkWriter:
    """Writes the records of a new walk; when that fails it stops, and the backup goes on."""

    def __init__(self, file: NewFile | None) -> None:
        self._file = file
        self._waiting: list[WalkRecord] = []
        self._whole = True
        self.failure: OSError | None = None
        self._write(_MAGIC)

    def add(self, record: WalkRecord) -> None:
        """Append a record; the order is that of the source."""
        self._waiting.append(record)
        if len(self._waiting) >= _MOST_IN_BLOCK:
            self.flush()
            self._whole = False

    def leave_out(self) -> None:
        """Note that the tree has an entry here that has no record."""
        self._whole = False

    def end_leaf(self, leaf: bytes) -> None:
        """Note that the last entry completed a leaf of the tree."""
        self._end_block(leaf if self._whole else b"")
        self._whole = True

    def copy(self, block: WalkBlock) -> None:
        """Append the records of a leaf of the last walk; the tree is between two leaves."""
        self.flush()
        self._put(block)

    def flush(self) -> None:
        """Write what is waiting."""
        self._end_block(b"")

    def _end_block(self, leaf: bytes) -> None:
        records, self._waiting = self._waiting, []
        if records:
            self._put(_block_of(records, leaf))

    def _put(self, block: WalkBlock) -> None:
        packed = _encoder.encode(block)
        self._write(_HEAD.pack(len(packed), sha256(packed)) + packed)

    def _write(self, data: bytes) -> None:
        if self._file is not None and self.failure is None:
            try:
                self._file.write(data)
            except OSError as error:
                self.failure = error


def _block_of(records: Sequence[WalkRecord], leaf: bytes) -> WalkBlock:
    entries = [record.entry for record in records]
    files = [entry.size for entry in entries if entry.kind == EntryKind.FILE]
    needs = {leaf, *(chunk_id for record in records for chunk_id in record.needs())} - {b""}
    return WalkBlock(
        entries[0].path,
        entries[-1].path,
        len(entries),
        leaf,
        sha256(_encoder.encode([(record.entry.path, record.token) for record in records])),
        b"".join(needs),
        len(files),
        sum(entry.kind == EntryKind.DIRECTORY for entry in entries),
        sum(files),
        msgspec.Raw(_encoder.encode(records)),
    )


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
