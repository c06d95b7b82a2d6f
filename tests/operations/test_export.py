"""A snapshot as a source of archives."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from strongroom.archive.tarwriting import TarWriter
from strongroom.archive.writing import Tally, write_source
from strongroom.errors import DamageError
from strongroom.model.entry import EXTENT, HOLE, SPARSE, Entry, EntryKind
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.export import SnapshotSource
from strongroom.storage.memory import MemoryStore
from tests.archive.making import Seen, Sink, members_of
from tests.support.fakes import file_entry
from tests.support.forging import begun, commit_tree, save
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B9")


@pytest.fixture(name="kit")
def _kit(tmp_path: Path) -> Kit:
    kit = Kit(MemoryStore(), tmp_path)
    kit.init()
    return kit


def exported(kit: Kit, listed: ListedSnapshot) -> tuple[list[Seen], Tally]:
    """Export a snapshot; what is in the archive, and what was told of it."""
    out = Sink()
    tar = TarWriter(out.write)
    tally = write_source(SnapshotSource(kit.open().reader(), listed), tar)
    tar.finish()
    return members_of(out.data), tally


def stored(kit: Kit, *chunks: bytes) -> list[bytes]:
    """Return the ids that chunks have."""
    return save(begun(kit), chunks)


def file(path: bytes, *pieces: tuple[bytes, int], link: bytes = b"") -> Entry:
    """Return a file of pieces, each with its length."""
    content = b"".join(EXTENT.pack(*piece) for piece in pieces)
    size = sum(length for _, length in pieces)
    return msgspec.structs.replace(file_entry(path, size), content=content, link=link)


def test_names_of_one_file_that_changed_while_it_was_saved(kit: Kit) -> None:
    """A name with other bytes than the first of its group is a file of its own, as in a restore."""
    old, new = stored(kit, b"old", b"newer")
    entries = [
        file(b"a", (old, 3), link=b"a"),
        file(b"b", (new, 5), link=b"a"),
        file(b"c", (old, 3), link=b"a"),
    ]
    found, _ = exported(kit, commit_tree(kit, entries, b"old", b"newer"))
    assert [(one.entry.path, one.entry.link, one.data) for one in found] == [
        (b"a", b"", b"old"),
        (b"b", b"", b"newer"),
        (b"c", b"a", b""),
    ]


def test_small_files_with_holes(kit: Kit) -> None:
    """Holes in the list of a file stay where they are, however small it is."""
    (chunk,) = stored(kit, b"x" * 5000)
    pieces = [(HOLE, 8192), (chunk, 5000), (HOLE, 7000)]
    found, _ = exported(kit, commit_tree(kit, [file(b"a", *pieces)], b"x" * 5000))
    assert found[0].data == bytes(8192) + b"x" * 5000 + bytes(7000)
    assert found[0].entry.flags == SPARSE


def test_what_no_tar_can_hold(kit: Kit) -> None:
    """Sockets, streams and records are problems; everything else is there."""
    kinds = (EntryKind.SOCKET, EntryKind.STREAM, EntryKind.RECORD)
    others = [
        msgspec.structs.replace(file_entry(b"%d" % kind, 0), kind=int(kind)) for kind in kinds
    ]
    found, tally = exported(kit, commit_tree(kit, [*others, file_entry(b"a", 0)]))
    assert [one.entry.path for one in found] == [b"a"]
    assert [(one.path, one.missing) for one in tally.problems] == [
        (b"7", True),
        (b"8", True),
        (b"9", True),
    ]


@pytest.mark.parametrize("window", [1, 3000, 7000, 1 << 20])
def test_a_large_file_is_read_ahead_in_windows(kit: Kit, window: int) -> None:
    """All of it comes, whatever a window holds: chunks that come again, holes, reads that pass over
    some. Who stops in the middle leaves nothing that was asked for.
    """
    chunks = [bytes([number]) * (1000 + 37 * number) for number in range(12)]
    ids = stored(kit, *chunks)
    order = [0, 1, 0, 2, 3, 4, 4, 1, 5, 6, 7, 8, 0, 9, 10, 11, 2]
    pieces = [(ids[number], len(chunks[number])) for number in order]
    pieces[5:5] = [(HOLE, 5000)]
    pieces.append((HOLE, 300))
    parts = [chunks[number] for number in order]
    whole = b"".join([*parts[:5], bytes(5000), *parts[5:], bytes(300)])
    listed = commit_tree(kit, [file(b"a", *pieces)], *chunks)
    reader = kit.open().reader()
    source = SnapshotSource(reader, listed, window=window)
    (item,) = [one for batch in source.walk(lambda _: None) for one in batch]
    for size, step in ((777, 777), (100_000, 100_000), (50, 4001)):
        buffer = memoryview(bytearray(size))
        with source.open(item) as content:
            for offset in range(0, len(whole), step):
                count = content.readinto(offset, buffer)
                assert buffer[:count] == whole[offset : offset + size]
    with source.open(item) as content:
        content.readinto(0, memoryview(bytearray(10)))
    assert reader.ahead == 0


def test_damage_far_inside_of_a_file_ends_the_reading(kit: Kit) -> None:
    """Where it is reached, and not before: what comes earlier was handed on."""
    (good,) = stored(kit, b"g" * 4000)
    lost = bytes(31) + b"\x01"
    listed = commit_tree(kit, [file(b"a", (good, 4000), (lost, 4000))], b"g" * 4000)
    source = SnapshotSource(kit.open().reader(), listed, window=4000)
    (item,) = [one for batch in source.walk(lambda _: None) for one in batch]
    buffer = memoryview(bytearray(4000))
    with source.open(item) as content:
        assert content.readinto(0, buffer) == 4000
        with pytest.raises(DamageError, match="in no index"):
            content.readinto(4000, buffer)
