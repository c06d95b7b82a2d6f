"""How ``tests/golden/expiry`` was made: ``python -m tests.golden.expiry`` made it, once.

A repository in which a collector removed WAL with the base backup that needed it: with a gap on
record, and the session of a base backup that died, which says where it began.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from strongroom.postgres.wal.ranges import Missing
from strongroom.repository.records import WalPosition
from strongroom.repository.session import BackupSession
from strongroom.repository.walgaps import GapReason, WalGaps
from strongroom.repository.walsources import WalSources
from strongroom.storage.memory import MemoryStore
from tests.support.base_backups import archive, base_backup, position_of
from tests.support.kit import Kit
from tests.support.randomness import SeededRandomness
from tests.support.wal import CLUSTER, SIZE, SYSTEM

FOLDER: Final = Path(__file__).parent / "expiry"
ARCHIVED: Final = (1, 2, 3, 4, 5)
STAYING: Final = (4, 5)
GAP: Final = Missing(1, 6, 8)
BEGAN: Final = WalPosition(SYSTEM, 1, 5 * SIZE + 40)


def make(state: Path) -> MemoryStore:
    """Return a repository with all of it."""
    store = MemoryStore()
    kit = Kit(store, state)
    kit.randomness = SeededRandomness(2027)
    kit.init()
    WalSources(kit.open()).register("db", CLUSTER)
    archive(kit, ARCHIVED)
    first = base_backup(kit, position_of(2, 2)).snapshot
    base_backup(kit, position_of(4, 4))
    kit.forget(first.id)
    kit.prune()
    WalGaps(kit.open()).record(CLUSTER, GAP, GapReason.NOT_KEPT)
    session = BackupSession(kit.open())
    session.begin()
    session.need_wal(BEGAN)
    return store


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = make(Path(folder))
        for info in made.list(""):
            path = FOLDER / info.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made.get(info.key))
