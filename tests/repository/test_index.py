"""The index in memory against a dictionary: the same answers, whatever was added in what order."""

from __future__ import annotations

import errno
import os
import tracemalloc
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import DamageError
from strongroom.repository.columns import FRAME, ChunkKind, FrameRecord, encode_columns
from strongroom.repository.index import ChunkIndex, Place
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.records import IndexedPack
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.support.noise import noise

pytestmark = [pytest.mark.spec("B1"), pytest.mark.spec("B2")]

# Ids that are equal in their first eight bytes, in all but the last, or in nothing.
POOL = [
    bytes([first] * 8 + [middle] * 16 + [0] * 7 + [last])
    for first in (0, 1, 255)
    for middle in (0, 7)
    for last in (0, 1, 2, 255)
]

Located = tuple[bytes, int, int, ChunkKind, int, int]  # pack, offset, sealed, kind, at, length

frame_chunks = st.lists(
    st.tuples(st.sampled_from(POOL), st.integers(0, 50)), min_size=1, max_size=5
)
packs = st.lists(st.tuples(frame_chunks, st.sampled_from(ChunkKind)), min_size=1, max_size=4)
segments = st.lists(st.lists(packs, min_size=1, max_size=3), max_size=12)

Frames = Sequence[tuple[Sequence[tuple[bytes, int]], ChunkKind]]


def indexed(number: int, frames: Frames) -> IndexedPack:
    """Return what a segment lists of a pack with these frames."""
    records, offset = [], 188
    for chunks, kind in frames:
        ids = tuple(chunk_id for chunk_id, _ in chunks)
        records.append(FrameRecord(offset, 100, kind, ids, tuple(length for _, length in chunks)))
        offset += 100
    columns = encode_columns(records)
    pack_id = noise(32, f"pack {number}")
    return IndexedPack(pack_id, offset + 100, columns.frames, columns.ids, columns.lengths)


class Model:
    """The same as a dictionary from id to places."""

    def __init__(self) -> None:
        self.places: dict[bytes, set[Located]] = defaultdict(set)

    def add(self, pack_id: bytes, frames: Frames) -> None:
        """Take in a pack."""
        for number, (chunks, kind) in enumerate(frames):
            at = 0
            for chunk_id, length in chunks:
                place = (pack_id, 188 + 100 * number, 100, kind, at, length)
                self.places[chunk_id].add(place)
                at += length


def located(index: ChunkIndex, place: Place) -> Located:
    """Return a place with its frame resolved."""
    found = index.frame(place.frame)
    span = found.span
    return (found.pack_id, span.offset, span.sealed_length, span.kind, place.at, place.length)


@settings(max_examples=60)
@given(segments, st.lists(st.sampled_from(POOL), max_size=40))
def test_the_index_answers_as_a_dictionary_does(
    added: list[list[Frames]], asked: list[bytes]
) -> None:
    """Known, find, lengths and places agree, with duplicates, equal prefixes, and many runs."""
    index, model = ChunkIndex(), Model()
    number = 0
    for segment in added:
        entries = []
        for frames in segment:
            number += 1
            entries.append(indexed(number, frames))
            model.add(entries[-1].pack_id, frames)
        index.add("a segment", entries)
    assert len(index.pack_ids) == number
    assert index.known(asked) == [chunk_id in model.places for chunk_id in asked]
    for chunk_id, place, length in zip(asked, index.find(asked), index.lengths(asked), strict=True):
        wanted = model.places.get(chunk_id, set())
        if place is None:
            assert (wanted, length) == (set(), None)
        else:
            assert located(index, place) in wanted
            assert length in {one[5] for one in wanted}
        found = [located(index, one) for one in index.places(chunk_id)]
        assert set(found) == wanted
    assert len(index) == sum(len(chunks) for seg in added for pack in seg for chunks, _ in pack)


