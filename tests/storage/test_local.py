"""The store in a folder, on the real file system."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from strongroom.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreError,
    StoreUnavailableError,
)
from strongroom.storage.local import LocalStore
from strongroom.storage.local_directories import Directories
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.storage.conformance import keys
from tests.storage.local_stores import RUNGS, faulty_local_store, files, local_store
from tests.support.faulty_fs import faulty_fs

pytestmark = pytest.mark.spec("B1")

A_DAY = 24 * 3600


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture(name="store")
def _store(root: Path) -> Iterator[LocalStore]:
    with closing(local_store(root)) as store:
        yield store


def mode(path: Path) -> int:
    """Return the permission bits of a file or folder."""
    return stat.S_IMODE(path.lstat().st_mode)


def open_descriptors() -> int:
    """Return how many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


class TestFiles:
    """What lies in the folder."""

    def test_an_object_is_a_file_with_its_key_as_path(self, store: LocalStore, root: Path) -> None:
        """A person finds objects with ``ls`` and checks packs with ``sha256sum``."""
        store.put("packs/ab/abcd", b"content")
        store.put("config", b"c")
        assert files(root) == {"packs/ab/abcd": b"content", "config": b"c"}

    @pytest.mark.parametrize("rung", RUNGS)
    @pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
    def test_modes_do_not_depend_on_the_umask(self, root: Path, rung: str, umask: int) -> None:
        """Folders are 0700 and files 0400, with any umask and on every rung of the ladder."""
        before = os.umask(umask)
        try:
            store, _ = faulty_local_store(root / "deep" / "down", lacks=RUNGS[rung])
            store.put("packs/ab/abcd", b"x")
            store.close()
        finally:
            os.umask(before)
        made = [root, *root.rglob("*")]
        assert len(made) == 6
        assert [oct(mode(path)) for path in made if path.is_dir()] == ["0o700"] * 5
        assert [oct(mode(path)) for path in made if path.is_file()] == ["0o400"]

    def test_foreign_names_are_not_objects(self, store: LocalStore, root: Path) -> None:
        """Temporary files, lost+found and what no key can name are not listed, and harm nothing."""
        store.put("packs/one", b"x")
        for name in (".tmp-0123", "Thumbs.db", "README TXT", "ä"):
            (root / "packs" / name).write_bytes(b"x")
        (root / "lost+found").mkdir()
        (root / "lost+found" / "one").write_bytes(b"x")
        (root / "UPPER").symlink_to("packs")
        assert keys(store) == ["packs/one"]
        store.sync([""])

    def test_paths_longer_than_a_key_are_not_objects(self, store: LocalStore, root: Path) -> None:
        """A tree deeper than any key ends the walk, not the program."""
        store.put("a", b"x")
        deep = root / "d"
        for _ in range(15):
            deep = deep / ("d" * 40)
        deep.mkdir(parents=True)
        (deep / "file").write_bytes(b"x")
        assert keys(store) == ["a"]


class TestStrangers:
    """Things where an object or a folder should be."""

    @pytest.fixture(autouse=True, params=["link", "dangling", "fifo", "socket"])
    def _strange(
        self, request: pytest.FixtureRequest, store: LocalStore, root: Path, tmp_path: Path
    ) -> None:
        store.put("packs/ab/one", b"x")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "one").write_bytes(b"y")
        target = {"link": "elsewhere", "dangling": "nowhere"}.get(request.param)
        if target is not None:
            (root / "odd").symlink_to(tmp_path / target)
            (root / "packs" / "odd").symlink_to(tmp_path / target / "one")
        else:
            kind = stat.S_IFIFO if request.param == "fifo" else stat.S_IFSOCK
            os.mknod(root / "odd", kind | 0o600)
            os.mknod(root / "packs" / "odd", kind | 0o600)

    def test_a_listing_that_meets_one_is_an_error(self, store: LocalStore) -> None:
        """A listing never leaves out what it cannot follow: it names it."""
        for prefix in ("", "packs/"):
            with pytest.raises(StoreError, match="odd"):
                keys(store, prefix)

    def test_nothing_is_read_or_stored_through_one(self, store: LocalStore) -> None:
        """No verb follows it, waits for it, or raises anything but a StoreError that names it."""
        for key in ("packs/odd", "odd/one"):
            with pytest.raises(StoreError, match=key):
                store.get(key)
            with pytest.raises(StoreError, match=key):
                store.get_range(key, 0, 1)
            with pytest.raises(StoreError, match=key):
                store.size(key)
            with pytest.raises(StoreError, match=key):
                store.put(key, b"z")
        with pytest.raises(StoreError, match="odd"):
            store.delete("odd/one")
        with pytest.raises(StoreError, match="odd"):
            store.sync(["odd/"])


