"""The limits of ``docs/format.md`` 11: more is damage, found before memory is taken for it."""

from __future__ import annotations

import struct

import msgspec
import pytest

from strongroom.errors import DamageError
from strongroom.model.entry import EXTENT, MAX_COMPONENT, MAX_PATH, Entry
from strongroom.model.snapshot import Order
from strongroom.repository.canonical import encode
from strongroom.repository.columns import (
    FRAME,
    MAX_CHUNKS,
    MAX_FRAME_PLAIN,
    MAX_FRAMES,
    MAX_PACK,
    decode_columns,
)
from strongroom.repository.content import MAX_DEPTH, flatten
from strongroom.repository.index import ChunkIndex
from strongroom.repository.keyring import Keyring
from strongroom.repository.pack import HEADER_SIZE, TRAILER_SIZE, read_whole_pack
from strongroom.repository.records import IndexedPack, PackColumns
from strongroom.repository.segment import MAX_SEGMENT, segment_domain
from strongroom.repository.tree import (
    MAX_ENTRY,
    MAX_LEVELS,
    Leaf,
    Root,
    TreeReader,
    TreeWriter,
    read_leaf,
)
from tests.support.fakes import file_entry
from tests.support.limits import limited
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B1")

ID = noise(32)
LONG_COMPONENT = b"x" * MAX_COMPONENT
LONG_PATH = (b"x" * 1023 + b"/") * 1024


def columns(*frames: tuple[int, int, int, int], ids: int = 1, length: int = 10) -> PackColumns:
    """Return columns of (offset, sealed length, chunks, kind) frames."""
    return PackColumns(
        b"".join(FRAME.pack(*frame) for frame in frames),
        ID * ids,
        struct.pack(">I", length) * ids,
    )


def refused(stated: PackColumns, size: int = MAX_PACK) -> None:
    """Both readers of columns find them damaged, in little memory and time."""
    pack = IndexedPack(ID, size, stated.frames, stated.ids, stated.lengths)
    with limited(megabytes=64, seconds=1):
        with pytest.raises(DamageError):
            decode_columns("a pack", stated)
        with pytest.raises(DamageError):
            ChunkIndex().add("a segment", [pack])


def test_a_frame_that_claims_many_chunks_is_refused() -> None:
    """Four thousand million chunks in one frame cost nothing."""
    refused(columns((188, 100, 0xFFFFFFFF, 1)))
    refused(columns((188, 100, 2, 1)))
    refused(columns((188, 100, 0, 1), ids=0))
    refused(columns((188, 100, 1, 1), (288, 100, 0xFFFFFFFF, 1), ids=2))


def test_a_frame_has_at_most_a_million_chunks() -> None:
    """2^20 chunks of no bytes may lie in a frame, and not one more."""
    most = columns((188, 100, MAX_CHUNKS, 1), ids=MAX_CHUNKS, length=0)
    assert len(decode_columns("a pack", most)[0].ids) == MAX_CHUNKS
    more = columns((188, 100, MAX_CHUNKS + 1, 1), ids=MAX_CHUNKS + 1, length=0)
    with pytest.raises(DamageError):
        decode_columns("a pack", more)


def test_a_pack_has_at_most_a_million_frames() -> None:
    """2^20 + 1 frames are refused by their number, before one of them is looked at."""
    refused(columns(*[(188, 1, 1, 1)] * (MAX_FRAMES + 1), ids=MAX_FRAMES + 1, length=0))


