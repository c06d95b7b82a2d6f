"""Canonical MessagePack and padding: one encoding for each record, and no other is read."""

from __future__ import annotations

import itertools
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.model.entry import Entry
from strongroom.model.snapshot import Snapshot
from strongroom.repository.canonical import FormatError, decode, encode, pad, padme, unpad
from strongroom.repository.records import (
    Abort,
    Bundle,
    Commit,
    Config,
    ConfigCore,
    Done,
    Heartbeat,
    IndexBody,
    PackColumns,
    Removals,
    SessionBody,
    Slot,
    Writer,
)
from strongroom.repository.tree import Branch, Child, Leaf
from tests.support.limits import limited
from tests.support.msgpack_reader import read

pytestmark = pytest.mark.spec("B1")

KINDS: list[type[object]] = [
    Abort, Branch, Bundle, Child, Commit, Config, ConfigCore, Done, Entry, Heartbeat, IndexBody,
    Leaf, PackColumns, Removals, SessionBody, Slot, Snapshot, Writer,
]  # fmt: skip


def test_a_record_is_an_array_in_shortest_form() -> None:
    """The bytes of a record are those of the format: an array, integers as short as they go."""
    assert encode(Abort(2, 1, 300)) == b"\x93\x02\x01\xcd\x01\x2c"
    assert encode(Writer(b"main", b"k", b"d", 0)) == b"\x94\xc4\x04main\xc4\x01k\xc4\x01d\x00"
    assert encode(SessionBody(1, 2, b"", None)) == b"\x94\x01\x02\xc4\x00\xc0"


@given(st.integers(-(2**63), 2**64 - 1), st.binary(max_size=300))
def test_an_independent_reader_reads_what_is_written(number: int, name: bytes) -> None:
    """Any integer and any bytes are the same for a reader written from the document."""
    assert read(encode([number, name, None, [], "key/a"])) == [number, name, None, [], "key/a"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xdc\x00\x03\x02\x01\x05", id="array16 where a fixarray does"),
        pytest.param(b"\xdd\x00\x00\x00\x03\x02\x01\x05", id="array32 where a fixarray does"),
        pytest.param(b"\x93\xcc\x02\x01\x05", id="uint8 where a fixint does"),
        pytest.param(b"\x93\x02\x01\xcd\x00\x05", id="uint16 where a fixint does"),
        pytest.param(b"\x93\x02\x01\xcf\0\0\0\0\0\0\0\x05", id="uint64 where a fixint does"),
        pytest.param(b"\x93\x02\x01\xd0\x05", id="int8 where a fixint does"),
        pytest.param(b"\x93\x02\x01\x05\x00", id="trailing byte"),
        pytest.param(b"\x93\x02\x01", id="cut off"),
        pytest.param(b"\x92\x02\x01", id="a field too few"),
        pytest.param(b"\x94\x02\x01\x05\x05", id="a field too many"),
        pytest.param(b"\x93\x02\x01\xc0", id="nil for an integer"),
        pytest.param(b"\x93\x02\x01\xc3", id="true for an integer"),
        pytest.param(b"\x93\x02\x01\xcb\x40\x14\0\0\0\0\0\0", id="a float for an integer"),
        pytest.param(b"\x93\x02\x01\xa15", id="text for an integer"),
        pytest.param(b"\x93\x02\x01\xd4\x01\x05", id="an extension type"),
        pytest.param(b"\x93\x02\x01\xd6\xff\0\0\0\x05", id="a timestamp"),
        pytest.param(b"\x83\x00\x02\x01\x01\x02\x05", id="a map"),
        pytest.param(b"\xc1", id="the byte that means nothing"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x93\x02\x01\xcf", id="cut in an integer"),
    ],
)
def test_one_encoding_only_is_read(data: bytes) -> None:
    """Whatever else would mean the same record is a FormatError, as is what means another."""
    with pytest.raises(FormatError):
        decode(data, Abort)


@pytest.mark.parametrize(
    "data",
    [
        b"\x94\xc5\x00\x04main\xc4\x01k\xc4\x01d\x00",
        b"\x94\xa4main\xc4\x01k\xc4\x01d\x00",
        b"\x94\xc6\xff\xff\xff\xffmain",
        b"\x94\xc4\xffmain",
    ],
)
def test_names_are_bin_of_their_length(data: bytes) -> None:
    """Bytes in another length form, as text, or shorter than claimed are a FormatError."""
    with pytest.raises(FormatError):
        decode(data, Writer)


