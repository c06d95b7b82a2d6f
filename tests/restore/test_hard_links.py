"""Hard links come back as such, also of parts of a tree, and whatever fails."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import msgspec
import pytest

from strongroom.model.entry import Entry, EntryKind
from strongroom.model.source import Problem
from strongroom.system.posix import PosixFs
from tests.support.compare_trees import describe
from tests.support.entries import directory, file, fill, names_in, thing
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.file_trees import access_list
from tests.support.memory_backup import files_target

MIB = 1 << 20
NO_CONTENT = "not restored, since another name of the same file was not"


def _linked(*names: str, data: bytes = b"data") -> list[Entry]:
    return [file(name, data, link=b"a") for name in names]


def _one_file(top: Path, *names: str) -> bool:
    found = [(top / name).stat() for name in names]
    return len({one.st_ino for one in found}) == 1 and found[0].st_nlink == len(names)


@pytest.mark.spec("B5")
def test_only_the_first_of_a_group_is_asked_for(tmp_path: Path) -> None:
    """The others are linked to it as soon as it is there, or when they come."""
    target = files_target(tmp_path / "t", [])
    wanted = target.place(_linked("a", "b"))
    assert [entry.path for entry in wanted] == [b"a"]
    fill(target, wanted)
    assert target.place(_linked("c")) == []
    target.finish()
    assert _one_file(tmp_path / "t", "a", "b", "c")


@pytest.mark.spec("B5")
def test_a_group_without_its_first_name(tmp_path: Path) -> None:
    """In a part of a tree the next one brings the content, and the others are linked to that."""
    target = files_target(tmp_path / "t", [])
    wanted = target.place(_linked("b", "c"))
    assert [entry.path for entry in wanted] == [b"b"]
    fill(target, wanted)
    target.finish()
    assert _one_file(tmp_path / "t", "b", "c")


def test_links_of_large_files(tmp_path: Path) -> None:
    """They are made when the last piece is there."""
    target = files_target(tmp_path / "t", [])
    target.place(_linked("a", "b"))
    opened = target.open(_linked("a")[0])
    assert opened is not None
    opened.write(0, b"data")
    assert not (tmp_path / "t" / "b").exists()
    opened.finish()
    target.finish()
    assert _one_file(tmp_path / "t", "a", "b")


def test_names_with_other_content_are_files_of_their_own(tmp_path: Path) -> None:
    """A name that was captured at another moment keeps what it had; that is reported."""
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems)
    wanted = target.place([*_linked("a"), *_linked("b", data=b"else"), *_linked("c")])
    assert [entry.path for entry in wanted] == [b"a", b"b"]
    target.write([(wanted[0], b"data"), (wanted[1], b"else")])
    target.finish()
    assert _one_file(tmp_path / "t", "a", "c")
    assert (tmp_path / "t" / "b").read_bytes() == b"else"
    cause = "restored as a file of its own: its content is not that of its other names"
    assert problems == [Problem(b"b", cause, missing=False)]


@pytest.mark.parametrize("large", [False, True])
def test_a_first_name_that_cannot_be_made(tmp_path: Path, *, large: bool) -> None:
    """Another one that waits brings the content in its place."""
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"create"}), number=errno.EACCES))
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    wanted = target.place(_linked("a", "b", "c"))
    if large:
        opened = target.open(wanted[0])
        assert opened is not None
        opened.write(0, b"data")
        opened.finish()
    else:
        fill(target, wanted)
    target.finish()
    assert problems == [Problem(b"a", "permission denied")]
    assert _one_file(tmp_path / "t", "b", "c")


def test_a_thousand_names_of_which_none_can_be_made(tmp_path: Path) -> None:
    """Each is reported; the last one that can be made brings the content."""
    fault = FsFault("error", 1, frozenset({"create"}), number=errno.EACCES, times=1500)
    fs, _ = faulty_fs(PosixFs(), fault)
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    names = [f"a{number:04}" for number in range(1502)]
    fill(target, target.place(_linked(*names)))
    target.finish()
    assert len(problems) == 1500
    assert _one_file(tmp_path / "t", *names[-2:])


def test_a_directory_of_a_waiting_name_that_went_away(tmp_path: Path) -> None:
    """The name in it is reported, and the next one brings the content."""
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"create"}), number=errno.EACCES))
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    target._tools.directories._most_open = 1
    entries = [directory("b"), file("b/x", link=b"a"), directory("c"), file("c/x", link=b"a")]
    wanted = target.place([*_linked("a"), *entries])
    (tmp_path / "t" / "b").rename(tmp_path / "elsewhere")
    fill(target, wanted)
    target.finish()
    assert (tmp_path / "t" / "c" / "x").read_text() == "data"
    assert {problem.path for problem in problems} == {b"a", b"b/x", b"b"}


@pytest.mark.parametrize("large", [False, True])
def test_a_first_name_that_failed_before_the_others_came(tmp_path: Path, *, large: bool) -> None:
    """The next one is asked for, with its own content."""
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"create"}), number=errno.EACCES))
    target = files_target(tmp_path / "t", [], fs=fs)
    wanted = target.place(_linked("a"))
    if large:
        assert target.open(wanted[0]) is None
    else:
        fill(target, wanted)
    wanted = target.place(_linked("b", "c"))
    assert [entry.path for entry in wanted] == [b"b"]
    fill(target, wanted)
    target.finish()
    assert _one_file(tmp_path / "t", "b", "c")


@pytest.mark.parametrize("how", ["abandoned", "never written", "of the wrong size"])
def test_names_whose_content_never_came(tmp_path: Path, how: str) -> None:
    """Each of them is reported."""
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems)
    wanted = target.place(_linked("a", "b", "c"))
    if how == "abandoned":
        opened = target.open(wanted[0])
        assert opened is not None
        opened.abandon()
    elif how == "of the wrong size":
        target.write([(wanted[0], b"other")])
    target.finish()
    assert [p.path for p in problems if p.cause == NO_CONTENT] == [b"b", b"c"]
    assert names_in(tmp_path / "t") == set()


@pytest.mark.spec("B5")
@pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_a_file_system_without_hard_links(tmp_path: Path, number: int) -> None:
    """Each name is a copy with the same content, holes and attributes; one line says so."""
    attributes = ((b"system.posix_acl_access", access_list()), (b"user.x", b"1"))
    entries = [
        msgspec.structs.replace(entry, size=5 * MIB, xattrs=attributes)
        for entry in _linked("a", "b", "c")
    ]
    fifos = [
        msgspec.structs.replace(thing(name, EntryKind.FIFO, mode=0o640), link=b"p")
        for name in ("p", "q")
    ]
    fs, _ = faulty_fs(PosixFs(), lacks={"link": number})
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    target.place([*entries, *fifos])
    opened = target.open(entries[0])
    assert opened is not None
    opened.write(2 * MIB, b"data")
    opened.finish()
    target.finish()
    seen = describe(tmp_path / "t")
    assert seen[b"a"].xattrs
    assert seen[b"a"] == seen[b"b"] == seen[b"c"]
    assert seen[b"a"].allocated <= 64 << 10
    assert seen[b"p"] == seen[b"q"]
    assert [(p.path, p.missing) for p in problems] == [(b"q", False)]
    assert problems[0].cause.startswith("hard link of 3 files could not be set (")


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """It is reported as missing."""
    fault = FsFault("error", 2, frozenset({"pwrite"}), number=errno.EIO)
    fs, _ = faulty_fs(PosixFs(), fault, lacks={"link": errno.EPERM, "seek_data": errno.EINVAL})
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    fill(target, target.place(_linked("a", "b")))
    target.finish()
    assert names_in(tmp_path / "t") == {"a"}
    assert Problem(b"b", "the disk reports an error") in problems


def test_a_name_that_cannot_be_linked_is_reported(tmp_path: Path) -> None:
    """The others are linked."""
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"link"}), number=errno.EIO))
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    fill(target, target.place(_linked("a", "b", "c")))
    target.finish()
    assert _one_file(tmp_path / "t", "a", "c")
    assert problems == [Problem(b"b", "the disk reports an error")]


def test_linking_while_others_are_placed(tmp_path: Path) -> None:
    """However placing and writing interleave, every name is linked once."""
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems)
    names = [f"b{number:03}" for number in range(300)]
    wanted = target.place(_linked("a"))
    writer = threading.Thread(target=fill, args=(target, wanted))
    writer.start()
    for name in names:
        assert target.place(_linked(name)) == []
    writer.join()
    target.finish()
    assert _one_file(tmp_path / "t", "a", *names)
    assert problems == []