class TestMixedUp:
    """Folders and files in each other's place."""

    def test_a_folder_is_no_object(self, store: LocalStore, root: Path) -> None:
        """A folder with the name of an object is a StoreError for each verb, and stays."""
        store.put("packs/ab/one", b"x")
        with pytest.raises(StoreError, match="packs/ab is not a file"):
            store.get("packs/ab")
        with pytest.raises(StoreError, match="packs/ab is not a file"):
            store.get_range("packs/ab", 0, 1)
        with pytest.raises(StoreError, match="packs/ab is not a file"):
            store.size("packs/ab")
        with pytest.raises(StoreError, match="packs/ab"):
            store.delete("packs/ab")
        with pytest.raises(ObjectExistsError, match="packs/ab"):
            store.put("packs/ab", b"x")
        assert files(root) == {"packs/ab/one": b"x"}

    def test_a_file_is_no_folder(self, store: LocalStore, root: Path) -> None:
        """An object whose key goes through another object is a StoreError for each verb."""
        store.put("packs", b"x")
        for key in ("packs/one", "packs/ab/one"):
            for act in (store.get, store.size, store.delete):
                with pytest.raises(StoreError, match=f"{key}: not a directory"):
                    act(key)
            with pytest.raises(StoreError, match=f"{key}: not a directory"):
                store.put(key, b"y")
        with pytest.raises(StoreError, match="packs: not a directory"):
            keys(store, "packs/")
        assert files(root) == {"packs": b"x"}


