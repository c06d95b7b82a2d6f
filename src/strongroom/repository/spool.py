"""Entries that come in any order, given back in the order of a tree, in bounded memory.

They are kept in sorted runs, packed in blocks, about 100 bytes for an entry; of each run one block
is open while they are given back. What came in order is one run after the other.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from strongroom.compression.codec import Compressor, Decompressor
from strongroom.model.entry import Entry
from strongroom.model.snapshot import Order
from strongroom.repository.tree import key_of

_RUN: Final = 50_000
_BLOCK: Final = 1000


class Spooled(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An entry, and what whoever put it there has to know of it again.

    ``number`` counts them as they came; ``origin`` and ``mark`` belong to the caller.
    """

    entry: Entry
    number: int
    origin: int = 0
    mark: int = 0


class _Block(msgspec.Struct, frozen=True):
    """Entries that follow each other in a run, packed; ``first``: the key of the first."""

    first: bytes
    codec: int
    packed: bytes
    size: int


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[Spooled])


class Spool:
    """Takes all entries, and then gives them back, any number of times.

    ``order``: which trees they are in the order of.
    """

    def __init__(self, order: Order = Order.COMPONENTS, *, run: int = _RUN) -> None:
        self._sort_key = key_of(order)
        self._most = run
        self._waiting: list[Spooled] = []
        self._runs: list[list[_Block]] = []
        self._compressor = Compressor()
        self._decompressor = Decompressor()

    def add(self, one: Spooled) -> None:
        """Take an entry; of two with the same path, the order is that of their numbers."""
        self._waiting.append(one)
        if len(self._waiting) >= self._most:
            self._end_run()

    def sorted(self) -> Iterator[Spooled]:
        """Yield them in the order of a tree."""
        self._end_run()
        return heapq.merge(*map(self._opened, self._joined()), key=self._key)

    def _key(self, one: Spooled) -> tuple[bytes, int]:
        return self._sort_key(one.entry.path), one.number

    def _end_run(self) -> None:
        waiting, self._waiting = self._waiting, []
        waiting.sort(key=self._key)
        blocks = [
            self._packed(waiting[start : start + _BLOCK])
            for start in range(0, len(waiting), _BLOCK)
        ]
        if blocks:
            self._runs.append(blocks)

    def _packed(self, entries: list[Spooled]) -> _Block:
        data = _encoder.encode(entries)
        codec, packed = self._compressor.compress(data)
        first = self._sort_key(entries[0].entry.path)
        return _Block(first, codec, bytes(packed), len(data))

    def _joined(self) -> list[list[_Block]]:
        """Return the runs, those that follow each other as one, so that few blocks are open."""
        joined: list[list[_Block]] = []
        for blocks in self._runs:
            if joined and self._last(joined[-1]) < blocks[0].first:
                joined[-1] += blocks
            else:
                joined.append(list(blocks))
        return joined

    def _last(self, blocks: list[_Block]) -> bytes:
        return self._sort_key(self._unpacked(blocks[-1])[-1].entry.path)

    def _unpacked(self, block: _Block) -> list[Spooled]:
        data = self._decompressor.decompress(block.codec, memoryview(block.packed), block.size)
        return _decoder.decode(data)

    def _opened(self, blocks: Iterable[_Block]) -> Iterator[Spooled]:
        for block in blocks:
            yield from self._unpacked(block)
