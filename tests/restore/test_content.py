"""Bytes of restored files: holes, large files in pieces, hard links, and failures."""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from strongroom.errors import RestoreError
from strongroom.model.entry import SPARSE, Entry, EntryKind
from strongroom.model.fs import Fs
from strongroom.model.source import OpenFile, Problem
from strongroom.restore.files.target import FilesTarget
from strongroom.system.posix import PosixFs
from tests.support.compare_trees import describe
from tests.support.entries import WHEN_NS, directory, file, fill, restore, symlink, thing
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.file_trees import access_list
from tests.support.memory_backup import files_target

MIB = 1 << 20
NO_CONTENT = "not restored, since another name of the same file was not"


def _names(top: Path) -> set[str]:
    return {os.fsdecode(path) for path in describe(top) if path}


def _opened(target: FilesTarget, entry: Entry) -> OpenFile:
    target.place([entry])
    opened = target.open(entry)
    assert opened is not None
    return opened


# -- holes


@pytest.mark.spec("B5")
def test_small_files_get_their_holes_back(tmp_path: Path) -> None:
    """Pages of zeros in a file that had holes; not in one that had none."""
    data = b"head" + bytes(100_000) + b"middle" + bytes(50_000) + b"tail" + bytes(30_000)
    sparse = msgspec.structs.replace(file("sparse", data), flags=SPARSE)
    hole = msgspec.structs.replace(file("hole", bytes(50_000)), flags=SPARSE)
    tiny = msgspec.structs.replace(file("tiny", bytes(5)), flags=SPARSE)
    tail = msgspec.structs.replace(file("tail", bytes(9000) + b"x"), flags=SPARSE)
    written = file("written", data)
    target = files_target(tmp_path / "t", [])
    wanted = target.place([hole, sparse, tail, tiny, written])
    contents = (bytes(50_000), data, bytes(9000) + b"x", bytes(5), data)
    assert target.write(list(zip(wanted, contents, strict=True))) == 5
    target.finish()
    names = ("hole", "sparse", "tail", "tiny", "written")
    for name, content in zip(names, contents, strict=True):
        assert (tmp_path / "t" / name).read_bytes() == content
    blocks = {
        name: (tmp_path / "t" / name).stat().st_blocks for name in ("hole", "sparse", "written")
    }
    assert blocks["hole"] == 0
    assert blocks["sparse"] <= 5 * 8 < blocks["written"]


@pytest.mark.spec("B5")
def test_what_is_never_written_stays_a_hole(tmp_path: Path) -> None:
    """At the beginning, in the middle, at the end, or everywhere."""
    target = files_target(tmp_path / "t", [])
    target.place([entry := msgspec.structs.replace(file("m"), size=8 * MIB)])
    opened = target.open(entry)
    assert opened is not None
    opened.write(3 * MIB, b"island")
    opened.finish()
    target.finish()
    found = (tmp_path / "t" / "m").stat()
    assert found.st_size == 8 * MIB
    assert found.st_blocks * 512 <= 64 << 10
    assert (tmp_path / "t" / "m").read_bytes()[3 * MIB : 3 * MIB + 6] == b"island"


# -- large files


def test_pieces_from_several_threads_in_any_order(tmp_path: Path) -> None:
    """Whoever writes the last one finishes."""
    data = random.Random(5).randbytes(4 * MIB)
    entry = file("m", data)
    target = files_target(tmp_path / "t", [])
    opened = _opened(target, entry)
    assert _names(tmp_path / "t") != {"m"}
    pieces = [(offset, data[offset : offset + 70_001]) for offset in range(0, len(data), 70_001)]
    random.Random(6).shuffle(pieces)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda piece: opened.write(*piece), pieces))
    opened.finish()
    target.finish()
    found = tmp_path / "t" / "m"
    assert found.read_bytes() == data
    assert found.stat().st_mtime_ns == WHEN_NS
    assert _names(tmp_path / "t") == {"m"}


