"""A snapshot as a source of archives."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from strongroom.archive.tarwriting import TarWriter
from strongroom.archive.writing import Tally, write_source
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
