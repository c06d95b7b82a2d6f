"""Which copies need what their repository has lost, and what is no loss."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.copy import There, not_whole
from strongroom.repository import layout
from strongroom.repository.envelope import Kind
from strongroom.repository.records import OrderKind, PackIds
from tests.support.kit import Kit
from tests.support.mending import flipped, spoil
from tests.support.noise import noise
from tests.support.recording import RecordingStore
from tests.support.runs import pack_ids, put_removals, segment_ids

pytestmark = pytest.mark.spec("B8")

FILES = {b"a": b"1", b"b": noise(5000, "b")}


def lost(kit: Kit, *snapshots: ListedSnapshot) -> list[str]:
    """Return the ids of those that are not whole."""
    there = [There(listed, listed, forgotten=False) for listed in snapshots]
    return [one.there.id for one in not_whole(kit.open(), there)]


def saved_twice(kit: Kit) -> tuple[ListedSnapshot, ListedSnapshot, bytes]:
    """Save the same files, and then more; return both snapshots and a pack of the second only."""
    first = kit.backup(FILES).snapshot
    before = set(pack_ids(kit))
    second = kit.backup({**FILES, b"c": noise(5000, "c")}).snapshot
    (pack,) = set(pack_ids(kit)) - before
    return first, second, pack


def test_of_what_is_whole_no_pack_and_no_tree_is_read(kit: Kit) -> None:
    """The index and what is listed is all that it costs."""
    first, second, _ = saved_twice(kit)
    repository = kit.open()
    repository.store = recording = RecordingStore(kit.store)
    there = [There(listed, listed, forgotten=False) for listed in (first, second)]
    assert not_whole(repository, there) == []
    assert not [
        key for verb, key in recording.requests if verb != "list" and key.startswith(layout.PACKS)
    ]


def test_a_pack_that_is_missing_is_a_loss_to_those_that_need_it(kit: Kit) -> None:
    """Also one in quarantine; it is none to others, and none when it is back."""
    first, second, pack = saved_twice(kit)
    data = kit.store.get(layout.pack(pack))
    spoil(kit, layout.pack(pack), None)
    assert lost(kit, first, second) == [second.id]
    kit.store.put(layout.pack(pack), data)
    assert lost(kit, first, second) == []
    kit.order(OrderKind.QUARANTINE, PackIds(pack))
    assert lost(kit, first, second) == [second.id]


def test_a_pack_that_is_cut_short_is_a_loss(kit: Kit) -> None:
    """Its length is listed, and is not that which the index states."""
    first, second, pack = saved_twice(kit)
    spoil(kit, layout.pack(pack), kit.store.get(layout.pack(pack))[:-1])
    assert lost(kit, first, second) == [second.id]


def test_a_segment_that_cannot_be_read_is_a_loss(kit: Kit, tmp_path: Path) -> None:
    """To a host that has it not in its cache, what it lists has no place."""
    snapshot = kit.backup(FILES).snapshot
    for name in segment_ids(kit):
        key = layout.INDEX + name.hex()
        spoil(kit, key, flipped(kit.store.get(key)))
    other = Kit(kit.store, tmp_path / "other")
    assert lost(other, snapshot) == [snapshot.id]


def test_a_pack_that_a_collector_took_is_not_missing(kit: Kit) -> None:
    """An index may list it still: its run says that it went, so no tree is looked at for it."""
    first, _, pack = saved_twice(kit)
    put_removals(kit, 1, Kind.KILLS, packs=[pack])
    spoil(kit, layout.pack(pack), None)
    repository = kit.open()
    repository.store = recording = RecordingStore(kit.store)
    assert not_whole(repository, [There(first, first, forgotten=False)]) == []
    assert not [
        key for verb, key in recording.requests if verb != "list" and key.startswith(layout.PACKS)
    ]
