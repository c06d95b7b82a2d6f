"""Epochs: who reads what is stored after the keys were rotated, and what two hosts do at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.crypto.primitives import agreement_public_key
from strongroom.errors import DamageError, FencedError, KeyRefusedError, RefusedError
from strongroom.operations.keys import add_key, list_keys, remove_key, revoke_agent, rotate_keys
from strongroom.repository import layout
from strongroom.repository.epochs import seal_epoch
from strongroom.repository.keyrecords import Epoch
from strongroom.repository.opening import read_config, read_slot
from strongroom.repository.orders import OrderWriter
from strongroom.repository.payloads import epoch_key
from strongroom.repository.records import EpochSecret, OrderKind, SlotKind, SlotRole
from strongroom.repository.slots import Secret
from tests.support.agents import agent_host
from tests.support.hooks import HookedStore
from tests.support.invariants import check_invariants
from tests.support.kit import SECRET, Kit
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B3")

BEFORE = {b"a": b"before"}
AFTER = {b"a": b"after", b"b": noise(3000, "after")}
READER = Secret(SlotKind.KEY_FILE, noise(32, "reader"))
FULL = Secret(SlotKind.KEY_FILE, noise(32, "full"))


def host(kit: Kit, folder: Path, secret: Secret) -> Kit:
    """Return another host with another key."""
    other = Kit(kit.store, folder / secret.value.hex()[:8])
    other.secrets = [secret]
    return other


def test_every_key_reads_what_came_before_and_after(kit: Kit, tmp_path: Path) -> None:
    """The full, the reader and one that is added later; what is new is sealed to the new key."""
    add_key(kit.open(), READER, SlotRole.READER)
    first = kit.backup(BEFORE).snapshot
    assert rotate_keys(kit.open()) == (2, 3)
    second = kit.backup(AFTER).snapshot
    assert rotate_keys(kit.open()).epoch == 3
    add_key(kit.open(), FULL, SlotRole.FULL)
    third = kit.backup(BEFORE | AFTER).snapshot
    epochs = [c.commit.epoch for c in kit.open().read_history().decisions if c.commit]
    assert sorted(epochs) == [1, 2, 3]
    for secret in (SECRET, READER, FULL):
        other = host(kit, tmp_path, secret)
        assert other.restore(first.id)[1] == BEFORE
        assert other.restore(second.id)[1] == AFTER
        assert other.restore(third.id)[1] == BEFORE | AFTER
        assert other.verify().findings == []
        assert list_keys(other.open()).epoch == 3
    check_invariants(kit, {first.id: BEFORE, second.id: AFTER, third.id: BEFORE | AFTER})


def test_a_removed_key_does_not_read_what_comes_later(kit: Kit, tmp_path: Path) -> None:
    """Also with its slot, of which it has a copy, and with every object of the store."""
    key_id = add_key(kit.open(), READER, SlotRole.READER)
    slot = layout.slot(bytes.fromhex(key_id))
    data = kit.store.get(slot)
    thief = host(kit, tmp_path, READER)
    bundle = thief.open().keyring
    remove_key(kit.open(), key_id)
    rotate_keys(kit.open())
    kit.backup(AFTER)
    kit.store.put(slot, data)
    with pytest.raises(KeyRefusedError):
        thief.open()
    (commit,) = [one.commit for one in kit.open().read_history().decisions if one.commit]
    sealed = (commit.domain_id, commit.epoch, commit.sealed_session_key)
    with pytest.raises(DamageError, match="epoch 2"):
        bundle.session_secret(*sealed, "a commit")


def test_an_agent_goes_over_with_its_next_backup(kit: Kit, tmp_path: Path) -> None:
    """It seals to the new key without having seen any secret of it."""
    agent = agent_host(kit, tmp_path)
    agent.backup(BEFORE)
    rotate_keys(kit.open())
    second = agent.backup(AFTER).snapshot
    commits = [one.commit for one in kit.open().read_history().decisions if one.commit]
    assert sorted(commit.epoch for commit in commits) == [1, 2]
    assert kit.restore(second.id)[1] == AFTER
    with pytest.raises(KeyRefusedError):
        rotate_keys(agent.open())


def test_a_reader_key_rotates_nothing(kit: Kit, tmp_path: Path) -> None:
    """It is refused, and nothing is stored."""
    add_key(kit.open(), READER, SlotRole.READER)
    before = {info.key for info in kit.store.list("")}
    with pytest.raises(KeyRefusedError):
        rotate_keys(host(kit, tmp_path, READER).open())
    assert {info.key for info in kit.store.list("")} == before


def test_a_collector_packs_anew_for_the_new_epoch(kit: Kit) -> None:
    """What it writes is sealed to the new key, and everything is restored."""
    first = kit.backup({b"a": noise(4000, "gone"), b"b": noise(4000, "stays")}).snapshot
    kept = kit.backup({b"b": noise(4000, "stays")}).snapshot
    rotate_keys(kit.open())
    kit.forget(first.id)
    kit.prune(max_unused=0.0)
    assert kit.restore(kept.id)[1] == {b"b": noise(4000, "stays")}
    assert kit.verify().damage == []


def test_two_hosts_that_rotate_at_once(kit: Kit, tmp_path: Path) -> None:
    """The second learns that the first was faster; nothing is sealed to a key that nobody has."""
    add_key(kit.open(), FULL, SlotRole.FULL)
    other = host(kit, tmp_path, FULL)
    hooked = HookedStore(kit.store)
    kit.store = hooked
    hooked.before("put", "orders/", lambda: rotate_keys(other.open()))
    with pytest.raises(FencedError, match="rotated"):
        rotate_keys(kit.open())
    snapshot = kit.backup(AFTER).snapshot
    assert other.restore(snapshot.id)[1] == AFTER
    assert list_keys(kit.open()).epoch == 2


def test_a_key_that_is_added_while_keys_are_rotated(kit: Kit, tmp_path: Path) -> None:
    """Whoever rotates looks at the slots again, and begins another epoch for the one that came."""
    other = Kit(kit.store, tmp_path / "other")
    hooked = HookedStore(kit.store)
    kit.store = hooked
    hooked.before("put", "orders/", lambda: add_key(other.open(), READER, SlotRole.READER))
    assert rotate_keys(kit.open()).epoch == 3
    snapshot = kit.backup(AFTER).snapshot
    assert host(kit, tmp_path, READER).restore(snapshot.id)[1] == AFTER


def test_a_key_that_is_removed_while_keys_are_rotated(kit: Kit, tmp_path: Path) -> None:
    """The epoch that its holder can read is followed by one that he cannot."""
    key_id = add_key(kit.open(), READER, SlotRole.READER)
    other = Kit(kit.store, tmp_path / "other")
    hooked = HookedStore(kit.store)
    kit.store = hooked
    hooked.before("put", "orders/", lambda: remove_key(other.open(), key_id))
    assert rotate_keys(kit.open()) == (3, 2)


def test_keys_that_are_rotated_while_one_is_added(kit: Kit, tmp_path: Path) -> None:
    """Whoever adds one that missed the new epoch takes it away again, and says so."""
    add_key(kit.open(), FULL, SlotRole.FULL)
    other = host(kit, tmp_path, FULL)
    hooked = HookedStore(kit.store)
    kit.store = hooked
    hooked.before("put", "slots/", lambda: rotate_keys(other.open()))
    with pytest.raises(FencedError, match="rotated") as fenced:
        add_key(kit.open(), READER, SlotRole.READER)
    assert fenced.value.code == 11
    assert "taken away" in fenced.value.hint
    assert len(list_keys(kit.open()).keys) == 3
    add_key(kit.open(), READER, SlotRole.READER)
    snapshot = kit.backup(AFTER).snapshot
    assert host(kit, tmp_path, READER).restore(snapshot.id)[1] == AFTER


def test_a_key_that_missed_an_epoch_says_so_and_gets_it_with_the_next(
    kit: Kit, tmp_path: Path
) -> None:
    """Both hosts stopped before they looked again: it reads what is older, decides nothing, and
    the next rotation gives it all epochs.
    """
    old = kit.backup(BEFORE).snapshot
    add_key(kit.open(), FULL, SlotRole.FULL)
    repository = kit.open()
    config = repository.config._replace(slots=repository.read_slots(lambda *_: None).digests)
    publics = {
        one: read_slot(kit.store, config, one).public_key
        for one in list(config.slots)[:2]  # without the one that was added
    }
    secrets = (*repository.keyring.reader_keys.secrets, EpochSecret(2, noise(32, "two")))
    writer = OrderWriter(kit.store, repository.keyring, kit.clock)
    payload = seal_epoch(repository.id, secrets, publics)
    writer.put(epoch_key(repository.id, 2), OrderKind.EPOCH, payload, ())
    new = kit.backup(AFTER).snapshot
    behind = host(kit, tmp_path, FULL)
    assert behind.restore(old.id)[1] == BEFORE
    assert any("key epoch 2" in str(event) for event in behind.events)
    assert new.id not in {one.id for one in behind.snapshots()}
    for change in (
        lambda: add_key(behind.open(), READER, SlotRole.READER),
        lambda: rotate_keys(behind.open()),
        behind.prune,
    ):
        with pytest.raises(KeyRefusedError, match="epoch 2"):
            change()
    with pytest.raises(KeyRefusedError, match="epoch 2") as refused:
        behind.backup(BEFORE | AFTER)  # which it could not read itself
    assert "another full key" in refused.value.hint
    rotate_keys(kit.open())
    late = behind.backup(BEFORE | AFTER).snapshot
    assert kit.restore(late.id)[1] == BEFORE | AFTER
    assert behind.restore(new.id)[1] == AFTER
    assert behind.verify().findings == []


class StoppedError(Exception):
    """A process ends here."""


def _stop() -> None:
    raise StoppedError


def _others(kit: Kit) -> list[str]:
    """Return the ids of all keys but the one that a host opens the repository with."""
    return [key.id for key in list_keys(kit.open()).keys if not key.opened]


def test_a_rotation_on_its_way_always_reaches_a_full_key_that_is_left(
    kit: Kit, tmp_path: Path
) -> None:
    """While its order is on its way another host adds a key and removes the others with it: the
    last one that the order is sealed to stays, and mends what its host left half done.
    """
    newer = host(kit, tmp_path, FULL)
    kept: list[str] = []

    def meanwhile() -> None:
        add_key(Kit(newer.store, tmp_path / "adding").open(), FULL, SlotRole.FULL)
        recovery, first = sorted(_others(newer), key=lambda one: one == opened)
        remove_key(newer.open(), recovery)
        with pytest.raises(RefusedError, match="last rotated") as refused:
            remove_key(newer.open(), first)
        assert "key rotate" in refused.value.hint
        kept.append(first)

    opened = next(key.id for key in list_keys(kit.open()).keys if key.opened)
    hooked = HookedStore(kit.store)
    hooked.before("put", "orders/", meanwhile)
    hooked.after("put", "orders/", _stop)
    with pytest.raises(StoppedError):
        rotate_keys(Kit(hooked, tmp_path / "stopped").open())
    assert kept == [opened]
    for act in (
        lambda: newer.backup(AFTER),
        lambda: rotate_keys(newer.open()),
        lambda: remove_key(newer.open(), opened),
    ):
        with pytest.raises(KeyRefusedError, match="epoch 2"):
            act()
    between = kit.backup(BEFORE).snapshot
    assert rotate_keys(kit.open()) == (3, 2)
    remove_key(newer.open(), opened)
    after = newer.backup(AFTER).snapshot
    check_invariants(newer, {between.id: BEFORE, after.id: AFTER})


def test_a_key_that_was_added_removes_all_others_once_it_rotated(kit: Kit, tmp_path: Path) -> None:
    """The number of the epoch that another host is about to begin is taken then."""
    newer = host(kit, tmp_path, FULL)

    def meanwhile() -> None:
        add_key(Kit(newer.store, tmp_path / "adding").open(), FULL, SlotRole.FULL)
        rotate_keys(newer.open())
        for other in _others(newer):
            remove_key(newer.open(), other)

    hooked = HookedStore(kit.store)
    hooked.before("put", "orders/", meanwhile)
    with pytest.raises(FencedError, match="rotated"):
        rotate_keys(Kit(hooked, tmp_path / "late").open())
    snapshot = newer.backup(AFTER).snapshot
    check_invariants(newer, {snapshot.id: AFTER})


def test_a_damaged_key_is_removed_though_it_is_the_last_that_was_rotated_to(
    kit: Kit, tmp_path: Path
) -> None:
    """Nobody opens it any more; a rotation, which it stops, would be no way out."""
    add_key(kit.open(), FULL, SlotRole.FULL)
    left = host(kit, tmp_path, FULL)
    first, last = _others(left)
    remove_key(left.open(), first)
    kit.store.delete(layout.slot(bytes.fromhex(last)))
    with pytest.raises(DamageError):
        rotate_keys(left.open())
    remove_key(left.open(), last)
    assert rotate_keys(left.open()) == (2, 1)


def _remove_at_once(kit: Kit, removed: list[str]) -> None:
    """Put the orders that remove keys, whichever they are, as a host does that checks less."""
    writer = OrderWriter(kit.store, kit.open().keyring, kit.clock)
    for number, slot_id in enumerate(removed, 1):
        writer.remove_slot(bytes.fromhex(slot_id), number, ())


def _epoch_of(kit: Kit, slots: list[str]) -> Epoch:
    """Return an epoch 2 that is sealed to some slots only."""
    repository = kit.open()
    ids = [bytes.fromhex(one) for one in slots]
    publics = {one: read_slot(kit.store, repository.config, one).public_key for one in ids}
    secrets = (*repository.keyring.reader_keys.secrets, EpochSecret(2, noise(32, "two")))
    return seal_epoch(repository.id, secrets, publics)


def test_nobody_backs_up_to_an_epoch_that_no_key_reads(kit: Kit, tmp_path: Path) -> None:
    """Neither a full key nor an agent says that anything is saved, until the key that is left has
    begun another epoch.
    """
    agent = agent_host(kit, tmp_path)
    first = agent.backup(BEFORE).snapshot
    add_key(kit.open(), FULL, SlotRole.FULL)
    left = host(kit, tmp_path, FULL)
    gone = _others(left)
    late = _epoch_of(kit, gone)
    writer = OrderWriter(kit.store, kit.open().keyring, kit.clock)
    _remove_at_once(kit, gone)
    writer.put(epoch_key(left.open().id, 2), OrderKind.EPOCH, late, ())
    before = {info.key for info in kit.store.list("")}
    for one in (left, agent):
        with pytest.raises(KeyRefusedError, match="epoch 2 was sealed to no key") as refused:
            one.backup(AFTER)
        assert "key rotate" in refused.value.hint
    assert any("key epoch 2" in str(event) for event in left.events)
    assert {info.key for info in kit.store.list("")} == before
    add_key(left.open(), READER, SlotRole.READER)
    assert rotate_keys(left.open()) == (3, 2)
    own, other = left.backup(AFTER).snapshot, agent.backup(AFTER).snapshot
    reader = host(kit, tmp_path, READER)
    for snapshot, files in ((first, BEFORE), (own, AFTER), (other, AFTER)):
        assert reader.restore(snapshot.id)[1] == files
    check_invariants(left, {first.id: BEFORE, own.id: AFTER, other.id: AFTER})


def test_an_epoch_whose_slots_are_gone_is_kept_to_by_who_has_its_secret(
    kit: Kit, tmp_path: Path
) -> None:
    """Nothing is sealed to an older one, which a removed key reads. An agent cannot know, and
    waits for the next epoch.
    """
    agent = agent_host(kit, tmp_path)
    rotate_keys(kit.open())
    add_key(kit.open(), FULL, SlotRole.FULL)
    left = host(kit, tmp_path, FULL)
    _remove_at_once(left, _others(left))
    snapshot = left.backup(AFTER).snapshot
    (commit,) = [one.commit for one in left.open().read_history().decisions if one.commit]
    assert commit.epoch == 2
    with pytest.raises(KeyRefusedError, match="epoch 2"):
        agent.backup(BEFORE)
    assert rotate_keys(left.open()) == (3, 1)
    second = agent.backup(BEFORE).snapshot
    check_invariants(left, {snapshot.id: AFTER, second.id: BEFORE})


def test_keys_that_are_rotated_before_one_is_removed(kit: Kit, tmp_path: Path) -> None:
    """A process that opened the repository before removes none, and adds none."""
    key_id = add_key(kit.open(), READER, SlotRole.READER)
    old = kit.open()
    again = kit.open()
    rotate_keys(Kit(kit.store, tmp_path / "other").open())
    with pytest.raises(FencedError, match="rotated") as fenced:
        remove_key(old, key_id)
    assert "Nothing was removed" in fenced.value.hint
    with pytest.raises(FencedError, match="rotated"):
        add_key(again, FULL, SlotRole.FULL)
    assert len(list_keys(kit.open()).keys) == 3
    remove_key(kit.open(), key_id)


def test_keys_that_are_rotated_while_one_is_removed(kit: Kit, tmp_path: Path) -> None:
    """Whoever removes it looks again, and says what to do: the key may read the new epoch."""
    key_id = add_key(kit.open(), READER, SlotRole.READER)
    other = Kit(kit.store, tmp_path / "other")
    hooked = HookedStore(kit.store)
    hooked.before("put", "orders/", lambda: rotate_keys(other.open()))
    with pytest.raises(FencedError, match="rotated") as fenced:
        remove_key(Kit(hooked, tmp_path / "removing").open(), key_id)
    assert fenced.value.code == 11
    assert "key rotate" in fenced.value.hint
    assert key_id not in {key.id for key in list_keys(kit.open()).keys}
    assert rotate_keys(kit.open()) == (3, 2)


def test_a_damaged_slot_is_shut_out_by_nobody(kit: Kit) -> None:
    """A slot whose public key cannot be read stops a rotation, with what to do."""
    recovery = next(k.id for k in list_keys(kit.open()).keys if k.kind is SlotKind.RECOVERY)
    repository = kit.open()
    kit.store.delete(layout.slot(bytes.fromhex(recovery)))
    with pytest.raises(DamageError) as damage:
        rotate_keys(repository)
    assert "key remove" in damage.value.hint
    remove_key(kit.open(), recovery)
    assert rotate_keys(kit.open()) == (2, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"number": 1}, {"number": 3}, {"number": 1 << 32}, {"reader_key": b"x"}, {"sealed": ()},
    ],
    ids=str,
)  # fmt: skip
def test_an_order_that_begins_no_epoch_is_damage(kit: Kit, change: dict[str, object]) -> None:
    """Its number, which its key follows from, its public key and its slots are checked."""
    repository = kit.open()
    config = read_config(kit.store)
    publics = {one: read_slot(kit.store, config, one).public_key for one in config.slots}
    good = seal_epoch(repository.id, (EpochSecret(2, noise(32)),), publics)
    assert good.reader_key == agreement_public_key(noise(32))
    parts = {"number": good.number, "reader_key": good.reader_key, "sealed": good.sealed}
    bad = Epoch(**(parts | change))  # type: ignore[arg-type]
    writer = OrderWriter(kit.store, repository.keyring, kit.clock)
    writer.put(epoch_key(repository.id, 2), OrderKind.EPOCH, bad, ())
    assert [one.subject for one in kit.verify().damage] == [epoch_key(repository.id, 2)]


def test_an_epoch_that_opens_to_something_else_is_left_out(kit: Kit, tmp_path: Path) -> None:
    """A secret that does not fit the public key of its epoch is not used."""
    repository = kit.open()
    config = read_config(kit.store)
    publics = {one: read_slot(kit.store, config, one).public_key for one in config.slots}
    sealed = seal_epoch(repository.id, (EpochSecret(2, noise(32, "sealed")),), publics).sealed
    lie = Epoch(2, agreement_public_key(noise(32, "said")), sealed)
    writer = OrderWriter(kit.store, repository.keyring, kit.clock)
    writer.put(epoch_key(repository.id, 2), OrderKind.EPOCH, lie, ())
    with pytest.raises(KeyRefusedError, match="epoch 2"):
        rotate_keys(Kit(kit.store, tmp_path / "other").open())


def test_revoking_and_rotating_go_together(kit: Kit, tmp_path: Path) -> None:
    """A repository with both orders is read, verified and collected."""
    agent = agent_host(kit, tmp_path)
    first = agent.backup(BEFORE).snapshot
    rotate_keys(kit.open())
    revoke_agent(kit.open(), "web1")
    second = kit.backup(AFTER).snapshot
    kit.prune()
    check_invariants(kit, {first.id: BEFORE, second.id: AFTER})
