"""Backs up into a folder that is full, again and again with a little more room each time.

``python -m tests.faults.full_disk FOLDER``: FOLDER is a small tmpfs of its own, really full; what
is not as it must be is a traceback. ``sweep`` does the same with a file system that counts.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from strongroom.errors import StoreFullError
from strongroom.model.fs import Buffer, Fs
from strongroom.storage.local import LocalStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.faults.workloads import Files
from tests.storage.local_stores import local_store
from tests.support.invariants import check_invariants
from tests.support.kit import Kit
from tests.support.randomness import SeededRandomness

PAGE: Final = 4096
BEFORE: Final[Files] = {b"a/one": b"1\n", b"a/two": b"2\n"}
AFTER: Final[Files] = BEFORE | {b"a/new": SeededRandomness(7).take(10 * PAGE)}

Fill = Callable[[int], Fs]
"""Leaves room for a number of units, and returns the file system to work with."""


def sweep(folder: Path, fill: Fill, empty: Callable[[], None]) -> int:
    """Go on until a backup has room enough, and return how often it had not.

    Below ``folder`` is the repository; the state of the host is elsewhere. A backup without room
    ends with StoreFullError, what is there can be read, and after ``empty`` the next one works.
    """
    state = folder.parent / f"state of {folder.name}"
    failures = 0
    while True:
        with closing(local_store(folder / "repository")) as store:
            kit = Kit(store, state)
            kit.init()
            before = {kit.backup(BEFORE).snapshot.id: BEFORE}
        fs = fill(failures)
        tight = LocalStore(fs, str(folder / "repository"), SystemRandomness())
        with closing(tight):
            done = _backed_up(Kit(tight, state))
            for snapshot_id, files in before.items():
                assert Kit(tight, state).restore(snapshot_id)[1] == files, "a full disk can be read"
        empty()
        if done:
            before[done] = AFTER
        with closing(local_store(folder / "repository")) as store:
            check_invariants(Kit(store, state), before)
        shutil.rmtree(folder / "repository")
        shutil.rmtree(state)
        if done:
            return failures
        failures += 1


def _backed_up(kit: Kit) -> str | None:
    try:
        result = kit.backup(AFTER)
    except StoreFullError as error:
        assert error.code == 1
        assert "space" in f"{error.message} {error.hint}"
        return None
    assert result.problems == []
    return result.snapshot.id


class CountingFs(PosixFs):
    """A file system with room for so many pages; each name and each begun page takes one."""

    def __init__(self, pages: int) -> None:
        self._left = pages * PAGE

    def _take(self, size: int) -> None:
        if size > self._left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._left -= size

    def open(self, name: bytes, flags: int, *, dir_fd: int | None = None, mode: int = 0o600) -> int:
        """See ``Fs``."""
        if flags & (os.O_CREAT | os.O_TMPFILE):
            made = bool(flags & os.O_CREAT) or flags & os.O_TMPFILE == os.O_TMPFILE
            self._take(PAGE if made else 0)
        return super().open(name, flags, dir_fd=dir_fd, mode=mode)

    def mkdir(self, name: bytes, mode: int, *, dir_fd: int | None = None) -> None:
        """See ``Fs``."""
        super().mkdir(name, mode, dir_fd=dir_fd)
        self._take(PAGE)

    def write(self, fd: int, data: Buffer) -> int:
        """See ``Fs``; takes what there is room for, and fails where there is none."""
        fitting = memoryview(data)[: max(self._left, 1)]
        self._take(len(fitting))
        return super().write(fd, fitting)


@contextmanager
def _ballast(folder: Path) -> Iterator[tuple[Fill, Callable[[], None]]]:
    path = folder / "ballast"

    def fill(pages: int) -> Fs:
        space = os.statvfs(folder)
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(space.f_bavail - pages, 1) * space.f_frsize)
        return PosixFs()

    yield fill, path.unlink


def main() -> None:
    """Sweep a real tmpfs, and print how often it was full."""
    folder = Path(sys.argv[1])
    with _ballast(folder) as (fill, empty):
        sys.stdout.write(f"{sweep(folder, fill, empty)}\n")


if __name__ == "__main__":
    main()
