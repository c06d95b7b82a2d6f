"""The judge of copies sees every difference, so that its silence means something."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.compare_trees import compare_trees
from tests.support.file_trees import PLAIN_NS


def _tree(top: Path) -> Path:
    (top / "dir").mkdir(parents=True)
    (top / "dir" / "file").write_text("content")
    (top / "a").write_text("shared")
    os.link(top / "a", top / "b")
    (top / "link").symlink_to("dir")
    os.mkfifo(top / "fifo")
    with (top / "sparse").open("wb") as file:
        file.truncate(1 << 20)
        file.seek(500_000)
        file.write(b"island")
    os.setxattr(top / "dir" / "file", "user.x", b"1")
    _settle(top)
    return top


def _settle(top: Path) -> None:
    for path in [*top.rglob("*"), top]:
        os.utime(path, ns=(PLAIN_NS, PLAIN_NS), follow_symlinks=False)


def _relink(top: Path) -> None:
    (top / "b").unlink()
    (top / "b").write_text("shared")


def _fill(top: Path) -> None:
    data = (top / "sparse").read_bytes()
    (top / "sparse").write_bytes(data)


def _retarget(top: Path) -> None:
    (top / "link").unlink()
    (top / "link").symlink_to("elsewhere")


def _change_kind(top: Path) -> None:
    (top / "fifo").unlink()
    (top / "fifo").write_text("")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda top: (top / "dir" / "file").write_text("CONTENT"), "b'dir/file': content"),
        (lambda top: (top / "dir" / "file").write_text("more content"), "b'dir/file': size"),
        (lambda top: (top / "dir").chmod(0o700), "b'dir': mode"),
        (lambda top: os.setxattr(top / "dir" / "file", "user.x", b"2"), "b'dir/file': xattrs"),
        (lambda top: os.removexattr(top / "dir" / "file", "user.x"), "b'dir/file': xattrs"),
        (lambda top: (top / "new").touch(), "b'new': only in"),
        (lambda top: (top / "a").unlink(), "b'a': only in"),
        (lambda top: (top / "sparse").write_bytes(bytes(1 << 20)), "b'sparse': content"),
        (_relink, "b'b': linked to"),
        (_fill, "b'sparse': takes"),
        (_retarget, "b'link': target"),
        (_change_kind, "b'fifo': kind"),
    ],
)
def test_every_difference_is_seen(
    tmp_path: Path, change: Callable[[Path], object], said: str
) -> None:
    """One difference makes a line, whatever it is."""
    one, other = _tree(tmp_path / "one"), _tree(tmp_path / "other")
    assert compare_trees(one, other) == []
    change(other)
    _settle(other)
    assert any(line.startswith(said) for line in compare_trees(one, other))


@pytest.mark.parametrize("name", ["dir", "dir/file", "link", "fifo"])
def test_a_nanosecond_is_a_difference(tmp_path: Path, name: str) -> None:
    """Of files, directories, links and FIFOs; of the top as well, unless it is left out."""
    one, other = _tree(tmp_path / "one"), _tree(tmp_path / "other")
    os.utime(other / name, ns=(0, PLAIN_NS + 1), follow_symlinks=False)
    lines = compare_trees(one, other)
    assert [line.split()[1] for line in lines] == ["mtime_ns"]
    assert compare_trees(one, other, ignore={"mtime_ns"}) == []


def test_as_a_program(tmp_path: Path) -> None:
    """It prints what differs and ends with 1, or with 0."""
    one, other = _tree(tmp_path / "one"), _tree(tmp_path / "other")
    command = [sys.executable, "-m", "tests.support.compare_trees", str(one), str(other)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    (other / "dir").chmod(0o700)
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "b'dir': mode" in done.stdout
