"""The chunks of an index as columns: which are needed, and which packs hold them.

Rows of fixed width, never a Python object per chunk. A chunk that lies in several packs has a row
for each, and one of them speaks for all: its *first* row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from strongroom.errors import MissingObjectError
from strongroom.repository.index import U8, U32, ChunkIndex
from strongroom.repository.layout import HASH_SIZE

Bools = npt.NDArray[np.bool_]
_BATCH: Final = 1 << 16
_HINT: Final = (
    "Nothing is removed until this is settled. 'strongroom repair' says which snapshots lost "
    "something, and with '--from COPY' brings it back; those that stay damaged can be let go of "
    "with 'strongroom forget SNAPSHOT --allow-empty', and 'strongroom prune' goes on after the "
    "grace."
)

Way = tuple[Literal["tree", "list"], int]
"""What a chunk is gone through as: part of a tree, or list of extents; and its level or depth."""


class Census:
    """Marks chunks as needed; the index must not change meanwhile."""

    def __init__(self, index: ChunkIndex) -> None:
        self._index = index
        self._first = _first_rows(index)
        self._needed: Bools = np.zeros(len(self._first), dtype=bool)
        self._taken: Bools = np.zeros(len(self._first), dtype=bool)
        self._entered: dict[Way, Bools] = {}

    @property
    def packs(self) -> Sequence[bytes]:
        """The packs of the index; every other thing here is said by their numbers."""
        return self._index.pack_ids

    def need(self, joined: bytes) -> None:
        """Mark chunks, their ids one after the other; ``MissingObjectError`` if one is nowhere."""
        self._needed[self._rows(joined)] = True

    def enter(self, ids: Sequence[bytes], what: Way) -> list[bool]:
        """Mark chunks that are gone through as ``what``; for each, whether it is the first time.

        That a chunk is needed does not say that what it names is: whoever can name the chunks of
        another writer must not make anybody pass by what is below them.
        """
        rows = self._rows(b"".join(ids))
        if what not in self._entered:
            self._entered[what] = np.zeros(len(self._first), dtype=bool)
        fresh = ~self._entered[what][rows]
        self._needed[rows] = True
        self._entered[what][rows] = True
        return [bool(one) for one in fresh]

    def _rows(self, joined: bytes) -> U32:
        rows = self._index.rows_of(joined)
        if len(rows) and rows.min() < 0:
            place = int(np.argmin(rows)) * HASH_SIZE
            missing = joined[place : place + HASH_SIZE]
            msg = f"chunk {missing.hex()[:16]} is needed, and is in no pack that is there"
            raise MissingObjectError(msg, hint=_HINT)
        return self._first[rows]

    def are_needed(self, ids: Sequence[bytes]) -> list[bool]:
        """Tell for each chunk whether it is marked."""
        rows = self._index.rows(ids)
        found = self._needed[self._first[rows]] if len(self._first) else np.zeros(len(ids), bool)
        return [bool(one) for one in found & (rows >= 0)]

    def take(self, ids: Sequence[bytes]) -> list[bool]:
        """Tell for each chunk whether it is needed and was never taken; it is taken now.

        Of chunks that lie twice, also in ``ids``, the first one is taken.
        """
        taken = []
        for is_needed, row in zip(self.are_needed(ids), self._index.rows(ids), strict=True):
            is_mine = is_needed and not self._taken[self._first[row]]
            if is_mine:
                self._taken[self._first[row]] = True
            taken.append(is_mine)
        return taken

    def covering(self, tombed: Bools, staying: Bools) -> dict[bytes, set[bytes]]:
        """Return the staying packs that alone keep a needed chunk of a tombed one.

        With each all chunks that the index says it holds.
        """
        shared: Bools = np.zeros(len(self._first), dtype=bool)
        for first, packs in self._needed_places():
            shared[first[tombed[packs]]] = True
        covering = np.zeros(len(self.packs), dtype=bool)
        for first, packs in self._needed_places():
            covering[packs[shared[first] & staying[packs]]] = True
        names = {self.packs[int(number)] for number in np.flatnonzero(covering)}
        wanted: Bools = np.array([name in names for name in self.packs], dtype=bool)
        claims: dict[bytes, set[bytes]] = {name: set() for name in names}
        for run in self._index.columns() if names else ():
            for row in np.flatnonzero(wanted[run.pack]):
                claims[self.packs[int(run.pack[row])]].add(run.ids[row].tobytes())
        return claims

    def needed_ids(self) -> Iterator[list[bytes]]:
        """Yield the ids of the needed chunks, in batches, each once or more often."""
        start = 0
        for run in self._index.columns():
            first = self._first[start : start + len(run.pack)]
            rows = np.flatnonzero(self._needed[first])
            for low in range(0, len(rows), _BATCH):
                joined = run.ids[rows[low : low + _BATCH]].tobytes()
                yield [joined[i : i + HASH_SIZE] for i in range(0, len(joined), HASH_SIZE)]
            start += len(run.pack)

    def keepers(self, rank: npt.NDArray[np.int64]) -> Bools:
        """Tell for each pack whether it is kept: of each needed chunk one pack is.

        Of several that hold it, the one with the least ``rank``.
        """
        best = np.full(len(self._first), np.iinfo(np.int64).max, dtype=np.int64)
        for first, packs in self._needed_places():
            np.minimum.at(best, first, rank[packs])
        kept = np.zeros(len(self.packs), dtype=bool)
        for first, packs in self._needed_places():
            kept[packs[rank[packs] == best[first]]] = True
        return kept

    def spared(self, tombed: Bools, staying: Bools) -> Bools:
        """Tell for each tombed pack whether it must stay all the same.

        It must if it holds a needed chunk that no pack holds that is ``staying``.
        """
        covered: Bools = np.zeros(len(self._first), dtype=bool)
        for first, packs in self._needed_places():
            covered[first[staying[packs]]] = True
        spared = np.zeros(len(self.packs), dtype=bool)
        for first, packs in self._needed_places():
            spared[packs[~covered[first] & tombed[packs]]] = True
        return spared

    def shares(self) -> npt.NDArray[np.float64]:
        """Return for each pack which part of its chunks, by their sealed bytes, is needed."""
        needed = np.zeros(len(self.packs), dtype=np.float64)
        total = np.zeros(len(self.packs), dtype=np.float64)
        start = 0
        for run in self._index.columns():
            marked = self._needed[self._first[start : start + len(run.pack)]]
            size = len(total)
            total += np.bincount(run.pack, weights=run.stored, minlength=size)
            needed += np.bincount(run.pack[marked], weights=run.stored[marked], minlength=size)
            start += len(run.pack)
        return needed / np.maximum(total, 1)

    def _needed_places(self) -> Iterator[tuple[U32, U32]]:
        """Yield (first row, pack number) of every place of a needed chunk, run by run."""
        start = 0
        for run in self._index.columns():
            first = self._first[start : start + len(run.pack)]
            needed = self._needed[first]
            yield first[needed], run.pack[needed]
            start += len(run.pack)


def _first_rows(index: ChunkIndex) -> U32:
    """Return for every row the one that speaks for its chunk."""
    prefixes, ids = [], []
    for run in index.columns():  # the other columns are as large, and are let go of
        prefixes.append(run.prefix)
        ids.append(run.ids)
    count = sum(map(len, prefixes))
    first = np.arange(count, dtype=np.uint32)
    if not count:
        return first
    prefix = np.concatenate(prefixes)
    order = np.argsort(prefix, kind="stable")
    prefix = prefix[order]
    alike = np.flatnonzero(prefix[1:] == prefix[:-1])
    del prefix
    starts = np.cumsum([0, *map(len, prefixes)])
    for group in _neighbours(alike):
        rows = order[group[0] : group[-1] + 2]
        known: dict[bytes, int] = {}
        for row in sorted(int(row) for row in rows):
            number = int(np.searchsorted(starts, row, "right")) - 1
            chunk_id = _id_at(ids[number], row - int(starts[number]))
            first[row] = known.setdefault(chunk_id, row)
    return first


def _id_at(ids: U8, row: int) -> bytes:
    return bytes(ids[row])


def _neighbours(places: npt.NDArray[np.intp]) -> Iterable[npt.NDArray[np.intp]]:
    """Split ascending numbers where one is left out."""
    if not len(places):
        return []
    return np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
