"""Owners, modes, extended attributes and times, and what is said where they cannot be set."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import msgspec
import pytest

from strongroom.model.entry import Entry, EntryKind
from strongroom.model.fs import Fs
from strongroom.model.source import Problem
from strongroom.restore.files.begin import TargetOptions, begin
from strongroom.restore.files.owners import Owners, group_id, user_id
from strongroom.restore.files.shortfalls import Shortfalls
from strongroom.restore.files.target import FilesTarget
from strongroom.system.posix import PosixFs
from tests.support.entries import WHEN_NS, file, fill, restore, thing
from tests.support.faulty_fs import faulty_fs
from tests.support.file_trees import ROOT, access_list, capability
from tests.support.hook_fs import hook_fs
from tests.support.memory_backup import files_target
from tests.support.other_user import open_folder, without_rights
from tests.support.randomness import SeededRandomness

SETUID = 0o4755


def _owned(owners: Owners, path: Path, problems: list[Problem], fs: Fs) -> FilesTarget:
    options = TargetOptions(owners=owners)
    return begin(fs, os.fsencode(path), problems.append, SeededRandomness(), options)


def test_owners_are_found_by_name_or_number(tmp_path: Path) -> None:
    """By name where the name exists here; else, or if asked for, by number; or not at all."""
    users, groups = {b"app": 1001}, {b"app": 2002}
    entry = msgspec.structs.replace(file("x"), uid=70, gid=80, user=b"app", group=b"app")
    cases: list[tuple[Owners, Entry, list[tuple[int, int]]]] = [
        (Owners("name", users.get, groups.get), entry, [(1001, 2002)]),
        (Owners("name", users.get, lambda _: None), entry, [(1001, 80)]),
        (Owners("number", users.get, groups.get), entry, [(70, 80)]),
        (Owners("skip", users.get, groups.get), entry, []),
    ]
    for number, (owners, one, expected) in enumerate(cases):
        fs, faults = faulty_fs(PosixFs(), lacks={"fchown": errno.EPERM})
        asked: list[tuple[int, int]] = []

        def note(_fd: int, uid: int, gid: int, asked: list[tuple[int, int]] = asked) -> None:
            asked.append((uid, gid))

        target = _owned(owners, tmp_path / str(number), [], hook_fs({"fchown": note}, within=fs))
        restore(target, one)
        assert asked == expected
        assert faults.attempts["fchown"] == len(expected)


def test_owners_of_this_machine() -> None:
    """Names are looked up where programs look; what is not there has no number."""
    assert (user_id(b"root"), group_id(b"root")) == (0, 0)
    for name in (b"no such name here", b"", b"\xff", b"a\0b"):
        assert (user_id(name), group_id(name)) == (None, None)


def test_ten_thousand_owners_that_cannot_be_set_are_one_line() -> None:
    """The kernel is asked once for each owner, and a person is told once."""
    with open_folder() as top:
        (top / "t").mkdir()
        (top / "t").chmod(0o777)
        entries = [
            msgspec.structs.replace(file(f"{n:04}"), uid=0, gid=0, user=b"", mode=0o644)
            for n in range(1204)
        ]

        def attempt() -> tuple[list[tuple[str, str, bool]], int]:
            problems: list[Problem] = []
            fs, faults = faulty_fs(PosixFs())
            restore(files_target(top / "t", problems, fs=fs), *entries)
            told = [(os.fsdecode(p.path), p.cause, p.missing) for p in problems]
            return told, faults.attempts["fchown"]

        told, asked = without_rights(attempt)
        cause = "owner of 1,204 files could not be set (needs root)"
        assert [tuple(one) for one in told] == [("0000", cause, False)]
        assert asked == 1


def test_a_single_shortfall_names_its_file(tmp_path: Path) -> None:
    """Without a number of files."""
    fs, _ = faulty_fs(PosixFs(), lacks={"futime": errno.EPERM})
    problems: list[Problem] = []
    restore(files_target(tmp_path / "t", problems, fs=fs), file("x"))
    assert problems == [Problem(b"x", "time could not be set (needs root)", missing=False)]


@pytest.mark.parametrize("kind", [EntryKind.FILE, EntryKind.DIRECTORY, EntryKind.FIFO])
def test_set_user_id_only_with_its_owner(tmp_path: Path, kind: EntryKind) -> None:
    """A program of root's must not become one of ours that runs as us for everybody."""
    lacks = {"fchown": errno.EPERM, "chown": errno.EPERM}
    entries = [
        msgspec.structs.replace(thing(name, kind, mode=0o6755), uid=4242, user=b"")
        for name in ("a", "b")
    ]
    fs, _ = faulty_fs(PosixFs(), lacks=lacks)
    problems: list[Problem] = []
    restore(files_target(tmp_path / "t", problems, fs=fs), *entries)
    for name in ("a", "b"):
        assert stat.S_IMODE((tmp_path / "t" / name).stat().st_mode) == 0o755
    assert {problem.cause for problem in problems} == {
        "owner of 2 files could not be set (needs root)",
        "set-user-id or set-group-id bit of 2 files could not be set (it has another owner)",
    }


