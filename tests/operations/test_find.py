"""Finding entries in many snapshots: each match once, shared parts read once, damage said."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.model.entry import Entry
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.find import FindResult, find
from strongroom.storage.memory import MemoryStore
from tests.support.kit import Kit
from tests.support.recording import RecordingStore
from tests.support.tree_shapes import Forger

pytestmark = pytest.mark.spec("B1")

Found = list[tuple[str, bytes]]


def search(
    kit: Kit, snapshots: list[ListedSnapshot], ending: bytes = b"x"
) -> tuple[FindResult, Found]:
    """Find the entries whose paths end so."""
    found: Found = []

    def take(listed: ListedSnapshot, entry: Entry) -> None:
        found.append((listed.id, entry.path))

    def matches(entry: Entry) -> bool:
        return entry.path.endswith(ending)

    return find(kit.open(), snapshots, matches, take), found


def test_each_match_is_found_in_each_snapshot(kit: Kit) -> None:
    """A match is told for every snapshot it is in, in the order of snapshots and of paths."""
    first = kit.backup({b"a/x": b"1", b"b": b"2", b"c.x": b"3"}).snapshot
    second = kit.backup({b"a/x": b"1", b"b": b"changed"}).snapshot
    third = kit.backup({b"b": b"changed"}).snapshot
    result, found = search(kit, [third, second, first])
    assert found == [(second.id, b"a/x"), (first.id, b"a/x"), (first.id, b"c.x")]
    assert (result.snapshots, result.matches, result.damaged) == (3, 3, [])


def test_what_snapshots_share_is_read_once(tmp_path: Path) -> None:
    """A second snapshot of the same files costs no further read where nothing matched."""
    store = RecordingStore(MemoryStore())
    kit = Kit(store, tmp_path / "state")
    kit.init()
    files = {b"d%d/%04d" % (n % 7, n): b"" for n in range(3000)}
    snapshots = [kit.backup(files).snapshot for _ in range(3)]

    def reads(count: int) -> int:
        store.requests.clear()
        assert search(kit, snapshots[:count])[1] == []
        return sum(verb == "get_range" for verb, _ in store.requests)

    assert reads(3) == reads(1) > 0


def test_a_match_is_found_again_where_its_surroundings_are_known(kit: Kit) -> None:
    """Parts that hold no match are passed by, and those between them are not."""
    files = {b"d%d/%05d" % (n // 1000, n): b"" for n in range(9000)} | {b"d4/x": b""}
    changed = {**files, b"d8/new": b"1"}
    snapshots = [kit.backup(one).snapshot for one in (files, changed, files)]
    assert search(kit, snapshots)[1] == [(s.id, b"d4/x") for s in snapshots]
    assert search(kit, snapshots, b"new")[1] == [(snapshots[1].id, b"d8/new")]


def test_a_damaged_part_is_said_and_the_rest_is_searched(kit: Kit) -> None:
    """What cannot be read is told with its first path, in each snapshot that has it."""
    bad = []
    for _ in range(2):
        forger = Forger(kit)
        parts = [
            (b"a", forger.leaf(b"a", b"ax"), 2),
            (b"m", bytes(32), 3),
            (b"zx", forger.leaf(b"zx"), 1),
        ]
        bad.append(forger.commit(forger.branch(1, *parts), 2, 6))
    good = kit.backup({b"mx": b"1"}).snapshot
    result, found = search(kit, [*bad, good])
    assert found == [(s.id, p) for s in bad for p in (b"ax", b"zx")] + [(good.id, b"mx")]
    assert [(f.snapshot, f.path) for f in result.damaged] == [(s.short_id, b"m") for s in bad]
