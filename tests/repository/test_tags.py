"""Tags come and go by order: nothing is lost between hosts, at a crash, or by damage."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import KeyRefusedError, NoRepositoryError, RefusedError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations.keys import add_key
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.records import OrderBody, SlotKind, SlotRole
from strongroom.repository.slots import Secret
from strongroom.repository.tagging import TagEdit, TagPlan, plan_tags, put_tags
from strongroom.storage.memory import MemoryStore
from tests.support.hooks import HookedStore
from tests.support.invariants import check_invariants
from tests.support.kit import Kit
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B1")

READER = Secret(SlotKind.KEY_FILE, noise(32, "reader"))
FILES = {b"a": b"1"}


def edit(*add: bytes, remove: tuple[bytes, ...] = ()) -> TagEdit:
    """Return an edit that adds and removes."""
    return TagEdit(frozenset(add), frozenset(remove))


def exactly(*tags: bytes) -> TagEdit:
    """Return an edit after which there are these tags."""
    return TagEdit(exactly=frozenset(tags))


def retag(kit: Kit, wanted: TagEdit, *ids: str) -> TagPlan:
    """Change the tags of snapshots; of all if none is named."""
    repository = kit.open()
    listing = repository.list_snapshots()
    found = [one for one in listing.found if not ids or one.id in ids]
    plan = plan_tags(found, listing.additions, wanted)
    put_tags(repository, listing, plan)
    return plan


def tags(kit: Kit) -> list[tuple[bytes, ...]]:
    """Return the tags of each snapshot, oldest first."""
    return [listed.snapshot.tags for listed in kit.snapshots()]


def orders(kit: Kit) -> list[str]:
    """Return the keys of all orders."""
    return [info.key for info in kit.store.list(layout.ORDERS)]


def saved(kit: Kit) -> ListedSnapshot:
    """Make a snapshot without a tag."""
    return kit.backup(FILES).snapshot


def test_tags_are_added_removed_and_set(kit: Kit) -> None:
    """Each change is one order for all its snapshots; a change of nothing is none."""
    one, two = saved(kit).id, saved(kit).id
    assert [c.after for c in retag(kit, edit(b"y", b"x")).changed] == [(b"x", b"y")] * 2
    retag(kit, edit(b"z", remove=(b"x", b"none")), two)
    assert tags(kit) == [(b"x", b"y"), (b"y", b"z")]
    retag(kit, exactly(b"y", b"q"))
    assert tags(kit) == [(b"q", b"y")] * 2
    assert len(orders(kit)) == 3
    assert retag(kit, exactly(b"q", b"y")).changed == []
    assert retag(kit, edit(b"q", remove=(b"z",)), one).changed == []
    assert len(orders(kit)) == 3
    retag(kit, exactly())
    retag(kit, edit(b"y"), one)
    assert tags(kit) == [(b"y",), ()]
    check_invariants(kit, {one: FILES, two: FILES})


edits = st.tuples(
    st.sets(st.sampled_from([b"a", b"b", b"c"])), st.sets(st.sampled_from([b"a", b"b", b"c"]))
)


@settings(max_examples=20, deadline=None)
@given(changes=st.lists(edits, max_size=5))
def test_any_changes_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[set[bytes], set[bytes]]]
) -> None:
    """One host after the other: what is removed is gone, what is added is there."""
    kit = Kit(MemoryStore(), tmp_path_factory.mktemp("state"))
    kit.init()
    saved(kit)
    expected: set[bytes] = set()
    for add, remove in changes:
        retag(kit, TagEdit(frozenset(add - remove), frozenset(remove)))
        expected = (expected - remove) | (add - remove)
        assert set(tags(kit)[0]) == expected


@pytest.mark.parametrize(
    ("first", "second", "after"),
    [
        (edit(b"x"), edit(b"y"), {b"was", b"x", b"y"}),
        (edit(b"x"), edit(b"x"), {b"was", b"x"}),
        (edit(b"x", remove=(b"was",)), edit(remove=(b"was",)), {b"x"}),
        (edit(b"new", remove=(b"was",)), exactly(b"y"), {b"new", b"y"}),
        (exactly(b"x"), exactly(b"y"), {b"x", b"y"}),
        (exactly(), edit(b"y"), {b"y"}),
    ],
)
def test_two_hosts_at_once_lose_nothing(
    tmp_path: Path, first: TagEdit, second: TagEdit, after: set[bytes]
) -> None:
    """While one host is about to put its order another one puts its own: both hold."""
    for one, two in itertools.permutations((first, second)):
        folder = tmp_path / str(one is first)
        hooked = HookedStore(MemoryStore())
        kit, other = Kit(hooked, folder / "one"), Kit(hooked, folder / "two")
        kit.init()
        saved(kit)
        retag(kit, edit(b"was"))
        hooked.before("put", layout.ORDERS, lambda other=other, two=two: retag(other, two))  # type: ignore[misc]
        retag(kit, one)
        assert set(tags(kit)[0]) == set(tags(other)[0]) == after
        assert kit.verify().damage == []


def test_a_removal_of_what_was_seen_keeps_what_comes_later(kit: Kit) -> None:
    """A tag that was removed can be added again, and again be removed."""
    saved(kit)
    for _ in range(3):
        retag(kit, edit(b"x"))
        assert tags(kit) == [(b"x",)]
        retag(kit, edit(remove=(b"x",)))
        assert tags(kit) == [()]


def test_a_reader_changes_nothing(kit: Kit, tmp_path: Path) -> None:
    """Only a full key signs orders; a reader sees the tags."""
    saved(kit)
    retag(kit, edit(b"x"))
    add_key(kit.open(), READER, SlotRole.READER)
    before = orders(kit)
    reader = Kit(kit.store, tmp_path / "reader")
    reader.secrets = [READER]
    assert tags(reader) == [(b"x",)]
    with pytest.raises(KeyRefusedError):
        retag(reader, edit(b"y"))
    assert orders(kit) == before


def replace(kit: Kit, key: str, data: bytes | None) -> None:
    """Put other bytes where an object is."""
    kit.store.delete(key)
    if data is not None:
        kit.store.put(key, data)


def test_a_damaged_order_changes_nothing_and_is_told_of(kit: Kit, tmp_path: Path) -> None:
    """One whose bytes changed: other commands go on with a warning, verify calls it damage."""
    listed = saved(kit)
    retag(kit, edit(b"x"))
    (key,) = orders(kit)
    data = bytearray(kit.store.get(key))
    data[60] ^= 1
    replace(kit, key, bytes(data))
    host = Kit(kit.store, tmp_path / "new")
    assert tags(host) == [()]
    assert any("damaged" in str(event) for event in host.events)
    assert {finding.subject for finding in host.verify().damage} == {key}
    assert host.restore(listed.id)[1] == FILES


def test_a_sealed_part_that_does_not_open_is_damage(kit: Kit) -> None:
    """An order that admin signed, and whose sealed part is another one's, is found."""
    saved(kit)
    retag(kit, edit(b"x"))
    repository = kit.open()
    (order,) = repository.read_history().orders
    key = layout.order(bytes(16))
    body = OrderBody(3, 0, (), order.body.payload, order.body.sealed)
    admin = repository.keyring.admin_signer()
    kit.store.put(key, wrap(Kind.ORDER, repository.id, key, encode(body), admin.sign))
    assert tags(kit) == [(b"x",)]
    assert any("tags that it changed" in str(event) for event in kit.events)
    assert [finding.subject for finding in kit.verify().damage] == [key]


