"""Keys come and go by order: which slots count, what is refused, and what two hosts do at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.crypto.keytext import text_to_key
from strongroom.errors import (
    DamageError,
    KeyRefusedError,
    NotFoundError,
    RefusedError,
    StoreError,
    StrongroomError,
)
from strongroom.model.events import Notice
from strongroom.operations.keys import add_key, list_keys, remove_key, rotate_keys
from strongroom.repository import layout
from strongroom.repository.payloads import removal_key
from strongroom.repository.records import SlotKind, SlotRole
from strongroom.repository.slots import MAX_TRIED, Secret
from strongroom.storage.memory import MemoryStore
from tests.support.faulty_store import Fault, FaultyStore, Script
from tests.support.faulty_store import Kind as FaultKind
from tests.support.hooks import HookedStore
from tests.support.invariants import check_invariants
from tests.support.kit import SECRET, Kit
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B3")

FILES = {b"a": b"text"}
SECOND = Secret(SlotKind.KEY_FILE, noise(32, "second"))
THIRD = Secret(SlotKind.KEY_FILE, noise(32, "third"))


def with_secret(kit: Kit, folder: Path, secret: Secret) -> Kit:
    """Return another host with another key."""
    other = Kit(kit.store, folder / f"host {secret.value.hex()[:8]}")
    other.secrets = [secret]
    return other


def ids(kit: Kit) -> dict[str, SlotRole | None]:
    """Return the role of each key by its id."""
    return {key.id: key.role for key in list_keys(kit.open()).keys}


def slot_of(kit: Kit) -> str:
    """Return the id of the key that a host opens the repository with."""
    opened = kit.open().keyring.opened_by
    assert opened is not None
    return opened.hex()


def test_a_new_repository_has_two_full_keys(kit: Kit) -> None:
    """The key of init and the recovery key, both made then; the one that opened it is marked."""
    found = list_keys(kit.open())
    assert [(key.kind, key.role) for key in found.keys] == [
        (SlotKind.KEY_FILE, SlotRole.FULL),
        (SlotKind.RECOVERY, SlotRole.FULL),
    ]
    assert [key.opened for key in found.keys] == [True, False]
    assert {key.made_ns for key in found.keys} == {kit.clock.now_ns()}
    assert (found.agents, found.unfinished, found.unreadable) == ([], [], [])


@pytest.mark.parametrize("role", SlotRole)
def test_an_added_key_opens_everything_that_was_there(
    kit: Kit, tmp_path: Path, role: SlotRole
) -> None:
    """What was backed up before is read with it; a full one backs up, a reader one does not."""
    snapshot = kit.backup(FILES).snapshot
    kit.clock.sleep(60)
    added = add_key(kit.open(), SECOND, role)
    other = with_secret(kit, tmp_path, SECOND)
    assert slot_of(other) == added
    assert other.restore(snapshot.id)[1] == FILES
    assert other.verify().damage == []
    (key,) = [key for key in list_keys(other.open()).keys if key.opened]
    assert (key.role, key.made_ns) == (role, kit.clock.now_ns())
    if role is SlotRole.FULL:
        assert other.backup(FILES).written.plain_bytes == 0
    else:
        with pytest.raises(KeyRefusedError, match="cannot write"):
            other.backup(FILES)


def test_every_kind_of_key_can_be_added(kit: Kit, tmp_path: Path) -> None:
    """A passphrase, a key file and a recovery key; each opens, and the first ones go on to."""
    secrets = [
        Secret(SlotKind.PASSPHRASE, b"correct horse"),
        SECOND,
        Secret(SlotKind.RECOVERY, noise(32, "recovery")),
    ]
    for secret in secrets:
        add_key(kit.open(), secret, SlotRole.FULL)
    for secret in [*secrets, SECRET]:
        assert with_secret(kit, tmp_path, secret).open().keyring.is_full
    assert len(ids(kit)) == 5


def test_a_removed_key_opens_nothing(kit: Kit, tmp_path: Path) -> None:
    """Its object is deleted; the others go on, and verify finds nothing wrong."""
    kit.backup(FILES)
    added = add_key(kit.open(), SECOND, SlotRole.FULL)
    removed = remove_key(kit.open(), added[:8])
    assert (removed.slot_id.hex(), removed.before, removed.kept) == (added, False, "")
    assert layout.slot(removed.slot_id) not in {i.key for i in kit.store.list(layout.SLOTS)}
    with pytest.raises(KeyRefusedError):
        with_secret(kit, tmp_path, SECOND).open()
    assert added not in ids(kit)
    result = kit.verify()
    assert result.damage == []
    assert [finding.subject for finding in result.findings if "slot" in finding.subject] == []


def test_a_key_of_init_can_be_removed(kit: Kit, tmp_path: Path) -> None:
    """Once another full key is there and opened the repository."""
    first = slot_of(kit)
    add_key(kit.open(), SECOND, SlotRole.FULL)
    other = with_secret(kit, tmp_path, SECOND)
    remove_key(other.open(), first)
    assert first not in ids(other)
    with pytest.raises(KeyRefusedError):
        kit.open()
    assert other.verify().damage == []


def test_the_key_that_opened_the_repository_stays(kit: Kit) -> None:
    """Whoever removes a key shows that another one works."""
    before = {info.key for info in kit.store.list("")}
    with pytest.raises(RefusedError, match="opened with") as refused:
        remove_key(kit.open(), slot_of(kit))
    assert "key add" in refused.value.hint
    assert {info.key for info in kit.store.list("")} == before


def test_the_last_full_key_stays(kit: Kit, tmp_path: Path) -> None:
    """A reader key, a damaged and a missing full one do not count as another full key."""
    add_key(kit.open(), SECOND, SlotRole.READER)
    recovery = next(key.id for key in list_keys(kit.open()).keys if key.kind is SlotKind.RECOVERY)
    repository = kit.open()
    key = layout.slot(bytes.fromhex(slot_of(kit)))
    data = kit.store.get(key)
    kit.store.delete(key)
    for spoilt in (None, data[:-1] + bytes([data[-1] ^ 1])):
        if spoilt is not None:
            kit.store.put(key, spoilt)
        with pytest.raises(RefusedError, match="last full key"):
            remove_key(repository, recovery)
    assert recovery in {key.id for key in list_keys(repository).keys}
    with pytest.raises(KeyRefusedError):
        remove_key(with_secret(kit, tmp_path, SECOND).open(), recovery)


def test_what_is_no_key_is_not_found(kit: Kit) -> None:
    """Neither another id, nor one digit, nor a key that is gone already."""
    added = add_key(kit.open(), SECOND, SlotRole.FULL)
    for text in ("00ff00ff", added[:1], ""):
        with pytest.raises(NotFoundError):
            remove_key(kit.open(), text)
    remove_key(kit.open(), added)
    with pytest.raises(NotFoundError, match="removed before"):
        remove_key(kit.open(), added)


def test_a_secret_that_opens_it_already_is_refused(kit: Kit) -> None:
    """Else a person would remove one of the two and take the secret for gone."""
    with pytest.raises(RefusedError, match="already") as refused:
        add_key(kit.open(), SECRET, SlotRole.READER)
    assert slot_of(kit)[:8] in refused.value.message
    assert len(ids(kit)) == 2


def test_no_more_keys_than_are_tried(kit: Kit, tmp_path: Path) -> None:
    """The last key that can be added opens the repository; the next is refused."""
    secrets = [Secret(SlotKind.KEY_FILE, noise(32, str(n))) for n in range(MAX_TRIED - 2)]
    for secret in secrets:
        add_key(kit.open(), secret, SlotRole.FULL)
    assert with_secret(kit, tmp_path, secrets[-1]).open().keyring.is_full
    with pytest.raises(RefusedError, match="no more are tried"):
        add_key(kit.open(), THIRD, SlotRole.FULL)


def test_two_hosts_that_remove_each_others_key_leave_one(kit: Kit, tmp_path: Path) -> None:
    """Between the look at what is left and the order, another host removes: one of them is told."""
    add_key(kit.open(), SECOND, SlotRole.FULL)
    rotate_keys(kit.open())
    other = with_secret(kit, tmp_path, SECOND)
    recovery = next(key.id for key in list_keys(kit.open()).keys if key.kind is SlotKind.RECOVERY)
    remove_key(kit.open(), recovery)
    mine, theirs = slot_of(kit), slot_of(other)
    hooked = HookedStore(kit.store)
    kit.store = hooked
    hooked.before("put", "orders/", lambda: remove_key(other.open(), mine))
    with pytest.raises(RefusedError, match="last full key"):
        remove_key(kit.open(), theirs)
    assert list(ids(other)) == [theirs]
    assert other.verify().damage == []


def test_two_hosts_that_remove_other_keys_both_succeed(kit: Kit, tmp_path: Path) -> None:
    """Whoever comes second takes the next number."""
    added = [add_key(kit.open(), secret, SlotRole.FULL) for secret in (SECOND, THIRD)]
    hooked = HookedStore(kit.store)
    other = Kit(kit.store, tmp_path / "other")
    kit.store = hooked
    hooked.before("put", "orders/", lambda: remove_key(other.open(), added[0]))
    remove_key(kit.open(), added[1])
    assert set(added).isdisjoint(ids(kit))
    assert other.verify().damage == []


def test_a_slot_whose_object_cannot_be_deleted_counts_no_more(kit: Kit, tmp_path: Path) -> None:
    """A store that forbids deletion keeps the object, which opens nothing; later it goes."""
    added = add_key(kit.open(), SECOND, SlotRole.FULL)
    sound = kit.store
    denied = Fault(FaultKind.ERROR_BEFORE, verbs=frozenset({"delete"}), times=99, error=StoreError)
    kit.store = FaultyStore(sound, Script(denied))
    removed = remove_key(kit.open(), added)
    assert removed.kept
    with pytest.raises(KeyRefusedError):
        with_secret(kit, tmp_path, SECOND).open()
    assert list_keys(kit.open()).unfinished == [added]
    kit.store = sound
    notes = [finding.text for finding in kit.verify().findings if "slot" in finding.subject]
    assert len(notes) == 1
    assert "removed" in notes[0]
    assert kit.verify().damage == []
    assert remove_key(kit.open(), added).before
    assert list_keys(kit.open()).unfinished == []


def test_a_lost_removal_is_damage_and_stops_changes(kit: Kit, tmp_path: Path) -> None:
    """Without the order nobody can say which keys there are: named by verify, exit 4 for changes.

    A host that remembers the order refuses everything; a new one still restores.
    """
    snapshot = kit.backup(FILES).snapshot
    for secret in (SECOND, THIRD):
        remove_key(kit.open(), add_key(kit.open(), secret, SlotRole.FULL))
    kit.store.delete(removal_key(kit.open().id, 1))
    new = Kit(kit.store, tmp_path / "new")
    assert new.restore(snapshot.id)[1] == FILES
    found = {finding.subject for finding in new.verify().damage}
    assert "orders/" in found
    with pytest.raises(DamageError):
        add_key(new.open(), SECOND, SlotRole.FULL)
    kit.store.delete(removal_key(kit.open().id, 2))
    with pytest.raises(RefusedError):
        kit.snapshots()


def test_a_damaged_order_is_told_of_and_stops_changes(kit: Kit) -> None:
    """A key that it may have added does not open; list says so, add and remove refuse."""
    add_key(kit.open(), SECOND, SlotRole.FULL)
    (key,) = [info.key for info in kit.store.list(layout.ORDERS)]
    data = kit.store.get(key)
    kit.store.delete(key)
    kit.store.put(key, data[:-1] + bytes([data[-1] ^ 1]))
    kit.backup(FILES)
    assert len(list_keys(kit.open()).unreadable) == 1
    for change in (
        lambda: add_key(kit.open(), THIRD, SlotRole.FULL),
        lambda: remove_key(kit.open(), slot_of(kit)),
    ):
        with pytest.raises(DamageError, match="orders/") as refused:
            change()
        assert refused.value.code == 4
    assert [finding.subject for finding in kit.verify().damage] == [key]


def test_backups_name_orders_and_notice_when_one_is_gone(kit: Kit) -> None:
    """An order is in the chain of heads: it cannot disappear unnoticed."""
    kit.backup(FILES)
    add_key(kit.open(), SECOND, SlotRole.READER)
    (key,) = [info.key for info in kit.store.list(layout.ORDERS)]
    last = kit.backup(FILES).snapshot
    commit = kit.open().log.read(last.key).commit
    assert commit is not None
    assert [head.key for head in commit.heads] == [key]
    kit.store.delete(key)
    for command in (kit.snapshots, lambda: kit.backup(FILES)):
        with pytest.raises(RefusedError, match=key):
            command()


def test_a_verify_beside_a_removal_finds_no_damage(kit: Kit, tmp_path: Path) -> None:
    """A slot that goes after the orders were listed is not missing."""
    added = add_key(kit.open(), SECOND, SlotRole.FULL)
    other = Kit(kit.store, tmp_path / "other")
    hooked = HookedStore(kit.store)
    kit.store = hooked
    repository = kit.open
    hooked.before("get", layout.slot(bytes.fromhex(added)), lambda: remove_key(other.open(), added))
    repository()
    assert kit.verify().damage == []


def test_other_hosts_go_on_after_a_change(kit: Kit, tmp_path: Path) -> None:
    """A host that knew the repository before takes no harm from keys that others change."""
    snapshot = kit.backup(FILES).snapshot
    other = Kit(kit.store, tmp_path / "other")
    other.snapshots()
    remove_key(kit.open(), add_key(kit.open(), SECOND, SlotRole.FULL))
    check_invariants(other, {snapshot.id: FILES})


def test_readers_and_strangers_change_no_keys(kit: Kit, tmp_path: Path) -> None:
    """A reader key lists the keys, and adds and removes none; nothing is stored."""
    add_key(kit.open(), SECOND, SlotRole.READER)
    reader = with_secret(kit, tmp_path, SECOND)
    before = {info.key for info in kit.store.list("")}
    assert len(ids(reader)) == 3
    for change in (
        lambda: add_key(reader.open(), THIRD, SlotRole.READER),
        lambda: remove_key(reader.open(), slot_of(kit)),
    ):
        with pytest.raises(KeyRefusedError) as refused:
            change()
        assert refused.value.code == 12
        assert "full key" in refused.value.hint
    assert {info.key for info in kit.store.list("")} == before


def test_the_recovery_key_of_init_adds_a_passphrase(tmp_path: Path) -> None:
    """Whoever lost the passphrase gets in with the recovery key, and makes another passphrase."""
    kit = Kit(MemoryStore(), tmp_path / "state")
    recovery = text_to_key(kit.init().created.recovery_key)
    kit.secrets = [Secret(SlotKind.RECOVERY, recovery)]
    passphrase = Secret(SlotKind.PASSPHRASE, b"a new one")
    add_key(kit.open(), passphrase, SlotRole.FULL)
    assert with_secret(kit, tmp_path, passphrase).open().keyring.is_full


def test_a_damaged_order_is_named_when_a_key_is_refused(kit: Kit, tmp_path: Path) -> None:
    """The key that a damaged order added is refused, and the order is told of."""
    add_key(kit.open(), SECOND, SlotRole.FULL)
    (key,) = [info.key for info in kit.store.list(layout.ORDERS)]
    kit.store.delete(key)
    kit.store.put(key, b"rubbish")
    other = with_secret(kit, tmp_path, SECOND)
    with pytest.raises(StrongroomError) as refused:
        other.open()
    assert refused.value.code == 12
    kit.snapshots()
    assert any(isinstance(e, Notice) and key in e.text for e in kit.events)
