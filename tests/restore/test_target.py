"""How entries become files: where a restore begins, how files are made, whose they are."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import msgspec
import pytest

from strongroom.errors import RefusedError, RestoreError, StrongroomError
from strongroom.model.entry import Entry, EntryKind
from strongroom.model.fs import Fs, Stat
from strongroom.model.source import Problem
from strongroom.restore.files.begin import TargetOptions, begin
from strongroom.restore.files.owners import Owners, group_id, user_id
from strongroom.restore.files.shortfalls import Shortfalls
from strongroom.restore.files.target import FilesTarget
from strongroom.system.posix import PosixFs
from tests.support.compare_trees import describe
from tests.support.entries import WHEN_NS, directory, file, fill, restore, symlink, thing
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.file_trees import ROOT, access_list, capability
from tests.support.hook_fs import hook_fs
from tests.support.memory_backup import files_target
from tests.support.other_user import open_folder, without_rights
from tests.support.randomness import SeededRandomness

SETUID = 0o4755


def _names(top: Path) -> set[str]:
    return {os.fsdecode(path) for path in describe(top) if path}


def _owned(owners: Owners, path: Path, problems: list[Problem], fs: Fs) -> FilesTarget:
    options = TargetOptions(owners=owners)
    return begin(fs, os.fsencode(path), problems.append, SeededRandomness(), options)


# -- where a restore begins


def test_a_new_target_is_made_with_what_leads_to_it(tmp_path: Path) -> None:
    """Private, since what is restored into it may not be for everybody."""
    problems: list[Problem] = []
    restore(files_target(tmp_path / "new" / "deeper", problems), file("a"))
    assert (tmp_path / "new" / "deeper" / "a").read_text() == "data"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert problems == []


@pytest.mark.parametrize("made", ["empty", "lost+found", "link"])
def test_an_empty_directory_is_a_target(tmp_path: Path, made: str) -> None:
    """A new file system is empty, too; a target may be named through a link."""
    path = tmp_path / "target"
    (tmp_path / "real").mkdir()
    if made == "link":
        path.symlink_to("real")
    else:
        path.mkdir()
    if made == "lost+found":
        (path / made).mkdir(mode=0o700)
    problems: list[Problem] = []
    restore(files_target(path, problems), directory("lost+found", 0o711), file("lost+found/x"))
    assert (path / "lost+found" / "x").exists()
    assert stat.S_IMODE((path / "lost+found").stat().st_mode) == 0o711
    assert problems == []


def test_what_is_in_the_way_of_a_target_is_said(tmp_path: Path) -> None:
    """Nothing is changed: neither in a directory with something in it, nor in a file."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    (tmp_path / "file").touch()
    with pytest.raises(RefusedError, match="full is not empty"):
        files_target(tmp_path / "full", [])
    for path in ("file", "file/below"):
        with pytest.raises(RefusedError, match="is not a directory"):
            files_target(tmp_path / path, [])
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(StrongroomError, match="cannot be restored into: does not exist"):
        files_target(tmp_path / "dangling", [])
    assert _names(tmp_path) == {"full", "full/x", "file", "dangling"}


def test_a_target_that_may_not_be_written() -> None:
    """It is said before anything is read from a repository."""
    with open_folder() as top:
        top.chmod(0o555)
        for path in (top, top / "new"):

            def attempt(path: Path = path) -> str:
                try:
                    files_target(path, []).close()
                except StrongroomError as error:
                    return error.message
                return ""

            told = without_rights(attempt)
            assert told == f"{path} cannot be restored into: permission denied"
        top.chmod(0o755)


