"""The disk fails at any single call, below the repository, the cache or the state folder."""

from __future__ import annotations

import errno
import itertools
import shutil
import stat
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from strongroom.errors import StrongroomError
from strongroom.storage.local import LocalStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.faults.workloads import FIRST, SECOND, DecisionTold, Files
from tests.storage.local_stores import local_store
from tests.support.faulty_fs import MUTATING, FaultyFs, FsFault, faulty_fs
from tests.support.invariants import check_invariants
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B1")

FOREVER = sys.maxsize
LOOKING = frozenset({"open", "names", "stat", "fstat", "read", "pread"})
DISASTERS = {
    "no space left": (errno.ENOSPC, FOREVER),
    "no space left, once": (errno.ENOSPC, 1),
    "quota exceeded": (errno.EDQUOT, FOREVER),
    "i/o error": (errno.EIO, FOREVER),
    "i/o error, once": (errno.EIO, 1),
    "read-only": (errno.EROFS, FOREVER),
    "too many files": (errno.EMFILE, 1),
    "no memory": (errno.ENOMEM, 1),
}
LOOKING_FAILS = ("i/o error", "i/o error, once", "too many files")
LEAST_FSYNCS = 10  # fewer would mean that we do not look
QUICK = {"no space left", "i/o error, once", "looking: i/o error"}  # the others take minutes
FAILED = {1, 13}  # never 3, which would mean that a snapshot with less in it was committed


class Fresh:
    """Copies of one repository on disk that holds one snapshot, and of its host's state."""

    def __init__(self, folder: Path) -> None:
        self._base = folder / "base"
        with closing(local_store(self._base / "repository")) as store:
            kit = Kit(store, self._base / "state")
            kit.init()
            self.acknowledged: Mapping[str, Files] = {kit.backup(FIRST).snapshot.id: FIRST}
        self._numbers = itertools.count()
        self._folder = folder

    def copy(self) -> Path:
        """Return a folder with ``repository`` and ``state``; the one before is removed."""
        number = next(self._numbers)
        shutil.rmtree(self._folder / str(number - 1), ignore_errors=True)
        return Path(shutil.copytree(self._base, self._folder / str(number)))


@pytest.fixture(name="fresh", scope="module")
def _fresh(tmp_path_factory: pytest.TempPathFactory) -> Fresh:
    return Fresh(tmp_path_factory.mktemp("disk"))


def _store(here: Path, *faults: FsFault) -> tuple[LocalStore, FaultyFs]:
    fs, faulty = faulty_fs(PosixFs(), *faults)
    return LocalStore(fs, str(here / "repository"), SystemRandomness()), faulty


def _points(fresh: Fresh, calls: frozenset[str]) -> range:
    """Return the numbers of the calls that a backup makes below the repository."""
    here = fresh.copy()
    store, faulty = _store(here)
    with closing(store):
        Kit(store, here / "state").backup(SECOND)
    return range(1, sum(faulty.attempts[call] for call in calls) + 1)


def _check_afterwards(
    here: Path, acknowledged: Mapping[str, Files], *, in_doubt: bool = False
) -> None:
    with closing(local_store(here / "repository")) as store:
        kit = Kit(store, here / "state")
        if in_doubt:
            adopted = {snapshot.id for snapshot in kit.snapshots()} - set(acknowledged)
            acknowledged = {**acknowledged, **dict.fromkeys(adopted, SECOND)}
        check_invariants(kit, acknowledged)


@pytest.mark.parametrize(
    ("calls", "disaster"),
    [
        pytest.param(calls, one, id=name, marks=[] if name in QUICK else pytest.mark.slow)
        for calls, one, name in (
            *((MUTATING, one, one) for one in DISASTERS),
            *((LOOKING, one, f"looking: {one}") for one in LOOKING_FAILS),
        )
    ],
)
def test_an_error_of_the_repository_disk_is_never_an_incomplete_snapshot(
    fresh: Fresh, calls: frozenset[str], disaster: str
) -> None:
    """Whichever call below the repository fails: the backup is complete, or it failed as a whole
    with a documented code and nothing is committed; once the disk works again so does the backup.

    One exception: if the folder of commits cannot be synced once the commit has its name there, and
    that name cannot be removed either, the backup fails and the (complete) snapshot is listed.
    """
    number, times = DISASTERS[disaster]
    for nth in _points(fresh, calls):
        here = fresh.copy()
        store, _ = _store(here, FsFault("error", nth, calls, number=number, times=times))
        try:
            with closing(store):
                _try(fresh, here, store)
        except BaseException as error:
            error.add_note(f"REPRO: {disaster} at call {nth} of {sorted(calls)}")
            raise


def _try(fresh: Fresh, here: Path, store: LocalStore) -> None:
    acknowledged = dict(fresh.acknowledged)
    told = DecisionTold(store)
    in_doubt = False
    try:
        result = Kit(told, here / "state").backup(SECOND)
        assert result.problems == []
        acknowledged[result.snapshot.id] = SECOND
    except StrongroomError as error:
        assert error.code in FAILED, repr(error)
        in_doubt = bool(told.deciding)
    _check_afterwards(here, acknowledged, in_doubt=in_doubt)


class _WatchedFsyncs(PosixFs):
    """A file system whose n-th fsync fails, and that knows which file or folder each one was of."""

    def __init__(self, nth: int) -> None:
        self._nth = nth
        self._opened: dict[int, object] = {}
        self._failed: list[object] = []
        self.made = 0
        self.again = 0

    def open(self, name: bytes, flags: int, *, dir_fd: int | None = None, mode: int = 0o600) -> int:
        """See ``Fs``; a folder is the same one each time, a file is never opened twice."""
        fd = super().open(name, flags, dir_fd=dir_fd, mode=mode)
        found = self.fstat(fd)
        self._opened[fd] = found.inode if stat.S_ISDIR(found.mode) else object()
        return fd

    def fsync(self, fd: int) -> None:
        """See ``Fs``."""
        self.made += 1
        self.again += self._opened[fd] in self._failed
        if self.made == self._nth:
            self._failed.append(self._opened[fd])
            raise OSError(errno.EIO, "the disk is failing")
        super().fsync(fd)


def test_an_fsync_that_failed_is_never_tried_again(fresh: Fresh) -> None:
    """Whichever fsync of a backup fails: the backup fails, and that file or folder is not synced
    again, since the kernel would say that all is well; a new process starts with a clean slate.
    """
    for nth in itertools.count(1):
        here = fresh.copy()
        fs = _WatchedFsyncs(nth)
        store = LocalStore(fs, str(here / "repository"), SystemRandomness())
        with closing(store):
            try:
                Kit(store, here / "state").backup(SECOND)
            except StrongroomError as error:
                assert error.code in FAILED
            else:
                assert fs.made < nth, f"fsync {nth} failed and the backup did not"
                break
        assert fs.again == 0
        _check_afterwards(here, fresh.acknowledged)
    assert nth > LEAST_FSYNCS
