"""Compression: what is compressed comes back, and nothing hostile is decompressed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from strongroom.compression.codec import (
    DEFAULT_LEVEL,
    STORED,
    ZSTD,
    CodecError,
    Compressor,
    Decompressor,
)
from tests.support.limits import limited
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B1")

SKIPPABLE = b"\x50\x2a\x4d\x18"
LARGEST = 16 << 20


def decompress(codec: int, payload: bytes, length: int) -> bytes:
    """Return what a fresh decompressor makes of a payload."""
    return bytes(Decompressor().decompress(codec, memoryview(payload), length))


def packed(data: bytes, *, sized: bool = True) -> bytes:
    """Return ``data`` as one zstd frame, which states its size or not."""
    compressor = zstandard.ZstdCompressor(level=DEFAULT_LEVEL, write_content_size=sized)
    return compressor.compress(data)


@given(st.binary(max_size=5000), st.integers(1, 50), st.integers(1, 19))
def test_what_is_compressed_comes_back(piece: bytes, times: int, level: int) -> None:
    """Any bytes at any level are themselves again."""
    data = piece * times
    codec, payload = Compressor(level).compress(data)
    assert decompress(codec, bytes(payload), len(data)) == data


@pytest.mark.parametrize("size", [0, 1, 100, 256 * 1024, 300_000, 1 << 20])
def test_what_does_not_shrink_is_stored(size: int) -> None:
    """Random bytes are kept as they are, large ones after a look at a sample only."""
    data = noise(size)
    assert Compressor().compress(data) == (STORED, data)


@pytest.mark.parametrize("size", [1000, 256 * 1024, 1 << 20])
def test_what_shrinks_is_compressed(size: int) -> None:
    """Text takes less space than before, by at least one part in 32."""
    data = (b"all work and no play makes jack a dull boy\n" * (size // 40 + 1))[:size]
    codec, payload = Compressor().compress(data)
    assert codec == ZSTD
    assert len(payload) <= size - size // 32
    assert zstandard.frame_content_size(payload) == size


def test_buffers_of_every_kind_are_taken() -> None:
    """Bytes, bytearrays and views give the same payload."""
    data = b"line\n" * 1000
    compressor = Compressor()
    expected = compressor.compress(data)
    assert compressor.compress(bytearray(data)) == expected
    assert compressor.compress(memoryview(data)) == expected


def test_one_compressor_serves_many_threads() -> None:
    """Threads share a compressor and a decompressor without harm."""
    compressor, decompressor = Compressor(), Decompressor()
    barrier = threading.Barrier(8)

    def turn(number: int) -> bool:
        barrier.wait()
        for step in range(20):
            data = b"%d %d\n" % (number, step) * 500
            codec, payload = compressor.compress(data)
            if decompressor.decompress(codec, memoryview(payload), len(data)) != data:
                return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(turn, range(8)))


@pytest.mark.parametrize("length", [0, 4, 6, LARGEST])
def test_a_stored_payload_that_lies_is_refused(length: int) -> None:
    """A stored payload is as long as it claims."""
    with pytest.raises(CodecError):
        decompress(STORED, b"12345", length)


@pytest.mark.parametrize("codec", [2, 3, 255])
def test_an_unknown_codec_is_refused(codec: int) -> None:
    """Only two codecs exist."""
    with pytest.raises(CodecError, match=f"unknown codec {codec}"):
        decompress(codec, b"12345", 5)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"garbage that is no frame", id="garbage"),
        pytest.param(packed(b"x" * 100)[:-3], id="cut off"),
        pytest.param(packed(b"x" * 100) + b"\0", id="a byte after it"),
        pytest.param(packed(b"x" * 100) + packed(b"y" * 100), id="two frames"),
        pytest.param(packed(b"x" * 99), id="shorter"),
        pytest.param(packed(b"x" * 101), id="longer"),
        pytest.param(packed(b"x" * 100, sized=False), id="states no size"),
        pytest.param(SKIPPABLE + b"\4\0\0\0abcd" + packed(b"x" * 100), id="skippable before"),
        pytest.param(packed(b"x" * 100) + SKIPPABLE + b"\4\0\0\0abcd", id="skippable after"),
        pytest.param(SKIPPABLE + b"\x64\0\0\0" + b"x" * 100, id="skippable only"),
        pytest.param(packed(b"")[:4] + b"\x20\x64\x01\0\0", id="claims more than it holds"),
    ],
)
def test_a_payload_is_one_frame_of_the_stated_size(payload: bytes) -> None:
    """Anything but one whole zstd frame of exactly 100 bytes is refused."""
    with pytest.raises(CodecError):
        decompress(ZSTD, payload, 100)


@pytest.mark.parametrize(
    "payload",
    [
        packed(b""),
        packed(b"") + b"garbage",
        SKIPPABLE + b"\0\0\0\0",
        SKIPPABLE + b"\xff\xff\xff\xff",
    ],
)
def test_nothing_is_never_compressed(payload: bytes) -> None:
    """A frame of no bytes is refused: its size is also what a skippable frame states."""
    with pytest.raises(CodecError):
        decompress(ZSTD, payload, 0)


def test_a_bomb_does_not_go_off() -> None:
    """What expands to 256 MiB, or claims more, is refused without the memory for it."""
    bomb = packed(bytes(1 << 28))
    streamed = packed(bytes(1 << 28), sized=False)
    lying = bytearray(packed(bytes(1000)))
    lying[5:6] = b"\xff"
    window = b"\x28\xb5\x2f\xfd\x00\xf8" + b"\x01\0\0"
    skipping = SKIPPABLE + b"\xf0\xff\xff\xff" + b"x"
    with limited(megabytes=64):
        for payload in (bomb, streamed, bytes(lying), window, skipping):
            for length in (0, 1, 1000, LARGEST):
                with pytest.raises(CodecError):
                    decompress(ZSTD, payload, length)


@given(st.binary(max_size=300), st.integers(0, 2), st.integers(0, 1 << 20))
def test_hostile_bytes_are_refused_or_have_the_length(
    payload: bytes, codec: int, length: int
) -> None:
    """Whatever is given: exactly ``length`` bytes, or a CodecError."""
    try:
        data = decompress(codec, payload, length)
    except CodecError:
        return
    assert len(data) == length


@given(st.integers(0, 400), st.integers(0, 7))
def test_a_changed_bit_is_refused_or_has_the_length(place: int, bit: int) -> None:
    """One changed bit in a frame gives exactly ``length`` bytes, or a CodecError."""
    payload = bytearray(packed(b"some text, some more text\n" * 100))
    payload[place % len(payload)] ^= 1 << bit
    try:
        data = decompress(ZSTD, bytes(payload), 2600)
    except CodecError:
        return
    assert len(data) == 2600
