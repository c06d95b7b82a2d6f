"""Projects to be swapped: one with every kind of change, a small one, and a selection."""

from __future__ import annotations

import os
from pathlib import Path

from strongroom.model.source import Extra
from strongroom.restore.swap.plan import Removal
from tests.restore.swap.scenes import Plot, link, settle, write

STRANGE = os.fsdecode(b"\xff new\nline %41 \xc3\xa9\\")


def _rest(top: Path) -> None:
    for folder in ("backup", "logs"):
        (top / folder).mkdir()
    write(top / "backup" / "old.tar.gz", "an archive")
    write(top / "logs" / "kept.log", "ignored")
    settle(top, "logs")


def _before(top: Path) -> None:
    write(top / "same", "same")
    write(top / "changed", "old bytes")
    write(top / "same size and time", "old!")
    write(top / "other mode", "x", mode=0o600)
    write(top / "other time", "x", when=1)
    write(top / STRANGE, "old")
    write(top / "gone", "gone")
    write(top / "gone too", "gone")
    os.link(top / "gone too", top / "gone twice")
    link(top / "link", "old target")
    link(top / "link same", "/nowhere")
    link(top / "link to file", "same")
    write(top / "file to link", "x")
    write(top / "file to folder", "x")
    link(top / "link to folder", "logs")
    os.mkfifo(top / "fifo")
    os.utime(top / "fifo", ns=(5, 5))
    for folder in (
        *("folder to file", "folder to file/in", "folder to link", "folder", "folder/in"),
        *(
            "attributes",
            "closed",
            "closed gone",
            "closed gone/in",
            "gone folder",
            "quiet",
            "logs/in",
        ),
    ):
        (top / folder).mkdir()
    for number, folder in enumerate(("folder to file/in", "folder to link", "folder/in", "closed")):
        write(top / folder / "inner", f"old {number}")
    write(top / "closed gone" / "in" / "deep", "x")
    write(top / "gone folder" / "x", "x")
    write(top / "quiet" / "same", "x")
    write(top / "logs" / "not ignored", "x")
    write(top / "logs" / "in" / "not ignored", "x")
    for name in ("apart 1", "apart 2"):
        write(top / name, "apart")
    for first, second in (("joined 1", "joined 2"), ("pair 1", "pair 2"), ("half 1", "half 2")):
        write(top / first, "joined")
        os.link(top / first, top / second)
    write(top / "grows 1", "grows")
    os.setxattr(top / "attributes", "user.old", b"1")
    os.setxattr(top / "attributes", "user.both", b"1")
    settle(top, "folder to file/in", "folder to file", "folder to link", "folder/in", "folder")
    settle(top, "attributes", "gone folder", "quiet", "logs/in", "logs", when=6_000)
    settle(top, "closed gone/in", "closed gone", "closed", mode=0o500)


def _wanted(top: Path) -> None:
    write(top / "same", "same")
    write(top / "changed", "new bytes, and more of them")
    write(top / "same size and time", "new!")
    write(top / "other mode", "x", mode=0o4755)
    write(top / "other time", "x", when=2)
    os.setxattr(top / "other time", "user.x", b"\0")
    write(top / STRANGE, "new")
    write(top / "new", "new", mode=0o000)
    link(top / "link", "new target")
    link(top / "link same", "/nowhere")
    write(top / "link to file", "new")
    link(top / "file to link", "same")
    write(top / "folder to file", "now a file")
    link(top / "folder to link", "folder")
    os.mkfifo(top / "fifo")
    os.utime(top / "fifo", ns=(5, 5))
    for folder in (
        *("file to folder", "file to folder/in", "link to folder", "folder", "folder/in"),
        *("folder/new", "attributes", "closed", "closed new", "closed new/in", "quiet", "logs"),
    ):
        (top / folder).mkdir(exist_ok=True)
    write(top / "file to folder" / "in" / "inner", "new")
    write(top / "link to folder" / "kept.log", "not through the link")
    write(top / "folder" / "in" / "inner", "new")
    write(top / "folder" / "new" / "inner", "new")
    write(top / "closed" / "inner", "new")
    write(top / "closed new" / "in" / "inner", "new")
    write(top / "quiet" / "same", "x")
    write(top / "apart 1", "apart")
    os.link(top / "apart 1", top / "apart 2")
    for name in ("joined 1", "joined 2"):
        write(top / name, "joined")
    for first, second in (("pair 1", "pair 2"), ("half 1", "half 2"), ("grows 1", "grows 2")):
        write(top / first, "grows" if first == "grows 1" else "joined")
        if first != "half 1":
            os.link(top / first, top / second)
    write(top / "half 2", "changed")
    os.setxattr(top / "attributes", "user.new", b"2")
    os.setxattr(top / "attributes", "user.both", b"2")
    settle(top, "file to folder/in", "file to folder", "link to folder", "folder/new", when=7_000)
    settle(top, "folder/in", "folder", "attributes", "logs", when=7_000, mode=0o2775)
    settle(top, "closed new/in", "closed new", "closed", mode=0o500)
    settle(top, "quiet", when=6_000)


def _keeps(extra: Extra) -> bool:
    return extra.path == b"backup" if extra.is_directory else extra.path.endswith(b".log")


FULL = Plot(_before, _wanted, _rest, Removal((b"",), _keeps))


def _small_rest(top: Path) -> None:
    (top / "backup").mkdir()
    (top / "a").mkdir()
    write(top / "a" / "stays", "x")
    settle(top, "a")


def _small_before(top: Path) -> None:
    write(top / "a" / "changed", "old")
    write(top / "a" / "gone", "x")
    (top / "a" / "closed").mkdir()
    write(top / "a" / "closed" / "x", "old")
    (top / "swapped").mkdir()
    write(top / "swapped" / "x", "old")
    write(top / "file", "old")
    settle(top, "swapped", "a/closed", "a", mode=0o550)


def _small_wanted(top: Path) -> None:
    (top / "a").mkdir(exist_ok=True)
    write(top / "a" / "changed", "new")
    (top / "a" / "closed").mkdir()
    write(top / "a" / "closed" / "x", "new")
    (top / "file").mkdir()
    write(top / "file" / "x", "new")
    write(top / "swapped", "new")
    settle(top, "file", "a/closed", when=8_000)
    settle(top, "a", when=8_000, mode=0o555)


def _small_keeps(extra: Extra) -> bool:
    return extra == Extra(b"a/stays", is_directory=False)


SMALL = Plot(_small_before, _small_wanted, _small_rest, Removal((b"a",), _small_keeps))