def test_nothing_is_known_to_an_empty_index() -> None:
    """Without segments every question is answered, with no."""
    index = ChunkIndex()
    index.add("a segment", [])
    assert (index.known(POOL), index.find(POOL)) == ([False] * len(POOL), [None] * len(POOL))
    assert (index.known([]), index.find([]), index.lengths([])) == ([], [], [])
    assert (index.places(POOL[0]), len(index), list(index.pack_ids)) == ([], 0, [])


def test_an_id_is_compared_whole() -> None:
    """An id that differs from a known one in its last byte, or ninth, or first, is not known."""
    known = bytes(32)
    index = ChunkIndex()
    index.add("a segment", [indexed(1, [([(known, 5)], ChunkKind.DATA)])])
    others = [known[:place] + b"\1" + known[place + 1 :] for place in range(32)]
    assert index.known([known, *others]) == [True] + [False] * 32


def test_a_segment_with_one_bad_pack_adds_nothing_that_is_found() -> None:
    """The chunks of a segment that is inconsistent are not known, and it is named."""
    good = indexed(1, [([(POOL[0], 5)], ChunkKind.DATA)])
    bad = IndexedPack(noise(32), 10, good.frames, good.ids, good.lengths)
    index = ChunkIndex()
    with pytest.raises(DamageError, match="index/ab"):
        index.add("index/ab", [good, bad])
    assert index.known([POOL[0]]) == [False]
    index.add("index/cd", [indexed(2, [([(POOL[0], 7)], ChunkKind.TREE)])])
    ((place,),) = [index.places(POOL[0])]
    assert located(index, place) == (noise(32, "pack 2"), 188, 100, ChunkKind.TREE, 0, 7)


def test_a_chunk_costs_few_bytes() -> None:
    """200,000 chunks in 100 segments take less than 100 bytes each."""
    ids = [noise(32, str(number)) for number in range(2000)]
    tracemalloc.start()
    try:
        index = ChunkIndex()
        for segment in range(100):
            chunks = [(bytes([segment]) + one[1:], 10) for one in ids]
            frames = [
                (chunks[start : start + 500], ChunkKind.DATA) for start in range(0, 2000, 500)
            ]
            index.add("a segment", [indexed(segment, frames)])
        used, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 200_000 * 100
    assert all(index.known([bytes([7]) + one[1:] for one in ids]))
    assert not any(index.known([bytes([200]) + one[1:] for one in ids]))


def large(segment: int, chunks: int) -> tuple[list[bytes], IndexedPack]:
    """Return a pack of many chunks, and its first ids."""
    ids = noise(32 * chunks, f"segment {segment}")
    frames = FRAME.pack(188, 100, chunks, ChunkKind.DATA)
    lengths = b"\0\0\0\x0a" * chunks
    pack = IndexedPack(noise(32, f"pack {segment}"), 1 << 20, frames, ids, lengths)
    return [ids[i : i + 32] for i in range(0, 3200, 32)], pack


@pytest.mark.parametrize("spills", [True, False])
def test_many_chunks_are_kept_outside_of_private_memory(tmp_path: Path, *, spills: bool) -> None:
    """Of 900,000 chunks most lie in a file without a name, if one can be had; all are found."""
    files = LocalFiles(PosixFs(), os.fsencode(tmp_path / "state"), SystemRandomness())
    asked = 0

    def spill(parts: Sequence[memoryview]) -> Sequence[memoryview]:
        nonlocal asked
        asked += 1
        if not spills:
            raise OSError(errno.ENOSPC, "no space left")
        return files.mapped(parts)

    tracemalloc.start()
    try:
        index = ChunkIndex(spill)
        firsts = {}
        for segment in range(9):
            firsts[segment], pack = large(segment, 100_000)
            index.add("a segment", [pack])
            del pack
        used, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert asked
    assert (used < 16 << 20) is spills
    assert len(index) == 900_000
    for segment, ids in firsts.items():
        assert index.lengths(ids) == [10] * len(ids)
        for place in index.find(ids):
            assert place is not None
            assert index.frame(place.frame).pack_id == noise(32, f"pack {segment}")
    assert not any(index.known([bytes([7]) + one[1:] for one in firsts[0][1:]]))
    assert not spills or list((tmp_path / "state").iterdir()) == []
