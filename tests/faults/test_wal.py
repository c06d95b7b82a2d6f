"""Archiving stopped at any request, cut off from power, or without room: what was acknowledged is
there, and the same file put again ends well.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from strongroom.errors import StoreFullError
from strongroom.repository import layout
from strongroom.repository.wal import Put, archive_of
from strongroom.repository.walsources import WalSources
from strongroom.storage.local import LocalStore
from strongroom.storage.memory import MemoryStore
from strongroom.system.randomness import SystemRandomness
from tests.faults.full_disk import CountingFs
from tests.storage.local_stores import faulty_local_store, local_store
from tests.support.crash import SimulatedCrash
from tests.support.faulty_store import Fault, FaultyStore, Kind, Script
from tests.support.kit import Kit
from tests.support.power_loss import durable_after
from tests.support.wal import CLUSTER, SYSTEM, named, numbered, segment

pytestmark = pytest.mark.spec("C6")

ONE = numbered(1)
PARTIAL = named(f"{numbered(2).text}.partial")
FILES = {ONE: segment(ONE, filled=40_000), PARTIAL: segment(numbered(2))}


def _archive(kit: Kit) -> None:
    """Archive everything, as processes would that know nothing of each other."""
    for name, content in FILES.items():
        repository = kit.open()
        WalSources(repository).register("db", CLUSTER)
        archive_of(repository).put(CLUSTER, name, content)


def _check(kit: Kit) -> None:
    archive = archive_of(kit.open())
    found = archive.files(SYSTEM)
    assert {one.name: bytes(archive.get(one)) for one in found} == FILES
    assert len(found) == len(FILES)
    assert [one.cluster for one in WalSources(kit.open()).of("db")] == [CLUSTER]
    assert kit.verify().damage == []


@pytest.mark.parametrize("kind", [Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.ERROR_AFTER, Kind.ECHO])
def test_stopped_at_every_request(tmp_path: Path, kind: Kind) -> None:
    """Whichever request is the last one, the same work done again is whole, and there once."""
    stopped = 0
    for nth in range(1, 100):
        kit = Kit(MemoryStore(), tmp_path / str(nth))
        kit.init()
        inner = kit.store
        kit.store = faulty = FaultyStore(inner, Script(Fault(kind, nth=nth)))
        try:
            _archive(kit)
            over = True
        except (SimulatedCrash, Exception):  # noqa: BLE001 - whatever it said, it did not say done
            over = False
            stopped += 1
        faulty.deliver_echoes()
        kit.store = inner
        if over:
            _check(kit)
        _archive(kit)
        _check(kit)
        if over and nth > 30:
            break
    assert stopped > 5 or kind is Kind.ECHO


def test_what_was_acknowledged_survives_a_power_cut(tmp_path: Path) -> None:
    """From the moment that a put returned, also of a file that another process had just put."""
    root = tmp_path / "repository"
    with closing(local_store(root)) as store:
        Kit(store, tmp_path / "state").init()
    store, faulty = faulty_local_store(root)
    with closing(store):
        kit = Kit(store, tmp_path / "state")
        _archive(kit)
        certain = durable_after(faulty.trace).certain
        for one in archive_of(kit.open()).files(SYSTEM):
            assert certain[one.key.encode()] == kit.store.get(one.key), one.key


def test_a_full_disk_stores_nothing_and_is_no_end(tmp_path: Path) -> None:
    """For every amount of room that is too little: an error, nothing that counts, and as soon as
    there is room the file is archived.
    """
    root = tmp_path / "repository"
    with closing(local_store(root)) as store:
        Kit(store, tmp_path / "state").init()
        WalSources(Kit(store, tmp_path / "state").open()).register("db", CLUSTER)
    failures = 0
    for pages in range(20):
        tight = LocalStore(CountingFs(pages), str(root), SystemRandomness())
        with closing(tight):
            try:
                done = archive_of(Kit(tight, tmp_path / "state").open()).put(
                    CLUSTER, ONE, FILES[ONE]
                )
            except StoreFullError:
                failures += 1
                assert archive_of(Kit(tight, tmp_path / "state").open()).files(SYSTEM) == []
                continue
        assert done is Put.STORED
        break
    assert failures > 2
    with closing(local_store(root)) as store:
        archive = archive_of(Kit(store, tmp_path / "state").open())
        assert bytes(archive.get(archive.files(SYSTEM)[0])) == FILES[ONE]
        assert not [path for path in (root / layout.WAL).rglob(".tmp-*") if path.is_file()]
