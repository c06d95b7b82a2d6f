"""How ``tests/museum/collected`` was made: ``python -m tests.museum.make_collected FOLDER``.

A repository of format 1 in which everything has happened: snapshots forgotten, held, released and
brought back, an agent, a copy from elsewhere, checks that were noted, a quarantine, a void commit,
and collector runs that removed, wrote packs anew and joined index segments; the last is not
finished. What is stored stays as it is; this shows what is in it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from strongroom.crypto.primitives import sha256
from strongroom.operations.copy import copy, plan_copy
from strongroom.operations.verify import verify_and_note
from strongroom.repository import layout
from strongroom.repository.records import OrderKind, PackIds, Voided
from tests.repository.test_collect_races import stop_at
from tests.support.agents import agent_host
from tests.support.kit import DAY_NS, Kit, timed_kit
from tests.support.noise import noise

FOLDER = Path(__file__).parent / "collected"

SHARED = {b"etc/text": b"line\n" * 500}
MAIN = [SHARED | {b"main": noise(40_000, f"main {number}")} for number in range(12)]
AGENT = SHARED | {b"agent": noise(3000, "agent")}
COPIED = SHARED | {b"copied": noise(3000, "copied")}
LOST = {b"lost": b"of a snapshot whose commit was damaged"}
LISTED = [COPIED, MAIN[0], MAIN[3], AGENT, MAIN[10], MAIN[11]]
"""What the snapshots hold that are listed, oldest first: the copy is as old as its original."""
FORGOTTEN = [MAIN[9]]


def make(folder: Path) -> None:
    """Write a repository into ``folder``."""
    with tempfile.TemporaryDirectory() as state:
        kit = timed_kit(Path(state) / "main")
        first = [kit.backup(files).snapshot.id for files in MAIN[:9]]
        kit.hold(first[0])
        agent = agent_host(kit, Path(state) / "agents")
        agent.clock = kit.clock
        agent.backup(AGENT)
        held = kit.hold(first[5])
        kit.forget(*first[1:])
        kit.release(held)
        kit.undelete(first[3])
        kit.clock.sleep(86_400)
        _copy_in(kit, Path(state))
        kit.prune(max_unused=0)
        verify_and_note(kit.open(), None, None, read_data=True)
        ninth = kit.backup(MAIN[9]).snapshot.id
        _lose(kit)
        kit.backup(MAIN[10])
        kit.backup(MAIN[11])
        kit.order(OrderKind.QUARANTINE, PackIds(bytes(32)))
        kit.forget(ninth)
        kit.prune(grace_ns=7 * DAY_NS)
        stop_at(kit, layout.run_object(_runs(kit) + 1, "waits"), _with_garbage(kit))
    for info in kit.store.list(""):
        path = folder / info.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(kit.store.get(info.key))


def _copy_in(kit: Kit, state: Path) -> None:
    """Copy a snapshot of another repository into this one."""
    other = timed_kit(state / "other")
    other.clock = kit.clock
    other.backup(COPIED)
    source, destination = other.open(), kit.open()
    listing, there = source.list_snapshots(), destination.list_snapshots()
    plan = plan_copy(listing.found, (source.id, listing.history), (destination.id, there))
    copy(source, destination, plan, listing.history)


def _lose(kit: Kit) -> None:
    """Damage the commit of a snapshot, and declare it void."""
    key = kit.backup(LOST).snapshot.key
    data = kit.store.get(key)
    rotten = data[:-1] + bytes([data[-1] ^ 1])
    kit.store.delete(key)
    kit.store.put(key, rotten)
    kit.order(OrderKind.VOID, (Voided(key, sha256(rotten)),))


def _runs(kit: Kit) -> int:
    return len({info.key.split("/")[1] for info in kit.store.list(layout.GC)})


def _with_garbage(kit: Kit) -> Callable[[], object]:
    """Make something to remove; return what begins to remove it."""
    gone = kit.backup({b"gone": noise(2000, "gone")}, "another").snapshot.id
    kit.forget(gone, allow_empty=True)
    kit.clock.sleep(1)
    return lambda: kit.prune(grace_ns=0)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