@pytest.mark.parametrize("payload", [[], [[], b"", 0, b"", b"", b""], 5])
def test_an_order_that_names_no_snapshot_is_damage(kit: Kit, payload: object) -> None:
    """A payload that a tag cannot have is damage to that order."""
    saved(kit)
    repository = kit.open()
    key = layout.order(bytes(16))
    body = OrderBody(3, 0, (), encode(payload), b"")
    admin = repository.keyring.admin_signer()
    kit.store.put(key, wrap(Kind.ORDER, repository.id, key, encode(body), admin.sign))
    assert tags(kit) == [()]
    assert [finding.subject for finding in kit.verify().damage] == [key]


def test_an_order_of_a_newer_kind_is_refused(kit: Kit) -> None:
    """A kind that is not known stops every command, so that nothing is misunderstood."""
    saved(kit)
    repository = kit.open()
    key = layout.order(bytes(16))
    body = OrderBody(200, 0, (), b"", b"")
    admin = repository.keyring.admin_signer()
    kit.store.put(key, wrap(Kind.ORDER, repository.id, key, encode(body), admin.sign))
    with pytest.raises(NoRepositoryError):
        retag(kit, edit(b"x"))


def test_a_removed_order_is_noticed(kit: Kit) -> None:
    """A host that saw an order, and a commit that names it, tell when it is gone."""
    saved(kit)
    retag(kit, edit(b"x"))
    (key,) = orders(kit)
    replace(kit, key, None)
    with pytest.raises(RefusedError, match="gone"):
        kit.snapshots()


def test_an_order_for_a_snapshot_that_is_not_there_is_ignored(kit: Kit) -> None:
    """Tags of what is gone are nobody's."""
    one = saved(kit)
    saved(kit)
    retag(kit, edit(b"x"))
    host = Kit(kit.store, kit.state_path / "new")
    replace(kit, one.key, None)
    assert [snapshot.tags for snapshot in (s.snapshot for s in host.snapshots())] == [(b"x",)]


def test_snapshots_stay_in_order_across_an_order(kit: Kit) -> None:
    """A snapshot that was made after an order comes after those that the order had seen."""
    first = saved(kit).id
    retag(kit, edit(b"x"))
    kit.clock.sleep(-1_000_000)  # this host's clock is set back
    second = saved(kit).id
    assert [listed.id for listed in kit.snapshots()] == [first, second]
