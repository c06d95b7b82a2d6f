"""The power fails after any call that a backup makes on its disk: what was told to be safe is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest

from strongroom.storage.arguments import TEMPORARY_PREFIX
from strongroom.storage.local import LocalStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.faults.workloads import FIRST, SECOND, DecisionTold, Files, store_of
from tests.storage.local_stores import local_store
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import MUTATING, Call, FsFault, faulty_fs
from tests.support.invariants import check_invariants
from tests.support.kit import Kit
from tests.support.power_loss import durable_after

pytestmark = pytest.mark.spec("B1")

LEAST_CALLS = 60  # fewer would mean that we do not look


class Disk:
    """A local store, every call made on it, and what was acknowledged after how many of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        local_store(folder / "repository").close()
        self.calls: list[Call] = []
        self.acknowledged: dict[str, tuple[int, Files]] = {}
        self.deciding: list[tuple[int, str, Files]] = []

    def init(self) -> None:
        """Make the repository."""
        with closing(self._store()) as store:
            Kit(store, self._folder / "state").init()
            self.calls += self._trace

    def _store(self, *faults: FsFault) -> LocalStore:
        fs, faulty = faulty_fs(PosixFs(), *faults)
        self._trace = faulty.trace
        return LocalStore(fs, str(self._folder / "repository"), SystemRandomness())

    def backup(self, files: Files, *faults: FsFault) -> bool:
        """Back up in a new process; False if it died."""
        with closing(self._store(*faults)) as store:
            told = DecisionTold(store)
            snapshot_id = None
            with suppress(SimulatedCrash):
                snapshot_id = Kit(told, self._folder / "state").backup(files).snapshot.id
        began = len(self.calls)
        self.calls += self._trace
        self.deciding += [(began, key, files) for key in told.deciding]
        if snapshot_id is not None:
            self.acknowledged[snapshot_id] = (len(self.calls), files)
        return snapshot_id is not None

    def check(self, objects: Mapping[str, bytes], after: int, state: Path) -> None:
        """Check what a power cut after so many calls left."""
        kit = Kit(store_of(objects), state)
        safe = {k: files for k, (when, files) in self.acknowledged.items() if when <= after}
        listed = {snapshot.id for snapshot in kit.snapshots()}
        doubt = {k: files for when, k, files in self.deciding if when <= after and k in listed}
        check_invariants(kit, {**doubt, **safe})


def objects_by_key(found: Mapping[bytes, bytes]) -> dict[str, bytes]:
    """Return the objects in a folder, without what is temporary."""
    names = {name: os.path.basename(name) for name in found}  # noqa: PTH119 - names are bytes
    temporary = TEMPORARY_PREFIX.encode()
    return {n.decode(): found[n] for n, last in names.items() if not last.startswith(temporary)}


def _states(calls: Sequence[Call], first: int) -> list[tuple[int, dict[str, bytes]]]:
    """Return each different state of the disk, with and without what it may have kept, and when."""
    states: list[tuple[int, dict[str, bytes]]] = []
    for after in range(first, len(calls) + 1):
        left = durable_after(calls[:after])
        for found in (left.certain, left.possible):
            objects = objects_by_key(found)
            if not any(objects == known for _, known in states[-4:]):
                states.append((after, objects))
    return states


def test_a_power_cut_after_any_call_loses_nothing(tmp_path: Path) -> None:
    """Two backups, and the power fails after each call: with only what the disk must keep, and with
    all that it may keep, an acknowledged snapshot is there and nothing is damaged.
    """
    disk = Disk(tmp_path)
    disk.init()
    made = len(disk.calls)
    assert disk.backup(FIRST)
    assert disk.backup(SECOND)
    assert len(disk.calls) - made > LEAST_CALLS
    states = _states(disk.calls, made)
    for number, (after, objects) in enumerate(states):
        try:
            disk.check(objects, after, tmp_path / f"host {number}")
        except BaseException as error:
            error.add_note(f"REPRO: power cut after call {after} of {len(disk.calls)}")
            raise


@pytest.mark.parametrize("more", [{}, {b"srv/more": b"more\n"}], ids=["nothing new", "more"])
def test_a_commit_makes_durable_what_another_process_left(more: Files, tmp_path: Path) -> None:
    """A writer dies at any call; the next one relies on what it finds in the folders, durable or
    not, and commits; then the power fails: the commit is there, and all that it relies on.
    """
    nth = 0
    while True:
        nth += 1
        folder = tmp_path / str(nth)
        disk = Disk(folder)
        disk.init()
        assert disk.backup(FIRST)
        ended = disk.backup(SECOND, FsFault("crash", nth, MUTATING))
        assert disk.backup(SECOND | more)
        try:
            left = durable_after(disk.calls)
            disk.check(objects_by_key(left.certain), len(disk.calls), folder / "host")
        except BaseException as error:
            error.add_note(f"REPRO: the writer before died before change {nth}")
            raise
        if ended:
            break
    assert nth > LEAST_CALLS // 2


def test_what_a_host_remembers_is_synced_before_it_has_its_name(tmp_path: Path) -> None:
    """A power cut cannot leave half a memory, which would refuse every command after it."""
    fs, faulty = faulty_fs(PosixFs())
    with closing(local_store(tmp_path / "repository")) as store:
        kit = Kit(store, tmp_path / "state", fs)
        kit.init()
        kit.backup(FIRST)
    renamed = [call.arguments[0] for call in faulty.trace if call.what == "rename"]
    memories = [name for name in renamed if b"/known/" in name]
    assert len(memories) > 1
    for name in memories:
        assert _synced_before_closed(faulty.trace, name)


def _synced_before_closed(trace: Sequence[Call], name: bytes) -> bool:
    """Whether the file made as ``name`` was written, then synced, then closed."""
    made = next(
        n for n, call in enumerate(trace) if call.what == "create" and call.arguments[0] == name
    )
    fd = trace[made].result
    done = [call.what for call in trace[made + 1 :] if call.arguments and call.arguments[0] == fd]
    return done[: done.index("close")][-2:] == ["write", "fsync"]
