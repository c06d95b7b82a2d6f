"""How files and directories are made, and what they do not inherit."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import msgspec
import pytest

from strongroom.errors import RestoreError
from strongroom.model.entry import EntryKind
from strongroom.model.fs import Stat
from strongroom.model.source import Problem
from strongroom.system.posix import PosixFs
from tests.support.entries import (
    WHEN_NS,
    directory,
    file,
    fill,
    names_in,
    restore,
    symlink,
    thing,
)
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.file_trees import ROOT, access_list
from tests.support.hook_fs import hook_fs
from tests.support.memory_backup import files_target


def test_an_ordinary_file_takes_four_calls(tmp_path: Path) -> None:
    """It is made with its mode and by its owner; only the time is set afterwards."""
    fs, faults = faulty_fs(PosixFs())
    target = files_target(tmp_path / "t", [], fs=fs)
    umask = os.umask(0o022)
    os.umask(umask)
    entries = [msgspec.structs.replace(file(f"{n}"), mode=0o777 & ~umask) for n in range(9)]
    wanted = target.place(entries)
    faults.attempts.clear()
    fill(target, wanted)
    expected = {"create": 9, "pwrite": 9, "futime": 9, "close": 9}
    assert dict(faults.attempts) == expected
    target.finish()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, *([0o777] if ROOT else [])])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    """Of files, directories and specials."""
    modes = [0o000, 0o600, 0o644, 0o666, 0o777, 0o1777, 0o2755, 0o4711]
    entries = []
    for mode in modes:
        entries.append(msgspec.structs.replace(file(f"{mode:04o}"), mode=mode))
        entries.append(directory(f"{mode:04o}.d", mode))
        entries.append(file(f"{mode:04o}.d/x"))
        entries.append(thing(f"{mode:04o}.fifo", EntryKind.FIFO, mode=mode))
    before = os.umask(umask)
    try:
        problems: list[Problem] = []
        restore(files_target(tmp_path / "t", problems), *entries)
    finally:
        os.umask(before)
    for mode in modes:
        for suffix in ("", ".d", ".fifo"):
            found = (tmp_path / "t" / f"{mode:04o}{suffix}").stat()
            assert stat.S_IMODE(found.st_mode) == mode
        (tmp_path / "t" / f"{mode:04o}.d").chmod(0o700)
    assert problems == []


def test_nobody_can_look_in_before_the_end(tmp_path: Path) -> None:
    """Directories are private until everything is in them, and have their time then."""
    target = files_target(tmp_path / "t", [])
    wanted = target.place([directory("d", 0o777), file("d/x")])
    fill(target, wanted)
    assert stat.S_IMODE((tmp_path / "t" / "d").stat().st_mode) == 0o700
    target.finish()
    found = (tmp_path / "t" / "d").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o777, WHEN_NS)


def test_directories_that_no_entry_makes_stay_private(tmp_path: Path) -> None:
    """A part of a tree can be restored without what was above it."""
    problems: list[Problem] = []
    restore(files_target(tmp_path / "t", problems), file("a/b/c"), directory("a/d"), file("a/d/e"))
    assert names_in(tmp_path / "t") == {"a", "a/b", "a/b/c", "a/d", "a/d/e"}
    assert stat.S_IMODE((tmp_path / "t" / "a" / "b").stat().st_mode) == 0o700
    assert problems == []


def test_a_directory_that_cannot_be_made_loses_what_is_below_it(tmp_path: Path) -> None:
    """It is reported once, with the number of entries; the rest is restored."""
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"mkdir"}), number=errno.EACCES))
    problems: list[Problem] = []
    entries = [directory("a"), file("a/b"), directory("a/c"), file("a/c/d"), file("a/c/e/f")]
    restore(files_target(tmp_path, problems, fs=fs), *entries, directory("b"), file("b/x"))
    assert problems == [
        Problem(b"a", "permission denied"),
        Problem(b"a", "4 entries below it are not restored"),
    ]
    assert names_in(tmp_path) == {"b", "b/x"}


def test_restored_files_are_made_durable_at_the_end(tmp_path: Path) -> None:
    """Once for all of them; if that fails, the restore has failed."""
    fs, faults = faulty_fs(PosixFs())
    restore(files_target(tmp_path / "a", [], fs=fs), file("x"))
    assert [call.what for call in faults.trace[-3:]] == ["close", "syncfs", "close"]
    assert faults.attempts["syncfs"] == 1
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"syncfs"}), number=errno.EIO))
    with pytest.raises(RestoreError, match="may not survive a power cut: the disk reports"):
        restore(files_target(tmp_path / "b", [], fs=fs), file("x"))


def test_a_disk_begins_to_write_what_is_large(tmp_path: Path) -> None:
    """Of a file in pieces, each piece that is worth a request; of small ones none."""
    fs, faults = faulty_fs(PosixFs())
    target = files_target(tmp_path / "t", [], fs=fs)
    large, _ = target.place([file("large", bytes(600_000)), file("small")])
    opened = target.open(large)
    assert opened is not None
    opened.write(0, bytes(300_000))
    opened.write(300_000, bytes(100))
    opened.write(300_100, bytes(299_900))
    opened.finish()
    target.write([(file("small"), b"data")])
    target.finish()
    begun = [call.arguments[1:] for call in faults.trace if call.what == "begin_writing"]
    assert begun == [(0, 300_000), (300_100, 299_900)]


def test_every_file_system_below_the_target_is_made_durable(tmp_path: Path) -> None:
    """What is restored below a mount point is on another disk."""
    (tmp_path / "mount").mkdir()
    inode = (tmp_path / "mount").stat().st_ino

    def mounted(found: Stat) -> Stat:
        return found._replace(device=found.device + 1) if found.inode == inode else found

    real, faults = faulty_fs(PosixFs())
    fs = hook_fs(changed={"fstat": mounted}, within=real)
    restore(files_target(tmp_path, [], fs=fs, overwrite="always"), directory("mount"), file("x"))
    assert faults.attempts["syncfs"] == 2


@pytest.mark.parametrize("below", ["", "mount/"])
def test_an_error_of_the_disk_on_the_way_is_told(tmp_path: Path, below: str) -> None:
    """Linux writes when it likes, and where somebody else was told of an error, tells a descriptor
    only of those since it was opened.
    """
    (tmp_path / "mount").mkdir()
    inode = (tmp_path / "mount").stat().st_ino
    told: set[int] = set()
    devices: dict[int, int] = {}
    failed: set[int] = set()

    def mounted(found: Stat) -> Stat:
        return found._replace(device=found.device + 1) if found.inode == inode else found

    def device_of(fd: int) -> int:
        return int(Path(f"/proc/self/fd/{fd}").readlink().is_relative_to(tmp_path / "mount"))

    def opened(fd: int) -> int:
        devices[fd] = device_of(fd)
        (told.discard if devices[fd] in failed else told.add)(fd)
        return fd

    def written(fd: int, *_: object) -> None:
        failed.add(device_of(fd))

    def synced(fd: int) -> None:
        if devices[fd] in failed and fd in told:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    hooks = {"pwrite": written, "syncfs": synced}
    fs = hook_fs(hooks, changed={"open": opened, "fstat": mounted})
    with pytest.raises(RestoreError, match="may not survive a power cut: the disk reports"):
        restore(
            files_target(tmp_path, [], fs=fs, overwrite="always"),
            directory("mount"),
            file(f"{below}x"),
        )


def test_the_number_of_files_that_were_restored(tmp_path: Path) -> None:
    """It counts those without a problem."""
    target = files_target(tmp_path / "t", [])
    wanted = target.place([file("a"), file("b"), file("c", b"")])
    (tmp_path / "t" / "b").touch()
    assert fill(target, wanted) == 2
    target.finish()


def test_files_that_were_never_asked_for(tmp_path: Path) -> None:
    """A caller that confuses targets is told so."""
    with pytest.raises(TypeError, match="no file of the directory b'a' was wanted"):
        fill(files_target(tmp_path / "t", []), [file("a/b")])


@pytest.mark.spec("B5")
def test_access_lists_of_the_target_are_not_inherited(tmp_path: Path) -> None:
    """A file without a list has none afterwards, wherever it is restored to."""
    path = tmp_path / "t"
    path.mkdir()
    os.setxattr(path, "system.posix_acl_default", access_list(7))
    problems: list[Problem] = []
    restore(
        files_target(path, problems),
        directory("d", 0o750),
        file("d/x"),
        thing("fifo", EntryKind.FIFO, mode=0o640),
        symlink("link", b"d"),
        file("x"),
    )
    for name in ("d", "d/x", "fifo", "x"):
        assert os.listxattr(path / name) == []
    modes = [stat.S_IMODE((path / name).stat().st_mode) for name in ("d", "d/x", "fifo", "x")]
    assert modes == [0o750, 0o644, 0o640, 0o644]
    assert problems == []


@pytest.mark.spec("B5")
def test_the_group_of_the_target_is_not_inherited(tmp_path: Path) -> None:
    """A target whose new files get its group makes no difference."""
    path = tmp_path / "t"
    path.mkdir()
    if ROOT:
        os.chown(path, 0, 4242)
    path.chmod(0o2755)
    problems: list[Problem] = []
    restore(files_target(path, problems), directory("d"), file("d/x"), file("x"))
    for name in ("d", "d/x", "x"):
        assert (path / name).stat().st_gid == os.getegid()
    assert stat.S_IMODE((path / "d").stat().st_mode) == 0o755
    assert problems == []
