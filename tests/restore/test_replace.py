"""Restoring over what is there: asked for, one thing at a time, and never through a link."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import msgspec
import pytest

from strongroom.model.entry import Entry, EntryKind
from strongroom.model.source import Problem
from strongroom.system.posix import PosixFs
from tests.support.compare_trees import describe
from tests.support.entries import directory, file, fill, restore, symlink, thing
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.file_trees import access_list
from tests.support.memory_backup import files_target


def _replaced(path: Path, *entries: Entry) -> list[Problem]:
    problems: list[Problem] = []
    restore(files_target(path, problems, overwrite="always"), *entries)
    assert not [name for name in describe(path) if b"partial" in name]
    return problems


@pytest.mark.parametrize(
    "old",
    [
        lambda path: path.write_text("old"),
        lambda path: path.symlink_to("outside"),
        os.mkfifo,
        lambda path: path.symlink_to("/dev/full"),
    ],
)
@pytest.mark.parametrize(
    "new",
    [
        file("m"),
        symlink("m", b"new"),
        thing("m", EntryKind.FIFO),
        directory("m"),
        msgspec.structs.replace(file("m"), size=0, content=b""),
    ],
)
def test_what_is_no_directory_gives_way(tmp_path: Path, old: object, new: Entry) -> None:
    """The new thing is there, whole; what an old link led to is untouched."""
    (tmp_path / "outside").write_text("untouched")
    assert callable(old)
    old(tmp_path / "m")
    assert _replaced(tmp_path, new) == []
    there = describe(tmp_path)[b"m"]
    kinds = {EntryKind.FILE: "file", EntryKind.SYMLINK: "link", EntryKind.FIFO: "fifo"}
    assert there.kind == kinds.get(EntryKind(new.kind), "directory")
    assert there.size == new.size
    assert (tmp_path / "outside").read_text() == "untouched"


@pytest.mark.parametrize("new", [file("m"), symlink("m", b"x"), thing("m", EntryKind.FIFO)])
@pytest.mark.parametrize("full", [True, False])
def test_a_directory_never_gives_way(tmp_path: Path, new: Entry, *, full: bool) -> None:
    """A tree is not removed for a file; that is reported."""
    (tmp_path / "m").mkdir()
    if full:
        (tmp_path / "m" / "inside").touch()
    assert _replaced(tmp_path, new, file("n")) == [Problem(b"m", "a directory is in the way")]
    assert (tmp_path / "m").is_dir()
    assert (tmp_path / "n").exists()


def test_a_directory_does_not_give_way_to_another_name_of_a_file(tmp_path: Path) -> None:
    """Nothing is left of the attempt."""
    (tmp_path / "b").mkdir()
    problems = _replaced(tmp_path, file("a", link=b"a"), file("b", link=b"a"))
    assert problems == [Problem(b"b", "a directory is in the way")]
    assert (tmp_path / "a").stat().st_nlink == 1


def test_directories_that_are_there_are_kept(tmp_path: Path) -> None:
    """With what else is in them; they get the attributes of the entry."""
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d" / "other").write_text("kept")
    assert _replaced(tmp_path, directory("d", 0o711), file("d/x")) == []
    assert (tmp_path / "d" / "other").read_text() == "kept"
    assert (tmp_path / "d" / "x").read_text() == "data"
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o711


def test_a_link_in_the_place_of_a_directory_is_not_followed(tmp_path: Path) -> None:
    """It is replaced; nothing is restored to where it led."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "d").symlink_to("../outside")
    assert _replaced(tmp_path / "target", directory("d"), file("d/x")) == []
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (tmp_path / "target" / "d").is_symlink()


def test_a_directory_swapped_for_a_link_meanwhile(tmp_path: Path) -> None:
    """Somebody with rights in the target cannot send a restore elsewhere."""
    (tmp_path / "outside").mkdir()
    problems: list[Problem] = []
    target = files_target(tmp_path / "target", problems)
    target._tools.directories._most_open = 1
    names = [f"{number}" for number in range(5)]
    wanted = []
    for name in names:
        wanted += target.place([directory(name), file(f"{name}/x")])
    (tmp_path / "target" / "0").rename(tmp_path / "target" / "was")
    (tmp_path / "target" / "0").symlink_to("../outside")
    fill(target, wanted)
    target.finish()
    assert list((tmp_path / "outside").iterdir()) == []
    assert {problem.path for problem in problems} == {b"0/x", b"0"}


def test_hard_links_over_what_is_there(tmp_path: Path) -> None:
    """Both names get the new file."""
    (tmp_path / "a").write_text("old")
    os.link(tmp_path / "a", tmp_path / "b")
    os.link(tmp_path / "a", tmp_path / "c")
    assert _replaced(tmp_path, file("a", link=b"a"), file("b", link=b"a")) == []
    assert (tmp_path / "a").stat().st_ino == (tmp_path / "b").stat().st_ino
    assert (tmp_path / "b").read_text() == "data"
    assert (tmp_path / "c").read_text() == "old"


def test_large_files_over_what_is_there(tmp_path: Path) -> None:
    """The old one stays until the new one is complete."""
    (tmp_path / "m").write_text("old")
    problems: list[Problem] = []
    target = files_target(tmp_path, problems, overwrite="always")
    entry = file("m")
    target.place([entry])
    opened = target.open(entry)
    assert opened is not None
    opened.write(2, b"ta")
    assert (tmp_path / "m").read_text() == "old"
    opened.write(0, b"da")
    opened.finish()
    target.finish()
    assert (tmp_path / "m").read_text() == "data"
    assert problems == []


def test_what_a_kept_directory_would_hand_down(tmp_path: Path) -> None:
    """Neither its access list nor its group comes into what is restored."""
    (tmp_path / "d").mkdir()
    os.setxattr(tmp_path / "d", "system.posix_acl_default", access_list(7))
    (tmp_path / "d").chmod(0o2755)
    assert _replaced(tmp_path, directory("d"), directory("d/e"), file("d/e/x"), file("d/x")) == []
    for name in ("d/e", "d/e/x", "d/x"):
        assert os.listxattr(tmp_path / name) == []
    assert stat.S_IMODE((tmp_path / "d" / "x").stat().st_mode) == 0o644


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """And nothing else."""
    (tmp_path / "m").write_text("old")
    fault = FsFault("error", 1, frozenset({"pwrite"}), number=errno.EIO)
    fs, _ = faulty_fs(PosixFs(), fault)
    problems: list[Problem] = []
    restore(files_target(tmp_path, problems, fs=fs, overwrite="always"), file("m"))
    assert (tmp_path / "m").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert problems == [Problem(b"m", "the disk reports an error")]
