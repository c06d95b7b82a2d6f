"""What is written is read back the same, for anything that an entry can say."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.archive.fields import LEAST_TIME_NS, MOST_ID, MOST_TIME_NS
from strongroom.archive.headers import member_headers, sum_of
from strongroom.archive.sparse import MOST_PARTS, map_of
from strongroom.archive.tarreading import read_tar
from strongroom.archive.tarwriting import PIECE, TarWriter
from strongroom.model.entry import SPARSE, Entry, EntryKind
from strongroom.model.fs import Buffer
from tests.archive.making import Chunks, Sink, members_of, tar_of, thing

pytestmark = pytest.mark.spec("A1")

_NAMES = st.binary(min_size=1, max_size=120).filter(
    lambda name: not {0, ord("/")} & set(name) and name not in (b".", b"..")
)
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map(b"/".join)
_TEXTS = st.binary(max_size=50).filter(lambda text: b"\0" not in text)
_ATTRIBUTES = st.dictionaries(
    st.binary(min_size=1, max_size=30).filter(lambda key: b"\0" not in key),
    st.binary(max_size=600),
    max_size=4,
).map(lambda found: tuple(sorted(found.items())))
_KINDS = st.sampled_from([kind for kind in EntryKind if kind < EntryKind.SOCKET])
_BYTES = st.one_of(
    st.binary(max_size=2000),
    st.lists(st.sampled_from([bytes(4096), b"x" * 4096, b"y" * 100]), max_size=6).map(b"".join),
)


@st.composite
def _things(draw: st.DrawFn) -> tuple[Entry, bytes]:
    kind = draw(_KINDS)
    link = draw(st.one_of(st.just(b""), _PATHS))
    data = draw(_BYTES) if kind == EntryKind.FILE and not link else b""
    devices = (EntryKind.CHARACTER_DEVICE, EntryKind.BLOCK_DEVICE)
    numbers = st.integers(0, (1 << 32) - 1)
    return Entry(
        draw(_PATHS),
        EntryKind.FILE if link else kind,
        draw(st.integers(0, 0o7777)),
        draw(st.integers(0, MOST_ID)),
        draw(st.integers(0, MOST_ID)),
        draw(_TEXTS),
        draw(_TEXTS),
        draw(st.integers(LEAST_TIME_NS, MOST_TIME_NS)),
        len(data),
        target=draw(_PATHS) if kind == EntryKind.SYMLINK and not link else b"",
        link=link,
        rdev=draw(st.tuples(numbers, numbers)) if kind in devices and not link else (0, 0),
        xattrs=draw(_ATTRIBUTES),
        flags=SPARSE if data and draw(st.booleans()) else 0,
    ), data


@given(things=st.lists(_things(), max_size=5), most=st.sampled_from([1, 511, 512, 1 << 20]))
@settings(max_examples=200)
def test_everything_comes_back(things: list[tuple[Entry, bytes]], most: int) -> None:
    """Names, owners and attributes of any bytes, every time and number, holes or none."""
    data = tar_of(*things)
    assert len(data) % 10_240 == 0
    found = members_of(data, most)
    assert len(found) == len(things)
    specials: dict[bytes, Entry] = {}
    for (entry, bytes_), one in zip(things, found, strict=True):
        if entry.link == entry.path:
            entry = msgspec.structs.replace(entry, link=b"")  # noqa: PLW2901 - as it is read
        elif entry.link in specials:  # a further name of it
            of = specials[entry.link]
            entry = msgspec.structs.replace(  # noqa: PLW2901 - as it is read
                entry, kind=of.kind, target=of.target, rdev=of.rdev
            )
        elif entry.kind not in (EntryKind.FILE, EntryKind.DIRECTORY):
            specials[entry.path] = entry
        assert one.data == bytes_
        assert one.entry.flags in (0, entry.flags)
        assert msgspec.structs.replace(one.entry, flags=entry.flags) == entry
    assert tar_of(*things) == data


@given(block=st.binary(min_size=512, max_size=512))
def test_sums_are_right_for_any_block(block: bytes) -> None:
    """Also where every byte is large."""
    assert sum_of(block) == sum(block)
    assert sum_of(b"\xff" * 512) == 255 * 512


def test_sockets_are_told_of() -> None:
    """There is no type for them, so nothing is written."""
    out = Sink()
    tar = TarWriter(out.write)
    assert not tar.add(thing(b"s", EntryKind.SOCKET))
    assert tar.size == 0


def test_a_size_above_8_gib() -> None:
    """It stands in a record, and is read from there."""
    entry = thing(b"huge", size=9 << 30)
    member = next(read_tar(Chunks(member_headers(entry, 9 << 30))))
    assert (member.entry.size, member.stored) == (9 << 30, 9 << 30)


def test_a_further_name_is_what_it_leads_to() -> None:
    """Of a symbolic link, a FIFO and a device; of something that is not there it stays a file."""
    link = msgspec.structs.replace(thing(b"l", EntryKind.SYMLINK), target=b"there")
    disk = msgspec.structs.replace(thing(b"d", EntryKind.BLOCK_DEVICE), rdev=(8, 1))
    others = [thing(b"2" + name, link=name) for name in (b"l", b"d", b"f", b"x")]
    data = tar_of(link, disk, thing(b"f", EntryKind.FIFO), *others)
    found = {one.entry.path: one.entry for one in members_of(data)}
    assert (found[b"2l"].kind, found[b"2l"].target) == (EntryKind.SYMLINK, b"there")
    assert (found[b"2d"].kind, found[b"2d"].rdev) == (EntryKind.BLOCK_DEVICE, (8, 1))
    assert found[b"2f"].kind == EntryKind.FIFO
    assert found[b"2x"].kind == EntryKind.FILE


def test_the_first_of_a_group_can_be_known() -> None:
    """A reader that was told what hard links lead to gives entries as a source does."""
    data = tar_of(thing(b"a", link=b"a"), thing(b"b", link=b"a"))
    assert [member.entry.link for member in read_tar(Chunks(data))] == [b"", b"a"]
    linked = {member.entry.link for member in read_tar(Chunks(data))}
    assert [one.entry.link for one in read_tar(Chunks(data), linked=linked)] == [b"a", b"a"]


def test_pieces_are_large_and_never_changed() -> None:
    """What is handed on comes in pieces of half a MiB, which the receiver may keep."""
    pieces: list[Buffer] = []
    tar = TarWriter(pieces.append)
    for number in range(3000):
        tar.add(thing(b"%d" % number, size=500), b"x" * 500)
    tar.add_large(thing(b"large"), [(0, 3 * PIECE, True)], _counted)
    tar.finish()
    assert min(map(len, pieces[:-1])) >= PIECE
    data = b"".join(pieces)
    assert tar.size == len(data)
    found = members_of(data)
    assert found[-1].data == b"".join(bytes([i]) * PIECE for i in range(3))


def _counted(offset: int, view: memoryview) -> int:
    view[:] = bytes([offset // PIECE]) * len(view)
    return len(view)


class _File:
    """A file of which less may be there than was said."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def readinto(self, offset: int, view: memoryview) -> int:
        piece = self._data[offset : offset + len(view)]
        view[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("there", [0, 1, 1000, PIECE, PIECE + 1, 3 * PIECE - 1, 3 * PIECE])
def test_a_file_that_shrinks_is_filled_up(there: int) -> None:
    """The size was said before: zeros take the place of what is gone, and the archive is whole."""
    file = _File(b"x" * there)
    out, digest = Sink(), hashlib.sha256()
    tar = TarWriter(out.write)
    extents = [(0, 3 * PIECE, True)]
    assert tar.add_large(thing(b"f"), extents, file.readinto, digest.update) == (
        *(there, 3 * PIECE),
    )
    tar.add(thing(b"next"))
    tar.finish()
    found = members_of(out.data)
    assert found[0].data == b"x" * there + bytes(3 * PIECE - there)
    assert digest.digest() == hashlib.sha256(found[0].data).digest()
    assert found[1].entry.path == b"next"


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (0, 0),
        (5000, 5000),
        (100_000, 5 << 20),  # within the hole: the next part is the first that is not there
        ((5 << 20) + 7, (5 << 20) + 7),
        ((5 << 20) + 8192, 9 << 20),
        (9 << 20, 9 << 20),
    ],
)
def test_a_sparse_file_that_shrinks_is_filled_up(there: int, expected: int) -> None:
    """Also within a hole, and within the parts behind it."""
    whole = (
        b"a" * 8192 + bytes((5 << 20) - 8192) + b"b" * 8192 + bytes((9 << 20) - (5 << 20) - 8192)
    )
    extents = [
        *((0, 8192, True), (8192, (5 << 20) - 8192, False)),
        *((5 << 20, 8192, True), ((5 << 20) + 8192, (4 << 20) - 8192, False)),
    ]
    out, digest = Sink(), hashlib.sha256()
    tar = TarWriter(out.write)
    found, size = tar.add_large(thing(b"f"), extents, _File(whole[:there]).readinto, digest.update)
    tar.finish()
    assert size == 9 << 20
    assert found == expected
    seen = members_of(out.data)[0]
    assert seen.data == whole[:there] + bytes((9 << 20) - there)
    assert seen.entry.flags == SPARSE
    assert digest.digest() == hashlib.sha256(seen.data).digest()


