"""Finding a snapshot, listing what is in it, and printing one file of it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from strongroom.errors import DamageError, NotFoundError, StrongroomError, UsageError
from strongroom.model.entry import EXTENT, HOLE, Entry, EntryKind
from strongroom.model.snapshot import ListedSnapshot, Snapshot
from strongroom.operations.listing import dump, entries_below, find_snapshot
from tests.support.fakes import MemorySource, file_entry
from tests.support.forging import commit_tree
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.sources import SparseSource

pytestmark = pytest.mark.spec("B1")

IDS = ["ab12" + "0" * 28, "ab34" + "1" * 28, "cd" + "2" * 30]


def listed(snapshot_id: str) -> ListedSnapshot:
    """Return a snapshot that has only an id."""
    empty = Snapshot(b"", b"", b"", b"", b"", (), 0, 0, b"", ())
    return ListedSnapshot(snapshot_id, "", "", b"", empty)


SNAPSHOTS = [listed(snapshot_id) for snapshot_id in IDS]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("latest", 2), ("latest~0", 2), ("latest~1", 1), ("latest~2", 0), ("latest~002", 0),
        ("ab1", 0), ("ab12", 0), ("cd", 2), (IDS[1], 1), (IDS[2], 2),
    ],
)  # fmt: skip
def test_a_snapshot_is_found(text: str, found: int) -> None:
    """By its place from the end, or by the start of its id, as far as it is the only one."""
    assert find_snapshot(SNAPSHOTS, text).id == IDS[found]


@pytest.mark.parametrize(
    ("text", "error", "why"),
    [
        ("latest~3", NotFoundError, "holds 3"),
        ("latest~999999999", NotFoundError, "holds 3"),
        ("latest~x", UsageError, "with a number"),
        ("latest~-1", UsageError, "with a number"),
        ("latest~1.0", UsageError, "with a number"),
        ("latest~ 1", UsageError, "with a number"),
        ("latest~\u00b2", UsageError, "with a number"),
        ("latest~" + "9" * 5000, UsageError, "with a number"),
        ("ab", NotFoundError, "matches 2 snapshots: ab120000, ab341111"),
        ("c", NotFoundError, "no snapshot 'c'"),
        ("", NotFoundError, "no snapshot ''"),
        ("AB1", NotFoundError, "no snapshot"),
        ("ef", NotFoundError, "no snapshot"),
        (IDS[0] + "0", NotFoundError, "no snapshot"),
        ("Latest", NotFoundError, "no snapshot"),
        ("latest1", NotFoundError, "no snapshot"),
    ],
)
def test_a_snapshot_is_not_found(text: str, error: type[StrongroomError], why: str) -> None:
    """What names none, or more than one, is said so; what cannot be meant is a mistake in use."""
    with pytest.raises(error, match=why):
        find_snapshot(SNAPSHOTS, text)


def test_the_latest_of_an_environment() -> None:
    """Among the snapshots of that alone; one that has none is said so."""
    of = [msgspec.structs.replace(SNAPSHOTS[0].snapshot, environment=e) for e in (b"p", b"s", b"p")]
    found = [
        msgspec.structs.replace(one, snapshot=snapshot)
        for one, snapshot in zip([*SNAPSHOTS, listed("ef")], [*of, of[1]], strict=True)
    ]
    for text, number in (("latest", 3), ("latest@p", 2), ("latest~1@p", 0), ("latest~0@s", 3)):
        assert find_snapshot(found, text).id == found[number].id
    for text, why in (("latest~2@p", "'p' has 2"), ("latest@", "'' has 0"), ("latest@P", "has 0")):
        with pytest.raises(NotFoundError, match=why):
            find_snapshot(found, text)
    with pytest.raises(UsageError, match="with a number"):
        find_snapshot(found, "latest~x@p")
    with pytest.raises(NotFoundError, match="no snapshot 'ab12@p'"):
        find_snapshot(found, "ab12@p")


def test_an_empty_repository_has_no_latest() -> None:
    """There is nothing to be found in nothing."""
    with pytest.raises(NotFoundError, match="holds 0"):
        find_snapshot([], "latest")


FILES = {
    b"a": b"one",
    b"a-b": b"two",
    b"a/b": b"",
    b"a/c/d \xff": b"three",
    b"large": noise(3 << 20, "large"),
    b"sparse": (bytes(1 << 20) + noise(8192, "sparse")) * 2 + bytes(3 << 20),
}


@pytest.fixture
def latest(kit: Kit) -> ListedSnapshot:
    """A snapshot of a few files."""
    return kit.backup_source(SparseSource(FILES)).snapshot


def names(batches: Iterable[Iterable[Entry]]) -> list[bytes]:
    """Return the paths in batches of entries."""
    return [entry.path for batch in batches for entry in batch]


def test_entries_are_listed_in_their_order(kit: Kit, latest: ListedSnapshot) -> None:
    """All of them, or those at and below a path."""
    repository = kit.open()
    ordered = [b"a", b"a/b", b"a/c/d \xff", b"a-b", b"large", b"sparse"]
    assert names(entries_below(repository, latest, b"")) == ordered
    assert names(entries_below(repository, latest, b"a")) == ordered[:3]
    assert names(entries_below(repository, latest, b"a/c")) == ordered[2:3]
    assert names(entries_below(repository, latest, b"sparse")) == ordered[5:]


@pytest.mark.parametrize("path", [b"nothing", b"a/", b"a/c/d", b"LARGE"])
def test_a_path_that_is_not_there_is_said(kit: Kit, latest: ListedSnapshot, path: bytes) -> None:
    """A path without an entry at or below it is exit 15, in a listing and in a dump."""
    repository = kit.open()
    with pytest.raises(NotFoundError) as listing:
        names(entries_below(repository, latest, path))
    with pytest.raises(NotFoundError) as dumping:
        dump(repository, latest, path, lambda _: None)
    assert listing.value.code == dumping.value.code == 15


def test_an_empty_snapshot_has_no_entries(kit: Kit) -> None:
    """The listing of a snapshot of nothing is empty, and is no error."""
    empty = kit.backup({}).snapshot
    assert names(entries_below(kit.open(), empty, b"")) == []


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_dumped_byte_for_byte(kit: Kit, latest: ListedSnapshot, path: bytes) -> None:
    """Small, empty, large and sparse files come out whole, with zeros for holes."""
    written = bytearray()
    assert dump(kit.open(), latest, path, written.extend) == len(FILES[path])
    assert bytes(written) == FILES[path]


def test_holes_are_written_in_pieces(kit: Kit) -> None:
    """A hole of a terabyte costs no memory: zeros come in pieces of at most 1 MiB."""
    entry = with_content(file_entry(b"a", 1 << 40), EXTENT.pack(HOLE, 1 << 40))
    snapshot = commit_tree(kit, [entry])
    pieces: list[int] = []

    class EnoughError(Exception):
        """Enough was written."""

    def write(piece: bytes | memoryview) -> None:
        assert not any(piece[:10])
        pieces.append(len(piece))
        if len(pieces) == 5:
            raise EnoughError

    with pytest.raises(EnoughError):
        dump(kit.open(), snapshot, b"a", write)
    assert max(pieces) <= 1 << 20


def with_content(entry: Entry, content: bytes, depth: int = 0) -> Entry:
    """Return an entry with other content."""
    return msgspec.structs.replace(entry, content=content, depth=depth)


@pytest.mark.parametrize(
    "kind",
    [
        EntryKind.DIRECTORY,
        EntryKind.SYMLINK,
        EntryKind.FIFO,
        EntryKind.SOCKET,
        EntryKind.RECORD,
        99,
    ],
)
def test_only_files_are_dumped(kit: Kit, kind: int) -> None:
    """Anything without bytes is a mistake in use, with the way to get it."""
    snapshot = commit_tree(kit, [msgspec.structs.replace(file_entry(b"a", 0), kind=kind)])
    with pytest.raises(UsageError, match="no file") as refused:
        dump(kit.open(), snapshot, b"a", lambda _: None)
    assert "restore" in refused.value.hint


TEXT = b"twelve bytes"


@pytest.mark.parametrize(
    ("size", "length"),
    [
        (13, 12),
        (11, 12),
        (0, 12),
        (12, 11),
        (12, 13),
        (11, 11),
        (13, 13),
        (0, 0),
        (5000, 5000),
    ],
)
def test_a_file_that_does_not_add_up_is_damage(kit: Kit, size: int, length: int) -> None:
    """An entry or extent that states another length than its chunk has: dump, restore, verify.

    A file of one chunk that has the size of the entry is restored, whatever the extent says.
    """
    chunk_id = kit.open().keyring.own_domain.data_hasher(TEXT)
    large = bytes(1 << 20)
    large_id = kit.open().keyring.own_domain.data_hasher(large)
    small = with_content(file_entry(b"a", size), EXTENT.pack(chunk_id, length))
    pieces = EXTENT.pack(large_id, 1 << 20) + EXTENT.pack(chunk_id, length)
    pieced = with_content(file_entry(b"b", size + (1 << 20)), pieces)
    snapshot = commit_tree(kit, [small, pieced], TEXT, large)
    for path in (b"a", b"b"):
        with pytest.raises(DamageError):
            dump(kit.open(), snapshot, path, lambda _: None)
    result, files = kit.restore(snapshot.id)
    expected = {b"a": TEXT} if size == len(TEXT) else {}
    assert {problem.path for problem in result.damaged} == {b"a", b"b"} - expected.keys()
    assert files == expected
    assert {finding.path for finding in kit.verify(read_data=False).damage} == {b"a", b"b"}


def test_a_file_that_states_a_size_and_has_nothing_is_damage(kit: Kit) -> None:
    """An entry without content and with a size is found by dump, restore and verify."""
    snapshot = commit_tree(kit, [file_entry(b"a", 5)])
    with pytest.raises(DamageError):
        dump(kit.open(), snapshot, b"a", lambda _: None)
    result, files = kit.restore(snapshot.id)
    assert ([problem.path for problem in result.damaged], files) == ([b"a"], {})
    assert [finding.path for finding in kit.verify(read_data=False).damage] == [b"a"]


def test_a_snapshot_of_several_sources_is_listed_whole(kit: Kit) -> None:
    """Files of each source are found, whichever source they are of."""
    kit.backup_source(MemorySource({b"a": b"1"}, "one"))
    two = kit.backup_source(MemorySource({b"a": b"1"}, "one"), MemorySource({b"b": b"2"}, "two"))
    repository = kit.open()
    assert names(entries_below(repository, two.snapshot, b"")) == [b"a", b"b"]
    written = bytearray()
    dump(repository, two.snapshot, b"b", written.extend)
    assert bytes(written) == b"2"
