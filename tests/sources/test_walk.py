"""What a walk finds, in which order, and what it says of roots that are not as one would like."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

import pytest

from strongroom.errors import SourceError, UsageError
from strongroom.model.entry import MAX_PATH, EntryKind, sort_key
from strongroom.model.fs import Stat
from strongroom.model.source import Problem
from strongroom.sources.files.options import FilesOptions
from tests.support.file_trees import MEMORY, deep_tree, remove_deep_tree, strange_names
from tests.support.hook_fs import always, fails, hook_fs, once
from tests.support.memory_backup import files_source, save, tree_path, walked


def _make(top: Path, *names: str) -> None:
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text(name)


def _below(paths: list[bytes], top: Path) -> list[str]:
    """Return the paths below ``top``, relative to it."""
    prefix = tree_path(top) + b"/"
    return [os.fsdecode(path.removeprefix(prefix)) for path in paths if path.startswith(prefix)]


def test_entries_come_in_the_order_of_the_tree(tmp_path: Path) -> None:
    """A directory, then all below it, then its next sibling, names by their bytes."""
    _make(tmp_path, "a/z", "a.b", "a/b/c", "a b", "B", "a-", "é")
    items, problems = walked(files_source(tmp_path))
    paths = [item.path for item in items]
    assert paths == sorted(paths, key=sort_key)
    assert _below(paths, tmp_path) == ["B", "a", "a/b", "a/b/c", "a/z", "a b", "a-", "a.b", "é"]
    assert problems == []


@pytest.mark.spec("B5")
def test_names_of_any_bytes(tmp_path: Path) -> None:
    """Nothing about a name keeps it from being saved."""
    for name in strange_names():
        os.close(os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT))
    saved = save(files_source(tmp_path))
    prefix = tree_path(tmp_path) + b"/"
    assert {path.removeprefix(prefix) for path in saved.paths} >= set(strange_names())
    assert saved.problems == []


def test_the_directories_above_a_root_come_along_alone(tmp_path: Path) -> None:
    """They are entries, so that a restore can make them, but nothing else in them is."""
    _make(tmp_path, "srv/app/file", "srv/other", "srv/app/sub/x")
    saved = save(files_source(tmp_path / "srv" / "app"))
    assert _below(saved.paths, tmp_path) == [
        "srv",
        "srv/app",
        "srv/app/file",
        "srv/app/sub",
        "srv/app/sub/x",
    ]
    above = saved.entry(tree_path(tmp_path))
    assert above.kind == EntryKind.DIRECTORY
    assert above.mode == stat.S_IMODE(tmp_path.stat().st_mode)
    assert above.mtime_ns == tmp_path.stat().st_mtime_ns


def test_a_root_may_be_a_file_a_link_or_given_twice(tmp_path: Path) -> None:
    """Each is one entry; a link stays a link although it leads to a directory."""
    _make(tmp_path, "file", "folder/inside")
    (tmp_path / "link").symlink_to("folder")
    roots = [tmp_path / name for name in ("file", "link", "file")]
    saved = save(files_source(*roots))
    assert _below(saved.paths, tmp_path) == ["file", "link"]
    assert saved.entry(tree_path(tmp_path / "link")).target == b"folder"
    assert saved.problems == []


def test_roots_below_roots_are_part_of_them(tmp_path: Path) -> None:
    """Every entry comes once."""
    _make(tmp_path, "a/b/c/d", "a/e", "f")
    saved = save(files_source(tmp_path / "a" / "b", tmp_path / "a", tmp_path / "a" / "b" / "c"))
    assert _below(saved.paths, tmp_path) == ["a", "a/b", "a/b/c", "a/b/c/d", "a/e"]


def test_a_link_on_the_way_to_a_root_is_followed(tmp_path: Path) -> None:
    """The path is saved as it was named; the link's entry is the directory behind it."""
    _make(tmp_path, "real/app/file")
    (tmp_path / "real").chmod(0o711)
    (tmp_path / "var").symlink_to("real")
    saved = save(files_source(tmp_path / "var" / "app"))
    assert _below(saved.paths, tmp_path) == ["var", "var/app", "var/app/file"]
    assert saved.entry(tree_path(tmp_path / "var")).kind == EntryKind.DIRECTORY
    assert saved.entry(tree_path(tmp_path / "var")).mode == 0o711


