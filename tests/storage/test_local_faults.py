"""The store in a folder, when the file system fails or the process dies at any call."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Literal

import pytest

from strongroom.errors import (
    ObjectExistsError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    StrongroomError,
)
from strongroom.storage.local import LocalStore
from strongroom.storage.local_errors import FsyncError
from strongroom.storage.local_files import UnsupportedError
from tests.storage.conformance import keys
from tests.storage.kill_matrix import VALUES
from tests.storage.local_stores import RUNGS, faulty_local_store, files, local_store
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import CREATING, NAMING, FsFault

pytestmark = pytest.mark.spec("B1")

KEY = "packs/ab/one"
VALUE = b"0123456789" * 50
FULL = [errno.ENOSPC, errno.EDQUOT]
AWAY = [errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EINTR, errno.ENOTCONN]
BROKEN = [errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES]

VERBS: dict[str, Callable[[LocalStore], object]] = {
    "get": lambda store: store.get(KEY),
    "get_range": lambda store: store.get_range(KEY, 1, 2),
    "size": lambda store: store.size(KEY),
    "list": lambda store: keys(store, "packs/"),
    "sync": lambda store: store.sync(["packs/"]),
    "delete": lambda store: store.delete(KEY),
}

When = Literal["before", "amid", "after"]


def mutations_of_put(root: Path, rung: str) -> int:
    """Return how many mutating calls a put into a new folder makes."""
    store, faulty = faulty_local_store(root, lacks=RUNGS[rung])
    store.put(KEY, VALUE)
    store.close()
    return faulty.mutations


def failure(act: Callable[[], object]) -> StrongroomError | None:
    """Return what ``act`` raised; anything but a StrongroomError is a failure of the test."""
    try:
        act()
    except StrongroomError as error:
        return error
    return None


def check_told(error: StrongroomError, number: int, place: str) -> None:
    """Check that an error has the type for its errno, and names the place and the cause."""
    assert place in error.message
    assert os.strerror(number).lower() in error.message.lower()
    if not isinstance(error.__cause__, FsyncError):
        assert type(error) is expected_error(number)


def expected_error(number: int) -> type[StrongroomError]:
    """Return what an errno of a call other than fsync is raised as."""
    if number in FULL:
        return StoreFullError
    return StoreUnavailableError if number in AWAY else StoreError


class TestErrors:
    """An errno at any call."""

    @pytest.mark.parametrize("rung", RUNGS)
    @pytest.mark.parametrize("number", [*FULL, *AWAY, *BROKEN], ids=errno.errorcode.get)
    def test_at_every_call_of_a_put(self, tmp_path: Path, rung: str, number: int) -> None:
        """The put fails with the right error and leaves nothing, or stands in spite of it.

        Whichever mutating call fails: the message names key and cause; there is no object, or a
        complete one if the put returned; no temporary file stays unless its unlink was what
        failed; and the same put succeeds afterwards.
        """
        total = mutations_of_put(tmp_path / "count", rung)
        failed = 0
        for nth in range(1, total + 1):
            root = tmp_path / str(nth)
            fault = FsFault("error", nth, number=number)
            store, _ = faulty_local_store(root, fault, lacks=RUNGS[rung])
            error = failure(partial(store.put, KEY, VALUE))
            if error is None:
                assert store.get(KEY) == VALUE
            else:
                failed += 1
                check_told(error, number, KEY)
                assert keys(store) == []
                assert files(root) == {}
            store.close()
            with closing(local_store(root)) as again:
                with suppress(ObjectExistsError):
                    again.put(KEY, VALUE)
                assert again.get(KEY) == VALUE
        assert failed >= total - 2  # fchmod does not matter, nor the unlink of a temporary file

    @pytest.mark.parametrize("number", [*FULL, *AWAY, *BROKEN], ids=errno.errorcode.get)
    @pytest.mark.parametrize("verb", VERBS)
    def test_at_every_call_of_other_verbs(self, tmp_path: Path, verb: str, number: int) -> None:
        """Whichever call fails, also one that only reads: a StrongroomError with key and cause."""
        calls = frozenset({"open", "fstat", "stat", "pread", "names", "unlink", "fsync"})
        for nth in range(1, 12):
            root = tmp_path / str(nth)
            with closing(local_store(root)) as sound:
                sound.put(KEY, VALUE)
            fault = FsFault("error", nth, calls, number=number)
            store, faulty = faulty_local_store(root, fault)
            error = failure(partial(VERBS[verb], store))
            if error is None:
                assert sum(faulty.attempts[call] for call in calls) < nth
            else:
                check_told(error, number, str(root))
            store.close()

    @pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EAGAIN, errno.ENOSPC])
    @pytest.mark.parametrize("rung", RUNGS)
    def test_a_failed_fsync_is_never_tried_again(
        self, tmp_path: Path, rung: str, number: int
    ) -> None:
        """The put is aborted for good: no error that is retried, no file, no second fsync."""
        for nth in (1, 2, 3, 4):  # of root and packs, for the folders made; file; folder
            fault = FsFault("error", nth, frozenset({"fsync"}), number=number)
            store, faulty = faulty_local_store(tmp_path / str(nth), fault, lacks=RUNGS[rung])
            with pytest.raises(StrongroomError) as caught:
                store.put(KEY, VALUE)
            assert not isinstance(caught.value, StoreUnavailableError)
            assert isinstance(caught.value, StoreFullError if number in FULL else StoreError)
            assert faulty.attempts["fsync"] == nth
            assert files(tmp_path / str(nth)) == {}
            store.close()

    def test_after_a_failed_fsync_of_a_folder_nothing_is_stored(self, tmp_path: Path) -> None:
        """The kernel tells of a failure once: no later fsync by this store may hide it."""
        fault = FsFault("error", 4, frozenset({"fsync"}), number=errno.EIO)
        store, faulty = faulty_local_store(tmp_path / "store", fault)
        for key in (KEY, KEY, "packs/ab/two", "other"):
            with pytest.raises(StoreError, match=f"{key}: input/output error"):
                store.put(key, VALUE)
        with pytest.raises(StoreError, match="input/output error"):
            store.sync([""])
        assert (faulty.attempts["fsync"], faulty.attempts["write"]) == (4, 1)
        assert files(tmp_path / "store") == {}
        store.close()

    def test_a_taken_key_is_durable_before_it_is_told(self, tmp_path: Path) -> None:
        """Whoever put the object may have died before its fsync, and its bytes may be ours."""
        with closing(local_store(tmp_path / "store")) as other:
            other.put(KEY, VALUE)
        fault = FsFault("error", 4, frozenset({"fsync"}), number=errno.EIO)
        store, _ = faulty_local_store(tmp_path / "store", fault)
        with pytest.raises(StoreError) as caught:
            store.put(KEY, VALUE)
        assert not isinstance(caught.value, ObjectExistsError)
        store.close()
        assert files(tmp_path / "store") == {KEY: VALUE}

    @pytest.mark.parametrize("most", [1, 7, 499, 500])
    @pytest.mark.parametrize("rung", RUNGS)
    def test_short_writes_are_continued(self, tmp_path: Path, rung: str, most: int) -> None:
        """A file system that takes a few bytes at a time gets them all."""
        store, _ = faulty_local_store(tmp_path / "store", lacks=RUNGS[rung], most_written=most)
        store.put(KEY, VALUE)
        assert store.get(KEY) == VALUE
        store.close()

    def test_a_file_that_takes_nothing_is_an_error(self, tmp_path: Path) -> None:
        """A write of no bytes ends the put instead of being repeated for ever."""
        store, _ = faulty_local_store(tmp_path / "store", most_written=0)
        with pytest.raises(StoreError, match=f"{KEY}: the file takes no more bytes"):
            store.put(KEY, VALUE)
        assert files(tmp_path / "store") == {}
        store.close()

    def test_a_file_that_shrinks_is_an_error(self, tmp_path: Path) -> None:
        """``get`` never returns fewer bytes than the file had when it was opened."""
        store, faulty = faulty_local_store(tmp_path / "store")
        store.put(KEY, VALUE)
        path = tmp_path / "store" / KEY
        path.chmod(0o600)

        def truncating(fd: int, size: int, offset: int) -> bytes:
            os.truncate(path, 10)
            return os.pread(fd, size, offset)

        faulty.pread = truncating  # type: ignore[attr-defined]
        with pytest.raises(StoreError, match=f"{KEY} shrank"):
            store.get(KEY)
        with pytest.raises(StoreError, match="not all there"):
            store.get_range(KEY, 5, 10)
        store.close()

    def test_short_reads_are_continued(self, tmp_path: Path) -> None:
        """A file system that gives a few bytes at a time is asked for the rest."""
        store, faulty = faulty_local_store(tmp_path / "store")
        store.put(KEY, VALUE)
        faulty.pread = lambda fd, size, offset: os.pread(fd, min(size, 7), offset)  # type: ignore[attr-defined]
        assert store.get(KEY) == VALUE
        assert store.get_range(KEY, 3, 40) == VALUE[3:43]
        store.close()

    def test_what_vanishes_before_it_is_looked_at_is_left_out(self, tmp_path: Path) -> None:
        """A file between the names and its size was deleted, in a listing or by another sweep."""
        fault = FsFault("error", 2, frozenset({"stat"}), number=errno.ENOENT)
        store, faulty = faulty_local_store(tmp_path / "store", fault)
        with closing(local_store(tmp_path / "store")) as other:
            for key in ("a", "b", "c"):
                other.put(key, VALUE)
        assert len(keys(store)) == 2
        assert len(keys(store)) == 3
        (tmp_path / "store" / ".tmp-1").touch()
        os.utime(tmp_path / "store" / ".tmp-1", (0, 0))
        faulty.unlink = partial(missing, b".tmp-1", os.unlink)  # type: ignore[attr-defined]
        assert store.sweep() == 0
        store.close()


def missing(name: bytes, unlink: Callable[..., None], what: bytes, *, dir_fd: int) -> None:
    """Remove a file, unless it is the one that somebody else has just removed."""
    if what == name:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    unlink(what, dir_fd=dir_fd)


class TestLadder:
    """File systems that lack something."""

    @pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL])
    def test_without_unnamed_files_a_temporary_name_does(self, tmp_path: Path, number: int) -> None:
        """The first rung is tried once, not for every put."""
        store, faulty = faulty_local_store(tmp_path / "store", lacks={"create_unnamed": number})
        for n in range(3):
            store.put(f"a/{n}", VALUE)
        assert (faulty.attempts["create_unnamed"], faulty.attempts["link"]) == (1, 3)
        assert set(files(tmp_path / "store")) == {"a/0", "a/1", "a/2"}
        store.close()

    @pytest.mark.parametrize(
        "number", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EINVAL]
    )
    def test_without_links_a_careful_rename_does(self, tmp_path: Path, number: int) -> None:
        """As on exFAT; and still exactly one put of a key succeeds."""
        lacks = {"link_fd": number, "link": number}
        store, faulty = faulty_local_store(tmp_path / "store", lacks=lacks)
        for n in range(3):
            store.put(f"a/{n}", VALUE)
        with pytest.raises(ObjectExistsError):
            store.put("a/0", b"other")
        assert (faulty.attempts["link"], faulty.attempts["rename_new"]) == (1, 4)
        assert files(tmp_path / "store") == dict.fromkeys(("a/0", "a/1", "a/2"), VALUE)
        store.close()

    @pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
    def test_without_any_way_nothing_is_stored(self, tmp_path: Path, number: int) -> None:
        """The error says that this file system is not safe, and what is; no file stays."""
        lacks = {"link_fd": errno.EPERM, "link": errno.EPERM, "rename_new": number}
        store, _ = faulty_local_store(tmp_path / "store", lacks=lacks)
        for _ in range(2):
            with pytest.raises(StoreError, match="cannot hold a repository safely") as caught:
                store.put("a/1", VALUE)
            assert isinstance(caught.value.__cause__, UnsupportedError)
            assert "ext4" in caught.value.hint
        assert files(tmp_path / "store") == {}
        store.close()

    def test_a_link_whose_answer_was_lost_is_recognised(self, tmp_path: Path) -> None:
        """An NFS client that repeats its request is told of its own link that it exists."""
        fault = FsFault("error", 1, frozenset({"link"}), "after", errno.EEXIST)
        store, _ = faulty_local_store(tmp_path / "store", fault, lacks=RUNGS["linked"])
        store.put(KEY, VALUE)
        assert files(tmp_path / "store") == {KEY: VALUE}
        store.close()

    def test_a_taken_temporary_name_is_not_a_taken_key(self, tmp_path: Path) -> None:
        """Randomness that repeats itself makes the put unavailable, and the next one works."""
        fault = FsFault("error", 1, frozenset({"create"}), number=errno.EEXIST)
        store, _ = faulty_local_store(tmp_path / "store", fault, lacks=RUNGS["linked"])
        with pytest.raises(StoreUnavailableError, match=KEY):
            store.put(KEY, VALUE)
        store.put(KEY, VALUE)
        assert files(tmp_path / "store") == {KEY: VALUE}
        store.close()

    @pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
    def test_a_file_system_without_modes_is_good_enough(self, tmp_path: Path, number: int) -> None:
        """What is stored is encrypted; a mode that cannot be set is no reason to stop."""
        lacks = {"fchmod": number, "chmod": number}
        store, _ = faulty_local_store(tmp_path / "store", lacks=lacks)
        store.put(KEY, VALUE)
        assert store.get(KEY) == VALUE
        store.close()


class TestCrashes:
    """The end of the process at any call."""

    @pytest.mark.parametrize("rung", RUNGS)
    @pytest.mark.parametrize("when", ["before", "amid", "after"])
    def test_at_every_call_of_a_put(self, tmp_path: Path, rung: str, when: When) -> None:
        """There is no object or a complete one, and the next process can put it.

        What is left besides has a temporary name, and a sweep a day later removes it. The first
        rung leaves nothing.
        """
        for nth in range(1, mutations_of_put(tmp_path / "count", rung) + 1):
            root = tmp_path / str(nth)
            fault = FsFault("crash", nth, when=when)
            store, _ = faulty_local_store(root, fault, lacks=RUNGS[rung])
            with pytest.raises(SimulatedCrash):
                store.put(KEY, VALUE)
            with pytest.raises(SimulatedCrash):
                store.get(KEY)
            store.close()
            left = [name for name in files(root) if name != KEY]
            assert all("/.tmp-" in name for name in left)
            assert rung != "unnamed" or not left
            with closing(local_store(root)) as again:
                assert keys(again) in ([], [KEY])
                with suppress(ObjectExistsError):
                    again.put(KEY, VALUE)
                for name in left:
                    old = time.time() - 25 * 3600
                    os.utime(root / name, (old, old))
                assert again.sweep() == len(left)
            assert files(root) == {KEY: VALUE}

    @pytest.mark.parametrize("rung", RUNGS)
    def test_by_sigkill_at_every_call(self, tmp_path: Path, rung: str) -> None:
        """What a killed process had acknowledged is there, whole; the rest can be put."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.storage.kill_matrix", str(tmp_path), rung],
            cwd=Path(__file__).parents[2],
            env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
            timeout=200,
        )
        cases = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(cases) > 40
        assert [case["killed"] for case in cases[:-1]] == [True] * (len(cases) - 1)
        assert cases[-1] == {"folder": cases[-1]["folder"], "killed": False, "done": list(VALUES)}
        for case in cases:
            root = Path(case["folder"])
            with closing(local_store(root)) as store:
                listed = keys(store)
                assert set(case["done"]) <= set(listed)
                assert all(store.get(key) == VALUES[key] for key in listed)
                for key, value in VALUES.items():
                    if key not in listed:
                        store.put(key, value)
                assert {key: store.get(key) for key in keys(store)} == VALUES

    def test_a_delete_happens_or_not(self, tmp_path: Path) -> None:
        """A crash in a delete leaves the object whole or gone, and the delete can be repeated."""
        for nth in (1, 2):
            for when in ("before", "after"):
                root = tmp_path / f"{nth}{when}"
                with closing(local_store(root)) as sound:
                    sound.put(KEY, VALUE)
                calls = NAMING | CREATING | {"fsync"}
                fault = FsFault("crash", nth, calls, "before" if when == "before" else "after")
                store, _ = faulty_local_store(root, fault)
                with pytest.raises(SimulatedCrash):
                    store.delete(KEY)
                store.close()
                assert files(root) in ({}, {KEY: VALUE})
                with closing(local_store(root)) as again:
                    again.delete(KEY)
                    assert keys(again) == []
