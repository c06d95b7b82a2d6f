"""WAL that a collector removed once, and a gap that was put on record, are understood for ever."""

from __future__ import annotations

from pathlib import Path

from strongroom.repository import layout
from strongroom.repository.envelope import Kind, unwrap
from strongroom.repository.records import Heartbeat, read_body
from strongroom.repository.wal import archive_of
from strongroom.repository.walgaps import GapReason, WalGaps
from strongroom.storage.memory import MemoryStore
from tests.golden.expiry import ARCHIVED, BEGAN, FOLDER, GAP, STAYING
from tests.support.kit import Kit
from tests.support.wal import SIZE, SYSTEM


def test_it_is_read(tmp_path: Path) -> None:
    """What is there, what the kills name, the gap, and where the dead session began."""
    store = MemoryStore()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            store.put(path.relative_to(FOLDER).as_posix(), path.read_bytes())
    kit = Kit(store, tmp_path)
    repository = kit.open()
    there = archive_of(repository).files(SYSTEM)
    assert [one.name.number(SIZE) for one in there] == list(STAYING)
    killed = repository.read_history().runs.absent().killed_wal
    assert len(killed) == len(ARCHIVED) - len(STAYING)
    assert not killed & {one.key for one in there}
    (gap,) = WalGaps(repository).of(SYSTEM)
    assert (gap.missing, gap.segment_size, gap.reason) == (GAP, SIZE, GapReason.NOT_KEPT)
    (key,) = [info.key for info in store.list(layout.SESSIONS) if info.key.endswith(".1")]
    found = unwrap(store.get(key), Kind.HEARTBEAT, key, repository.id)
    assert read_body(key, found.body, Heartbeat).positions == (BEGAN,)
    assert kit.verify().damage == []
    assert len(kit.snapshots()) == 1