class TestRoot:
    """The folder that holds everything."""

    def test_a_missing_root_is_not_made_by_accident(self, root: Path) -> None:
        """Without ``create_root`` no verb makes the folder.

        A read of an object takes it for the absence of that object; everything else is a
        StoreError (exit 13) with a hint.
        """
        store = LocalStore(PosixFs(), str(root), SystemRandomness())
        assert not store.exists()
        with pytest.raises(ObjectMissingError):
            store.get("a/b")
        with pytest.raises(ObjectMissingError):
            store.size("a")
        for act in (
            lambda: store.put("a/b", b"x"),
            lambda: store.put("a", b"x"),
            lambda: list(store.list("")),
            lambda: list(store.list("a/")),
            lambda: store.delete("a"),
            lambda: store.delete("a/b"),
            lambda: store.sync([""]),
            lambda: store.sync(["a/"]),
            store.sweep,
        ):
            with pytest.raises(StoreError, match="there is no such folder") as caught:
                act()
            assert "strongroom init" in caught.value.hint
            assert caught.value.code == 13
        assert not root.exists()

    @pytest.mark.parametrize("tail", ["", "/", "//", "/.", "/deep/down", "/deep//down/"])
    def test_create_root_makes_what_is_missing(self, root: Path, tail: str) -> None:
        """All folders down to the root are made, and making them again changes nothing."""
        store = LocalStore(PosixFs(), str(root) + tail, SystemRandomness())
        for _ in range(2):
            store.create_root()
            assert store.exists()
        store.put("a/b", b"x")
        assert files(root) == {
            tail.strip("/.").replace("//", "/") + "/a/b": b"x"
        } or not tail.strip("/.")
        store.close()

    def test_an_existing_root_stays_as_it_is(self, root: Path) -> None:
        """``create_root`` leaves the mode and the contents of a folder alone."""
        root.mkdir()
        root.chmod(0o750)
        (root / "file").write_bytes(b"x")
        local_store(root).close()
        assert mode(root) == 0o750
        assert files(root) == {"file": b"x"}

    def test_a_relative_root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A path without a slash is relative to the current folder when it is first used."""
        monkeypatch.chdir(tmp_path)
        with closing(local_store(Path("store"))) as store:
            store.put("a", b"x")
        assert files(tmp_path) == {"store/a": b"x"}

    def test_the_root_may_be_a_symbolic_link(self, tmp_path: Path) -> None:
        """People move repositories to other disks that way; only below the root no link counts."""
        (tmp_path / "disk").mkdir()
        (tmp_path / "store").symlink_to("disk")
        with closing(local_store(tmp_path / "store")) as store:
            store.put("a/b", b"x")
            assert keys(store) == ["a/b"]
        assert files(tmp_path / "disk") == {"a/b": b"x"}

    def test_a_root_that_is_a_file_is_an_error(self, root: Path) -> None:
        """Each verb says that this is no folder, also where a parent of the root is the file."""
        root.write_bytes(b"x")
        for path in (root, root / "below"):
            store = LocalStore(PosixFs(), str(path), SystemRandomness())
            for act in (
                store.exists,
                store.create_root,
                lambda store=store: keys(store),
                lambda store=store: store.get("a"),
                lambda store=store: store.put("a", b"x"),
            ):
                with pytest.raises(StoreError, match="not a directory"):
                    act()

    def test_the_store_stays_where_it_was_opened(self, store: LocalStore, root: Path) -> None:
        """A root that is renamed while it is open takes the objects along."""
        store.put("a/b", b"x")
        root.rename(root.with_name("moved"))
        root.mkdir()
        store.put("a/c", b"y")
        assert keys(store) == ["a/b", "a/c"]
        assert files(root) == {}


class TestVanishing:
    """Folders that somebody removes."""

    def test_a_folder_that_vanishes_in_a_listing_is_an_error(
        self, store: LocalStore, root: Path
    ) -> None:
        """A listing that has seen a folder and cannot read it breaks off instead of going on."""
        for key in ("a/1", "b/1", "c/1"):
            store.put(key, b"x")
        store.close()
        listing = store.list("")
        assert next(listing).key == "a/1"
        (root / "b" / "1").unlink()
        (root / "b").rmdir()
        with pytest.raises(StoreError, match="b: the folder vanished"):
            list(listing)

    def test_an_open_folder_that_vanishes_in_a_listing_is_an_error(
        self, store: LocalStore, root: Path
    ) -> None:
        """The same where its descriptor is still open."""
        for key in ("a/1", "b/1"):
            store.put(key, b"x")
        listing = store.list("")
        assert next(listing).key == "a/1"
        (root / "b" / "1").unlink()
        (root / "b").rmdir()
        with pytest.raises(StoreError, match="b: the folder vanished") as caught:
            list(listing)
        assert not isinstance(caught.value, StoreUnavailableError)

    def test_an_object_deleted_in_a_listing_is_left_out(
        self, store: LocalStore, root: Path
    ) -> None:
        """Deleting while somebody lists is what a collector does; the rest is listed."""
        for key in ("a/1", "b/1", "b/2", "c/1"):
            store.put(key, b"x")
        listing = store.list("")
        assert next(listing).key == "a/1"
        store.delete("b/1")
        assert [found.key for found in listing] == ["b/2", "c/1"]
        assert (root / "b").is_dir()

    def test_a_replaced_folder_is_noticed(self, store: LocalStore, root: Path) -> None:
        """A request that meets a removed folder may be tried again, and then sees the new one."""
        store.put("a/1", b"old")
        (root / "a" / "1").unlink()
        (root / "a").rmdir()
        with pytest.raises(StoreUnavailableError, match="a/1"):
            store.get("a/1")
        with pytest.raises(ObjectMissingError):
            store.get("a/1")
        store.put("b/1", b"b")
        (root / "a").mkdir()
        (root / "a" / "1").write_bytes(b"new")
        assert store.get("a/1") == b"new"

    def test_a_put_into_a_removed_folder_can_be_repeated(
        self, store: LocalStore, root: Path
    ) -> None:
        """The first put says so; the second makes the folder again."""
        store.put("a/1", b"x")
        (root / "a" / "1").unlink()
        (root / "a").rmdir()
        with pytest.raises(StoreUnavailableError, match="a/2"):
            store.put("a/2", b"y")
        store.put("a/2", b"y")
        assert files(root) == {"a/2": b"y"}


class TestSweep:
    """Temporary files of processes that died."""

    def test_old_ones_go_and_young_ones_stay(self, store: LocalStore, root: Path) -> None:
        """Only a file with a temporary name, older than a day, is removed; they are counted."""
        store.put("packs/ab/one", b"x")
        old = time.time() - A_DAY - 60
        young = time.time() - A_DAY + 60
        for name, when in {
            ".tmp-old": old,
            "packs/.tmp-old": old,
            "packs/ab/.tmp-old": old,
            "packs/ab/.tmp-young": young,
            "packs/ab/two": old,
        }.items():
            (root / name).write_bytes(b"x")
            os.utime(root / name, (when, when))
        os.utime(root / "packs/ab/one", (old, old))
        assert store.sweep() == 3
        assert set(files(root)) == {"packs/ab/.tmp-young", "packs/ab/one", "packs/ab/two"}
        assert store.sweep() == 0

    def test_without_any_nothing_is_written(self, root: Path) -> None:
        """A sweep of a tidy store makes no file to learn the time from."""
        store, faulty = faulty_local_store(root)
        store.put("a/b", b"x")
        before = faulty.mutations
        assert store.sweep() == 0
        assert faulty.mutations == before
        store.close()


class TestDescriptors:
    """Open directories are kept, but not many, and none is lost."""

    def test_few_stay_open(self, root: Path) -> None:
        """Also with 200 folders in use there are at most 65 descriptors more than before."""
        before = open_descriptors()
        store = local_store(root)
        for number in range(200):
            store.put(f"packs/{number}/one", b"x")
        assert open_descriptors() <= before + 65
        assert len(keys(store)) == 200
        assert open_descriptors() <= before + 65
        store.close()
        assert open_descriptors() == before
        assert store.get("packs/7/one") == b"x"
        store.close()
        assert open_descriptors() == before

    def test_those_in_use_stay_open(self, root: Path) -> None:
        """With more leases than may stay open none is closed under its user; later they go."""
        with closing(local_store(root)) as store:
            for number in range(5):
                store.put(f"{number}/one", b"x")
        before = open_descriptors()
        directories = Directories(PosixFs(), os.fsencode(root), most_open=2)
        with ExitStack() as stack:
            fds = [stack.enter_context(directories.lease((b"%d" % n,))) for n in range(5)]
            assert [os.listdir(fd) for fd in fds] == [["one"]] * 5  # noqa: PTH208 - by descriptor
            directories.close()
            assert [os.listdir(fd) for fd in fds] == [["one"]] * 5  # noqa: PTH208
        assert open_descriptors() == before
        with directories.lease((b"0",)), directories.lease((b"1",)):
            pass
        with directories.lease((b"2",)):
            assert open_descriptors() == before + 2
        directories.close()
        assert open_descriptors() == before

    def test_the_root_stays_open(self, root: Path) -> None:
        """It is what all others are found from, so it is kept although it was used long ago."""
        with closing(local_store(root)) as store:
            for number in range(5):
                store.put(f"packs/{number}/one", b"x")
            store.put("index/one", b"x")
        directories = Directories(PosixFs(), os.fsencode(root), most_open=3)
        for number in range(5):
            with directories.lease((b"packs", b"%d" % number)):
                pass
        root.rename(root.with_name("moved"))
        with directories.lease((b"index",)) as fd:
            assert os.listdir(fd) == ["one"]  # noqa: PTH208 - by descriptor
        directories.close()

    def test_threads_that_open_one_folder_at_once_share_it(self, root: Path) -> None:
        """Whoever comes second with a descriptor closes it, and uses the first one."""
        with closing(local_store(root)) as store:
            store.put("packs/one", b"x")
        before = open_descriptors()
        fs, faulty = faulty_fs(PosixFs())
        directories = Directories(fs, os.fsencode(root))
        meanwhile: list[int] = []

        def opening(name: bytes, flags: int, *, dir_fd: int) -> int:
            if not meanwhile:
                meanwhile.append(0)
                with directories.lease((b"packs",)) as fd:
                    meanwhile[0] = fd
            return os.open(name, flags, dir_fd=dir_fd)

        with directories.lease(()):
            faulty.open = opening  # type: ignore[attr-defined]
            with directories.lease((b"packs",)) as fd:
                assert meanwhile == [fd]
            assert open_descriptors() == before + 2
        directories.close()
        assert open_descriptors() == before

    def test_errors_lose_none(self, store: LocalStore) -> None:
        """Neither a refused put nor a failed read keeps a descriptor."""
        store.put("a/b", b"x")
        before = open_descriptors()
        for _ in range(20):
            with pytest.raises(ObjectExistsError):
                store.put("a/b", b"y")
            with pytest.raises(ObjectMissingError):
                store.get("a/c")
            with pytest.raises(StoreError):
                store.get("a")
        assert open_descriptors() == before

    def test_a_second_put_costs_little(self, root: Path) -> None:
        """Into a folder that is open: a file, mode, bytes and fsync; a name and its fsync."""
        store, faulty = faulty_local_store(root)
        store.put("packs/ab/one", b"x")
        before = len(faulty.trace)
        store.put("packs/ab/two", b"x")
        assert [call.what for call in faulty.trace[before:]] == [
            "create_unnamed",
            "fchmod",
            "write",
            "fsync",
            "link_fd",
            "close",
            "fsync",
        ]
        store.close()


DENIED = """
import os, sys
sys.path[:0] = {paths!r}
from strongroom.errors import StrongroomError
from strongroom.storage.local import LocalStore
from strongroom.storage.local_directories import Directories
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness

