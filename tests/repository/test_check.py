"""A check finds what is wrong and names it, and finds nothing where nothing is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from strongroom.crypto.primitives import sha256
from strongroom.repository import layout
from strongroom.repository.envelope import Kind, unwrap
from strongroom.repository.findings import CheckResult
from strongroom.repository.records import IndexBody, SlotKind
from tests.support.forging import begun
from tests.support.hooks import HookedStore
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.runs import pack_ids, put_removals, segment_ids
from tests.support.segments import listed_pack, sealed_segment

pytestmark = pytest.mark.spec("B7")

FILES = {b"d/%03d" % n: noise(500, str(n)) for n in range(700)} | {b"large": noise(2 << 20)}


def texts(result: CheckResult) -> list[str]:
    """Return what was found to be damaged."""
    return [f"{finding.subject}: {finding.text}" for finding in result.damage]


def change(kit: Kit, key: str, spoil: Callable[[bytes], bytes | None]) -> None:
    """Replace an object, or remove it."""
    data = spoil(kit.store.get(key))
    kit.store.delete(key)
    if data is not None:
        kit.store.put(key, data)


def flipped(data: bytes) -> bytes:
    """Return data with one bit changed in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def gone(_data: bytes) -> None:
    """Return nothing."""


def test_a_sound_repository_has_no_findings(kit: Kit) -> None:
    """After several backups, one of them given up, everything is counted and nothing found."""
    kit.backup(FILES)
    kit.backup(FILES | {b"new": b"new"})
    begun(kit).abort()
    result = kit.verify()
    assert result.findings == []
    assert (result.snapshots, result.packs, result.packs_read) == (2, 2, 2)
    assert result.chunks > 1200
    assert result.bytes_read == sum(info.size for info in kit.store.list("packs/"))


def last_of(kit: Kit, prefix: str) -> str:
    """Return the last key below a prefix; of the slots the one that we do not open."""
    keys = [info.key for info in kit.store.list(prefix)]
    if prefix == layout.SLOTS:
        bodies = {key: unwrap(kit.store.get(key), Kind.SLOT, key).body for key in keys}
        keys = [key for key, body in bodies.items() if body[1] == SlotKind.RECOVERY]
    return keys[-1]


@pytest.mark.parametrize(
    "prefix", ["slots/", "writers/", "sessions/", "commits/", "index/", "packs/"]
)
@pytest.mark.parametrize("spoil", [flipped, lambda data: data[:-1], lambda _: b""])
def test_each_damaged_object_is_named(
    kit: Kit, prefix: str, spoil: Callable[[bytes], bytes]
) -> None:
    """A changed bit, a lost byte or an empty object is found under its own key."""
    kit.backup(FILES)
    key = last_of(kit, prefix)
    change(kit, key, spoil)
    assert key in {finding.subject for finding in kit.verify().damage}


@pytest.mark.parametrize("prefix", ["slots/", "writers/", "packs/"])
def test_each_missing_object_is_named(kit: Kit, prefix: str) -> None:
    """Slots that config names, our writer, and packs that the index names, are missed."""
    kit.backup(FILES)
    key = last_of(kit, prefix)
    change(kit, key, gone)
    assert key in {finding.subject for finding in kit.verify(read_data=False).damage}


def test_a_missing_segment_is_missed_by_the_trees(kit: Kit) -> None:
    """Without its index a snapshot cannot be read, and that is said with its id."""
    listed = kit.backup(FILES).snapshot
    change(kit, layout.index_segment(segment_ids(kit)[0]), gone)
    result = kit.verify(read_data=False)
    assert {finding.snapshot for finding in result.damage} == {listed.short_id}
    assert result.unreferenced_packs == 1


def test_a_damaged_pack_is_told_with_files_and_snapshots(kit: Kit) -> None:
    """What a lost pack costs is said by path, once for each snapshot that needs it."""
    one = kit.backup({b"kept": b"kept"}).snapshot
    (kept,) = pack_ids(kit)
    two = kit.backup({b"a": b"lost", b"kept": b"kept"}).snapshot
    three = kit.backup({b"b": b"lost", b"kept": b"kept"}).snapshot
    change(kit, layout.pack(kept), flipped)
    result = kit.verify()
    assert {finding.subject for finding in result.damage} >= {layout.pack(kept)}
    where = {(f.snapshot, f.path) for f in result.damage if f.snapshot}
    assert {(two.short_id, b"kept"), (three.short_id, b"kept")} <= where
    assert one.short_id in {snapshot for snapshot, _ in where}
    assert (two.short_id, b"a") not in where


