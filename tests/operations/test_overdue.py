"""Every byte is read again in time: what was read is noted, and what is overdue comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.operations.verify import Overdue, overdue, verify_and_note
from strongroom.repository import layout
from strongroom.repository.canonical import encode
from strongroom.repository.collection.removing import drop_old_ledgers
from strongroom.repository.envelope import Kind, wrap
from strongroom.repository.ledger import Read, last_read, read_ledgers, superfluous
from strongroom.repository.records import LedgerBody
from strongroom.storage.memory import MemoryStore
from tests.support.agents import agent_host
from tests.support.kit import Kit
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B7")

DAY_NS = 86_400 * 1_000_000_000
A, B, C = (bytes([n]) * 32 for n in (1, 2, 3))


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """A host with four packs on a store that has its clock."""
    made = Kit(MemoryStore(), tmp_path)
    made.store = MemoryStore(clock=made.clock)
    made.init()
    for number in range(4):
        made.backup({b"own": noise(20_000, f"{number}")})
    return made


def read_now(kit: Kit, days: int, budget: int | None = None) -> tuple[int, int]:
    """Read what is overdue; how many packs were read, and how many are overdue still."""
    repository = kit.open()
    choice = overdue(repository, days * DAY_NS, budget)
    found = verify_and_note(repository, choice, None, read_data=False)
    assert (found.result.damage, found.unnoted) == ([], "")
    return found.result.packs_read, choice.left


def test_every_pack_is_read_within_the_time(kit: Kit) -> None:
    """With a budget for one pack a day, all are read after as many days, and then from the start;
    nothing is read before it is due.
    """
    assert read_now(kit, 10, budget=1) == (1, 3)
    for left in (2, 1, 0):
        kit.clock.sleep(86_400)
        assert read_now(kit, 10, budget=1) == (1, left)
    assert read_now(kit, 10) == (0, 0)
    kit.clock.sleep(7 * 86_400 + 1)
    assert read_now(kit, 10) == (1, 0)
    kit.clock.sleep(86_400)
    assert read_now(kit, 10) == (1, 0)


def test_what_was_never_read_comes_first() -> None:
    """Then what was not read for the longest; the budget ends with the pack that uses it up."""
    choice = Overdue({A: 10, B: 5}, since_ns=100, budget=150)
    assert choice([(A, 100), (B, 100), (C, 100)]) == [C, B]
    assert (choice.left, choice.bytes_left) == (1, 100)
    assert Overdue({A: 100, B: 99}, 100, None)([(A, 1), (B, 1)]) == [B]


def test_a_damaged_pack_stays_overdue(kit: Kit) -> None:
    """What was read and was not good is noted so, and read again the next time."""
    pack = next(info.key for info in kit.store.list(layout.PACKS))
    data = kit.store.get(pack)
    kit.store.delete(pack)
    kit.store.put(pack, data[:-1] + bytes([data[-1] ^ 1]))
    repository = kit.open()
    found = verify_and_note(repository, None, None, read_data=True)
    assert pack in {finding.subject for finding in found.result.damage}
    assert len(last_read(read_ledgers(kit.open()))) == 3
    choice = overdue(kit.open(), 30 * DAY_NS, None)
    packs = sorted((layout.pack_id(i.key) or b"", i.size) for i in kit.store.list(layout.PACKS))
    assert [layout.pack(name) for name in choice(packs)] == [pack]


def test_ledgers_that_say_nothing_new_go() -> None:
    """A ledger stays while it is the latest word on a pack that is there."""
    old, new = Read("ledger/a", 1, (A, B)), Read("ledger/b", 2, (A, C))
    assert superfluous([old, new], {A, B, C}) == []
    assert superfluous([old, new], {A, C}) == ["ledger/a"]
    assert superfluous([old, new], {B}) == ["ledger/b"]
    twice = Read("ledger/c", 2, (A, C))
    assert superfluous([old, new, twice], {A, B, C}) == ["ledger/c"]


def test_a_collection_drops_them(kit: Kit) -> None:
    """After two complete checks one ledger is left, and it says the same."""
    for _ in range(2):
        kit.clock.sleep(60)
        verify_and_note(kit.open(), None, None, read_data=True)
    before = last_read(read_ledgers(kit.open()))
    assert len(list(kit.store.list(layout.LEDGER))) == 2
    drop_old_ledgers(kit.open())
    assert len(list(kit.store.list(layout.LEDGER))) == 1
    assert last_read(read_ledgers(kit.open())) == before
    assert kit.verify().damage == []


def test_only_full_keys_are_believed(kit: Kit, tmp_path: Path) -> None:
    """An agent reads nothing, so what it says of reading is damage that is told of, and no more."""
    thief = agent_host(kit, tmp_path / "thief").open()
    identity = thief.keyring.writer()
    body = encode(LedgerBody(identity.id, kit.clock.now_ns(), A, b"\0"))
    key = layout.ledger(bytes(16))
    kit.store.put(key, wrap(Kind.LEDGER, thief.id, key, body, identity.sign))
    repository = kit.open()
    assert read_ledgers(repository) == []
    assert any("it does not count" in str(event) for event in kit.events)