def test_a_frame_holds_at_most_16_mebibytes() -> None:
    """A chunk, or chunks together, of more plaintext are refused."""
    refused(columns((188, 100, 1, 1), length=MAX_FRAME_PLAIN + 1))
    refused(columns((188, 100, 1, 1), length=0xFFFFFFFF))
    refused(columns((188, 100, 2, 1), ids=2, length=MAX_FRAME_PLAIN // 2 + 1))
    refused(columns((188, 100, 1 << 19, 1), ids=1 << 19, length=0xFFFFFFFF))
    decode_columns("a pack", columns((188, 100, 1, 1), length=MAX_FRAME_PLAIN))


def test_frames_lie_one_after_the_other() -> None:
    """Frames that overlap, or of a kind that does not exist, are refused."""
    refused(columns((188, 100, 1, 1), (287, 100, 1, 1), ids=2))
    refused(columns((288, 100, 1, 1), (188, 100, 1, 1), ids=2))
    refused(columns((188, 100, 1, 0)))
    refused(columns((188, 100, 1, 3)))


def test_columns_are_of_one_length() -> None:
    """Columns that do not fit each other are refused."""
    good = columns((188, 100, 1, 1))
    refused(msgspec.structs.replace(good, ids=good.ids[:-1]))
    refused(msgspec.structs.replace(good, ids=good.ids * 2))
    refused(msgspec.structs.replace(good, lengths=good.lengths[:-1]))
    refused(msgspec.structs.replace(good, frames=good.frames[:-1]))
    refused(msgspec.structs.replace(good, frames=b""))


@pytest.mark.parametrize("size", [287, 0, -1, MAX_PACK + 1, 1 << 40, -(1 << 63), (1 << 64) - 1])
def test_an_indexed_pack_has_a_possible_size(size: int) -> None:
    """A frame that ends behind its pack, and a pack of more than 64 MiB, are refused."""
    good = columns((188, 100, 1, 1))
    with pytest.raises(DamageError):
        ChunkIndex().add("x", [IndexedPack(ID, size, good.frames, good.ids, good.lengths)])


def test_a_pack_without_chunks_is_no_harm() -> None:
    """A segment that lists an empty pack is read, and nothing is found in it."""
    index = ChunkIndex()
    index.add("a segment", [IndexedPack(ID, 300, b"", b"", b"")])
    assert index.known([ID]) == [False]
    assert index.find([ID]) == [None]
    assert index.places(ID) == []


@pytest.mark.parametrize("size", [0, HEADER_SIZE + TRAILER_SIZE - 1, MAX_PACK + 1])
def test_packs_have_a_possible_length(size: int, keyring: Keyring) -> None:
    """A whole pack that is too short or too long is damage."""
    with pytest.raises(DamageError, match="no length of a pack"):
        read_whole_pack("a pack", bytes(size), keyring)


def test_index_segments_have_a_possible_length() -> None:
    """A segment that is too short or too long is damage."""
    for size in (0, 119, 120, MAX_SEGMENT + 1):
        with pytest.raises(DamageError, match="no length of an index segment"):
            segment_domain("a segment", bytes(size), bytes(16))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b".", id="dot"),
        pytest.param(b"..", id="dots"),
        pytest.param(b"a/../b", id="up"),
        pytest.param(b"a/./b", id="here"),
        pytest.param(b"../a", id="up first"),
        pytest.param(b"a/..", id="up last"),
        pytest.param(b"/a", id="absolute"),
        pytest.param(b"a/", id="slash last"),
        pytest.param(b"a//b", id="two slashes"),
        pytest.param(b"/", id="slash"),
        pytest.param(b"a\0b", id="NUL"),
        pytest.param(LONG_COMPONENT + b"x", id="component"),
        pytest.param(b"a/" + LONG_COMPONENT + b"x/b", id="component inside"),
        pytest.param(LONG_PATH + b"x", id="whole"),
    ],
)
def test_paths_keep_to_the_limits(path: bytes) -> None:
    """A path that could leave a target, or is too long, is neither written nor read."""
    with pytest.raises(ValueError, match="not a path"):
        TreeWriter(lambda _: ID).add(file_entry(path, 0))
    for entries in ([path], [b"!", path], [path, b"\xff"]):
        leaf = Leaf(0, tuple(file_entry(one, 0) for one in entries))
        with pytest.raises(DamageError, match="no path"):
            read_leaf("a test", encode(leaf))


@pytest.mark.parametrize(
    "path",
    [
        b"a", b".a", b"..a", b"a.", b"a..", b"...", b"a/.b", b"a/...", b"-", b"-/-", b"\x01",
        b"\xff\n", b"a b/c", LONG_COMPONENT, b"a/" + LONG_COMPONENT, LONG_PATH[:-1],
    ],
    ids=lambda path: repr(path[:8]),
)  # fmt: skip
def test_every_other_path_is_kept(path: bytes) -> None:
    """Any bytes but NUL, dots among others, 65,535 in a component and 1 MiB in all, are a path."""
    saved: list[bytes] = []

    def save(chunk: bytes) -> bytes:
        saved.append(chunk)
        return ID

    writer = TreeWriter(save)
    writer.add(file_entry(path, 0))
    assert writer.finish() == Root(ID, 1, 1)
    assert [entry.path for entry in read_leaf("a test", saved[0]).entries] == [path]
    assert len(path) <= MAX_PATH


def test_an_entry_has_at_most_8_mebibytes() -> None:
    """An entry that is larger encoded is neither written nor read."""
    value = bytes(MAX_ENTRY)
    entry: Entry = msgspec.structs.replace(file_entry(b"a", 0), xattrs=((b"user.x", value),))
    with pytest.raises(ValueError, match="too large"):
        TreeWriter(lambda _: ID).add(entry)
    with pytest.raises(DamageError, match="too large"):
        read_leaf("a test", encode(Leaf(0, (entry,))))
    half: Entry = msgspec.structs.replace(entry, xattrs=((b"user.x", value[: MAX_ENTRY // 2]),))
    two = (half, msgspec.structs.replace(half, path=b"b"))
    assert read_leaf("a test", encode(Leaf(0, two))).entries == two


@pytest.mark.parametrize("levels", [-(1 << 40), -1, 0, MAX_LEVELS + 1, 1 << 40])
def test_a_tree_has_1_to_32_levels(levels: int) -> None:
    """A root that states another height is damage."""
    with pytest.raises(DamageError, match="levels"):
        TreeReader("a test", Root(ID, levels, 1), Order.COMPONENTS, lambda _: [b""])


@pytest.mark.parametrize("depth", [-(1 << 40), -1, MAX_DEPTH + 1, 1 << 40])
def test_lists_of_extents_are_at_most_8_deep(depth: int) -> None:
    """A content that states another depth is damage."""
    with pytest.raises(DamageError, match="levels deep"):
        list(flatten("a test", EXTENT.pack(ID, 1), depth, lambda _: [b""]))
