"""The rules of the format, as the independent reader has them, against any bytes."""

from __future__ import annotations

import contextlib
from typing import TypeAlias

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

import recover
from strongroom.repository import canonical
from tests.support.limits import limited
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B10")

Value: TypeAlias = "int | bytes | str | list[Value] | None"
VALUES: st.SearchStrategy[Value] = st.recursive(
    st.integers(-(1 << 63), (1 << 64) - 1)
    | st.binary(max_size=300)
    | st.text(max_size=40)
    | st.none()
    | st.sampled_from([bytes(70_000), "x" * 70_000, -1, -32, -33, -128, -129, 1 << 16]),
    lambda values: st.lists(values, max_size=20),
    max_leaves=30,
)


@given(value=VALUES)
def test_a_record_is_read_as_it_was_written(value: Value) -> None:
    """Written by another library, in the shortest forms."""
    data = msgspec.msgpack.encode(value)
    assert recover.unpack(data) == value
    assert recover.pack(value) == data


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"",
            b"\xc1",
            b"\x01\x01",
            b"\x91",
            b"\xc4\x05abc",
            b"\xd9\x01a",
            b"\xcc\x7f",
            b"\xd0\x05",
        ),
        *(b"\xcd\x00\xff", b"\xd1\xff\x80", b"\xc5\x00\x01a", b"\xdc\x00\x01\x01", b"\xa2\xff\xfe"),
        *(b"\xc2", b"\xc3", b"\xca\x00\x00\x00\x00", b"\x80", b"\x81\x01\x02", b"\xd4\x01\x00"),
        *(b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\x91" * 100_000, b"\xd3" + bytes(8)),
    ],
    ids=lambda data: data[:8].hex() or "nothing",
)
def test_what_is_not_canonical_is_damage(data: bytes) -> None:
    """Longer forms than need be, other types, and lengths that are not there."""
    with limited(megabytes=64, seconds=1), pytest.raises(recover.Damage):
        recover.unpack(data)


@settings(max_examples=500)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_record_or_damage(data: bytes) -> None:
    """What is read is what would be written, and nothing else is raised."""
    with contextlib.suppress(recover.Damage):
        assert recover.pack(recover.unpack(data)) == data


@given(length=st.integers(2, 1 << 40))
def test_padding_is_that_of_the_program(length: int) -> None:
    """For every length."""
    assert recover.padme(length) == canonical.padme(length)


@given(frames=st.binary(max_size=60), ids=st.binary(max_size=130), lengths=st.binary(max_size=20))
def test_any_columns_are_frames_or_damage(frames: bytes, ids: bytes, lengths: bytes) -> None:
    """Frames follow each other, and hold all chunks."""
    with contextlib.suppress(recover.Damage):
        found = recover.read_columns(frames, ids, lengths)
        assert sum(len(frame.chunks) for frame in found) * 32 == len(ids)


@pytest.mark.parametrize(
    ("offset", "sealed", "count", "kind", "chunks"),
    [
        *((187, 100, 1, 1, 1), (188, 100, 1, 0, 1), (188, 100, 1, 3, 1), (188, 100, 2, 1, 1)),
        *((188, 100, 0, 1, 0), (188, 100, 1, 1, 2), (188, (1 << 24) + 22, 1, 1, 1)),
        (188, 100, (1 << 20) + 1, 1, 1),
    ],
)
def test_columns_that_break_a_rule_are_damage(
    offset: int, sealed: int, count: int, kind: int, chunks: int
) -> None:
    """Of places, kinds, numbers and limits."""
    row = b"".join(number.to_bytes(4) for number in (offset, sealed, count)) + bytes([kind])
    with pytest.raises(recover.Damage):
        recover.read_columns(row, noise(32 * chunks), bytes(4 * chunks))


def test_a_frame_is_decompressed_to_the_size_that_is_known() -> None:
    """Whatever it says of itself, or would become."""
    data = noise(1000) * 10
    packed = zstandard.compress(data)
    assert recover.inflate(packed, len(data)) == data
    bomb = zstandard.compress(bytes(1 << 30))
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(data)
    with limited(megabytes=64, seconds=5):
        for payload, size in (
            (packed, 9_999), (packed, 10_001), (bomb, 10_000), (unsized, len(data)),
            (packed[:-1], len(data)), (packed + b"x", len(data)), (packed * 2, len(data)),
            (b"", 0), (b"rubbish", 7),
        ):  # fmt: skip
            with contextlib.suppress(recover.Damage):
                assert len(recover.inflate(payload, size)) != size


@given(sealed=st.binary(max_size=100))
def test_any_bytes_in_place_of_a_sealed_key_are_damage(sealed: bytes) -> None:
    """Too short, no point of the curve, or sealed to somebody else."""
    private = X25519PrivateKey.from_private_bytes(noise(32))
    with pytest.raises(recover.Damage):
        recover.hpke_open(private, sealed, b"info")


@given(data=st.binary(max_size=300), key=st.sampled_from(["config", "orders/" + "0" * 32]))
def test_any_bytes_in_place_of_an_object_are_damage(data: bytes, key: str) -> None:
    """Also behind the head of a good one."""
    head = b"SRMO\0\0" + bytes([1 if key == "config" else 7, 0]) + bytes(18)
    for blob in (data, head + data, head + bytes([0, len(data)]) + data + bytes(64)):
        with pytest.raises(recover.Damage):
            recover.open_envelope(key, blob, None).prove(noise(32))


def test_the_derivations_are_those_of_the_standards() -> None:
    """HKDF against RFC 5869, A.1."""
    key = recover.extract(bytes(range(13)), b"\x0b" * 22)
    assert key.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    expanded = recover.expand(key, bytes(range(0xF0, 0xFA)), 42)
    assert expanded.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


_PATHS = st.lists(
    st.sampled_from([b"a", b"b", b"a-", b"a0", b"\xff" * 9, b"\x01"]), min_size=1, max_size=4
)


@given(
    paths=st.sets(_PATHS.map(b"/".join), min_size=1, max_size=30),
    wanted=_PATHS.map(b"/".join),
    order=st.sampled_from([recover.BY_COMPONENTS, recover.RAW]),
    size=st.integers(1, 5),
)
def test_no_part_of_a_tree_is_passed_by_that_holds_something_wanted(
    paths: set[bytes], wanted: bytes, order: int, size: int
) -> None:
    """Whatever the order of its paths, and where it was cut."""
    ordered = sorted(paths, key=lambda path: recover.sort_key(path, order))
    selection = recover.Selection(wanted)
    for start in range(0, len(ordered), size):
        end = ordered[start + size] if start + size < len(ordered) else None
        node = recover.Node(bytes(32), 0, size, ordered[start], end)
        inside = [selection.has(entry(path)) for path in ordered[start : start + size]]
        assert selection.may_be_in(node, order) or not any(inside)


def entry(path: bytes) -> recover.Entry:
    """Return a directory."""
    return recover.Entry(
        path, recover.DIRECTORY, 0, 0, 0, b"", b"", 0, 0, b"", 0, b"", b"", (0, 0), [], 0
    )
