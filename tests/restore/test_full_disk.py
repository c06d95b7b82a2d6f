"""A disk that is full, or fails at any call: what a restore says, and what it leaves."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from strongroom.errors import RestoreError
from strongroom.model.entry import Entry, EntryKind
from strongroom.model.fs import Fs
from strongroom.model.source import Problem
from strongroom.restore.files.naming import Overwrite
from strongroom.restore.files.target import FilesTarget
from strongroom.system.posix import PosixFs
from tests.support.compare_trees import describe
from tests.support.entries import begun, directory, file, fill, names_in, restore, symlink, thing
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.memory_backup import files_target


def _small(target: FilesTarget) -> None:
    restore(target, directory("d"), file("d/x"), file("d/y"))


def _large(target: FilesTarget) -> None:
    opened = begun(target, file("m"))
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
        assert not [name for name in names_in(tmp_path / f"{nth}") if "partial" in name]


def test_a_disk_full_of_attributes_is_not_a_full_disk(tmp_path: Path) -> None:
    """Some file systems say so of an attribute that is too large for its place."""
    entry = msgspec.structs.replace(file("x"), xattrs=((b"user.a", b"1"),))
    fs, _ = faulty_fs(PosixFs(), lacks={"set_xattr": errno.ENOSPC})
    problems: list[Problem] = []
    restore(files_target(tmp_path / "t", problems, fs=fs), entry)
    assert [problem.missing for problem in problems] == [False]


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
    target = files_target(path, problems, fs=fs, overwrite="always" if replace else None)
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
    overwrite: Overwrite | None = "always" if replace else None
    files_target(tmp_path / "probe", [], fs=begun, overwrite=overwrite).close()
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