def test_an_abandoned_file_leaves_nothing(tmp_path: Path) -> None:
    """Neither under its name nor under another; who abandons it reports it."""
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems)
    opened = _opened(target, file("m", bytes(MIB)))
    opened.write(0, b"beginning")
    opened.abandon()
    opened.abandon()
    opened.write(5, b"late")
    target.finish()
    assert _names(tmp_path / "t") == set()
    assert problems == []


def test_a_large_file_that_cannot_be_written(tmp_path: Path) -> None:
    """It is reported once, however many pieces fail; the next one is restored."""
    fs, faults = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"pwrite"}), number=errno.EIO))
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    bad = _opened(target, file("m", b"0123456789"))
    for offset in range(10):
        bad.write(offset, b"x")
    assert faults.attempts["pwrite"] == 1
    bad.finish()
    good = _opened(target, file("n", b"0123456789"))
    good.write(0, b"01234")
    good.write(5, b"56789")
    good.finish()
    target.finish()
    assert problems == [Problem(b"m", "the disk reports an error")]


def test_a_partial_file_that_cannot_be_removed(tmp_path: Path) -> None:
    """It is reported, since something is left there."""
    fs, _ = faulty_fs(PosixFs(), lacks={"unlink": errno.EIO})
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    _opened(target, file("m")).abandon()
    target.finish()
    assert problems == [Problem(b"m", "the disk reports an error")]


def test_a_large_file_that_cannot_be_begun(tmp_path: Path) -> None:
    """There is nothing to write to, and that is reported."""
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"create"}), number=errno.EIO))
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    target.place([entry := file("m")])
    assert target.open(entry) is None
    target.finish()
    assert problems == [Problem(b"m", "the disk reports an error")]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS])
def test_a_file_system_without_careful_renames(tmp_path: Path, number: int) -> None:
    """A name that is taken is still not taken away."""
    fs, _ = faulty_fs(PosixFs(), lacks={"rename_new": number})
    problems: list[Problem] = []
    target = files_target(tmp_path / "t", problems, fs=fs)
    opened = [_opened(target, file(name, b"data")) for name in ("a", "b")]
    (tmp_path / "t" / "b").write_text("taken")
    for one in opened:
        one.write(0, b"data")
        one.finish()
    target.finish()
    assert (tmp_path / "t" / "a").read_text() == "data"
    assert (tmp_path / "t" / "b").read_text() == "taken"
    assert problems == [Problem(b"b", "exists already")]
    assert _names(tmp_path / "t") == {"a", "b"}


@pytest.mark.parametrize("most", [1, 3])
def test_a_disk_that_takes_little_at_once(tmp_path: Path, most: int) -> None:
    """Short writes are gone on with, for small and large files."""
    real = PosixFs()

    class Stingy(PosixFs):
        def pwrite(self, fd: int, data: bytes | bytearray | memoryview, offset: int) -> int:
            return real.pwrite(fd, memoryview(data)[:most], offset)

    target = files_target(tmp_path / "t", [], fs=Stingy())
    large = _opened(target, file("large", b"0123456789"))
    large.write(0, b"0123456789")
    large.finish()
    restore(target, file("small", b"0123456789"), data=b"0123456789")
    for name in ("large", "small"):
        assert (tmp_path / "t" / name).read_bytes() == b"0123456789"


# -- a disk that is full


def _small(target: FilesTarget) -> None:
    restore(target, directory("d"), file("d/x"), file("d/y"))


def _large(target: FilesTarget) -> None:
    opened = _opened(target, file("m"))
    try:
        opened.write(0, b"data")
        opened.finish()
    except RestoreError:
        opened.abandon()
        raise


def _special(target: FilesTarget) -> None:
    restore(target, symlink("m", b"x"), thing("n", EntryKind.FIFO))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("work", [_small, _large, _special])
