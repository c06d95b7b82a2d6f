"""Which chunk of one repository is which of another, as far as one run has found out.

Ids are keyed, so the same bytes have another id in another repository, and only whoever has the
bytes can tell it. 32 bytes are kept for each chunk in the index of the source, in one array; and of
finished leaves at most ``LEAVES_BYTES``, the oldest going first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from strongroom.model.snapshot import Counts
from strongroom.repository.index import U8, ChunkIndex
from strongroom.repository.layout import HASH_SIZE

LEAVES_BYTES: Final = 64 << 20
_NONE: Final = bytes(HASH_SIZE)


class CopiedLeaf(NamedTuple):
    """A leaf in the destination: its chunk, its first and last path, what it comes to.

    ``needs``: the ids of its own chunk and of all that its entries need, one after the other.
    """

    chunk_id: bytes
    first: bytes
    last: bytes
    counts: Counts
    needs: bytes


class Translation:
    """Grows while chunks and leaves are copied; ``index`` is that of the source, and stays."""

    def __init__(self, index: ChunkIndex) -> None:
        self._index = index
        self._ids: U8 = np.zeros((len(index), HASH_SIZE), np.uint8)
        self._leaves: OrderedDict[bytes, CopiedLeaf] = OrderedDict()
        self._leaves_bytes = 0

    def find(self, ids: Sequence[bytes]) -> list[bytes]:
        """Return for each chunk of the source its id in the destination; empty if not known."""
        rows = self._index.rows(ids).tolist()
        found = (self._ids[row].tobytes() if row >= 0 else _NONE for row in rows)
        return [b"" if chunk_id == _NONE else chunk_id for chunk_id in found]

    def learn(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Take in (id in the source, id in the destination) of chunks."""
        known = list(pairs)
        rows = self._index.rows([source for source, _ in known])
        there = rows >= 0
        ids = np.frombuffer(b"".join(ours for _, ours in known), np.uint8)
        self._ids[rows[there]] = ids.reshape(-1, HASH_SIZE)[there]

    def leaf(self, chunk_id: bytes) -> CopiedLeaf | None:
        """Return what a leaf of the source became."""
        return self._leaves.get(chunk_id)

    def keep_leaf(self, chunk_id: bytes, leaf: CopiedLeaf) -> None:
        """Take in what a leaf of the source became."""
        if self._leaves.pop(chunk_id, None) is None:
            self._leaves_bytes += len(leaf.needs)
        self._leaves[chunk_id] = leaf
        while self._leaves_bytes > LEAVES_BYTES:
            _, oldest = self._leaves.popitem(last=False)
            self._leaves_bytes -= len(oldest.needs)
