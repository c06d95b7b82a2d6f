"""Orders and collector runs: what the independent reader makes of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.ordering import put_order
from strongroom.repository.payloads import Payload
from strongroom.repository.records import (
    CopyOf,
    Head,
    OrderBody,
    OrderKind,
    Origin,
    PackIds,
    Removals,
    Saving,
    Targets,
    Voided,
)
from strongroom.repository.saving import hold, unforget
from strongroom.repository.tagging import TagEdit, plan_tags, put_tags
from tests.faults.damage import flipped
from tests.recover.harness import DAMAGED, DONE, Recovery
from tests.support.kit import Kit
from tests.support.noise import noise
from tests.support.runs import pack_ids, put_commit_removals, put_done, put_removals

pytestmark = pytest.mark.spec("B10")

SAYING = Saving(b"host", b"user", b"test", b"a note")
FILES = {b"a": noise(2000, "a"), b"b": noise(2000, "b")}


class Host:
    """A host with two snapshots of different files, and its reader."""

    def __init__(self, kit: Kit, recovery: Recovery) -> None:
        self.kit = kit
        self.recovery = recovery
        self.first = kit.backup({b"a": FILES[b"a"]}).snapshot
        self.packs = pack_ids(kit)
        self.second = kit.backup(FILES).snapshot

    def order(self, kind: OrderKind, payload: Payload) -> str:
        """Put an order; return its key."""
        repository = self.kit.open()
        return put_order(repository, repository.checked_history(), kind, payload).key

    def void(self, *keys: str) -> str:
        """Declare objects void as they are now."""
        store = self.kit.store
        voided = [Voided(key, _digest(store.get(key))) for key in sorted(keys)]
        return self.order(OrderKind.VOID, tuple(voided))

    def listed(self, *options: str) -> list[str]:
        """Return the ids that are listed; nothing may be damaged."""
        self.recovery.copy(self.kit.store)
        self.recovery.good("verify")
        return [one["id"] for one in self.recovery.good("list", "--json", *options).records]

    def forgotten(self) -> list[bool]:
        """Return which of all snapshots are marked, oldest first, as the program sees them too."""
        assert self.listed() == [listed.id for listed in self.kit.snapshots()]
        everything = self.recovery.good("list", "--json", "--all").records
        return [one["forgotten"] for one in everything]


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@pytest.fixture(name="host")
def _host(kit: Kit, recovery: Recovery) -> Host:
    return Host(kit, recovery)


def test_a_forgotten_snapshot_is_neither_listed_nor_the_latest(host: Host) -> None:
    """With --all it is listed, and marked; by its id it is still restored."""
    host.order(OrderKind.FORGET, Targets((host.second.key,)))
    assert host.forgotten() == [False, True]
    marks = ["forgotten" in line for line in host.recovery.good("list", "--all").out.splitlines()]
    assert marks == [False, True]
    assert host.recovery.restored("latest")[1] == {b"a": FILES[b"a"]}
    assert host.recovery.restored(host.second.id, "by id")[1] == FILES


def test_a_hold_keeps_a_snapshot_until_it_is_released(host: Host) -> None:
    """Whether it was forgotten before or after."""
    held = hold(host.kit.open(), [host.first.key], SAYING)
    host.order(OrderKind.FORGET, Targets((host.first.key,)))
    assert host.forgotten() == [False, False]
    host.order(OrderKind.RELEASE, Targets((held.key,)))
    assert host.forgotten() == [True, False]


def test_an_unforget_cancels_the_orders_that_it_names(host: Host) -> None:
    """For the snapshots that it names; a later forget counts again."""
    targets = tuple(sorted((host.first.key, host.second.key)))
    host.order(OrderKind.FORGET, Targets(targets))
    unforget(host.kit.open(), [host.second.key], SAYING)
    assert host.forgotten() == [True, False]
    host.order(OrderKind.FORGET, Targets((host.second.key,)))
    assert host.forgotten() == [True, True]


def test_orders_that_say_nothing_to_a_reader_change_nothing(host: Host) -> None:
    """Of origins and of what may be empty; they are still checked."""
    host.order(OrderKind.ORIGINS, (Origin(host.first.key, 1, None),))
    host.order(OrderKind.ALLOW_EMPTY, Targets((host.first.key,)))
    assert host.forgotten() == [False, False]


def test_an_order_of_an_unknown_kind_is_told_of(host: Host) -> None:
    """The last resort reads what it can: whoever wrote that order is not at hand."""
    repository = host.kit.open()
    key = layout.order(noise(16))
    body = OrderBody(99, 1, (), encode(["anything"]), b"")
    sign = repository.keyring.admin_signer().sign
    host.kit.store.put(key, wrap(Kind.ORDER, repository.id, key, encode(body), sign))
    host.recovery.copy(host.kit.store)
    result, restored = host.recovery.restored("latest")
    assert (result.code, restored) == (DONE, FILES)
    assert f"{key}: is an order of kind 99, which this program does not know" in result.err
    assert host.recovery.run("verify").code == DONE


def test_packs_in_quarantine_are_asked_last(host: Host) -> None:
    """A chunk that another pack has is read from there; else from the pack in quarantine."""
    store = host.kit.store
    before = set(pack_ids(host.kit))
    hidden = {info.key: store.get(info.key) for info in store.list("index/")}
    for key in hidden:
        store.delete(key)
    Kit(store, host.recovery.folder / "again").backup({b"a": FILES[b"a"]})
    for key, value in hidden.items():
        store.put(key, value)
    (again,) = set(pack_ids(host.kit)) - before
    both = [host.packs[0], again]

    def is_asked(pack_id: bytes, name: str) -> bool:
        spoiled = layout.pack(pack_id)
        host.recovery.copy(store)
        host.recovery.put({spoiled: flipped(store.get(spoiled), 188 + 40, 0)})
        result, restored = host.recovery.restored(host.first.id, name)
        assert (result.code, restored) == (DONE, {b"a": FILES[b"a"]})
        return spoiled in result.err

    (asked,) = [one for one in both if is_asked(one, f"before {one.hex()}")]
    host.order(OrderKind.QUARANTINE, PackIds(asked))
    assert not is_asked(asked, "after")
    host.order(OrderKind.QUARANTINE, PackIds(b"".join(sorted(both))))
    host.recovery.copy(store)
    assert host.recovery.restored(host.first.id, "both")[1] == {b"a": FILES[b"a"]}


def test_what_a_collector_took_is_no_damage(host: Host) -> None:
    """Commits and packs that a ``kills`` names, there or not."""
    put_commit_removals(host.kit, 1, Kind.KILLS, [host.second.key])
    put_done(host.kit, 1)
    assert host.listed("--all") == [host.first.id]
    mine = set(pack_ids(host.kit)) - set(host.packs)
    put_removals(host.kit, 2, Kind.KILLS, packs=sorted(mine))
    put_done(host.kit, 2)
    for key in (host.second.key, *(layout.pack(one) for one in mine)):
        host.kit.store.delete(key)
    assert host.listed("--all") == [host.first.id]
    assert host.recovery.restored("latest")[1] == {b"a": FILES[b"a"]}


def test_what_a_collector_saw_is_missed_when_it_is_gone(host: Host) -> None:
    """The heads of a ``kills`` count, where only a commit named them that was removed."""
    third = host.kit.backup({b"c": b"3"}).snapshot
    repository = host.kit.open()
    stays = Head(host.second.key, _digest(host.kit.store.get(host.second.key)))
    body = encode(Removals(b"", (third.key,), b"", (), (), (stays,)))
    sign = repository.keyring.admin_signer().sign
    key = layout.run_object(1, "kills")
    host.kit.store.put(key, wrap(Kind.KILLS, repository.id, key, body, sign))
    host.kit.store.delete(third.key)
    assert host.listed() == [host.first.id, host.second.id]
    host.kit.store.delete(host.second.key)
    (host.recovery.repository / host.second.key).unlink()
    (host.recovery.repository / third.key).unlink(missing_ok=True)
    result = host.recovery.run("verify")
    assert result.code == DAMAGED
    gone = f"{host.second.key}: is gone: a collector saw it, and no collection took it"
    assert gone in result.damage


def test_a_copy_stands_where_its_original_would(host: Host) -> None:
    """Whoever copied it had seen newer ones, and it is not the latest for that."""
    copy = host.kit.backup({b"old": b"old"}).snapshot
    original = CopyOf(noise(16), f"commits/{'0' * 32}/{'1' * 32}")
    when = host.first.snapshot.started_ns - 5
    host.order(OrderKind.ORIGINS, (Origin(copy.key, when, original),))
    host.order(OrderKind.ORIGINS, (Origin(host.second.key, when - 9, None),))
    assert host.listed() == [copy.id, host.first.id, host.second.id]
    assert host.listed() == [one.id for one in host.kit.snapshots()]


def test_what_only_tombs_name_is_there(host: Host) -> None:
    """Until a ``kills`` names it, a snapshot can be restored and is listed."""
    put_commit_removals(host.kit, 1, Kind.TOMBS, [host.second.key])
    assert host.listed() == [host.first.id, host.second.id]


def test_a_void_commit_is_absent_and_its_absence_explained(host: Host) -> None:
    """Damaged or gone, nobody misses it any more."""
    damaged = flipped(host.kit.store.get(host.first.key), 100, 0)
    host.kit.store.delete(host.first.key)
    host.kit.store.put(host.first.key, damaged)
    host.recovery.copy(host.kit.store)
    assert host.recovery.run("verify").code == DAMAGED
    host.void(host.first.key)
    assert host.listed("--all") == [host.second.id]
    host.order(OrderKind.VOID, (Voided(host.first.key, b""),))
    host.kit.store.delete(host.first.key)
    (host.recovery.repository / host.first.key).unlink()
    assert host.listed("--all") == [host.second.id]


def test_void_orders_segments_and_runs_are_absent(host: Host) -> None:
    """A forget does not count, a segment is not read, and a ``kills`` takes nothing."""
    forget = host.order(OrderKind.FORGET, Targets((host.first.key,)))
    kills = put_commit_removals(host.kit, 1, Kind.KILLS, [host.second.key])
    assert host.listed("--all") == [host.first.id]
    host.void(forget, kills)
    assert host.listed() == [host.first.id, host.second.id]
    for info in list(host.kit.store.list("index/")):
        host.recovery.put({info.key: b"rubbish"})
        host.order(OrderKind.VOID, (Voided(info.key, _digest(b"rubbish")),))
        host.kit.store.delete(info.key)
        host.kit.store.put(info.key, b"rubbish")
    host.recovery.copy(host.kit.store)
    result, restored = host.recovery.restored("latest")
    assert (result.code, result.damage, restored) == (DONE, [], FILES)


def test_what_a_run_with_a_void_kills_tombed_may_be_gone(host: Host) -> None:
    """Somebody who read that ``kills`` may have deleted it; it is listed while it is there."""
    put_commit_removals(host.kit, 1, Kind.TOMBS, [host.first.key])
    kills = put_commit_removals(host.kit, 1, Kind.KILLS, [host.first.key])
    host.void(kills)
    assert host.listed() == [host.first.id, host.second.id]
    host.kit.store.delete(host.first.key)
    (host.recovery.repository / host.first.key).unlink()
    assert host.listed() == [host.second.id]


def test_tags_are_those_that_orders_left(host: Host) -> None:
    """Added, taken away and added again, of one snapshot or of both."""
    for add, remove, snapshots in (
        ((b"x", b"y"), (), {host.first.id, host.second.id}),
        ((b"z",), (b"x",), {host.second.id}),
        ((b"x",), (b"y",), {host.second.id}),
    ):
        repository = host.kit.open()
        listing = repository.list_snapshots()
        found = [one for one in listing.found if one.id in snapshots]
        edit = TagEdit(frozenset(add), frozenset(remove))
        put_tags(repository, listing, plan_tags(found, listing.additions, edit))
    host.listed()
    tags = [one["tags"] for one in host.recovery.good("list", "--json").records]
    assert tags == [["x", "y"], ["x", "z"]]
    assert tags == [[tag.decode() for tag in one.snapshot.tags] for one in host.kit.snapshots()]


def test_a_clock_that_was_wrong_does_not_own_the_latest(host: Host, tmp_path: Path) -> None:
    """A snapshot comes after everything that its writer had seen, whatever its clock said."""
    host.kit.clock.sleep(10 * 365 * 86_400)
    wrong = host.kit.backup({b"wrong": b"clock"}).snapshot
    other = Kit(host.kit.store, tmp_path / "another host")
    right = other.backup({b"right": b"clock"}).snapshot
    assert host.listed() == [host.first.id, host.second.id, wrong.id, right.id]
    assert [one.id for one in host.kit.snapshots()] == host.listed()
    assert host.recovery.restored("latest")[1] == {b"right": b"clock"}
