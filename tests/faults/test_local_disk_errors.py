"""What the program keeps for itself fails at any call: the state folder and the cache folder."""

from __future__ import annotations

import errno
import itertools
import shutil
import sys
from contextlib import closing
from pathlib import Path

import pytest

from strongroom.app.init import init as app_init
from strongroom.system.posix import PosixFs
from tests.faults.app_run import Host, below, files_as_saved, write_files
from tests.faults.workloads import FIRST, LARGE, Files
from tests.storage.local_stores import local_store
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import MUTATING, FaultyFs, FsFault, faulty_fs
from tests.support.invariants import check_invariants
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B1")

FOREVER = sys.maxsize
EVERY = MUTATING | {"open", "names", "stat", "fstat", "read", "pread"}
A_DAY = 86_400.0
LEAST_CALLS = 12  # fewer would mean that we do not look
DISASTERS = {
    "no space left": (errno.ENOSPC, FOREVER),
    "quota exceeded, once": (errno.EDQUOT, 1),
    "i/o error": (errno.EIO, FOREVER),
    "i/o error, once": (errno.EIO, 1),
    "read-only": (errno.EROFS, FOREVER),
    "too many files, once": (errno.EMFILE, 1),
    "no memory, once": (errno.ENOMEM, 1),
}
QUICK_DISASTERS = {("state", "i/o error"), ("state", "no space left"), ("cache", "read-only")}
CACHE_DISASTERS = ("no space left", "i/o error, once", "read-only", "too many files, once")


class Base:
    """A host that has backed up its tree once, and the tree as it changed since."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self.base = folder / "base"
        write_files(self.tree, FIRST)
        host = Host(self.base, self.tree)
        with closing(local_store(self.base / "repository")) as store:
            Kit(store, folder / "another state").init()
        self.acknowledged: dict[str, Files] = {host.backup().snapshot.id: files_as_saved(self.tree)}
        write_files(self.tree, {b"etc/new": b"new\n", b"etc/hosts": b"::1 localhost\n"})
        self.files = files_as_saved(self.tree)


@pytest.fixture(name="base", scope="module")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return Base(tmp_path_factory.mktemp("local"))


def _faulty(nth: int, disaster: str) -> tuple[object, FaultyFs]:
    number, times = DISASTERS[disaster]
    return faulty_fs(PosixFs(), FsFault("error", nth, EVERY, number=number, times=times))


@pytest.mark.parametrize(
    ("folder", "disaster"),
    [
        pytest.param(*one, marks=[] if one in QUICK_DISASTERS else pytest.mark.slow)
        for one in (
            *(("state", name) for name in DISASTERS),
            *(("cache", name) for name in CACHE_DISASTERS),
        )
    ],
)
def test_an_error_of_the_local_disk_never_fails_a_backup(
    base: Base, folder: str, disaster: str, tmp_path: Path
) -> None:
    """Whichever call below the state or cache folder fails, the backup is complete; nothing is
    lost, and the next one works with what was left in the folder, reading no large file again.
    """
    for nth in itertools.count(1):
        here = Path(shutil.copytree(base.base, tmp_path / str(nth)))
        inside, faulty = _faulty(nth, disaster)
        try:
            report = Host(here, base.tree, below(here / folder, inside)).backup()
            assert not report.problems
            again = Host(here, base.tree).backup()
            assert not again.problems
            assert again.bytes_read < len(LARGE), "an older walk is better than none"
        except BaseException as error:
            error.add_note(f"REPRO: {disaster} at call {nth} below {folder}")
            raise
        made = dict.fromkeys([report.snapshot.id, again.snapshot.id], base.files)
        with closing(local_store(here / "repository")) as store:
            check_invariants(Kit(store, here / "other state"), {**base.acknowledged, **made})
        shutil.rmtree(here)
        if sum(faulty.attempts[call] for call in EVERY) < nth:
            break
    assert nth > LEAST_CALLS


@pytest.mark.parametrize("disaster", DISASTERS)
def test_an_init_tells_the_recovery_key_although_nothing_can_be_remembered(
    disaster: str, tmp_path: Path
) -> None:
    """A state folder that fails does not hide that a repository was made: its recovery key is shown
    once, and without it a lost key file would be the end of everything.
    """
    for nth in itertools.count(1):
        here = tmp_path / str(nth)
        inside, faulty = _faulty(nth, disaster)
        try:
            report = app_init(Host(here, here, below(here / "state", inside)).run)
        except BaseException as error:
            error.add_note(f"REPRO: {disaster} at call {nth}")
            raise
        assert report.recovery_key
        with closing(local_store(here / "repository")) as store:
            check_invariants(Kit(store, here / "other state"), {})
        if sum(faulty.attempts[call] for call in EVERY) < nth:
            break


def test_leftovers_of_the_dead_are_swept_after_a_day(base: Base, tmp_path: Path) -> None:
    """A process that dies while it writes its state or cache leaves a file that nobody wants; a day
    later the next backup removes it, and nothing else.
    """
    here = Path(shutil.copytree(base.base, tmp_path / "here"))
    for folder in ("state", "cache"):
        inside, _ = faulty_fs(PosixFs(), FsFault("crash", calls=frozenset({"rename"})))
        with pytest.raises(SimulatedCrash):
            Host(here, base.tree, below(here / folder, inside)).backup()
    Host(here, base.tree).backup()
    left = [path for path in here.rglob("*.new-*") if path.is_file()]
    assert {path.relative_to(here).parts[0] for path in left} == {"state", "cache"}
    kept = {path for path in here.rglob("*") if path.is_file()} - set(left)
    late = Host(here, base.tree)
    late.run.machine.clock.sleep(2 * A_DAY)
    late.backup()
    assert not [path for path in here.rglob("*.new-*") if path.is_file()]
    assert all(path.exists() for path in kept)
