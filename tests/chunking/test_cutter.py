"""Chunkers: where they cut depends on the bytes alone, and stays so from version to version."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.chunking.cutter import (
    Blocks,
    ChunkerParameters,
    Cutter,
    Cutting,
    FastCdc,
    ReadInto,
    cut_stream,
)
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B2")

SMALL = ChunkerParameters(average=1024, minimum=256, maximum=4096)
DATA = noise(200_000, "chunking")
LARGE = noise(24 << 20, "golden")


def reading(data: bytes, sizes: Iterator[int], most: int | None = None) -> Iterator[bytes]:
    """Read ``data`` in pieces of these sizes."""
    place = 0

    def readinto(view: memoryview) -> int:
        nonlocal place
        piece = data[place : place + min(len(view), next(sizes))]
        view[: len(piece)] = piece
        place += len(piece)
        return len(piece)

    yield from cut_stream(FastCdc(SMALL), readinto, 8192, most)


def cut(cutter: Cutter, data: bytes, size: int = 8 << 20) -> list[bytes]:
    """Cut ``data``, read as fast as it goes."""
    place = 0

    def readinto(view: memoryview) -> int:
        nonlocal place
        piece = data[place : place + len(view)]
        view[: len(piece)] = piece
        place += len(piece)
        return len(piece)

    return list(cut_stream(cutter, readinto, size))


def places(chunks: Sequence[bytes]) -> list[int]:
    """Return where each chunk ends."""
    return list(itertools.accumulate(map(len, chunks)))


def test_golden_cuts_of_files() -> None:
    """With the parameters of a repository these bytes are cut here, in every version."""
    lengths = [len(chunk) for chunk in cut(FastCdc(ChunkerParameters()), LARGE)]
    assert lengths == [
        488_388,
        1_092_973,
        625_007,
        994_066,
        3_503_797,
        1_093_795,
        368_809,
        1_051_985,
        353_222,
        546_532,
        1_726_095,
        1_156_149,
        1_224_372,
        1_409_954,
        1_580_146,
        2_023_602,
        401_393,
        686_550,
        2_199_517,
        1_189_527,
        1_209_407,
        240_538,
    ]


def test_golden_cuts_of_streams() -> None:
    """With the parameters of dump streams (average 32 KiB) these bytes are cut here."""
    parameters = ChunkerParameters(average=32 << 10, minimum=8 << 10, maximum=128 << 10)
    lengths = [len(chunk) for chunk in cut(FastCdc(parameters), LARGE[: 1 << 20])]
    assert lengths == [
        40_698,
        42_135,
        16_283,
        20_622,
        66_110,
        13_824,
        36_281,
        45_153,
        48_614,
        83_181,
        52_647,
        22_840,
        47_568,
        92_758,
        56_903,
        35_573,
        24_434,
        34_722,
        61_604,
        36_829,
        46_686,
        70_488,
        52_623,
    ]


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=8), st.integers(0, 60_000))
def test_cuts_do_not_depend_on_how_reads_fall(sizes: list[int], length: int) -> None:
    """However short the reads are, the chunks are the same, and together they are the data."""
    data = DATA[:length]
    chunks = list(reading(data, itertools.cycle(sizes)))
    assert chunks == cut(FastCdc(SMALL), data)
    assert b"".join(chunks) == data


@given(st.integers(0, 1 << 16), st.integers(8192, 50_000))
def test_cuts_do_not_depend_on_the_buffer(length: int, size: int) -> None:
    """However much is read ahead, the chunks are the same."""
    assert cut(FastCdc(SMALL), DATA[:length], size) == cut(FastCdc(SMALL), DATA[:length])


@given(st.integers(0, 200_000), st.sampled_from([DATA, bytes(200_000), b"ab" * 100_000]))
def test_chunks_keep_to_their_bounds(length: int, data: bytes) -> None:
    """No chunk is longer than the maximum, and only the last is shorter than the minimum."""
    lengths = [len(chunk) for chunk in cut(FastCdc(SMALL), data[:length])]
    assert sum(lengths) == length
    assert all(0 < one <= SMALL.maximum for one in lengths)
    assert all(one >= SMALL.minimum for one in lengths[:-1])


@settings(max_examples=50)
@given(st.integers(0, len(DATA)), st.binary(min_size=1, max_size=3000), st.integers(0, 3000))
def test_an_edit_moves_only_the_cuts_around_it(place: int, new: bytes, removed: int) -> None:
    """Before an edit all chunks stay; soon after it they are the old ones again."""
    edited = DATA[:place] + new + DATA[place + removed :]
    old, now = cut(FastCdc(SMALL), DATA), cut(FastCdc(SMALL), edited)
    assert [end for end in places(old) if end <= place - SMALL.maximum] == [
        end for end in places(now) if end <= place - SMALL.maximum
    ]
    assert len(set(now) - set(old)) <= 16


def test_the_average_is_near_the_one_asked_for() -> None:
    """Random data is cut into chunks of about the average size."""
    lengths = [len(chunk) for chunk in cut(FastCdc(SMALL), DATA)]
    assert 0.7 < sum(lengths) / len(lengths) / SMALL.average < 1.6


@given(st.integers(0, 5000), st.integers(1, 700), st.lists(st.integers(0, 900), min_size=1))
def test_blocks_have_one_size(length: int, size: int, pieces: list[int]) -> None:
    """However the stream comes, every chunk but the last has it; together they are the data."""
    data, blocks = DATA[:length], Blocks(size)
    chunks: list[bytes] = []
    place = 0
    for piece in itertools.cycle([*pieces, 1]):
        chunks += map(bytes, blocks.put(data[place : place + piece]))
        place += piece
        if place >= length:
            break
    chunks += map(bytes, blocks.finish())
    assert b"".join(chunks) == data
    assert all(len(chunk) == size for chunk in chunks[:-1])
    assert len(chunks) == -(-length // size)


@pytest.mark.parametrize("length", [1, 255, 4096, 8191, 8192, 8193, 50_000])
def test_a_small_buffer_for_a_short_stream_cuts_no_differently(length: int) -> None:
    """Knowing how long a stream can be changes what is allocated, never where it is cut."""
    for most in (length, length + 1, 10 * length):
        pieces = itertools.repeat(1000)
        assert list(reading(DATA[:length], pieces, most)) == cut(FastCdc(SMALL), DATA[:length])


def test_nothing_has_no_chunks() -> None:
    """An empty stream has no chunk, not an empty one."""
    assert cut(FastCdc(SMALL), b"") == []
    assert Blocks(100).put(b"") == Blocks(100).finish() == []


def test_chunks_are_bytes_of_their_own() -> None:
    """A chunk that was given out does not change when the stream is read on."""
    chunks = list(cut_stream(_Tens(), _counting(), 20))
    assert chunks == [bytes([number]) * 10 for number in range(5)]


class _Tens:
    """Cuts every ten bytes."""

    maximum = 10

    @staticmethod
    def lengths(data: memoryview) -> Iterator[int]:
        """See ``Cutter``."""
        yield from [10] * (len(data) // 10)


def _counting() -> ReadInto:
    number = itertools.count()

    def readinto(view: memoryview) -> int:
        step = next(number)
        count = min(10, len(view)) if step < 5 else 0
        view[:count] = bytes([step]) * count
        return count

    return readinto


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=60), st.integers(0, 200_000))
def test_a_stream_in_pieces_is_cut_as_one_that_is_read(sizes: list[int], length: int) -> None:
    """However it comes; and one that is short is not cut at all."""
    data, whole_below = DATA[:length], 20_000
    cutting = Cutting(FastCdc(SMALL), whole_below, 8192)
    chunks: list[bytes] = []
    place = 0
    for size in itertools.cycle(sizes):
        chunks += cutting.put(data[place : place + size])
        place += size
        if place >= length:
            break
    chunks += cutting.finish()
    wanted = cut(FastCdc(SMALL), data) if length >= whole_below else [data] if data else []
    assert chunks == wanted