def test_holes_are_not_stored_and_stay_holes() -> None:
    """Pieces come with their offsets, and nothing comes for a hole."""
    out = Sink()
    tar = TarWriter(out.write)
    extents = [(0, 1 << 40, False), (1 << 40, 5, True), ((1 << 40) + 5, 1 << 20, False)]
    entry = thing(b"sparse")
    tar.add_large(entry, extents, lambda _offset, view: _five(view), _nothing)
    tar.finish()
    assert len(out.data) == 10_240
    member = next(read_tar(Chunks(out.data)))
    assert member.entry.size == (1 << 40) + 5 + (1 << 20)
    assert [(at, bytes(piece)) for at, piece in member.pieces()] == [(1 << 40, b"bytes")]


def _five(view: memoryview) -> int:
    view[:] = b"bytes"
    return 5


def _nothing(_data: Buffer) -> None:
    pass


def test_small_holes_are_not_worth_a_line() -> None:
    """Below 4 KiB they are data; an endless map would not fit the memory, so it has an end."""
    parts, size = map_of([(0, 10, True), (10, 4095, False), (4105, 10, True)])
    assert (list(parts), size) == ([(0, 4115)], 4115)
    many = ((i * 8192 + k, 4096, not k) for i in range(MOST_PARTS + 10) for k in (0, 4096))
    parts, size = map_of(many)
    assert len(parts) == MOST_PARTS
    assert parts.end == size == (MOST_PARTS + 10) * 8192
