"""Repairing as a command does, and judging what became of a repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from strongroom.operations.copy import CopyResult, copy, plan_copy
from strongroom.operations.repair import Other, RepairResult, repair
from strongroom.operations.verify import all_packs, no_packs
from strongroom.repository.findings import Severity
from strongroom.storage.memory import MemoryStore
from tests.faults.workloads import objects_of, store_of
from tests.support.kit import Kit
from tests.support.recording import RecordingStore


def mended(
    kit: Kit,
    source: Kit | None = None,
    *,
    void: Sequence[str] = (),
    dry_run: bool = False,
    read_data: bool = True,
    alone: bool = True,
) -> RepairResult:
    """Repair; nothing that is there may be touched, and no key may be put that is taken.

    Not ``alone``: a collector is at work too, and what it removes is its own affair.
    """
    before = objects_of(kit.store)
    recording = RecordingStore(kit.store)
    repository = kit.open()
    repository.store = recording
    other = Other(repository, source.open()) if source is not None else None
    choose = all_packs if read_data else no_packs
    result = repair(repository, other, choose, void, dry_run=dry_run)
    if alone:
        check_nothing_was_touched(before, kit)
    puts = [key for verb, key in recording.requests if verb == "put"]
    assert not [key for verb, key in recording.requests if verb == "delete"]
    assert not set(puts) & before.keys()
    assert not (dry_run and puts)
    return result


def check_nothing_was_touched(before: Mapping[str, bytes], kit: Kit) -> None:
    """Check that every object is there as it was."""
    after = objects_of(kit.store)
    assert {key: after.get(key) for key in before} == dict(before), "repair touched an object"


def replica_of(kit: Kit, state: Path) -> Kit:
    """Return another host, on another store with the same objects."""
    replica = Kit(store_of(objects_of(kit.store)), state)
    replica.secrets = kit.secrets
    return replica


def copied(source: Kit, destination: Kit) -> CopyResult:
    """Copy everything that is not there yet."""
    ours, theirs = source.open(), destination.open()
    listing = ours.list_snapshots()
    plan = plan_copy(
        listing.found, (ours.id, listing.history), (theirs.id, theirs.list_snapshots())
    )
    return copy(ours, theirs, plan, listing.history)


def copy_of(kit: Kit, state: Path) -> Kit:
    """Return a host with a new repository that holds copies of all snapshots."""
    other = Kit(MemoryStore(), state)
    other.init()
    assert copied(kit, other).failed == []
    return other


def files_of(kit: Kit) -> list[dict[bytes, bytes]]:
    """Return what each snapshot restores, oldest first; none may be damaged."""
    restored = []
    for listed in kit.snapshots():
        result, files = kit.restore(listed.id)
        assert result.damaged == []
        restored.append(files)
    return restored


def spoil(kit: Kit, key: str, data: bytes | None) -> None:
    """Put other bytes in the place of an object, or nothing."""
    kit.store.delete(key)
    if data is not None:
        kit.store.put(key, data)


def flipped(data: bytes, place: int | None = None) -> bytes:
    """Return data with one bit changed, in the middle if not elsewhere."""
    at = len(data) // 2 if place is None else place
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def notes(result: RepairResult) -> list[str]:
    """Return the objects that something harmless is said of in the end."""
    return [one.subject for one in result.left.findings if one.severity is Severity.NOTE]
