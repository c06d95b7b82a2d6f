"""What a file contains: lists of extents of any length, and small edits that stay small."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import DamageError
from strongroom.model.entry import EXTENT, HOLE, Extent
from strongroom.repository.content import ContentBuilder, flatten
from tests.support.chunks import Chunks
from tests.support.noise import noise

pytestmark = [pytest.mark.spec("B1"), pytest.mark.spec("B2")]

IDS = noise(32 * 30_000, "content")
CUT = IDS[:30] + b"\x04\x00"  # an id after which a list may end: 1,024
UNCUT = IDS[:30] + b"\x04\x01"

Built = tuple[bytes, int, list[bytes]]


def chunk(number: int) -> Extent:
    """Return the extent of a chunk with a number."""
    return Extent(IDS[32 * number : 32 * number + 32], number % 1000 + 1)


def built(chunks: Chunks, extents: Sequence[Extent]) -> Built:
    """Return (content, depth, ids of lists)."""
    builder = ContentBuilder(chunks.save)
    for extent in extents:
        builder.add(*extent)
    content, depth = builder.finish()
    assert builder.size == sum(extent.length for extent in extents)
    return content, depth, builder.list_ids


def flat(chunks: Chunks, content: bytes, depth: int) -> list[Extent]:
    """Read a content back."""
    return list(flatten("a file", content, depth, chunks.fetch))


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 127, 128, 129, 1000, 4095, 4097, 20_000])
def test_extents_come_back(count: int) -> None:
    """A list of any length is itself again, and its entry holds at most 64 extents."""
    chunks = Chunks()
    extents = [chunk(number) for number in range(count)]
    content, depth, lists = built(chunks, extents)
    assert flat(chunks, content, depth) == extents
    assert len(content) <= 64 * EXTENT.size
    assert (depth == 0) == (count <= 64)
    assert set(lists) == chunks.held.keys()


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5000)), max_size=400))
def test_extents_and_holes_come_back(pieces: list[tuple[bool, int]]) -> None:
    """Holes between chunks are kept; holes beside each other are one."""
    chunks = Chunks()
    extents = [Extent(HOLE, length) if hole else chunk(length) for hole, length in pieces]
    content, depth, _ = built(chunks, extents)
    merged: list[Extent] = []
    for is_hole, group in itertools.groupby(extents, lambda extent: extent.chunk_id == HOLE):
        row = list(group)
        merged += [Extent(HOLE, sum(one.length for one in row))] if is_hole else row
    assert flat(chunks, content, depth) == merged


def test_a_list_of_64_is_not_cut() -> None:
    """64 extents stay in the entry, even if the last one allows a cut; one more is a list."""
    for last in (CUT, UNCUT, HOLE):
        extents = [*map(chunk, range(63)), Extent(last, 5)]
        content, depth, lists = built(Chunks(), extents)
        assert (len(content), depth, lists) == (64 * EXTENT.size, 0, [])
        assert built(Chunks(), [*extents, chunk(64)])[1] == 1


def test_holes_meet_where_a_list_could_end() -> None:
    """A hole that is the 64th extent grows with the next one."""
    chunks = Chunks()
    extents = [*map(chunk, range(63)), Extent(HOLE, 5), Extent(HOLE, 6), chunk(70)]
    content, depth, _ = built(chunks, extents)
    assert flat(chunks, content, depth)[63:] == [Extent(HOLE, 11), chunk(70)]


def test_lists_are_cut_where_the_document_says() -> None:
    """After an id that ends in a multiple of 1,024, from 64 extents on, and always after 4,096."""
    plain = [Extent(UNCUT, 1)] * 100
    chunks = Chunks()
    content, depth, _ = built(chunks, [*plain, Extent(CUT, 1), *plain])
    assert (depth, [e.length for e in _extents(content)]) == (1, [101, 100])
    content, _, _ = built(chunks, [*plain[:50], Extent(CUT, 1), *plain])
    assert [e.length for e in _extents(content)] == [151]
    content, _, _ = built(chunks, [Extent(UNCUT, 1)] * 10_000)
    assert [e.length for e in _extents(content)] == [4096, 4096, 1808]


def _extents(content: bytes) -> list[Extent]:
    return [Extent(*one) for one in EXTENT.iter_unpack(content)]


def test_a_second_level_is_made_when_the_first_is_long() -> None:
    """More than 64 lists are a list of lists, each extent of it as long as all below."""
    chunks = Chunks()
    extents = [Extent(CUT, number) for number in range(1, 64 * 70 + 1)]
    content, depth, _ = built(chunks, extents)
    assert depth == 2
    assert flat(chunks, content, depth) == extents
    assert sum(extent.length for extent in _extents(content)) == sum(e.length for e in extents)


@settings(max_examples=20)
@given(st.integers(0, 19_999), st.integers(0, 3), st.integers(0, 3))
def test_an_edit_changes_few_lists(place: int, removed: int, added: int) -> None:
    """Chunks that come or go in a large file write about one list a level anew."""
    before, after = Chunks(), Chunks()
    extents = [chunk(number) for number in range(20_000)]
    built(before, extents)
    extents[place : place + removed] = [chunk(25_000 + number) for number in range(added)]
    content, depth, _ = built(after, extents)
    assert flat(after, content, depth) == extents
    assert len(after.held.keys() - before.held.keys()) <= 3


@pytest.mark.parametrize("content", [b"x", bytes(39), bytes(41), bytes(32)])
def test_a_content_that_is_no_list_is_damage(content: bytes) -> None:
    """Anything but whole records of 40 bytes is damage, at the top and below."""
    chunks = Chunks()
    nested = EXTENT.pack(chunks.save(content), 1)
    with pytest.raises(DamageError, match="a file"):
        flat(chunks, content, 0)
    with pytest.raises(DamageError, match="a file"):
        flat(chunks, nested, 1)


@pytest.mark.parametrize("stated", [0, 9, 11, 1 << 63])
def test_a_list_has_the_length_that_is_stated(stated: int) -> None:
    """A list whose extents come to another length than the one above it says is damage."""
    chunks = Chunks()
    below = chunks.save(EXTENT.pack(IDS[:32], 4) + EXTENT.pack(HOLE, 6))
    assert len(flat(chunks, EXTENT.pack(below, 10), 1)) == 2
    with pytest.raises(DamageError, match="another length"):
        flat(chunks, EXTENT.pack(below, stated), 1)


def test_a_missing_list_is_damage() -> None:
    """A list whose chunk is gone says so."""
    with pytest.raises(DamageError):
        flat(Chunks(), EXTENT.pack(IDS[:32], 10), 1)