def test_a_full_disk_ends_the_restore(
    tmp_path: Path, number: int, work: Callable[[FilesTarget], None]
) -> None:
    """At the first file and not with a line for each; nothing half-written stays."""
    ending = frozenset({"create", "pwrite", "mkdir", "symlink", "mknod", "truncate"})
    fs, faults = faulty_fs(PosixFs())
    (tmp_path / "fine").mkdir()
    work(files_target(tmp_path / "fine", [], fs=fs))
    for nth in range(1, sum(faults.attempts[call] for call in ending) + 1):
        (tmp_path / f"{nth}").mkdir()
        fs, _ = faulty_fs(PosixFs(), FsFault("error", nth, ending, number=number))
        problems: list[Problem] = []
        target = files_target(tmp_path / f"{nth}", problems, fs=fs)
        with pytest.raises(RestoreError, match="the restore stopped at") as caught:
            work(target)
        target.close()
        assert "Make room" in caught.value.hint
        assert problems == []
        assert not [name for name in _names(tmp_path / f"{nth}") if "partial" in name]


def test_a_disk_full_of_attributes_is_not_a_full_disk(tmp_path: Path) -> None:
    """Some file systems say so of an attribute that is too large for its place."""
    entry = msgspec.structs.replace(file("x"), xattrs=((b"user.a", b"1"),))
    fs, _ = faulty_fs(PosixFs(), lacks={"set_xattr": errno.ENOSPC})
    problems: list[Problem] = []
    restore(files_target(tmp_path / "t", problems, fs=fs), entry)
    assert [problem.missing for problem in problems] == [False]


# -- hard links


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
    assert _names(tmp_path / "t") == set()


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
    assert _names(tmp_path / "t") == {"a"}
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


# -- any single call fails


def _tree() -> list[Entry]:
    return [
        directory("d"),
        file("d/a", link=b"d/a"),
        file("d/b", link=b"d/a"),
        msgspec.structs.replace(file("d/c"), xattrs=((b"user.x", b"1"),)),
        directory("d/e"),
        symlink("d/e/link", b"x"),
        file("d/e/missing parents/f"),
        thing("d/fifo", EntryKind.FIFO),
        file("large", b"0123456789"),
    ]


def _restore_all(path: Path, problems: list[Problem], fs: Fs, *, replace: bool) -> None:
    target = files_target(path, problems, fs=fs, replace=replace)
    wanted = target.place(_tree())
    fill(target, [entry for entry in wanted if entry.path != b"large"])
    opened = target.open(_tree()[-1])
    if opened is not None:
        opened.write(5, b"56789")
        opened.write(0, b"01234")
        opened.finish()
    with suppress(RestoreError):  # where nobody can say that it will survive
        target.finish()


_CALLS = frozenset(
    {
        *("open", "create", "pwrite", "truncate", "fchmod", "futime", "close", "mkdir", "link"),
        *("symlink", "mknod", "rename", "rename_new", "chown", "chmod", "utime", "set_xattr"),
        *("fstat", "stat", "fchown", "xattrs_at", "set_xattr_at", "unlink"),
    }
)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
@pytest.mark.parametrize("replace", [False, True])
def test_any_call_may_fail(tmp_path: Path, number: int, *, replace: bool) -> None:
    """Every entry is there as it should be or reported; nothing unfinished stays."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "d").mkdir() if replace else None
    fs, faults = faulty_fs(PosixFs())
    _restore_all(tmp_path / "whole", [], fs, replace=replace)
    whole = describe(tmp_path / "whole")
    begun, beginning = faulty_fs(PosixFs())
    files_target(tmp_path / "probe", [], fs=begun, replace=replace).close()
    before = sum(beginning.attempts[call] for call in _CALLS)
    for nth in range(before + 1, sum(faults.attempts[call] for call in _CALLS) + 1):
        top = tmp_path / f"{nth}"
        top.mkdir()
        (top / "d").mkdir() if replace else None
        fs, _ = faulty_fs(PosixFs(), FsFault("error", nth, _CALLS, number=number))
        problems: list[Problem] = []
        _restore_all(top, problems, fs, replace=replace)
        there = describe(top)
        assert not [path for path in there if b"partial" in path]
        named = {problem.path for problem in problems}
        if named & {b"d/a", b"d/b"}:
            named |= {b"d/a", b"d/b"}  # two names of one file
        for entry in _tree():
            above = {b"/".join(entry.path.split(b"/")[:n]) for n in range(1, 9)}
            if named.isdisjoint(above):
                assert there[entry.path] == whole[entry.path]
