"""How ``tests/golden/wal`` was made: ``python -m tests.golden.wal`` made it, once.

A repository with a file of write-ahead log of each kind, and the word which cluster its source is.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from strongroom.repository.wal import archive_of
from strongroom.repository.walsources import WalSources
from strongroom.storage.memory import MemoryStore
from tests.support.kit import Kit
from tests.support.randomness import SeededRandomness
from tests.support.wal import CLUSTER, history, named, numbered, segment

FOLDER: Final = Path(__file__).parent / "wal"
FILES: Final = {
    numbered(7): segment(numbered(7), "golden", filled=300),
    named(f"{numbered(8).text}.partial"): segment(numbered(8), "golden", filled=100),
    named(f"{numbered(7).text}.00000028.backup"): b"START WAL LOCATION: 0/700028\n",
    named("00000002.history"): history((1, "0/700100")),
}


def make(state: Path) -> MemoryStore:
    """Return a repository with all of it."""
    store = MemoryStore()
    kit = Kit(store, state)
    kit.randomness = SeededRandomness(2026)
    kit.init()
    WalSources(kit.open()).register("db", CLUSTER)
    for name, content in FILES.items():
        archive_of(kit.open()).put(CLUSTER, name, content)
    return store


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = make(Path(folder))
        for info in made.list(""):
            path = FOLDER / info.key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(made.get(info.key))
