"""What becomes of things that change between the walk and the end of their capture."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.model.entry import CHANGED_WHILE_READ
from strongroom.sources.files.options import FilesOptions
from tests.support.hook_fs import always, hook_fs, once
from tests.support.loaded import cause_in, load_one
from tests.support.memory_backup import files_source, save, tree_path

VANISHED = "vanished while being read"
REPLACED = "replaced by something else while being read"
CHANGED = "changed while being read"


def _vanish(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def _swap(path: Path, make: Callable[[Path], object]) -> None:
    path.rename(path.with_name("was"))
    make(path)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_vanished_since_the_walk(tmp_path: Path, kind: str) -> None:
    """It is reported as missing."""
    path = tmp_path / "x"
    path.touch() if kind == "file" else path.symlink_to("y")
    hooks = {"open" if kind == "file" else "readlink": once(lambda: _vanish(path), b"x")}
    loaded = load_one(path, hook_fs(hooks))
    assert loaded.entry is None
    assert cause_in(loaded) == (VANISHED, True)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/etc/passwd"),
        os.mkfifo,
        Path.mkdir,
        lambda path: path.symlink_to("/dev/zero"),
    ],
)
def test_a_file_replaced_by_something_else(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """Nothing else is read in its place, and nothing is waited for."""
    path = tmp_path / "x"
    path.write_text("was here")
    loaded = load_one(path, hook_fs({"open": once(lambda: _swap(path, make), b"x")}))
    assert (loaded.entry, loaded.data) == (None, b"")
    assert cause_in(loaded) == (REPLACED, True)


@pytest.mark.parametrize("old", [lambda path: path.symlink_to("y"), os.mkfifo, Path.mkdir])
def test_something_else_replaced_by_a_file(tmp_path: Path, old: Callable[[Path], object]) -> None:
    """It is not recorded as what it was."""
    path = tmp_path / "x"
    old(path)
    loaded = load_one(path, hook_fs({"xattrs_at": once(lambda: _swap(path, Path.touch), b"x")}))
    assert loaded.entry is None
    assert cause_in(loaded) == (REPLACED, True)


def test_a_link_replaced_by_a_file_before_it_is_read(tmp_path: Path) -> None:
    """The error of the system names the wrong cause; ours does not."""
    path = tmp_path / "x"
    path.symlink_to("y")
    loaded = load_one(path, hook_fs({"readlink": once(lambda: _swap(path, Path.touch))}))
    assert cause_in(loaded) == (REPLACED, True)


def test_a_file_replaced_by_a_newer_file(tmp_path: Path) -> None:
    """The newer one is captured whole, as programs that replace files atomically mean it."""
    path = tmp_path / "x"
    path.write_text("old")
    swap = once(lambda: _swap(path, lambda new: new.write_text("newer")), b"x")
    loaded = load_one(path, hook_fs({"open": swap}))
    assert (loaded.data, loaded.problem) == (b"newer", None)


def test_a_linked_file_replaced_by_another_is_no_longer_of_the_group(tmp_path: Path) -> None:
    """It begins a group of its own, or is alone, so that nothing is linked to other content."""
    path = tmp_path / "x"
    path.write_text("old")
    os.link(path, tmp_path / "y")
    swap = once(lambda: _swap(path, lambda new: new.write_text("newer")), b"x")
    saved = save(files_source(tmp_path, fs=hook_fs({"open": swap})))
    assert saved.entry(tree_path(path)).link == b""
    assert saved.data(tree_path(path)) == b"newer"


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _rewrite_quietly(path: Path) -> None:
    """Change a byte and put the time back."""
    found = path.stat()
    path.write_bytes(b"X" + path.read_bytes()[1:])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


@pytest.mark.parametrize("change", [_append, _rewrite_quietly, lambda path: os.truncate(path, 2)])
def test_a_file_changed_once_while_it_is_read(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """It is read again, and what is captured is the new state without any flag."""
    path = tmp_path / "x"
    path.write_bytes(b"first version")
    loaded = load_one(path, hook_fs({"xattrs": once(lambda: change(path))}))
    assert loaded.problem is None
    assert loaded.data == path.read_bytes()
    assert loaded.entry is not None
    assert loaded.entry.flags == 0


@pytest.mark.parametrize("change", [_append, _rewrite_quietly])
def test_a_file_that_keeps_changing(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """It is captured as read, flagged, reported, and captured again next time."""
    path = tmp_path / "x"
    path.write_bytes(b"first version")
    loaded = load_one(path, hook_fs({"xattrs": always(lambda: change(path))}))
    assert cause_in(loaded) == (CHANGED, False)
    assert loaded.entry is not None
    assert loaded.entry.flags == CHANGED_WHILE_READ
    assert loaded.entry.size == len(loaded.data) >= len(b"first version")
    assert loaded.token == b""


def test_a_growing_file_is_read_as_far_as_it_was(tmp_path: Path) -> None:
    """A writer that is faster than we are does not hold a backup up."""
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    loaded = load_one(path, hook_fs({"read": always(lambda: _append(path))}))
    assert loaded.data == path.read_bytes()[: len(loaded.data)]
    assert len(loaded.data) <= 14
    assert cause_in(loaded) == (CHANGED, False)


def test_a_file_that_became_huge_is_not_read_into_memory(tmp_path: Path) -> None:
    """It is reported; the next backup opens it as the large file that it is."""
    path = tmp_path / "x"
    path.write_bytes(b"small")
    hook = once(lambda: os.truncate(path, 100 << 20), b"x")
    loaded = load_one(path, hook_fs({"open": hook}), FilesOptions(large=1000))
    assert loaded.entry is None
    assert cause_in(loaded) == ("grew too large while the backup ran", True)