@pytest.mark.parametrize("head", [b"\xdd\xff\xff\xff\xff", b"\xdc\xff\xff", b"\x9f"])
def test_a_claimed_length_costs_nothing(head: bytes) -> None:
    """An array that claims four thousand million elements is refused without their memory."""
    starts = (b"", b"\x91", b"\x92\x00", b"\x93", b"\x96" + b"\xc4\x00" * 5)
    tails = (b"", b"\x00" * 50, b"\xdd\xff\xff\xff\xff" * 2000)
    with limited(megabytes=16, seconds=1):
        for kind, start, tail in itertools.product(KINDS, starts, tails):
            with pytest.raises(FormatError):
                decode(start + head + tail, kind)


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xc0", b"\xdd\x00\x00\x00\x01"])
def test_deep_nesting_is_refused(opening: bytes) -> None:
    """A hundred thousand arrays in each other are a FormatError, not the end of the process."""
    for kind in (*KINDS, object):
        with pytest.raises(FormatError):
            decode(opening * 100_000 + b"\x00", kind)


@given(st.sampled_from(KINDS), st.binary(max_size=200))
def test_hostile_bytes_are_records_or_format_errors(kind: type, data: bytes) -> None:
    """Whatever is read gives the same bytes when written; all else is a FormatError."""
    try:
        record: object = decode(data, kind)
    except FormatError:
        return
    assert encode(record) == data


def test_padme_never_changes() -> None:
    """Fixed values, small and around powers of two."""
    assert [padme(size) for size in range(20)] == [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 10, 12, 12, 14, 14, 16, 16, 18, 18, 20,
    ]  # fmt: skip
    assert padme(1000) == 1024
    assert padme((32 << 20) - 1) == 32 << 20
    assert padme((32 << 20) + 1) == (32 << 20) + (1 << 20)
    assert padme(123_456_789) == 123_731_968


@given(st.integers(1, 1 << 62))
def test_padme_is_the_one_of_the_format(length: int) -> None:
    """The least multiple of 2^(E-S) that is not smaller, with E and S as the document says."""
    exponent = length.bit_length() - 1
    kept = math.floor(math.log2(exponent)) + 1 if exponent else 0
    step = 2 ** max(exponent - kept, 0)
    assert padme(length) == -(-length // step) * step


@given(st.integers(0, 1 << 62))
def test_padme_adds_little(length: int) -> None:
    """Never shorter, at most 12 % longer, 3 % from 32 MiB on; padding twice is padding once."""
    padded = padme(length)
    assert length <= padded <= length * 1.12
    assert length < 32 << 20 or padded <= length * 1.033
    assert padme(padded) == padded
    assert padme(length + 1) >= padded


def test_few_lengths_remain() -> None:
    """Of all lengths up to 64 KiB few hundred are left to tell apart, and they rise."""
    padded = [padme(length) for length in range(1 << 16)]
    assert padded == sorted(padded)
    assert len(set(padded)) < 300


@given(st.binary(max_size=3000), st.integers(0, 500))
def test_padding_is_undone(record: bytes, around: int) -> None:
    """A padded record is itself again, and with what is around it as long as PADME says."""
    padded = pad(record, around=around)
    assert bytes(unpad(padded)) == record
    assert padme(len(padded) + around) == len(padded) + around


@pytest.mark.parametrize(
    "padded",
    [b"", b"\0\0\0", b"\0\0\0\1", b"\xff\xff\xff\xff" + bytes(100), b"\0\0\0\1ab", b"\0\0\0\0\0\1"],
)
def test_wrong_padding_is_refused(padded: bytes) -> None:
    """A length that does not fit, or anything but zeros behind the record, is a FormatError."""
    with pytest.raises(FormatError):
        unpad(padded)


@given(st.binary(max_size=100))
def test_hostile_padding_is_a_record_or_a_format_error(padded: bytes) -> None:
    """What is read from padding is what its length says."""
    try:
        record = unpad(padded)
    except FormatError:
        return
    assert struct.pack(">I", len(record)) + bytes(record) == padded[: 4 + len(record)]