if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
store = LocalStore(PosixFs(), {root!r}, SystemRandomness())
for act in (
    lambda: store.put("packs/one", b"x"),
    lambda: store.put("packs/new/one", b"x"),
    lambda: store.get("packs/one"),
    lambda: store.size("packs/one"),
    lambda: store.delete("packs/one"),
    lambda: list(store.list("")),
    lambda: store.sync([""]),
    lambda: store.sweep(),
):
    try:
        act()
    except StrongroomError as error:
        print(type(error).__name__, error.code, error.message, bool(error.hint), sep="|")
    else:
        print("no error")
"""


@pytest.mark.parametrize("denied", ["", "packs"])
def test_denied_access_is_told_as_such(denied: str) -> None:
    """Without permission every verb is a StoreError (exit 13).

    It names the place, says that access was denied, and has a hint.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # others can come as far as the store
        root = Path(folder) / "store"
        with closing(local_store(root)) as store:
            store.put("packs/one", b"x")
        root.chmod(0o755)
        (root / denied).chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", DENIED.format(paths=sys.path, root=str(root))],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        (root / denied).chmod(0o700)
        assert files(root) == {"packs/one": b"x"}
    lines = done.stdout.splitlines()
    assert len(lines) == 8
    for line in lines:
        kind, code, message, hint = line.split("|")
        assert (kind, code, hint) == ("StoreError", "13", "True")
        assert "access denied" in message
        assert str(root) in message