def test_a_root_behind_a_link_that_is_saved_as_one(tmp_path: Path) -> None:
    """Both cannot be: it is reported with what to do."""
    _make(tmp_path, "real/app/file")
    (tmp_path / "var").symlink_to("real")
    saved = save(files_source(tmp_path, tmp_path / "var" / "app"))
    assert saved.entry(tree_path(tmp_path / "var")).kind == EntryKind.SYMLINK
    cause = saved.causes()[tree_path(tmp_path / "var" / "app")]
    assert cause == "lies below a symbolic link that is saved as one, name its real path"


def test_a_missing_root_is_a_problem(tmp_path: Path) -> None:
    """The others are saved; nothing stands for the directories that led to nothing."""
    _make(tmp_path, "there/file", "file")
    missing = [tmp_path / name for name in ("gone", "empty/gone", "file/below", "there/gone")]
    (tmp_path / "empty").mkdir()
    saved = save(files_source(tmp_path / "there", *missing))
    assert {p.path: (p.cause, p.missing) for p in saved.problems} == {
        tree_path(path): ("does not exist", True) for path in missing
    }
    assert _below(saved.paths, tmp_path) == ["there", "there/file"]


def test_a_source_of_which_nothing_is_there_cannot_be_reached(tmp_path: Path) -> None:
    """It is an error and not an empty snapshot; the paths are named."""
    with pytest.raises(SourceError, match=r"nothing of what is to be saved.*/gone, .*/lost"):
        save(files_source(tmp_path / "gone", tmp_path / "lost"))


@pytest.mark.parametrize(
    "path", [b"relative", b"/a/../b", b"/a//b", b"/a/.", b"/a\0b", b"", b"/a/"]
)
def test_paths_that_are_not_normal_are_refused(path: bytes) -> None:
    """The caller makes them absolute; nothing is guessed here."""
    with pytest.raises(UsageError):
        files_source(path)


def test_the_root_directory_itself_can_be_a_root(tmp_path: Path) -> None:
    """Its tree paths are the same as those of any other root."""
    _make(tmp_path, "file")
    reached = tmp_path.relative_to("/").parts
    allowed = {os.fsencode(part) for part in reached} | {b"file"}
    fs = hook_fs(changed={"names": lambda names: [name for name in names if name in allowed]})
    saved = save(files_source(b"/", fs=fs))
    assert _below(saved.paths, tmp_path) == ["file"]
    assert saved.paths[0] == os.fsencode(reached[0])


@pytest.mark.spec("B5")
def test_hard_links_name_the_first_of_their_group(tmp_path: Path) -> None:
    """Also those of links and FIFOs; a thing with one name names none."""
    _make(tmp_path, "m", "alone", "sub/x")
    (tmp_path / "s").symlink_to("m")
    os.mkfifo(tmp_path / "p")
    for old, new in (("m", "a"), ("m", "sub/z"), ("p", "q")):
        os.link(tmp_path / old, tmp_path / new)
    os.link(tmp_path / "s", tmp_path / "t", follow_symlinks=False)
    links = {entry.path: entry.link for entry in save(files_source(tmp_path)).entries}

    def of(name: str) -> bytes:
        return links[tree_path(tmp_path / name)]

    assert of("a") == of("m") == of("sub/z") == tree_path(tmp_path / "a")
    assert of("s") == of("t") == tree_path(tmp_path / "s")
    assert of("p") == of("q") == tree_path(tmp_path / "p")
    assert of("alone") == of("sub") == of("sub/x") == b""


@pytest.mark.spec("B2")
def test_a_new_first_name_changes_the_tokens_of_the_others(tmp_path: Path) -> None:
    """Moving a directory does not touch the files in it, but what the others are linked to."""
    _make(tmp_path, "1/a", "2/c")
    (tmp_path / "2" / "c").unlink()
    os.link(tmp_path / "1" / "a", tmp_path / "2" / "c")
    before = save(files_source(tmp_path)).tokens
    (tmp_path / "1").rename(tmp_path / "3")
    after = {item.path: item.token for item in walked(files_source(tmp_path))[0]}
    path = tree_path(tmp_path / "2" / "c")
    assert before[path] != after[path]


