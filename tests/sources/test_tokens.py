"""Tokens: a change must show in them, and what may change unseen has none."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.clock import ManualClock, SystemClock
from strongroom.model.fs import Stat
from tests.support.hook_fs import hook_fs
from tests.support.loaded import load_one
from tests.support.memory_backup import files_source, walked


def _rewrite_quietly(path: Path) -> None:
    """Change a byte and put the time back."""
    found = path.stat()
    path.write_bytes(b"X" + path.read_bytes()[1:])
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _token(path: Path) -> bytes:
    return walked(files_source(path))[0][-1].token


@pytest.mark.spec("B2")
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("CONTENT"),
        lambda path: path.chmod(0o600),
        lambda path: os.utime(path, ns=(0, 1)),
        lambda path: os.setxattr(path, "user.x", b"1"),
        lambda path: os.link(path, path.with_name("other")),
        _rewrite_quietly,
    ],
)
def test_every_change_changes_the_token(tmp_path: Path, change: Callable[[Path], object]) -> None:
    """What was not changed has the token that its capture gave it."""
    path = tmp_path / "x"
    path.write_text("content")
    loaded = load_one(path)
    assert loaded.token == _token(path) != b""
    before = path.stat().st_ctime_ns
    change(path)
    while path.stat().st_ctime_ns == before:
        change(path)
    assert _token(path) != loaded.token


def test_times_after_2262_have_tokens_too(tmp_path: Path) -> None:
    """Numbers of the token wrap around where they must."""
    (tmp_path / "x").touch()

    def far(found: Stat) -> Stat:
        return found._replace(mtime_ns=(1 << 63) + 5)

    loaded = load_one(tmp_path / "x", hook_fs(changed={"stat": far, "fstat": far}))
    assert loaded.token
    assert loaded.entry is not None
    assert loaded.entry.mtime_ns == (1 << 63) + 5


@pytest.mark.spec("B2")
@pytest.mark.parametrize(("whole_seconds", "age"), [(False, 0.05), (True, 2.0)])
def test_what_changed_just_now_is_captured_again(
    tmp_path: Path, age: float, *, whole_seconds: bool
) -> None:
    """A change right after the capture could carry the same time; then there is no token."""
    path = tmp_path / "x"
    path.touch()
    changed_ns = path.stat().st_ctime_ns
    if whole_seconds:
        changed_ns -= changed_ns % 1_000_000_000

    def coarse(found: Stat) -> Stat:
        return found._replace(ctime_ns=changed_ns)

    fs = hook_fs(changed={"stat": coarse, "fstat": coarse})
    for elapsed, settled in ((0.0, False), (age - 0.01, False), (age + 0.01, True), (-9.0, False)):
        clock = ManualClock(changed_ns + int(elapsed * 1e9))
        for root in (path, tmp_path):
            with files_source(root, fs=fs, clock=clock) as source:
                token = source.load(walked(source)[0])[-1].token
            assert bool(token) == settled


def test_the_real_clock_does_as_well(tmp_path: Path) -> None:
    """A file that was just written has no token; one that rests has."""
    path = tmp_path / "x"
    path.write_text("x")
    clock = SystemClock()
    with files_source(path, clock=clock) as source:
        assert source.load(walked(source)[0])[-1].token == b""
    clock.sleep(0.1)
    with files_source(path, clock=clock) as source:
        assert source.load(walked(source)[0])[-1].token != b""
