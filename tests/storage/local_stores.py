"""Local stores for the tests, on file systems that lack something or fail."""

from __future__ import annotations

import errno
from pathlib import Path

from strongroom.storage.local import LocalStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.support.faulty_fs import FaultyFs, FsFault, faulty_fs

# What a file system lacks, by the way that is left to give a file its name.
RUNGS: dict[str, dict[str, int]] = {
    "unnamed": {},
    "linked": {"create_unnamed": errno.EOPNOTSUPP},
    "renamed": {"create_unnamed": errno.EOPNOTSUPP, "link": errno.EPERM},
}


def local_store(root: Path) -> LocalStore:
    """Return a store on the real file system; its root is made."""
    store = LocalStore(PosixFs(), str(root), SystemRandomness())
    store.create_root()
    return store


def faulty_local_store(
    root: Path,
    *faults: FsFault,
    lacks: dict[str, int] | None = None,
    most_written: int | None = None,
) -> tuple[LocalStore, FaultyFs]:
    """Return a store whose root is made, on a file system with these faults from now on."""
    local_store(root).close()
    fs, faulty = faulty_fs(PosixFs(), *faults, lacks=lacks, most_written=most_written)
    return LocalStore(fs, str(root), SystemRandomness()), faulty


def files(root: Path) -> dict[str, bytes]:
    """Return every file below ``root``, temporary ones too."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