def test_batches_are_neither_tiny_nor_huge(tmp_path: Path) -> None:
    """Some hundreds of items at a time, whatever the shape of the tree."""
    _make(tmp_path, *(f"{i}/{j}" for i in range(30) for j in range(60)), *map(str, range(100, 900)))
    sizes = [len(batch) for batch in files_source(tmp_path).walk(print)]
    assert max(sizes) <= 600
    assert len(sizes) <= 1 + sum(sizes) // 500


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_vanishes_meanwhile_is_reported(tmp_path: Path, kind: str) -> None:
    """The rest is saved; nothing is silently left out."""
    _make(tmp_path, "a", "m/inside" if kind == "folder" else "m", "z")
    gone = tmp_path / "m"
    fs = hook_fs({"stat": once(lambda: gone.rename(tmp_path.with_name("elsewhere")), b"m")})
    saved = save(files_source(tmp_path, fs=fs))
    assert saved.causes() == {tree_path(gone): "vanished while being read"}
    assert _below(saved.paths, tmp_path) == ["a", "z"]


def test_a_directory_removed_while_it_is_listed(tmp_path: Path) -> None:
    """A list of names that is too short is not taken for the whole."""
    _make(tmp_path, "a/x", "b")

    def replace() -> None:
        (tmp_path / "a" / "x").unlink()
        (tmp_path / "a").rmdir()
        _make(tmp_path, "a/x")

    inside = (tmp_path / "a").stat().st_ino

    def hook(fd: int) -> None:
        if os.fstat(fd).st_ino == inside and os.fstat(fd).st_nlink:
            replace()

    saved = save(files_source(tmp_path, fs=hook_fs({"names": hook})))
    cause = "what is in it is not saved: vanished while being read"
    assert saved.causes() == {tree_path(tmp_path / "a"): cause}


def test_a_directory_replaced_by_a_link_is_not_followed(tmp_path: Path) -> None:
    """What is behind the link is never read."""
    _make(tmp_path, "a/x", "outside/secret")

    def replace() -> None:
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").symlink_to("outside")

    saved = save(files_source(tmp_path, fs=hook_fs({"open": once(replace, b"a")})))
    assert tree_path(tmp_path / "a" / "secret") not in saved.paths
    assert tree_path(tmp_path / "a") in saved.causes()


def test_a_directory_that_cannot_be_listed_is_an_entry_still(tmp_path: Path) -> None:
    """What is in it is reported as not saved."""
    _make(tmp_path, "a/x", "b")
    number = (tmp_path / "a").stat().st_ino

    def hook(fd: int) -> None:
        if os.fstat(fd).st_ino == number:
            fails(errno.EACCES)()

    saved = save(files_source(tmp_path, fs=hook_fs({"names": hook})))
    cause = "what is in it is not saved: permission denied"
    assert saved.causes() == {tree_path(tmp_path / "a"): cause}
    assert _below(saved.paths, tmp_path) == ["a", "b"]


def test_a_name_that_cannot_be_looked_at_is_reported(tmp_path: Path) -> None:
    """The names beside it are saved."""
    _make(tmp_path, "a", "b", "c")
    fs = hook_fs({"stat": always(fails(errno.EIO), b"b")})
    saved = save(files_source(tmp_path, fs=fs))
    assert saved.causes() == {tree_path(tmp_path / "b"): "the disk reports an error"}
    assert _below(saved.paths, tmp_path) == ["a", "c"]


def test_a_directory_that_contains_itself_ends_the_way_down(tmp_path: Path) -> None:
    """A loop of directories is reported and not followed for ever."""
    _make(tmp_path, "a/b/c")
    outer, inner = (tmp_path / "a").stat().st_ino, (tmp_path / "a" / "b").stat().st_ino

    def loop(found: Stat) -> Stat:
        return found._replace(inode=outer) if found.inode == inner else found

    saved = save(files_source(tmp_path, fs=hook_fs(changed={"fstat": loop})))
    cause = "what is in it is not saved: it contains itself"
    assert saved.causes()[tree_path(tmp_path / "a" / "b")] == cause


def test_one_file_system_keeps_mount_points_empty(tmp_path: Path) -> None:
    """A directory of another device is saved without what is in it, unless it is itself a root."""
    _make(tmp_path, "a/x", "mount/y", "mount/z/w")
    inode = (tmp_path / "mount").stat().st_ino

    def mounted(found: Stat) -> Stat:
        return found._replace(device=found.device + 1) if found.inode == inode else found

    fs = hook_fs(changed={"stat": mounted, "fstat": mounted})
    source = files_source(tmp_path, fs=fs, options=FilesOptions(one_file_system=True))
    saved = save(source)
    assert _below(saved.paths, tmp_path) == ["a", "a/x", "mount"]
    assert source.excluded.mount_points == 1
    assert saved.problems == []
    roots = [tmp_path, tmp_path / "mount" / "z"]
    saved = save(files_source(*roots, fs=fs, options=FilesOptions(one_file_system=True)))
    assert _below(saved.paths, tmp_path) == ["a", "a/x", "mount", "mount/z", "mount/z/w"]
    saved = save(files_source(tmp_path, fs=fs))
    assert "mount/y" in _below(saved.paths, tmp_path)