def test_structure_alone_does_not_read_packs(kit: Kit) -> None:
    """A changed bit in a data frame is found by reading data only."""
    kit.backup({b"large": noise(2 << 20)})
    change(kit, layout.pack(pack_ids(kit)[0]), flipped)
    assert kit.verify(read_data=False).damage == []
    assert len(kit.verify().damage) >= 2


@pytest.mark.parametrize("size", [0, 5, 211, (64 << 20) + 1])
def test_packs_of_an_impossible_length_are_damage(kit: Kit, size: int) -> None:
    """An object under packs/ that is too short or too long is named, and not read if too long."""
    kit.backup({b"a": b"text"})
    key = layout.pack(noise(32, "pack"))
    kit.store.put(key, bytes(size))
    assert [finding.subject for finding in kit.verify().damage] == [key]


def test_a_stale_index_entry_is_no_damage_if_the_pack_was_killed(kit: Kit) -> None:
    """A pack that is gone by the word of a collector is a note; by tombs alone it is damage."""
    first = kit.backup(FILES).snapshot
    packs = pack_ids(kit)
    put_removals(kit, 1, Kind.TOMBS, packs=packs)
    for pack_id in packs:
        change(kit, layout.pack(pack_id), gone)
    assert layout.pack(packs[0]) in {f.subject for f in kit.verify(read_data=False).damage}
    put_removals(kit, 1, Kind.KILLS, packs=packs)
    result = kit.verify(read_data=False)
    told = [f.text for f in result.findings if f.subject == layout.INDEX]
    assert told == [f"{len(packs)} pack(s) that were collected are still listed; no matter"]
    assert layout.pack(packs[0]) not in {f.subject for f in result.damage}
    assert {f.snapshot for f in result.damage} == {first.short_id}


def test_what_does_not_belong_here_is_noted(kit: Kit) -> None:
    """Other objects, slots and packs of other names are told of, and are no damage."""
    strange = [
        "lost-and-found",
        "prod/files/backup_manifest.json",
        f"slots/{'0' * 32}",
        "packs/ab/abc",
        f"packs/00/{'1' * 64}",
    ]
    for key in strange:
        kit.store.put(key, b"something")
    result = kit.verify()
    assert sorted(finding.subject for finding in result.findings) == sorted(strange)
    assert result.damage == []


@pytest.mark.parametrize(
    "key",
    [
        "commits/x",
        "index/x",
        "sessions/x",
        "writers/x",
        "gc/x",
        f"commits/{'0' * 32}/{'A' * 32}".lower(),
    ],
)
def test_a_strange_object_where_decisions_are_taken_is_damage(kit: Kit, key: str) -> None:
    """What cannot be understood where everything counts is not passed over."""
    kit.store.put(key, b"something")
    assert [finding.subject for finding in kit.verify().damage] == [key]


def test_a_backup_during_a_check_is_no_damage(kit: Kit, tmp_path: Path) -> None:
    """Packs, index and commits that come while a check runs are not missed."""
    kit.backup(FILES)
    sound, number = kit.store, 0

    def another() -> None:
        nonlocal number
        number += 1
        Kit(sound, tmp_path / f"{number}").backup({b"new": noise(1000, str(number))})

    for prefix in ("", "writers/", "sessions/", "commits/", "gc/", "index/", "packs/"):
        for moment in ("before", "after"):
            hooked = HookedStore(sound)
            getattr(hooked, moment)("list", prefix, another)
            kit.store = hooked
            assert texts(kit.verify()) == [], (prefix, moment)
    assert number == 14


def test_a_segment_that_does_not_fit_itself_is_damage(kit: Kit) -> None:
    """Columns that no reader would take are found without reading a pack."""
    kit.backup(FILES)
    domain = kit.open().keyring.own_domain
    entry = listed_pack(kit)
    ragged = msgspec.structs.replace(entry, lengths=entry.lengths[:-4])
    other = msgspec.structs.replace(entry, lengths=b"\0\0\0\1" + entry.lengths[4:])
    for pack in (ragged, other):
        data = sealed_segment(IndexBody((pack,), b"", b""), domain)
        key = layout.index_segment(sha256(data))
        kit.store.put(key, data)
        damage = kit.verify(read_data=False).damage
        wanted = key if pack is ragged else layout.pack(pack.pack_id)  # it tells who is right
        assert any(finding.subject == wanted and "index/" in finding.text for finding in damage)
        kit.store.delete(key)
    assert kit.verify().damage == []
