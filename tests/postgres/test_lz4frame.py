"""Archives that a server compressed come out as they were, or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import lz4.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import SourceError
from strongroom.postgres.lz4frame import Lz4Frame
from tests.support.noise import noise

pytestmark = pytest.mark.spec("C5")

PLAIN = noise(300_000, "pages") + bytes(900_000) + noise(70_000, "pages") * 3


def pieces(data: bytes, sizes: Iterator[int]) -> Iterator[bytes]:
    """Yield data in pieces of these sizes."""
    place = 0
    while place < len(data):
        size = next(sizes)
        yield data[place : place + size]
        place += size


def unpacked(data: bytes, sizes: Iterator[int]) -> bytes:
    """Return what comes out of a frame that comes in pieces of these sizes."""
    coming = pieces(data, sizes)
    return b"".join(iter(Lz4Frame(lambda: next(coming, b"")).read, b""))


@given(
    st.integers(0, len(PLAIN)),
    st.lists(st.integers(1, 90_000), min_size=1, max_size=5),
    st.sampled_from([lz4.frame.BLOCKSIZE_MAX64KB, lz4.frame.BLOCKSIZE_MAX4MB]),
    st.booleans(),
)
def test_in_pieces_of_any_length(size: int, sizes: list[int], block: int, linked: bool) -> None:  # noqa: FBT001 - drawn
    """However the frame comes, and in blocks of whatever size, the same comes out."""
    plain = PLAIN[-size:] if size else b""
    packed = lz4.frame.compress(plain, block_size=block, block_linked=linked)
    assert unpacked(packed, itertools.cycle([*sizes, 1000])) == plain


def test_what_is_given_at_once_is_bounded() -> None:
    """A frame of nothing but zeros is small, and comes out in parts."""
    coming = iter([lz4.frame.compress(bytes(64 << 20))])
    frame = Lz4Frame(lambda: next(coming, b""))
    sizes = [len(part) for part in iter(frame.read, b"")]
    assert sum(sizes) == 64 << 20
    assert max(sizes) <= 256 << 10


@pytest.mark.parametrize("kept", [0, 3, 7, 1000, -5, -1])
def test_one_that_is_cut_off_is_refused(kept: int) -> None:
    """Wherever it ends before its end; not even an empty one passes for a whole one."""
    with pytest.raises(SourceError, match="cut off"):
        unpacked(lz4.frame.compress(PLAIN)[:kept], itertools.repeat(5000))


def test_what_stands_behind_it_is_refused() -> None:
    """In the same piece, or in one of its own."""
    packed = lz4.frame.compress(PLAIN)
    for sizes in (itertools.repeat(len(packed)), itertools.repeat(2 * len(packed))):
        with pytest.raises(SourceError, match="behind it"):
            unpacked(packed + b"more", sizes)


def test_one_that_is_damaged_is_refused() -> None:
    """Where the damage is seen, with what is wrong; nothing after it is given."""
    packed = bytearray(lz4.frame.compress(PLAIN, content_checksum=True))
    packed[2000] ^= 1
    with pytest.raises(SourceError, match=r"no LZ4 frame: .*LZ4F_decompress"):
        unpacked(bytes(packed), itertools.repeat(5000))
    with pytest.raises(SourceError, match="no LZ4 frame"):
        unpacked(b"<html>", itertools.repeat(100))
