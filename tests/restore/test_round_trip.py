"""What goes from a directory through a source into a target is the same there, in everything."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.model.entry import Entry
from strongroom.model.source import Problem
from strongroom.sources.files.options import FilesOptions
from tests.support.compare_trees import compare_trees
from tests.support.file_trees import MEMORY, ROOT, deep_tree, every_kind, remove_deep_tree
from tests.support.memory_backup import (
    Saved,
    bring_back,
    files_source,
    files_target,
    save,
    tree_path,
)


def _ours(saved: Saved, tree: Path) -> list[Entry]:
    """Return the entries of the tree; also those above it, where we may give those away."""
    return [one for one in saved.entries if ROOT or one.path.startswith(tree_path(tree))]


def _there_and_back(tree: Path, target: Path, large: int = 1 << 20) -> list[str]:
    """Save and restore; return what went wrong and what differs."""
    saved = save(files_source(tree, options=FilesOptions(large=large)))
    problems = saved.problems
    bring_back(saved, files_target(target, problems), _ours(saved, tree))
    return [*map(str, problems), *compare_trees(tree, target / tree.relative_to("/"))]


@pytest.mark.spec("B5")
@pytest.mark.parametrize("large", [1 << 20, 1])
def test_every_kind_of_thing_comes_back_as_it_was(tmp_path: Path, large: int) -> None:
    """Type, mode, owner, ns time, attributes, links, holes and names, loaded whole or in pieces."""
    every_kind(tmp_path / "tree")
    assert _there_and_back(tmp_path / "tree", tmp_path / "copy", large) == []


@pytest.mark.spec("B5")
def test_what_is_restored_twice_is_the_same_twice(tmp_path: Path) -> None:
    """A backup of a restored tree has the same entries."""
    every_kind(tmp_path / "tree")
    saved = save(files_source(tmp_path / "tree"))
    problems: list[Problem] = []
    target = tmp_path / "copy"
    bring_back(saved, files_target(target, problems), _ours(saved, tmp_path / "tree"))
    inner = target / (tmp_path / "tree").relative_to("/")
    again = save(files_source(inner))
    moved = os.fsencode(target).removeprefix(b"/") + b"/"
    ours = [entry for entry in again.entries if entry.path.startswith(moved)]
    theirs = {entry.path: entry for entry in saved.entries}
    for entry in ours:
        path = entry.path.removeprefix(moved)
        if path.startswith(os.fsencode(tmp_path / "tree").removeprefix(b"/")):
            was = theirs[path]
            link = entry.link.removeprefix(moved)
            assert (entry.mode, entry.mtime_ns, entry.size) == (was.mode, was.mtime_ns, was.size)
            assert (entry.xattrs, entry.target, link) == (was.xattrs, was.target, was.link)
            assert saved.data(path) == again.data(entry.path)
    assert problems == []


@pytest.fixture
def deep() -> Iterator[tuple[Path, Path]]:
    """Give two places for trees that ordinary programs cannot remove; in memory, where we can."""
    top = Path(tempfile.mkdtemp(dir=MEMORY))
    tree, target = top / "tree", top / "copy"
    yield tree, target
    for name in (b"d", b"n" * 255):
        for made in (tree, target / tree.relative_to("/")):
            if (made / os.fsdecode(name)).exists():
                remove_deep_tree(made, name)
    shutil.rmtree(top)


def _leaf(fd: int) -> None:
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=fd))


@pytest.mark.spec("B5")
def test_ten_thousand_directories_deep(deep: tuple[Path, Path]) -> None:
    """Neither descriptors nor the stack run out; every level comes back."""
    tree, target = deep
    deep_tree(tree, 10_000, b"d", _leaf)
    assert _there_and_back(tree, target) == []


@pytest.mark.spec("B5")
def test_a_path_longer_than_the_system_takes(deep: tuple[Path, Path]) -> None:
    """Paths far beyond 4,096 bytes, of the longest names, are saved and restored."""
    tree, target = deep
    deep_tree(tree, 100, b"n" * 255, _leaf)
    assert _there_and_back(tree, target) == []


@pytest.mark.slow
def test_a_hundred_thousand_names_in_one_directory(tmp_path: Path) -> None:
    """Large directories come back whole."""
    (tmp_path / "tree").mkdir()
    fd = os.open(tmp_path / "tree", os.O_RDONLY)
    for number in range(100_000):
        os.close(os.open(f"{number:x}", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    assert _there_and_back(tmp_path / "tree", tmp_path / "copy") == []


# -- trees that nobody thought of

_NAMES = st.binary(min_size=1, max_size=12).map(
    lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"0")
)
_SAFE_NAMES = _NAMES.filter(lambda name: name not in {b".", b".."})
_TIMES = st.integers(-(10**18), 9 * 10**18)


@dataclass(frozen=True)
class Made:
    """A file or directory to be made; ``pieces``: what to write where."""

    mode: int
    mtime_ns: int
    pieces: tuple[tuple[int, bytes], ...] = ()
    size: int = 0
    target: bytes = b""
    below: tuple[tuple[bytes, Made], ...] = ()
    is_directory: bool = False
    links_to_last: bool = False


_PIECES = st.lists(st.tuples(st.integers(0, 30_000), st.binary(max_size=50)), max_size=3).map(tuple)
_FILES = st.builds(
    Made,
    mode=st.integers(0, 0o7777).map(lambda mode: mode | 0o600),
    mtime_ns=_TIMES,
    pieces=_PIECES,
    size=st.integers(0, 60_000),
    links_to_last=st.booleans(),
)
_LINKS = st.builds(Made, mode=st.just(0), mtime_ns=_TIMES, target=_NAMES)
_THINGS = st.recursive(
    _FILES | _LINKS,
    lambda inner: st.builds(
        Made,
        mode=st.integers(0, 0o7777).map(lambda mode: mode | 0o700),
        mtime_ns=_TIMES,
        below=st.dictionaries(_SAFE_NAMES, inner, max_size=5).map(lambda d: tuple(d.items())),
        is_directory=st.sampled_from([True]),
    ),
    max_leaves=25,
)
_TREES = st.dictionaries(_SAFE_NAMES, _THINGS, max_size=6)


def _make(folder: bytes, name: bytes, made: Made, last: list[bytes]) -> None:
    path = folder + b"/" + name
    if made.is_directory:
        os.mkdir(path)  # noqa: PTH102 - bytes
        for below, inner in made.below:
            _make(path, below, inner, last)
    elif made.target:
        os.symlink(made.target, path)  # noqa: PTH211 - bytes
    elif made.links_to_last and last:
        os.link(last[-1], path)
    else:
        fd = os.open(path, os.O_CREAT | os.O_WRONLY)
        for offset, data in made.pieces:
            os.pwrite(fd, data, offset)
        os.ftruncate(fd, made.size)
        os.close(fd)
        last.append(path)
    if made.mode:
        os.chmod(path, made.mode)  # noqa: PTH101 - bytes
    os.utime(path, ns=(made.mtime_ns, made.mtime_ns), follow_symlinks=False)


@pytest.mark.spec("B5")
@settings(max_examples=60)
@given(tree=_TREES, large=st.sampled_from([1, 4096, 1 << 20]))
def test_any_tree_comes_back(tree: dict[bytes, Made], large: int) -> None:
    """Whatever the names, sizes, holes, times and links are."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        (top / "tree").mkdir()
        last: list[bytes] = []
        for below, made in tree.items():
            _make(os.fsencode(top / "tree"), below, made, last)
        assert _there_and_back(top / "tree", top / "copy", large) == []
