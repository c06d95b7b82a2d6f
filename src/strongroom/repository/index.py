"""The index in memory: chunk id to place, as sorted fixed-width arrays looked up in batches.

A run is one sorted set of chunks; new packs add runs, and small runs are merged. About 52 bytes a
chunk; never a Python object per chunk. Large runs are moved out of private memory where there is a
``Spill``. A chunk may lie in several packs: the first found serves, ``places`` gives all.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from strongroom.errors import DamageError
from strongroom.repository.columns import (
    FRAME,
    LENGTH_SIZE,
    MAX_CHUNKS,
    MAX_FRAME_PLAIN,
    MAX_FRAMES,
    MAX_PACK,
    ChunkKind,
    FrameSpan,
)
from strongroom.repository.layout import HASH_SIZE
from strongroom.repository.records import IndexedPack

_FRAME_TYPE: Final = np.dtype(
    [("offset", ">u4"), ("sealed", ">u4"), ("count", ">u4"), ("kind", "u1")]
)
_MAX_RUNS: Final = 8
_LARGEST_RUN: Final = 2_000_000  # chunks; larger ones are not made by merging
_SPILLED: Final = 100_000  # chunks from which on a run is worth a file

Spill = Callable[[Sequence[memoryview]], Sequence[memoryview]]
U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


class Place(NamedTuple):
    """Where a chunk lies: frame number, offset in the frame's plaintext, length."""

    frame: int
    at: int
    length: int


class FramePlace(NamedTuple):
    """Where a frame lies."""

    pack_id: bytes
    span: FrameSpan


class Columns(NamedTuple):
    """One run by columns: prefix and id of each chunk, its pack, its share of the sealed frame."""

    prefix: U64
    ids: U8
    pack: U32
    stored: F64


class _Run(NamedTuple):
    prefix: U64
    ids: U8
    frame: U32
    at: U32
    length: U32


class _Frames(NamedTuple):
    pack: U32
    offset: U32
    sealed: U32
    plain: U32
    kind: U8


def _merged(parts: Sequence[_Run]) -> _Run:
    prefix = np.concatenate([part.prefix for part in parts])
    order = np.argsort(prefix, kind="stable").astype(np.uint32)
    return _Run(
        prefix[order],
        np.concatenate([part.ids for part in parts])[order],
        np.concatenate([part.frame for part in parts])[order],
        np.concatenate([part.at for part in parts])[order],
        np.concatenate([part.length for part in parts])[order],
    )


def _spilled(run: _Run, spill: Spill) -> _Run:
    """Return the same run in what ``spill`` returns; OSError if that cannot be had."""
    views = spill([column.reshape(-1).view(np.uint8).data for column in run])
    return _Run(
        np.frombuffer(views[0], np.uint64),
        np.frombuffer(views[1], np.uint8).reshape(-1, HASH_SIZE),
        np.frombuffer(views[2], np.uint32),
        np.frombuffer(views[3], np.uint32),
        np.frombuffer(views[4], np.uint32),
    )


