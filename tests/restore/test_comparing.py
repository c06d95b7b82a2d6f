"""Reading back finds whatever differs, and removing takes one name at a time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from strongroom.model.entry import EXTENT, HOLE, Entry, EntryKind, Extent, extents
from strongroom.model.source import Extra, Problem
from strongroom.restore.files.attributes import Attributes
from strongroom.restore.files.begin import begin_comparison, begin_looking
from strongroom.restore.files.owners import Owners
from strongroom.restore.files.shortfalls import Shortfalls
from strongroom.system.posix import PosixFs
from tests.support.entries import WHEN_NS, directory, file, names_in, restore, symlink, thing
from tests.support.file_trees import every_kind
from tests.support.hook_fs import hook_fs
from tests.support.memory_backup import bring_back, files_source, files_target, save

HOLED = msgspec.structs.replace(
    file("h"), size=9000, content=EXTENT.pack(HOLE, 8996) + file("h").content
)


def _id(data: memoryview) -> bytes:
    return hashlib.sha256(data).digest()


def _differences(path: Path, *entries: Entry) -> list[str]:
    """Compare entries with what is in a directory."""
    attributes = Attributes(Owners("number"), Shortfalls())
    found = []
    with begin_comparison(PosixFs(), os.fsencode(path), attributes) as comparison:
        for entry in entries:
            pieces: list[Extent] = extents(entry.content)
            found += [one.what for one in comparison.differences(entry, pieces, _id)]
    return found


def _keeping_time(path: Path, change: Callable[[Path], object]) -> None:
    change(path)
    os.utime(path, ns=(WHEN_NS, WHEN_NS), follow_symlinks=False)


def _swap(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p: p.write_text("DATA"), ["other content"]),
        (lambda p: p.write_text("dat"), ["another size"]),
        (lambda p: p.chmod(0o640), ["another mode"]),
        (lambda p: os.setxattr(p, "user.a", b"1"), ["other extended attributes"]),
        (lambda p: _swap(p, os.mkfifo), ["it is another kind of thing"]),
        (lambda p: _swap(p, lambda q: q.symlink_to("x")), ["it is another kind of thing"]),
        (lambda _: None, []),
    ],
)
def test_what_differs_is_named(
    tmp_path: Path, change: Callable[[Path], object], expected: list[str]
) -> None:
    """Every byte and attribute of a file is looked at; a file that is the same has none."""
    restore(files_target(tmp_path, []), file("x"))
    _keeping_time(tmp_path / "x", change)
    assert _differences(tmp_path, file("x")) == expected


def test_time_links_and_what_is_gone(tmp_path: Path) -> None:
    """The rest of what can differ."""
    group = [file("a", link=b"a"), file("b", link=b"a")]
    restore(files_target(tmp_path, []), *group, symlink("l", b"one"))
    assert _differences(tmp_path, *group, symlink("l", b"one")) == []
    os.utime(tmp_path / "a", ns=(0, 0))
    assert set(_differences(tmp_path, *group)) == {"another time of change"}
    _keeping_time(tmp_path / "b", lambda p: _swap(p, lambda q: q.write_text("data")))
    (tmp_path / "b").chmod(0o644)
    assert _differences(tmp_path, *group)[1:] == ["it is not one file with its other names"]
    _keeping_time(tmp_path / "l", lambda p: _swap(p, lambda q: q.symlink_to("two")))
    assert _differences(tmp_path, symlink("l", b"one")) == ["another target of the link"]
    assert _differences(tmp_path, file("gone"), file("no/x")) == ["it is not there"] * 2


def test_an_owner_that_is_another(tmp_path: Path) -> None:
    """It is a difference unless it was known not to be possible."""
    restore(files_target(tmp_path, []), file("x"))
    other = msgspec.structs.replace(file("x"), uid=os.geteuid() + 1)
    assert _differences(tmp_path, other) == ["another owner"]


def test_holes_are_compared_too(tmp_path: Path) -> None:
    """A byte in the place of a hole is another content; zeros are none."""
    for data, expected in ((bytes(8996), []), (b"x" + bytes(8995), ["other content"])):
        (tmp_path / "h").write_bytes(data + b"data")
        (tmp_path / "h").chmod(0o644)
        os.utime(tmp_path / "h", ns=(WHEN_NS, WHEN_NS))
        assert _differences(tmp_path, HOLED) == expected
    with (tmp_path / "h").open("wb") as out:
        out.seek(8996)
        out.write(b"data")
    os.utime(tmp_path / "h", ns=(WHEN_NS, WHEN_NS))
    assert _differences(tmp_path, HOLED) == []


@pytest.mark.parametrize("path", ["../x", "a/../../x", "."])
def test_nothing_outside_is_compared(tmp_path: Path, path: str) -> None:
    """A path that leads outside is refused, not followed."""
    (tmp_path / "t" / "a").mkdir(parents=True)
    (tmp_path / "x").write_text("data")
    found = _differences(tmp_path / "t", thing(path, EntryKind.FILE))
    assert found == ["it has no name that can be restored"]


def test_every_kind_of_thing_has_no_difference(tmp_path: Path) -> None:
    """What a restore writes is what reading back expects."""
    every_kind(tmp_path / "tree")
    saved = save(files_source(tmp_path / "tree"))
    bring_back(saved, files_target(tmp_path / "copy", []))
    assert _differences(tmp_path / "copy", *saved.entries) == []


def test_what_is_read_comes_from_the_disk(tmp_path: Path) -> None:
    """The cache of a file is dropped before it is read."""
    restore(files_target(tmp_path, []), file("x"))
    dropped: list[int] = []
    fs = hook_fs({"drop_cache": dropped.append})
    attributes = Attributes(Owners("number"), Shortfalls())
    with begin_comparison(fs, os.fsencode(tmp_path), attributes) as comparison:
        assert comparison.differences(file("x"), extents(file("x").content), _id) == []
    assert len(dropped) == 1


# -- what only the target has


def test_removing_follows_no_link(tmp_path: Path) -> None:
    """A link in the place of a directory leads nowhere: nothing outside is removed."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("stays")
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "d").symlink_to("../outside")
    problems: list[Problem] = []
    with closing(files_target(tmp_path / "t", problems, overwrite="always")) as target:
        assert target.remove([Extra(b"d/x", is_directory=False)]) == 0
        assert target.remove([Extra(b"d", is_directory=False)]) == 1
    assert (tmp_path / "outside" / "x").read_text() == "stays"
    assert [(problem.path, problem.missing) for problem in problems] == [(b"d/x", False)]


