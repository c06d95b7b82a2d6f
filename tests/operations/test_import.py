"""From one repository through an archive into another, with what no file system shows at will."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from strongroom.archive.codecs import Codec
from strongroom.archive.files import Access, Files
from strongroom.archive.metadata import Metadata
from strongroom.archive.naming import ArchiveId
from strongroom.archive.shelf import Shelf
from strongroom.archive.writing import as_it_is
from strongroom.clock import ManualClock
from strongroom.errors import DamageError
from strongroom.model.entry import CHANGED_WHILE_READ, EXTENT, HOLE, SPARSE, Entry
from strongroom.model.events import ignore
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.archives.incoming import Delivered, deliver
from strongroom.operations.archives.making import Around, Packing, Recipe, make
from strongroom.operations.backup import Circumstances
from strongroom.operations.export import SnapshotSource
from strongroom.operations.import_ import Arrival, Part, import_archive
from strongroom.operations.restore import selected_entries
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from tests.support.fakes import file_entry
from tests.support.forging import begun, commit_tree, save
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B9")

ID = ArchiveId("20240101_120000")


class There:
    """Two repositories, and a shelf between them."""

    def __init__(self, folder: Path) -> None:
        self.first = Kit(MemoryStore(), folder / "first")
        self.second = Kit(MemoryStore(), folder / "second")
        self.first.init()
        self.second.init()
        self.shelf = Shelf(Files(PosixFs(), os.fsencode(folder / "shelf"), Access()))

    def export(self, listed: ListedSnapshot) -> Metadata:
        """Export a snapshot of the first."""
        told = Metadata(backup_timestamp=str(ID), program="strongroom test")
        recipe = Recipe(told=told, rename=as_it_is, packing=Packing(Codec.NONE, 0, 1))
        source = SnapshotSource(self.first.open().reader(), listed)
        with self.shelf.begun(ID):
            return make(self.shelf, ID, recipe, source, Around(ManualClock(), ignore))

    def deliver(self) -> Iterator[Delivered]:
        """Begin to read the archive."""
        return deliver(self.shelf, self.shelf.find(str(ID)), None)

    def load(self, members: Iterator[Delivered]) -> list[Entry]:
        """Import into the second; its tree."""
        arrival = Arrival([Part("name", "archive", (b"/",))], members)
        repository = self.second.open()
        result = import_archive(repository, arrival, Circumstances("host", "user", "test"))
        reader = self.second.open().reader()
        batches = selected_entries(reader, result.snapshot, b"", None)
        return [entry for batch in batches for entry in batch]

    def stored(self, *chunks: bytes) -> list[bytes]:
        """Return the ids of chunks in the first; the second has the same keys in no tree."""
        return save(begun(self.first), chunks)


@pytest.fixture(name="there")
def _there(tmp_path: Path) -> There:
    return There(tmp_path)


def file(path: bytes, *pieces: tuple[bytes, int], flags: int = 0, link: bytes = b"") -> Entry:
    """Return a file of pieces, each with its length."""
    content = b"".join(EXTENT.pack(*piece) for piece in pieces)
    size = sum(length for _, length in pieces)
    return msgspec.structs.replace(file_entry(path, size), content=content, flags=flags, link=link)


def shapes(entries: Sequence[Entry]) -> list[tuple[object, ...]]:
    """Return what a tree says, with the lengths of chunks and holes in the place of their ids."""
    return [
        (
            msgspec.structs.replace(entry, content=b"", depth=0),
            [(i == HOLE, length) for i, length in EXTENT.iter_unpack(entry.content)],
        )
        for entry in entries
    ]


def test_what_only_the_manifest_says(there: There) -> None:
    """Flags that no byte shows, holes in small files, and a first name whose others are gone."""
    (small,) = there.stored(b"no zeros")
    (page,) = there.stored(b"x" * 5000)
    entries = [
        file(b"a changed", (small, 8), flags=CHANGED_WHILE_READ),
        file(b"b sparse without a zero", (small, 8), flags=SPARSE),
        file(b"c holes", (HOLE, 8192), (page, 5000), (HOLE, 5000)),
        file(b"d hole", (HOLE, 100_000)),
        file(b"e linked", (small, 8), link=b"e linked"),
        file(b"f both", (page, 5000), flags=SPARSE | CHANGED_WHILE_READ, link=b"f both"),
        file(b"g both", (page, 5000), flags=SPARSE | CHANGED_WHILE_READ, link=b"f both"),
    ]
    there.export(commit_tree(there.first, entries, b"no zeros", b"x" * 5000))
    assert shapes(there.load(there.deliver())) == shapes(entries)


@pytest.mark.parametrize(("path", "size"), [(b"a", 8), (b"b", 7), (b"c", 8)])
def test_what_a_source_cannot_do_without(there: There, path: bytes, size: int) -> None:
    """A file that must be there, of that size, or nothing is committed."""
    (chunk,) = there.stored(b"no zeros")
    entries = [file(b"a", (chunk, 8)), file(b"b", (chunk, 8))]
    there.export(commit_tree(there.first, entries, b"no zeros"))
    arrival = Arrival([Part("n", "archive", (b"/",), needs={path: size})], there.deliver())
    circumstances = Circumstances("host", "user", "test")
    if (path, size) == (b"a", 8):
        import_archive(there.second.open(), arrival, circumstances)
        return
    with pytest.raises(DamageError, match="is missing in it"):
        import_archive(there.second.open(), arrival, circumstances)
    assert there.second.snapshots() == []


def test_nothing_is_committed_before_the_last_byte(there: There) -> None:
    """The archive is changed behind what was read already: damage, and no snapshot."""
    (chunk,) = there.stored(b"x" * 100)
    names = [file(b"%05d" % number, (chunk, 100)) for number in range(3000)]
    metadata = there.export(commit_tree(there.first, names, b"x" * 100))
    path = os.fsdecode(there.shelf.below(ID).path) + "/" + metadata.archive

    def meddled() -> Iterator[Delivered]:
        for number, one in enumerate(there.deliver()):
            if number == 1000:
                with open(path, "r+b") as opened:  # noqa: PTH123 - as it is
                    opened.seek(-1, os.SEEK_END)
                    opened.write(b"\1")
            yield one

    with pytest.raises(DamageError):
        there.load(meddled())
    assert there.second.snapshots() == []


def test_a_tree_of_many_leaves(there: There) -> None:
    """More than one run of what waits, in the order of a tree, and every entry once."""
    names = [file_entry(b"%06d" % number, 0) for number in range(60_000)]
    there.export(commit_tree(there.first, names))
    assert [entry.path for entry in there.load(there.deliver())] == [one.path for one in names]
