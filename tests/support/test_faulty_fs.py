"""The faulty file system fails as it is told to, and the power-loss model finds what it must."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.model.fs import Fs
from strongroom.system.posix import PosixFs
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import FaultyFs, FsFault, faulty_fs
from tests.support.power_loss import durable_after

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
NEW = os.O_CREAT | os.O_EXCL | os.O_WRONLY


def root_of(fs: Fs, path: Path) -> int:
    """Open a folder through ``fs``."""
    return fs.open(os.fsencode(path), DIRECTORY)


def test_calls_are_recorded(tmp_path: Path) -> None:
    """Those that came back, with arguments, buffers copied, and results."""
    fs, faulty = faulty_fs(PosixFs())
    root = root_of(fs, tmp_path)
    fd = fs.open(b"file", NEW, dir_fd=root)
    data = bytearray(b"data")
    fs.write(fd, memoryview(data))
    data[:] = b"else"
    with pytest.raises(FileNotFoundError):
        fs.unlink(b"none", dir_fd=root)
    fs.close(fd)
    fs.close(root)
    assert [call.what for call in faulty.trace] == ["open", "create", "write", "close", "close"]
    assert faulty.trace[2].arguments == (fd, b"data")
    assert faulty.trace[1].named == {"dir_fd": root}
    assert faulty.mutations == 3
    assert faulty.attempts["unlink"] == 1


def test_the_nth_call_fails(tmp_path: Path) -> None:
    """Before it has its effect, or after; the calls around it go through."""
    for when, names in (("before", [b"1", b"3"]), ("after", [b"1", b"2", b"3"])):
        folder = tmp_path / when
        folder.mkdir()
        fault = FsFault("error", 2, frozenset({"mkdir"}), when, errno.EIO)  # type: ignore[arg-type]
        fs, _ = faulty_fs(PosixFs(), fault)
        root = root_of(fs, folder)
        fs.mkdir(b"1", 0o700, dir_fd=root)
        with pytest.raises(OSError, match="nput/output") as caught:
            fs.mkdir(b"2", 0o700, dir_fd=root)
        assert caught.value.errno == errno.EIO
        fs.mkdir(b"3", 0o700, dir_fd=root)
        assert sorted(fs.names(root)) == names
        fs.close(root)


def test_errors_have_their_types(tmp_path: Path) -> None:
    """ENOENT is FileNotFoundError, as from the system."""
    fs, _ = faulty_fs(PosixFs(), lacks={"stat": errno.ENOENT})
    with pytest.raises(FileNotFoundError):
        fs.stat(bytes(tmp_path))


@pytest.mark.parametrize(("when", "left"), [("before", b""), ("amid", b"01"), ("after", b"0123")])
def test_a_crash_may_tear_a_write(tmp_path: Path, when: str, left: bytes) -> None:
    """The first half of the data stands; afterwards only ``close`` still works."""
    fs, _ = faulty_fs(PosixFs(), FsFault("crash", 1, frozenset({"write"}), when))  # type: ignore[arg-type]
    root = root_of(fs, tmp_path)
    fd = fs.open(b"file", NEW, dir_fd=root)
    with pytest.raises(SimulatedCrash):
        fs.write(fd, b"0123")
    with pytest.raises(SimulatedCrash):
        fs.unlink(b"file", dir_fd=root)
    with pytest.raises(SimulatedCrash):
        fs.stat(b"file", dir_fd=root)
    fs.close(fd)
    fs.close(root)
    assert (tmp_path / "file").read_bytes() == left


def test_writes_can_be_short(tmp_path: Path) -> None:
    """No write takes more than it may."""
    fs, _ = faulty_fs(PosixFs(), most_written=3)
    root = root_of(fs, tmp_path)
    fd = fs.open(b"file", NEW, dir_fd=root)
    assert fs.write(fd, b"0123456") == 3
    fs.close(fd)
    fs.close(root)


class Careless:
    """Ways to store a file that lose something; each step is one call on ``fs``."""

    def __init__(self, folder: Path) -> None:
        self.fs, self.faulty = faulty_fs(PosixFs())
        self.root = root_of(self.fs, folder)

    def written(self, name: bytes, *, synced: bool) -> int:
        """Make a file with content."""
        fd = self.fs.open(name, NEW, dir_fd=self.root)
        self.fs.write(fd, b"con")
        self.fs.write(fd, b"tent")
        if synced:
            self.fs.fsync(fd)
        return fd

    def moved(self) -> None:
        """Rename the temporary file."""
        self.fs.rename(b".tmp", b"name", old_dir_fd=self.root, dir_fd=self.root)

    def sync_folder(self) -> None:
        """Make the names durable."""
        self.fs.fsync(self.root)


def _without_any_sync(careless: Careless) -> None:
    careless.written(b".tmp", synced=False)
    careless.moved()


def _without_sync_of_the_file(careless: Careless) -> None:
    careless.written(b".tmp", synced=False)
    careless.moved()
    careless.sync_folder()


def _with_sync_of_the_file_too_late(careless: Careless) -> None:
    fd = careless.written(b".tmp", synced=False)
    careless.moved()
    careless.fs.fsync(fd)
    careless.sync_folder()


def _in_place(careless: Careless) -> None:
    careless.written(b"name", synced=True)
    careless.sync_folder()


def _without_sync_of_the_folder(careless: Careless) -> None:
    careless.written(b".tmp", synced=True)
    careless.moved()


def _right(careless: Careless) -> None:
    careless.written(b".tmp", synced=True)
    careless.moved()
    careless.sync_folder()


@pytest.mark.parametrize(
    ("way", "durable", "torn"),
    [
        (_without_any_sync, False, True),
        (_without_sync_of_the_file, False, True),
        (_with_sync_of_the_file_too_late, True, True),
        (_in_place, True, True),
        (_without_sync_of_the_folder, False, False),
        (_right, True, False),
    ],
)
def test_carelessness_is_found(
    tmp_path: Path, way: Callable[[Careless], None], *, durable: bool, torn: bool
) -> None:
    """For each wrong order of calls the model shows a loss at the end or a tear on the way."""
    careless = Careless(tmp_path)
    way(careless)
    calls = careless.faulty.trace
    assert (durable_after(calls).certain.get(b"name") == b"content") is durable
    states = [durable_after(calls[:end]).possible for end in range(len(calls) + 1)]
    assert any(state.get(b"name", b"content") != b"content" for state in states) is torn


def test_a_folder_found_is_not_taken_for_durable(tmp_path: Path) -> None:
    """What lies below a folder survives only if the folder's own name was synced as well."""
    (tmp_path / "a").mkdir()
    fs, faulty = faulty_fs(PosixFs())
    root = root_of(fs, tmp_path)
    folder = fs.open(b"a", DIRECTORY, dir_fd=root)
    fd = fs.open(b"file", NEW, dir_fd=folder)
    fs.fsync(fd)
    fs.fsync(folder)
    assert durable_after(faulty.trace).certain == {}
    assert durable_after(faulty.trace).possible == {b"a/file": b""}
    fs.fsync(root)
    assert durable_after(faulty.trace).certain == {b"a/file": b""}


def test_a_deleted_file_may_come_back(tmp_path: Path) -> None:
    """Until the folder is synced again."""
    careless = Careless(tmp_path)
    _right(careless)
    careless.fs.unlink(b"name", dir_fd=careless.root)
    assert durable_after(careless.faulty.trace).certain == {b"name": b"content"}
    careless.sync_folder()
    assert durable_after(careless.faulty.trace) == ({}, {}, {})


def test_unknown_methods_do_not_exist() -> None:
    """A misspelt call is an AttributeError, as on the real file system."""
    _, faulty = faulty_fs(PosixFs())
    assert isinstance(faulty, FaultyFs)
    with pytest.raises(AttributeError):
        faulty.opne(b"x", 0)