def test_set_user_id_without_owners(tmp_path: Path) -> None:
    """With owners left alone, the bit is, too."""
    entry = msgspec.structs.replace(file("x"), mode=SETUID)
    problems: list[Problem] = []
    restore(files_target(tmp_path / "t", problems, ownership="skip"), entry)
    assert stat.S_IMODE((tmp_path / "t" / "x").stat().st_mode) == 0o755
    assert [problem.missing for problem in problems] == [False]


def test_attributes_are_set_in_the_safe_order(tmp_path: Path) -> None:
    """Owner, mode, access lists and capabilities, time: each would undo those after it."""
    xattrs = [(b"system.posix_acl_access", access_list()), (b"user.x", b"1")]
    if ROOT:
        xattrs.insert(0, (b"security.capability", capability()))
    entry = msgspec.structs.replace(file("x"), mode=SETUID, xattrs=tuple(xattrs))
    fs, faults = faulty_fs(PosixFs(), lacks={"create_unnamed": errno.EOPNOTSUPP})
    restore(files_target(tmp_path / "t", [], fs=fs), entry)
    order = [call.what for call in faults.trace if call.what in _CHANGES]
    assert order == ["pwrite", "fchown", "fchmod", *(["set_xattr"] * len(xattrs)), "futime"]
    found = os.stat(tmp_path / "t" / "x")  # noqa: PTH116
    assert found.st_mode & stat.S_ISUID
    assert found.st_mtime_ns == WHEN_NS


_CHANGES = {"pwrite", "fchown", "fchmod", "set_xattr", "futime"}


def test_attributes_that_the_target_does_not_know(tmp_path: Path) -> None:
    """Counted by their names."""
    entries = [
        msgspec.structs.replace(file(name), xattrs=((b"user.a", b"1"), (b"security.selinux", b"2")))
        for name in ("x", "y", "z")
    ]
    fs, _ = faulty_fs(PosixFs(), lacks={"set_xattr": errno.EOPNOTSUPP})
    problems: list[Problem] = []
    restore(files_target(tmp_path / "t", problems, fs=fs), *entries)
    assert {problem.cause for problem in problems} == {
        f"extended attribute {name} of 3 files could not be set (this file system cannot do that)"
        for name in ("user.a", "security.selinux")
    }


def test_a_thousand_kinds_of_shortfall_have_a_bound() -> None:
    """A tree full of attributes with names of their own does not fill a page each."""
    shortfalls = Shortfalls()
    for number in range(2000):
        shortfalls.add(f"extended attribute user.{number}", b"x", "needs root")
    lines = shortfalls.lines()
    assert len(lines) <= 501
    what = "another attribute of 1,500 files could not be set (various reasons)"
    assert lines[-1] == (b"x", what)


def test_five_thousand_owners(tmp_path: Path) -> None:
    """What is remembered of owners has a bound; every file gets its own."""
    fs, faults = faulty_fs(PosixFs())
    target = files_target(tmp_path / "t", [], fs=fs, ownership="skip")
    entries = [msgspec.structs.replace(file(f"{n:04}"), uid=n) for n in range(5000)]
    assert fill(target, target.place(entries)) == 5000
    target.finish()
    assert faults.attempts["fchown"] == 0
    assert len(target._tools.attributes._plans) <= 4096


def test_devices_need_root(tmp_path: Path) -> None:
    """Without it they are missing, and the reason is said."""
    entry = msgspec.structs.replace(thing("null", EntryKind.CHARACTER_DEVICE), rdev=(1, 3))
    fs, _ = faulty_fs(PosixFs(), lacks={"mknod": errno.EPERM})
    problems: list[Problem] = []
    restore(files_target(tmp_path / "t", problems, fs=fs), entry)
    assert problems == [Problem(b"null", "a device can only be made by root")]
