"""How ``tests/golden/version1`` was made: ``python -m tests.golden.make`` made it.

``tests/golden/repository`` was made so by a program that wrote version 0 of the format. Neither is
ever written again. Randomness has a seed and the clock stands still; only what is sealed to a
public key is another one each time.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from strongroom.repository.session import HEARTBEAT_SECONDS
from strongroom.storage.memory import MemoryStore
from tests.support.kit import Kit
from tests.support.randomness import SeededRandomness
from tests.support.sources import SparseSource, StirringSource

FOLDERS = {0: Path(__file__).parent / "repository", 1: Path(__file__).parent / "version1"}

# More than a leaf of a tree holds, so that there is a branch above.
MANY = {b"srv/%02d/file %04d" % (n % 10, n): b"content %d" % (n % 50) for n in range(1500)}
# More extents than an entry holds, so that they are in a chunk of their own.
SPARSE = b"".join(b"block %09d\n" % n * 256 + bytes(4096) for n in range(150))
FIRST = MANY | {b"etc/name \xff\n": b"", b"etc/text": b"line\n" * 2000, b"large": SPARSE}
SECOND = {b"etc/text": b"line\n" * 2001}


def make(state: Path) -> MemoryStore:
    """Return a repository with two snapshots, a heartbeat and a session that gave up."""
    store = MemoryStore()
    kit = Kit(store, state)
    kit.randomness = SeededRandomness(2024)
    kit.init()
    kit.backup_source(SparseSource(FIRST))

    kit.backup_source(StirringSource(SECOND, lambda _: kit.clock.sleep(HEARTBEAT_SECONDS)))
    with contextlib.suppress(InterruptedError):
        kit.backup_source(StirringSource({b"a": b"b"}, _fail))
    return store


def _fail(_path: bytes) -> None:
    raise InterruptedError


def stored(version: int) -> dict[str, bytes]:
    """Return the objects of a format version that were written once, by key."""
    folder = FOLDERS[version]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = make(Path(folder))
    for info in made.list(""):
        path = FOLDERS[1] / info.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made.get(info.key))
