"""Hostile bytes that carry the right keys: every decoder answers with a value or with damage.

Whoever holds a key of a writer can sign and seal anything. What a reader opens is still checked
before memory is taken for it, and never raises anything but our own errors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import DamageError
from strongroom.model.entry import EXTENT, HOLE
from strongroom.model.snapshot import Counts, Order, Snapshot, SourceRecord, Stream
from strongroom.repository.canonical import FormatError, encode
from strongroom.repository.columns import (
    ChunkKind,
    FrameRecord,
    decode_columns,
    encode_columns,
)
from strongroom.repository.content import flatten
from strongroom.repository.index import ChunkIndex
from strongroom.repository.records import (
    Bundle,
    Commit,
    EpochSecret,
    Head,
    IndexBody,
    IndexedPack,
    PackColumns,
    Removals,
    read_body,
)
from strongroom.repository.tree import Branch, Child, Leaf, Root, TreeReader, read_branch, read_leaf
from tests.support.fakes import file_entry
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B1")

IDS = [noise(32, f"id {n}") for n in range(4)]
COLUMNS = encode_columns(
    [
        FrameRecord(188, 100, ChunkKind.DATA, (IDS[0], IDS[1]), (10, 20)),
        FrameRecord(288, 50, ChunkKind.TREE, (IDS[2],), (30,)),
    ]
)
PACK = IndexedPack(IDS[3], 1024, COLUMNS.frames, COLUMNS.ids, COLUMNS.lengths)
SOURCE = SourceRecord(
    b"n",
    b"files",
    1,
    (b"/",),
    IDS[0],
    2,
    0,
    b"",
    Counts(5, 4, 1, 9, 0),
    Stream(EXTENT.pack(IDS[1], 9), 0),
)
EXTENTS = b"".join(EXTENT.pack(chunk_id, 10) for chunk_id in [*IDS, HOLE])


def add_to_index(data: bytes) -> None:
    """Read the body of an index segment and take it into an index."""
    body = read_body("a segment", data, IndexBody)
    index = ChunkIndex()
    index.add("a segment", body.packs)
    index.known(IDS)
    index.lengths(IDS)
    for place in index.find(IDS):
        if place is not None:
            index.frame(place.frame)


def read_tree(data: bytes) -> None:
    """Read a tree whose every node is ``data``, from each level."""
    for levels in (1, 2, 3, 32):
        root = Root(IDS[0], levels, 3)
        reader = TreeReader("a test", root, Order.COMPONENTS, lambda ids: [data] * len(ids))
        for number, _leaf in enumerate(reader.entries()):
            if number > 50:
                break


def flatten_all(data: bytes) -> None:
    """Read lists of extents whose every nested list is ``data``."""
    for depth in (0, 1, 8, 9, -1, 1 << 60):
        for number, _extent in enumerate(
            flatten("a test", data, depth, lambda ids: [data] * len(ids))
        ):
            if number > 500:
                break


class Decoder(NamedTuple):
    """Something that reads, and bytes that it reads without complaint."""

    read: Callable[[bytes], object]
    good: bytes


DECODERS = {
    "columns": Decoder(
        lambda data: decode_columns("x", read_body("x", data, PackColumns)), encode(COLUMNS)
    ),
    "index": Decoder(add_to_index, encode(IndexBody((PACK,), b"", b""))),
    "leaf": Decoder(
        lambda data: read_leaf("x", data),
        encode(Leaf(0, (file_entry(b"a", 1), file_entry(b"b/c", 2)))),
    ),
    "branch": Decoder(
        lambda data: read_branch("x", data, 1),
        encode(Branch(1, (Child(b"a", IDS[0], 5), Child(b"b", IDS[1], 6)))),
    ),
    "tree": Decoder(read_tree, encode(Branch(1, (Child(b"a", IDS[0], 5),)))),
    "content": Decoder(flatten_all, EXTENTS),
    "snapshot": Decoder(
        lambda data: read_body("x", data, Snapshot),
        encode(Snapshot(b"", b"", b"files", b"h", b"u", (b"t",), 1, 2, b"p", (SOURCE,))),
    ),
    "commit": Decoder(
        lambda data: read_body("x", data, Commit),
        encode(
            Commit(1, 1, 5, b"", 1, (Head("commits/a/b", IDS[0]),), IDS[1], (), b"", b"", b"", b"")
        ),
    ),
    "removals": Decoder(
        lambda data: read_body("x", data, Removals),
        encode(Removals(IDS[0], ("commits/a/b",), IDS[1], (), (), ())),
    ),
    "bundle": Decoder(
        lambda data: read_body("x", data, Bundle),
        encode(Bundle(b"", b"", b"", (EpochSecret(1, IDS[0]),), IDS[1], None)),
    ),
}

NUMBERS = st.sampled_from(
    [b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
)
PIECES = st.one_of(st.binary(max_size=12), NUMBERS)


@st.composite
def spoilt(draw: st.DrawFn, good: bytes) -> bytes:
    """Return good bytes with a few places overwritten, removed, doubled or added to."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(["overwrite", "insert", "remove", "double"]))
        if how == "overwrite":
            piece = draw(PIECES)
            data[place : place + len(piece)] = piece
        elif how == "insert":
            data[place:place] = draw(PIECES)
        elif how == "remove":
            del data[place : place + draw(st.integers(1, 40))]
        else:
            data[place:place] = data[place : place + draw(st.integers(1, 40))]
    return bytes(data)


@pytest.mark.parametrize("name", DECODERS)
def test_good_bytes_are_read(name: str) -> None:
    """Each decoder reads the bytes that the others are made from, or says what is missing."""
    decoder = DECODERS[name]
    if name in {"tree", "content"}:
        with pytest.raises(DamageError):
            decoder.read(decoder.good)
    else:
        decoder.read(decoder.good)


@pytest.mark.parametrize("name", DECODERS)
@given(st.data())
def test_spoilt_bytes_are_read_or_damage(name: str, data: st.DataObject) -> None:
    """Bytes that were good but for a few places: a value, or a DamageError."""
    decoder = DECODERS[name]
    hostile = data.draw(spoilt(decoder.good))
    with contextlib.suppress(DamageError, FormatError):
        decoder.read(hostile)


@pytest.mark.parametrize("name", DECODERS)
@settings(max_examples=50)
@given(hostile=st.binary(max_size=200))
def test_any_bytes_are_read_or_damage(name: str, hostile: bytes) -> None:
    """Any bytes at all: a value, or a DamageError."""
    with contextlib.suppress(DamageError, FormatError):
        DECODERS[name].read(hostile)
