"""The repository in which everything has happened is read for ever, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from strongroom.repository import layout
from strongroom.repository.records import OrderKind
from strongroom.storage.memory import MemoryStore
from tests.museum.make_collected import FOLDER, FORGOTTEN, LISTED
from tests.support.invariants import check_nothing_left
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B4", "B6")


@pytest.fixture(name="kit")
def _kit(tmp_path: Path) -> Kit:
    kit = Kit(MemoryStore(), tmp_path)
    kit.store = MemoryStore(clock=kit.clock)
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            kit.store.put(path.relative_to(FOLDER).as_posix(), path.read_bytes())
    return kit


def test_it_holds_what_it_should_show(kit: Kit) -> None:
    """Orders of every kind, two runs that ended and one that did not, an agent, and a ledger."""
    kinds = {order.body.kind for order in kit.open().read_history().orders}
    assert kinds >= {
        OrderKind.FORGET,
        OrderKind.RELEASE,
        OrderKind.ORIGINS,
        OrderKind.QUARANTINE,
        OrderKind.VOID,
        OrderKind.ALLOW_EMPTY,
    }
    runs = kit.open().read_history().runs.runs
    assert [run.done for run in runs] == [True, True, False]
    assert any(run.kills is not None and run.kills.packs for run in runs)
    assert list(kit.store.list(layout.LEDGER))
    assert any(listed.agent for listed in kit.snapshots())
    assert any(segment.supersedes for segment in kit.open().load_index().segments)


def test_everything_restores(kit: Kit) -> None:
    """Bit for bit, what is listed and what is forgotten; and verify finds no damage."""
    listing = kit.listing()
    assert [kit.restore(one.id)[1] for one in listing.found] == LISTED
    assert [kit.restore(one.id)[1] for one in listing.forgotten][: len(FORGOTTEN)] == FORGOTTEN
    assert kit.verify().damage == []


def test_it_goes_on(kit: Kit) -> None:
    """The next collection finishes what was left, and the next backup stores nothing again."""
    assert kit.prune().finished == 1
    assert [kit.restore(one.id)[1] for one in kit.listing().found] == LISTED
    assert kit.backup(LISTED[-1]).written.plain_bytes < 4096
    check_nothing_left(kit)
    assert kit.verify().damage == []
