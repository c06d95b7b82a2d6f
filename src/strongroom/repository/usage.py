"""What snapshots take: which chunks they need, and how many different files they hold.

Rows of fixed width, never a Python object per chunk or file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from strongroom.repository.index import I64, U64, ChunkIndex

_MOST_PENDING: Final = 1 << 20


@dataclass(slots=True)
class Need:
    """Chunks that are needed; ``plain`` bytes of data, that take ``stored`` bytes in packs.

    ``missing`` counts chunks that are in no index.
    """

    chunks: int = 0
    plain: int = 0
    stored: float = 0.0
    missing: int = 0

    def add(self, other: Need) -> None:
        """Add what is needed elsewhere."""
        self.chunks += other.chunks
        self.plain += other.plain
        self.stored += other.stored
        self.missing += other.missing


class Usage:
    """Marks chunks as needed."""

    def __init__(self, index: ChunkIndex) -> None:
        self._index = index
        self._lengths, self._stored = index.costs()
        self._needed = np.zeros(len(self._lengths), dtype=bool)

    def need(self, ids: list[bytes]) -> Need:
        """Mark chunks; what those come to that were not marked before."""
        rows = self._index.rows(ids)
        there = np.unique(rows[rows >= 0])
        new = there[~self._needed[there]]
        self._needed[new] = True
        return Need(
            chunks=len(new),
            plain=int(self._lengths[new].sum(dtype=np.int64)),
            stored=float(self._stored[new].sum()),
            missing=int((rows < 0).sum()),
        )


class Distinct:
    """Counts files with different contents: two are the same if their chunks are."""

    def __init__(self) -> None:
        self._keys: U64 = np.zeros(0, np.uint64)
        self._sizes: I64 = np.zeros(0, np.int64)
        self._pending: list[tuple[int, int]] = []

    def add(self, content: bytes, depth: int, size: int) -> None:
        """Take in what a file consists of, and its size in bytes."""
        digest = hashlib.blake2b(content, digest_size=8, salt=bytes([depth & 0xFF])).digest()
        self._pending.append((int.from_bytes(digest, "big"), size))
        if len(self._pending) >= _MOST_PENDING:
            self._merge()

    def totals(self) -> tuple[int, int]:
        """Return how many different files there were, and their bytes."""
        self._merge()
        return len(self._keys), int(self._sizes.sum())

    def _merge(self) -> None:
        keys = np.array([key for key, _ in self._pending], dtype=np.uint64)
        sizes = np.array([size for _, size in self._pending], dtype=np.int64)
        self._pending = []
        self._keys, first = np.unique(np.concatenate([self._keys, keys]), return_index=True)
        self._sizes = np.concatenate([self._sizes, sizes])[first]