def test_a_walk_holds_few_descriptors(tmp_path: Path) -> None:
    """However many directories there are; after ``close`` none is left."""
    _make(tmp_path, *(f"{i}/{j}/x" for i in range(20) for j in range(20)))
    before = len(list(Path("/proc/self/fd").iterdir()))
    most = 0
    source = files_source(tmp_path)
    for batch in source.walk(print):
        source.load(batch)
        most = max(most, len(list(Path("/proc/self/fd").iterdir())))
    assert most - before < 200
    source.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_source_says_what_it_is(tmp_path: Path) -> None:
    """Its kind, and the name it was given."""
    source = files_source(tmp_path)
    assert (source.kind, source.name) == ("files", "test")


def test_a_link_to_nowhere_on_the_way_to_a_root(tmp_path: Path) -> None:
    """The root is missing; the link itself was not asked for."""
    _make(tmp_path, "a")
    (tmp_path / "dangling").symlink_to("nowhere")
    saved = save(files_source(tmp_path / "a", tmp_path / "dangling" / "x"))
    assert saved.causes() == {tree_path(tmp_path / "dangling" / "x"): "does not exist"}
    assert _below(saved.paths, tmp_path) == ["a"]


def test_paths_too_long_for_the_format() -> None:
    """What lies deeper than a mebibyte of names is reported; memory is not filled with paths."""
    name = b"n" * 255
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        deep_tree(Path(folder) / "tree", 4_200, name, lambda _: None)
        problems: list[Problem] = []
        longest, most = 0, 0
        for batch in files_source(Path(folder) / "tree").walk(problems.append):
            longest = max(longest, *(len(item.path) for item in batch))
            most = max(most, sum(len(item.path) for item in batch))
        remove_deep_tree(Path(folder) / "tree", name)
    assert MAX_PATH - 512 < longest <= MAX_PATH
    assert most < 50 << 20
    assert [problem.cause for problem in problems] == [
        "what is in it is not saved: its path is too long"
    ]


def _replace(path: Path) -> None:
    path.rename(path.with_name("was"))
    path.mkdir()


def test_a_directory_replaced_between_two_looks(tmp_path: Path) -> None:
    """Of a long list of names, those that are no longer to be had are reported one by one."""
    _make(tmp_path, "a/0/x", *(f"a/{number}" for number in range(1000, 2100)))
    fs = hook_fs({"open": once(lambda: _replace(tmp_path / "a"), b"0")})
    source = files_source(tmp_path, fs=fs)
    source._directories._most_open = 1
    _, problems = walked(source)
    lost = [problem for problem in problems if problem.cause == "vanished while being read"]
    assert len(lost) == 101


def test_a_directory_replaced_before_its_files_are_loaded(tmp_path: Path) -> None:
    """What is in the other directory is not taken for what the walk saw."""
    _make(tmp_path, "a/x", "a/y", "b/z")
    source = files_source(tmp_path)
    source._directories._most_open = 1
    items, _ = walked(source)
    _replace(tmp_path / "a")
    _make(tmp_path, "a/x", "a/y")
    with source:
        loaded = {one.item.path: one for one in source.load(items)}
    for name in ("a/x", "a/y"):
        problem = loaded[tree_path(tmp_path / name)].problem
        assert problem is not None
        assert problem.cause == "vanished while being read"
    assert loaded[tree_path(tmp_path / "b" / "z")].data == b"b/z"


def test_items_can_be_loaded_long_after_the_walk_went_on(tmp_path: Path) -> None:
    """Directories are opened again through their parents, also more than there are descriptors."""
    _make(tmp_path, *(f"{i}/{j}/x" for i in range(20) for j in range(20)))
    source = files_source(tmp_path)
    items, _ = walked(source)
    with source:
        loaded = source.load(items[::-1])
    assert [one.problem for one in loaded] == [None] * len(items)