@pytest.mark.parametrize(
    ("call", "number", "cause"),
    [
        ("create_unnamed", errno.EROFS, "the file system is read-only"),
        ("names", errno.EIO, "the disk reports an error"),
        ("fstat", errno.EIO, "the disk reports an error"),
    ],
)
def test_a_target_that_does_not_work(tmp_path: Path, call: str, number: int, cause: str) -> None:
    """Nothing is left open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({call}), number=number))
    with pytest.raises(StrongroomError, match=cause):
        files_target(tmp_path, [], fs=fs)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_system_without_unnamed_files(tmp_path: Path) -> None:
    """Then owner and mode are set for every file."""
    fs, faults = faulty_fs(PosixFs(), lacks={"create_unnamed": errno.EOPNOTSUPP})
    restore(files_target(tmp_path, [], fs=fs), file("a"))
    assert faults.attempts["fchmod"] == faults.attempts["fchown"] == 1
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


# -- how files are made


def test_an_ordinary_file_takes_four_calls(tmp_path: Path) -> None:
    """It is made with its mode and by its owner; only the time is set afterwards."""
    fs, faults = faulty_fs(PosixFs())
    target = files_target(tmp_path / "t", [], fs=fs)
    umask = os.umask(0o022)
    os.umask(umask)
    entries = [msgspec.structs.replace(file(f"{n}"), mode=0o777 & ~umask) for n in range(9)]
    wanted = target.place(entries)
    faults.attempts.clear()
    fill(target, wanted)
    expected = {"create": 9, "pwrite": 9, "futime": 9, "close": 9}
    assert dict(faults.attempts) == expected
    target.finish()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, *([0o777] if ROOT else [])])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    """Of files, directories and specials."""
    modes = [0o000, 0o600, 0o644, 0o666, 0o777, 0o1777, 0o2755, 0o4711]
    entries = []
    for mode in modes:
        entries.append(msgspec.structs.replace(file(f"{mode:04o}"), mode=mode))
        entries.append(directory(f"{mode:04o}.d", mode))
        entries.append(file(f"{mode:04o}.d/x"))
        entries.append(thing(f"{mode:04o}.fifo", EntryKind.FIFO, mode=mode))
    before = os.umask(umask)
    try:
        problems: list[Problem] = []
        restore(files_target(tmp_path / "t", problems), *entries)
    finally:
        os.umask(before)
    for mode in modes:
        for suffix in ("", ".d", ".fifo"):
            found = (tmp_path / "t" / f"{mode:04o}{suffix}").stat()
            assert stat.S_IMODE(found.st_mode) == mode
        (tmp_path / "t" / f"{mode:04o}.d").chmod(0o700)
    assert problems == []


def test_nobody_can_look_in_before_the_end(tmp_path: Path) -> None:
    """Directories are private until everything is in them, and have their time then."""
    target = files_target(tmp_path / "t", [])
    wanted = target.place([directory("d", 0o777), file("d/x")])
    fill(target, wanted)
    assert stat.S_IMODE((tmp_path / "t" / "d").stat().st_mode) == 0o700
    target.finish()
    found = (tmp_path / "t" / "d").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_mtime_ns) == (0o777, WHEN_NS)


def test_directories_that_no_entry_makes_stay_private(tmp_path: Path) -> None:
    """A part of a tree can be restored without what was above it."""
    problems: list[Problem] = []
    restore(files_target(tmp_path / "t", problems), file("a/b/c"), directory("a/d"), file("a/d/e"))
    assert _names(tmp_path / "t") == {"a", "a/b", "a/b/c", "a/d", "a/d/e"}
    assert stat.S_IMODE((tmp_path / "t" / "a" / "b").stat().st_mode) == 0o700
    assert problems == []


def test_a_directory_that_cannot_be_made_loses_what_is_below_it(tmp_path: Path) -> None:
    """It is reported once, with the number of entries; the rest is restored."""
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"mkdir"}), number=errno.EACCES))
    problems: list[Problem] = []
    entries = [directory("a"), file("a/b"), directory("a/c"), file("a/c/d"), file("a/c/e/f")]
    restore(files_target(tmp_path, problems, fs=fs), *entries, directory("b"), file("b/x"))
    assert problems == [
        Problem(b"a", "permission denied"),
        Problem(b"a", "4 entries below it are not restored"),
    ]
    assert _names(tmp_path) == {"b", "b/x"}


def test_restored_files_are_made_durable_at_the_end(tmp_path: Path) -> None:
    """Once for all of them; if that fails, the restore has failed."""
    fs, faults = faulty_fs(PosixFs())
    restore(files_target(tmp_path / "a", [], fs=fs), file("x"))
    assert [call.what for call in faults.trace[-3:]] == ["syncfs", "close", "close"]
    assert faults.attempts["syncfs"] == 1
    fs, _ = faulty_fs(PosixFs(), FsFault("error", 1, frozenset({"syncfs"}), number=errno.EIO))
    with pytest.raises(RestoreError, match="may not survive a power cut: the disk reports"):
        restore(files_target(tmp_path / "b", [], fs=fs), file("x"))


def test_every_file_system_below_the_target_is_made_durable(tmp_path: Path) -> None:
    """What is restored below a mount point is on another disk."""
    (tmp_path / "mount").mkdir()
    inode = (tmp_path / "mount").stat().st_ino

    def mounted(found: Stat) -> Stat:
        return found._replace(device=found.device + 1) if found.inode == inode else found

    real, faults = faulty_fs(PosixFs())
    fs = hook_fs(changed={"fstat": mounted}, within=real)
    restore(files_target(tmp_path, [], fs=fs, replace=True), directory("mount"), file("x"))
    assert faults.attempts["syncfs"] == 2


def test_the_number_of_files_that_were_restored(tmp_path: Path) -> None:
    """It counts those without a problem."""
    target = files_target(tmp_path / "t", [])
    wanted = target.place([file("a"), file("b"), file("c", b"")])
    (tmp_path / "t" / "b").touch()
    assert fill(target, wanted) == 2
    target.finish()


def test_files_that_were_never_asked_for(tmp_path: Path) -> None:
    """A caller that confuses targets is told so."""
    with pytest.raises(TypeError, match="no file of the directory b'a' was wanted"):
        fill(files_target(tmp_path / "t", []), [file("a/b")])


# -- owners


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


# -- what new things would inherit


@pytest.mark.spec("B5")
def test_access_lists_of_the_target_are_not_inherited(tmp_path: Path) -> None:
    """A file without a list has none afterwards, wherever it is restored to."""
    path = tmp_path / "t"
    path.mkdir()
    os.setxattr(path, "system.posix_acl_default", access_list(7))
    problems: list[Problem] = []
    restore(
        files_target(path, problems),
        directory("d", 0o750),
        file("d/x"),
        thing("fifo", EntryKind.FIFO, mode=0o640),
        symlink("link", b"d"),
        file("x"),
    )
    for name in ("d", "d/x", "fifo", "x"):
        assert os.listxattr(path / name) == []
    modes = [stat.S_IMODE((path / name).stat().st_mode) for name in ("d", "d/x", "fifo", "x")]
    assert modes == [0o750, 0o644, 0o640, 0o644]
    assert problems == []


@pytest.mark.spec("B5")
def test_the_group_of_the_target_is_not_inherited(tmp_path: Path) -> None:
    """A target whose new files get its group makes no difference."""
    path = tmp_path / "t"
    path.mkdir()
    if ROOT:
        os.chown(path, 0, 4242)
    path.chmod(0o2755)
    problems: list[Problem] = []
    restore(files_target(path, problems), directory("d"), file("d/x"), file("x"))
    for name in ("d", "d/x", "x"):
        assert (path / name).stat().st_gid == os.getegid()
    assert stat.S_IMODE((path / "d").stat().st_mode) == 0o755
    assert problems == []