class ChunkIndex:
    """Chunks of one domain, or of all; not to be changed by two threads at once.

    ``spill`` moves columns out of private memory; where it raises OSError, they stay.
    """

    def __init__(self, spill: Spill | None = None) -> None:
        self._spill = spill
        self._runs: list[_Run] = []
        self._frames: list[_Frames] = []
        self._frame_starts: list[int] = [0]
        self._pack_ids: list[bytes] = []

    def __len__(self) -> int:
        """The number of places, chunks that lie twice counted twice."""
        return sum(len(run.prefix) for run in self._runs)

    @property
    def pack_ids(self) -> Sequence[bytes]:
        """The packs that were added, in that order."""
        return self._pack_ids

    def add(self, where: str, packs: Iterable[IndexedPack]) -> None:
        """Add what a segment lists; ``DamageError`` names ``where`` if it is inconsistent."""
        parts = [self._add_pack(where, pack) for pack in packs if pack.ids or pack.frames]
        if not parts:
            return
        self._runs.append(self._moved(_merged(parts)))
        if len(self._runs) > _MAX_RUNS:
            self._merge()

    def _merge(self) -> None:
        """Make one of the smallest runs, as many as a run may hold."""
        runs = sorted(self._runs, key=lambda run: len(run.prefix))
        sizes = itertools.accumulate(len(run.prefix) for run in runs)
        count = sum(size <= _LARGEST_RUN for size in sizes)
        if count == len(runs):
            count -= 1  # the largest one is left alone, or every few packs would move all
        if count < 2:  # noqa: PLR2004 - two make one
            return
        self._runs = [*runs[count:], self._moved(_merged(runs[:count]))]

    def _moved(self, run: _Run) -> _Run:
        """Return a large run out of private memory, if that can be had."""
        if self._spill is not None and len(run.prefix) >= _SPILLED:
            with contextlib.suppress(OSError):
                return _spilled(run, self._spill)
        return run

    def _add_pack(self, where: str, pack: IndexedPack) -> _Run:
        fits = (
            len(pack.ids) % HASH_SIZE == 0
            and len(pack.lengths) * HASH_SIZE == len(pack.ids) * LENGTH_SIZE
            and len(pack.frames) % FRAME.size == 0
            and len(pack.frames) <= MAX_FRAMES * FRAME.size
            and 0 <= pack.size <= MAX_PACK
        )
        if not fits:
            raise _inconsistent(where, pack)
        ids = np.frombuffer(pack.ids, np.uint8).reshape(-1, HASH_SIZE)
        lengths = np.frombuffer(pack.lengths, ">u4").astype(np.uint64)
        frames = np.frombuffer(pack.frames, _FRAME_TYPE)
        counts = frames["count"].astype(np.int64)
        if counts.sum() != len(ids) or ((counts == 0) | (counts > MAX_CHUNKS)).any():
            raise _inconsistent(where, pack)
        starts = np.cumsum(counts) - counts
        before = np.cumsum(lengths) - lengths
        plain = np.add.reduceat(lengths, starts)
        ends = frames["offset"].astype(np.uint64) + frames["sealed"]
        fits = bool(
            ends[-1] <= pack.size
            and (ends[:-1] <= frames["offset"][1:]).all()
            and (plain <= MAX_FRAME_PLAIN).all()
            and np.isin(frames["kind"], [int(kind) for kind in ChunkKind]).all()
        )
        if not fits:
            raise _inconsistent(where, pack)
        first_frame = self._frame_starts[-1]
        number = len(self._pack_ids)
        self._pack_ids.append(pack.pack_id)
        self._frames.append(
            _Frames(
                np.full(len(frames), number, np.uint32),
                frames["offset"].astype(np.uint32),
                frames["sealed"].astype(np.uint32),
                plain.astype(np.uint32),
                frames["kind"].copy(),
            )
        )
        self._frame_starts.append(first_frame + len(frames))
        return _Run(
            _prefixes(pack.ids),
            ids,
            np.repeat(np.arange(first_frame, first_frame + len(frames), dtype=np.uint32), counts),
            (before - np.repeat(before[starts], counts)).astype(np.uint32),
            lengths.astype(np.uint32),
        )

    def known(self, ids: Sequence[bytes]) -> list[bool]:
        """Tell for each id whether it has a place."""
        found = np.zeros(len(ids), dtype=bool)
        if ids and self._runs:
            wanted, rows = _query(ids)
            for run in self._runs:
                found |= self._matches(run, wanted, rows)[0]
        return list(map(bool, found))

    def holds(self, joined: bytes) -> bool:
        """Whether every one of these ids, one after the other, has a place."""
        wanted, rows = _prefixes(joined), _rows(joined)
        for run in self._runs:
            if not len(wanted):
                break
            missing = ~self._matches(run, wanted, rows)[0]
            wanted, rows = wanted[missing], rows[missing]
        return not len(wanted)

    def lengths(self, ids: Sequence[bytes]) -> list[int | None]:
        """Return the length in bytes of each chunk, None where it has no place."""
        found = np.full(len(ids), -1, dtype=np.int64)
        if ids:
            wanted, rows = _query(ids)
            for run in self._runs:
                match, where = self._matches(run, wanted, rows)
                found[match] = run.length[where[match]]
        return [length if length >= 0 else None for length in found.tolist()]

    def rows(self, ids: Sequence[bytes]) -> I64:
        """Return the row of ``costs`` of each chunk, -1 where it has no place."""
        return self.rows_of(b"".join(ids))

    def rows_of(self, joined: bytes) -> I64:
        """As ``rows``, of ids one after the other."""
        wanted, queried = _prefixes(joined), _rows(joined)
        found = np.full(len(wanted), -1, dtype=np.int64)
        if len(wanted):
            start = 0
            for run in self._runs:
                match, where = self._matches(run, wanted, queried)
                found[match] = start + where[match]
                start += len(run.prefix)
        return found

    def costs(self) -> tuple[U32, F64]:
        """Return for every row the length of its chunk, and its share of the sealed frame."""
        if not self._runs:
            return np.zeros(0, np.uint32), np.zeros(0, np.float64)
        sealed = np.concatenate([frames.sealed for frames in self._frames]).astype(np.float64)
        plain = np.concatenate([frames.plain for frames in self._frames])
        share = sealed / np.maximum(plain, 1)
        lengths = np.concatenate([run.length for run in self._runs])
        return lengths, lengths * share[np.concatenate([run.frame for run in self._runs])]

    def columns(self) -> Iterator[Columns]:
        """Yield the places by run, in the order of ``rows``; packs by their number in it."""
        if not self._runs:
            return
        packs = np.concatenate([frames.pack for frames in self._frames])
        plain = np.concatenate([frames.plain for frames in self._frames])
        sealed = np.concatenate([frames.sealed for frames in self._frames])
        share = sealed / np.maximum(plain, 1)
        for run in self._runs:
            yield Columns(run.prefix, run.ids, packs[run.frame], run.length * share[run.frame])

    def find(self, ids: Sequence[bytes]) -> list[Place | None]:
        """Return a place of each id, None where there is none."""
        places: list[Place | None] = [None] * len(ids)
        if not ids:
            return places
        wanted, rows = _query(ids)
        for run in self._runs:
            match, where = self._matches(run, wanted, rows)
            hits = np.flatnonzero(match)
            rows_of_hits = where[hits]
            columns = (column[rows_of_hits].tolist() for column in (run.frame, run.at, run.length))
            for i, *place in zip(hits.tolist(), *columns, strict=True):
                places[i] = Place(*place)
        return places

    def places(self, chunk_id: bytes) -> list[Place]:
        """Return every place of one chunk."""
        wanted, rows = _query([chunk_id])
        places = []
        for run in self._runs:
            low = int(np.searchsorted(run.prefix, wanted[0], "left"))
            high = int(np.searchsorted(run.prefix, wanted[0], "right"))
            places += [
                Place(int(run.frame[j]), int(run.at[j]), int(run.length[j]))
                for j in range(low, high)
                if (run.ids[j] == rows[0]).all()
            ]
        return places

    @staticmethod
    def _matches(
        run: _Run, wanted: U64, rows: U8
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
        where = np.searchsorted(run.prefix, wanted)
        where[where == len(run.prefix)] = 0
        same_prefix = run.prefix[where] == wanted
        match = same_prefix & (run.ids[where] == rows).all(axis=1)
        for i in np.flatnonzero(same_prefix & ~match).tolist():
            j = int(where[i]) + 1
            while j < len(run.prefix) and run.prefix[j] == wanted[i]:
                if (run.ids[j] == rows[i]).all():
                    where[i], match[i] = j, True
                    break
                j += 1
        return match, where

    def frame(self, number: int) -> FramePlace:
        """Return where frame ``number`` lies."""
        low, high = 0, len(self._frame_starts) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._frame_starts[middle] <= number else (low, middle)
        frames = self._frames[low]
        i = number - self._frame_starts[low]
        return FramePlace(
            self._pack_ids[int(frames.pack[i])],
            FrameSpan(
                int(frames.offset[i]),
                int(frames.sealed[i]),
                int(frames.plain[i]),
                ChunkKind(int(frames.kind[i])),
            ),
        )


def _prefixes(ids: bytes) -> U64:
    return np.frombuffer(ids, ">u8").reshape(-1, HASH_SIZE // 8)[:, 0].astype(np.uint64)


def _query(ids: Sequence[bytes]) -> tuple[U64, U8]:
    joined = b"".join(ids)
    return _prefixes(joined), _rows(joined)


def _rows(joined: bytes) -> U8:
    return np.frombuffer(joined, np.uint8).reshape(-1, HASH_SIZE)


def _inconsistent(where: str, pack: IndexedPack) -> DamageError:
    return DamageError(
        f"{where} is damaged: what it lists of pack {pack.pack_id.hex()[:16]} does not fit"
    )
