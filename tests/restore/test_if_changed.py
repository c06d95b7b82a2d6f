"""Restoring again over what an earlier restore, or somebody else, left there."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from strongroom.model.entry import Entry
from strongroom.model.source import Problem
from strongroom.restore.files.naming import PARTIAL
from strongroom.restore.files.target import FilesTarget
from strongroom.system.posix import PosixFs
from tests.support.compare_trees import compare_trees, describe
from tests.support.crash import SimulatedCrash
from tests.support.entries import WHEN_NS, directory, file, fill, names_in, restore, symlink
from tests.support.faulty_fs import MUTATING, FsFault, faulty_fs
from tests.support.file_trees import access_list, every_kind
from tests.support.memory_backup import Saved, bring_back, files_source, files_target, save

LEFT = os.fsdecode(PARTIAL) + "0123456789abcdef-1"


def _swap(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


def _again(path: Path, *entries: Entry) -> tuple[list[bytes], FilesTarget, list[Problem]]:
    """Restore if changed; the paths of the files that were written."""
    problems: list[Problem] = []
    target = files_target(path, problems, overwrite="if-changed")
    wanted = list(target.place(entries))
    fill(target, wanted)
    target.finish()
    return [entry.path for entry in wanted], target, problems


def test_what_is_right_is_not_written_again(tmp_path: Path) -> None:
    """The same inodes stay, and they are counted."""
    entries = (directory("d"), file("d/x"), symlink("d/y", b"x"), file("e", b""))
    restore(files_target(tmp_path / "t", []), *entries)
    before = {path: (tmp_path / "t" / path).lstat().st_ino for path in ("d/x", "d/y", "e")}
    written, target, problems = _again(tmp_path / "t", *entries)
    assert (written, target.kept, problems) == ([], 3, [])
    assert {path: (tmp_path / "t" / path).lstat().st_ino for path in before} == before


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("more than data"),
        lambda path: path.write_text("DATA"),
        lambda path: _swap(path, lambda p: p.symlink_to("/etc/passwd")),
        lambda path: _swap(path, os.mkfifo),
        lambda path: path.unlink(),
        lambda path: _swap(path, lambda p: os.link(p.parent / "other", p)),
    ],
    ids=["size", "time", "link", "fifo", "gone", "other file"],
)
def test_what_differs_is_written_again(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """Size, time, kind or another file under the name: the content is restored."""
    restore(files_target(tmp_path, []), file("x"))
    (tmp_path / "other").write_text("elsewhere")
    os.utime(tmp_path / "other", ns=(WHEN_NS, WHEN_NS))
    change(tmp_path / "x")
    written, target, problems = _again(tmp_path, file("x"))
    assert (written, target.kept, problems) == ([b"x"], 0, [])
    assert not (tmp_path / "x").is_symlink()
    assert (tmp_path / "x").read_text() == "data"
    assert (tmp_path / "other").read_text() == "elsewhere"


def test_attributes_are_set_on_the_spot(tmp_path: Path) -> None:
    """A file whose content is right keeps its inode and gets its mode and access list back."""
    restore(files_target(tmp_path, []), file("x"))
    inode = (tmp_path / "x").stat().st_ino
    (tmp_path / "x").chmod(0o600)
    os.setxattr(tmp_path / "x", "system.posix_acl_access", access_list())
    os.utime(tmp_path / "x", ns=(WHEN_NS, WHEN_NS))
    written, target, problems = _again(tmp_path, file("x"))
    assert (written, target.kept, problems) == ([], 1, [])
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o644
    assert os.listxattr(tmp_path / "x") == []
    assert (tmp_path / "x").stat().st_ino == inode


def test_an_attribute_that_should_not_be_there(tmp_path: Path) -> None:
    """It cannot be taken away from the file, so the file is restored anew."""
    restore(files_target(tmp_path, []), file("x"))
    os.setxattr(tmp_path / "x", "user.other", b"1")
    os.utime(tmp_path / "x", ns=(WHEN_NS, WHEN_NS))
    written, _, problems = _again(tmp_path, file("x"))
    assert (written, problems) == ([b"x"], [])
    assert os.listxattr(tmp_path / "x") == []


def test_a_name_that_leads_outside_is_replaced_and_not_changed(tmp_path: Path) -> None:
    """A file of the target that has a name elsewhere too: nothing is set there."""
    (tmp_path / "t").mkdir()
    outside = tmp_path / "outside"
    outside.write_text("data")
    outside.chmod(0o600)
    os.utime(outside, ns=(WHEN_NS, WHEN_NS))
    os.link(outside, tmp_path / "t" / "x")
    before = describe(outside)
    written, _, problems = _again(tmp_path / "t", file("x"))
    assert (written, problems) == ([b"x"], [])
    assert outside.stat().st_nlink == 1
    assert [(one.mode, one.mtime_ns) for one in describe(outside).values()] == [
        (one.mode, one.mtime_ns) for one in before.values()
    ]


def test_names_of_one_file(tmp_path: Path) -> None:
    """A whole group stays; a name that left it is linked again; two groups are kept apart."""
    group = [file(name, link=b"a") for name in ("a", "b", "c")]
    restore(files_target(tmp_path / "t", []), *group)
    inode = (tmp_path / "t" / "a").stat().st_ino
    assert _again(tmp_path / "t", *group)[0] == []
    (tmp_path / "t" / "b").unlink()
    (tmp_path / "t" / "b").write_text("data")
    written, target, problems = _again(tmp_path / "t", *group)
    assert (written, target.kept, problems) == ([], 2, [])
    assert {(tmp_path / "t" / name).stat().st_ino for name in "abc"} == {inode}
    two = [file("a", link=b"a"), file("b", link=b"a"), file("c", link=b"c")]
    assert _again(tmp_path / "t", *two)[0] == [b"c"]
    assert (tmp_path / "t" / "c").stat().st_ino != inode


def test_never_leaves_everything_as_it_is(tmp_path: Path) -> None:
    """Files, links and the attributes of directories stay; what is missing is restored."""
    (tmp_path / "d").mkdir(mode=0o711)
    (tmp_path / "d" / "x").write_text("mine")
    (tmp_path / "d" / "l").symlink_to("nowhere")
    (tmp_path / "f").write_text("a file")
    problems: list[Problem] = []
    target = files_target(tmp_path, problems, overwrite="never")
    entries = [
        directory("d"),
        symlink("d/l", b"x"),
        file("d/new"),
        file("d/x", link=b"d/x"),
        file("d/y", link=b"d/x"),
        directory("f"),
        file("f/below"),
    ]
    assert [one.path for one in restore(target, *entries)] == [b"d/new", b"d/y"]
    assert (tmp_path / "d" / "x").read_text() == "mine"
    assert (tmp_path / "d" / "y").read_text() == "data"
    assert (tmp_path / "d" / "l").readlink() == Path("nowhere")
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o711
    assert (tmp_path / "f").read_text() == "a file"
    assert target.left == {b"d", b"d/x", b"d/l"}
    causes = [(problem.path, problem.cause) for problem in problems]
    assert causes == [(b"f", "exists already"), (b"f", "1 entries below it are not restored")]


def test_what_a_killed_restore_left_is_removed(tmp_path: Path) -> None:
    """Its unfinished files, in every directory that is restored into; nothing else."""
    for folder in (tmp_path, tmp_path / "d", tmp_path / "other"):
        folder.mkdir(exist_ok=True)
        (folder / LEFT).write_text("half")
    (tmp_path / f"{LEFT}.txt").write_text("somebody's")
    (tmp_path / "d" / os.fsdecode(PARTIAL + b"notes")).write_text("somebody's")
    _again(tmp_path, directory("d"), file("d/x"))
    assert names_in(tmp_path) == {
        *("d", "d/x", "d/.strongroom-partial-notes"),
        *("other", f"other/{LEFT}", f"{LEFT}.txt"),
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Saved]:
    """Return a tree of every kind, and what was saved of it; large files come in pieces."""
    tree = tmp_path_factory.mktemp("kinds") / "tree"
    every_kind(tree)
    found = save(files_source(tree))
    cut = len(os.fsencode(tree))
    below = [
        msgspec.structs.replace(one, path=one.path[cut:], link=one.link[cut:])
        for one in found.entries
        if one.path.startswith(os.fsencode(tree)[1:] + b"/")
    ]
    found.entries = below
    return tree, found


@pytest.mark.spec("B5")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_restore_that_died_anywhere_is_finished_by_another(
    tmp_path: Path, saved: tuple[Path, Saved], when: str
) -> None:
    """After a death at any change of the disk, the next restore leaves no difference."""
    tree, found = saved
    fs, counting = faulty_fs(PosixFs())
    bring_back(found, files_target(tmp_path / "whole", [], fs=fs))
    steps = counting.mutations
    assert steps > 300
    died = 0
    for step in range(1, steps + 1, 7):
        target = tmp_path / f"{when} {step}"
        fault = FsFault("crash", step, MUTATING, when=when)  # type: ignore[arg-type]
        fs, _ = faulty_fs(PosixFs(), fault)
        try:
            bring_back(found, files_target(target, [], fs=fs))
        except SimulatedCrash:
            died += 1
        problems: list[Problem] = []
        bring_back(found, files_target(target, problems, overwrite="if-changed"))
        assert compare_trees(tree, target, ignore=["top"]) == [], step
        assert problems == []
    assert died > steps // 7 - 3  # two threads do not always take the same number of steps


def test_threads_count_what_they_keep(tmp_path: Path) -> None:
    """Names linked from several threads are each counted once."""
    groups = [f"g{number:03d}" for number in range(200)]
    entries = [file(f"{g}{n}", link=f"{g}a".encode()) for g in groups for n in "ab"]
    restore(files_target(tmp_path, []), *entries)
    for group in groups:
        os.utime(tmp_path / f"{group}a", ns=(0, 0))
    target = files_target(tmp_path, [], overwrite="if-changed")
    wanted = target.place(entries)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda entry: fill(target, [entry]), wanted))
    target.finish()
    assert len(wanted) == len(groups)
    assert all((tmp_path / f"{group}a").stat().st_nlink == 2 for group in groups)