def test_removing_takes_no_more_than_was_planned(tmp_path: Path) -> None:
    """A directory in which something new appeared stays, and that is reported."""
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "new").write_text("new")
    problems: list[Problem] = []
    extras = [Extra(b"d/e", is_directory=True), Extra(b"d", is_directory=True)]
    with closing(files_target(tmp_path, problems, overwrite="always")) as target:
        assert target.remove(extras) == 0
    assert (tmp_path / "d" / "e" / "new").exists()
    assert [problem.path for problem in problems] == [b"d/e", b"d"]


def test_directories_keep_their_time_when_something_is_removed(tmp_path: Path) -> None:
    """What goes, goes before directories get their attributes."""
    restore(files_target(tmp_path / "t", []), directory("d"), file("d/x"))
    (tmp_path / "t" / "d" / "extra").write_text("x")
    target = files_target(tmp_path / "t", [], overwrite="if-changed")
    target.place([directory("d"), file("d/x")])
    assert target.remove([Extra(b"d/extra", is_directory=False)]) == 1
    target.finish()
    assert names_in(tmp_path / "t") == {"d", "d/x"}
    assert (tmp_path / "t" / "d").stat().st_mtime_ns == WHEN_NS


def test_another_file_system_is_not_looked_into(tmp_path: Path) -> None:
    """What is mounted below a target is left alone."""
    (tmp_path / "here").mkdir()
    (tmp_path / "mount").mkdir()
    (tmp_path / "mount" / "x").write_text("x")
    mount = (tmp_path / "mount").stat().st_ino
    fs = hook_fs(
        changed={"fstat": lambda found: found._replace(device=7) if found.inode == mount else found}
    )
    with begin_looking(fs, os.fsencode(tmp_path)) as looking:
        assert looking.names(b"") == [(b"here", True), (b"mount", True)]
        assert looking.names(b"here") == []
        assert looking.names(b"mount") is None
        assert looking.names(b"nowhere") is None
