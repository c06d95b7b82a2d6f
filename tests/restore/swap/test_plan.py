"""What a plan compares, takes along, leaves alone and refuses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from strongroom.errors import RefusedError, StrongroomError
from strongroom.model.entry import Entry, EntryKind
from strongroom.model.fs import Fs, Stat
from strongroom.model.source import Extra
from strongroom.restore.swap.plan import Change, Kind, Removal, SwapPlan
from strongroom.restore.swap.swapping import carry_out, plan, rollback
from strongroom.system.posix import PosixFs
from tests.restore.swap.scenes import WORK, QuickFs, entries_of, make_work, settle, write
from tests.support.compare_trees import compare_trees, describe
from tests.support.entries import thing
from tests.support.file_trees import every_kind
from tests.support.hook_fs import hook_fs
from tests.support.other_user import open_folder, without_rights

FS = QuickFs()


def _project(top: Path) -> tuple[Path, Path]:
    top.mkdir()
    return top / "p", make_work(top / "p")


def _plan(project: Path, *entries: Entry, fs: Fs = FS, removal: Removal | None = None) -> SwapPlan:
    found = entries or entries_of(project / WORK / "staged")
    return plan(fs, os.fsencode(project), os.fsencode(project / WORK), found, removal)


@pytest.mark.spec("A5")
def test_a_selection_leaves_all_else_alone(top: Path) -> None:
    """Directories that only lead to what is wanted keep their attributes; new ones are private."""
    project, staged = _project(top)
    for here in (project, staged):
        (here / "a/b").mkdir(parents=True)
        (here / "new/b").mkdir(parents=True)
    shutil.rmtree(project / "new")
    write(project / "a/b/x", "old")
    write(project / "a/b/other", "stays")
    (project / "a/b").chmod(0o711)
    write(staged / "a/b/x", "new")
    write(staged / "new/b/y", "new")
    (staged / "new").chmod(0o700)
    made = _plan(project, thing("a/b/x", EntryKind.FILE), thing("new/b/y", EntryKind.FILE))
    kinds = [(change.path, change.kind) for change in made.changes]
    assert kinds == [
        (b"a/b/x", Kind.CHANGED),
        *((path, Kind.NEW) for path in (b"new", b"new/b", b"new/b/y")),
    ]
    before = describe(project / "a")
    carry_out(FS, made)
    after = describe(project / "a")
    assert (project / "a/b/x").read_text() == "new"
    assert after[b"b/other"] == before[b"b/other"]
    assert after[b"b"].mode == 0o711
    assert after[b""] == before[b""]
    assert (project / "new").stat().st_mode & 0o777 == 0o700


@pytest.mark.spec("A5")
def test_every_kind_of_thing_is_right_already(top: Path) -> None:
    """A tree is the same as its faithful copy: nothing is to be done, and nothing is."""
    project, staged = _project(top)
    every_kind(project / "t")
    every_kind(staged / "t")
    for path, _, _ in os.walk(project / "t"):
        _same_times(Path(path), staged / Path(path).relative_to(project))
    made = _plan(project, *_all_entries(staged))
    assert made.changes == ()
    assert made.is_empty


def _same_times(one: Path, other: Path) -> None:
    for path in sorted(one.iterdir()):
        found = path.lstat()
        times = (found.st_mtime_ns, found.st_mtime_ns)
        os.utime(other / path.name, ns=times, follow_symlinks=False)
    found = one.lstat()
    os.utime(other, ns=(found.st_mtime_ns, found.st_mtime_ns))


def _all_entries(staged: Path) -> list[Entry]:
    paths = (path for path in describe(staged) if path)
    found = [thing(path, EntryKind.FILE) for path in paths]
    return sorted(found, key=lambda entry: entry.path.replace(b"/", b"\0"))


@pytest.mark.spec("A5")
def test_every_kind_of_thing_comes_and_goes(top: Path) -> None:
    """A whole tree of them is put in the place of another, and taken back."""
    project, staged = _project(top)
    every_kind(staged / "t")
    (project / "t").mkdir()
    write(project / "t/x", "old")
    settle(project, "t")
    shutil.copytree(project / "t", top / "before")
    wished = describe(staged / "t")
    removal = Removal((b"t",))
    carry_out(FS, _plan(project, *_all_entries(staged), removal=removal))
    assert describe(project / "t") == wished
    rollback(FS, os.fsencode(project / WORK))
    assert compare_trees(project / "t", top / "before") == []


@pytest.mark.spec("A5")
def test_bytes_that_cannot_be_read_are_replaced(top: Path) -> None:
    """A damaged file is what a restore is for."""
    project, staged = _project(top)
    for here in (project, staged):
        write(here / "x", "bytes")
    inode = (project / "x").stat().st_ino

    def unreadable(name: bytes, *_: object, dir_fd: int | None = None, **__: object) -> None:
        if name == b"x" and FS.stat(name, dir_fd=dir_fd).inode == inode:
            raise OSError(5, "damaged")

    made = _plan(project, fs=hook_fs({"open": unreadable}, within=FS))
    assert [change.kind for change in made.changes] == [Kind.CHANGED]


@pytest.mark.spec("A5")
def test_a_removal_names_as_little_as_can_say_it(top: Path) -> None:
    """A directory that goes as a whole is one change with totals; what is kept splits it."""
    project, staged = _project(top)
    for folder in ("whole/in", "split/in", "other"):
        (project / folder).mkdir(parents=True)
    write(project / "whole/in/x", "12345")
    write(project / "whole/y", "1")
    write(project / "split/in/x", "123")
    write(project / "split/kept", "1")
    write(project / "other/x", "1")
    (staged / "new").mkdir()
    scopes = (b"whole", b"split", b"nothing there", b"split/in")
    made = _plan(project, removal=Removal(scopes, lambda extra: extra.path == b"split/kept"))
    assert [change for change in made.changes if change.kind is Kind.REMOVED] == [
        Change(b"split/in", Kind.REMOVED, is_directory=True, size=3, below=1),
        Change(b"whole/in", Kind.REMOVED, is_directory=True, size=5, below=1),
        Change(b"whole/y", Kind.REMOVED, is_directory=False, size=1),
    ]
    assert made.totals[Kind.REMOVED] == (5, 9)
    made = _plan(project, removal=Removal((b"",), lambda extra: extra.path == b"split/kept"))
    assert sorted(made.takes) == [b"other", b"split/in", b"whole"]  # and not the work folder


@pytest.mark.spec("A5")
def test_what_must_stay_does_not_give_way(top: Path) -> None:
    """A file cannot take the place of a directory in which something is kept."""
    project, staged = _project(top)
    (project / "d/in").mkdir(parents=True)
    write(project / "d/in/kept", "x")
    write(staged / "d", "x")
    kept = Extra(b"d/in/kept", is_directory=False)
    with pytest.raises(RefusedError, match="'d/in/kept' in it must stay"):
        _plan(project, removal=Removal((), lambda extra: extra == kept))
    assert _plan(project).changes[0].below == 2
    write(staged / "backup", "x")
    with pytest.raises(RefusedError, match=r"'backup/.restore-1' in it must stay"):
        _plan(project)


@pytest.mark.spec("A5")
def test_the_work_folder_is_never_wanted(top: Path) -> None:
    """A snapshot that holds one from an earlier restore is not put into this one."""
    project, staged = _project(top)
    (staged / WORK).mkdir(parents=True)
    write(staged / WORK / "journal", "x")
    with pytest.raises(RefusedError, match="is the folder that this works in"):
        _plan(project)


@pytest.mark.spec("A5")
@pytest.mark.parametrize("path", [b"../x", b"/x", b"a/../../x", b"a//b", b"", b"a\0b", b"."])
def test_a_path_that_leads_elsewhere_is_refused(top: Path, path: bytes) -> None:
    """Whether it is wanted or named as a scope."""
    project, staged = _project(top)
    (staged / "a").mkdir()
    write(project / "x", "x")
    with pytest.raises(RefusedError):
        _plan(project, thing(path, EntryKind.FILE))
    if path:
        with pytest.raises(RefusedError, match="is no path in the target"):
            _plan(project, removal=Removal((path,)))


@pytest.mark.spec("A5")
def test_what_was_not_staged_is_refused(top: Path) -> None:
    """And what is wanted twice or out of order."""
    project, staged = _project(top)
    write(staged / "x", "x")
    one = thing("x", EntryKind.FILE)
    with pytest.raises(RefusedError, match="was not staged"):
        _plan(project, one, thing("y", EntryKind.FILE))
    with pytest.raises(RefusedError, match="named twice"):
        _plan(project, one, one)


class _Mounted(QuickFs):
    """A disk on which one directory is where another is mounted."""

    def __init__(self, inode: int) -> None:
        self._inode = inode

    def _seen(self, found: Stat) -> Stat:
        return found._replace(device=7) if found.inode == self._inode else found

    def stat(self, name: bytes, *, dir_fd: int | None = None) -> Stat:
        return self._seen(super().stat(name, dir_fd=dir_fd))

    def fstat(self, fd: int) -> Stat:
        return self._seen(super().fstat(fd))


@pytest.mark.spec("A5")
@pytest.mark.parametrize("mounted", ["d", "d/in", WORK])
def test_another_file_system_is_refused(top: Path, mounted: str) -> None:
    """Before anything is changed, and the path is named."""
    project, staged = _project(top)
    for here in (project, staged):
        (here / "d/in").mkdir(parents=True)
    write(project / "d/in/x", "old")
    write(staged / "d/in/x", "new")
    fs = _Mounted((project / mounted).stat().st_ino)
    wanted = entries_of(staged) if mounted != "d" else [thing("d/y", EntryKind.FILE)]
    write(staged / "d/y", "y")
    settle(staged, "d/in", "d")
    settle(project, "d/in", "d")
    before = describe(project)
    with pytest.raises(RefusedError, match="on another file system") as caught:
        _plan(project, *wanted, fs=fs)
    assert str(project / mounted) in caught.value.message
    assert describe(project) == before


@pytest.mark.spec("A5")
def test_a_mounted_folder_is_not_removed(top: Path) -> None:
    """Nor does it give way."""
    project, staged = _project(top)
    (project / "d/in").mkdir(parents=True)
    write(project / "d/in/x", "x")
    fs = _Mounted((project / "d/in").stat().st_ino)
    (staged / "new").mkdir()
    made = _plan(project, fs=fs, removal=Removal((b"",)))
    assert b"d" not in made.takes
    write(staged / "d", "x")
    with pytest.raises(RefusedError, match="'d/in' in it must stay"):
        _plan(project, fs=fs)


@pytest.mark.spec("A5")
def test_a_disk_that_cannot_rename_in_one_call(top: Path) -> None:
    """The step is made in two, and nothing is replaced."""
    project, staged = _project(top)
    write(project / "x", "old")
    write(staged / "x", "new")

    def missing(*_: object, **__: object) -> None:
        raise OSError(22, "cannot")

    carry_out(hook_fs({"rename_new": missing}, within=FS), _plan(project))
    assert (project / "x").read_text() == "new"
    rollback(hook_fs({"rename_new": missing}, within=FS), os.fsencode(project / WORK))
    assert (project / "x").read_text() == "old"


@pytest.mark.spec("A5")
def test_a_folder_without_a_work_folder(top: Path) -> None:
    """It is said which cannot be opened."""
    top.mkdir()
    with pytest.raises(StrongroomError, match="cannot be opened"):
        plan(FS, os.fsencode(top), os.fsencode(top / "none"), [])


def _swap_and_back(project: Path) -> list[str]:
    """Swap and roll back; return what was said of attributes."""
    work = os.fsencode(project / WORK)
    made = _plan(project, removal=Removal((b"t",)))
    before = describe(project / "t")
    wished = describe(project / WORK / "staged/t")
    done = carry_out(PosixFs(), made)
    after = describe(project / "t")
    back = rollback(PosixFs(), work)
    lines = [sentence for _, sentence in (*done.shortfalls, *back.shortfalls)]
    is_right = [] if after == wished else ["after"]
    return lines + is_right + ([] if describe(project / "t") == before else ["before"])


@pytest.mark.spec("A5")
def test_a_user_without_rights_can_swap_what_is_his(tmp_path: Path) -> None:
    """Also in directories that nobody may write to, which look like that afterwards."""
    del tmp_path

    def make_and_swap(project: Path) -> list[str]:
        staged = make_work(project)
        for here, data in ((project, "old"), (staged, "new")):
            for folder in ("t/closed/in", f"t/{data} only/in"):
                (here / folder).mkdir(parents=True)
                write(here / folder / "x", data)
            settle(
                here, "t/closed/in", "t/closed", f"t/{data} only/in", f"t/{data} only", mode=0o500
            )
            settle(here, "t", mode=0o555, when=5_000 + len(data))
        return _swap_and_back(project)

    with open_folder() as folder:
        folder.chmod(0o777)
        try:
            assert without_rights(lambda: make_and_swap(folder / "p")) == []
        finally:
            for path, _, _ in os.walk(folder):
                Path(path).chmod(0o700)


@pytest.mark.spec("A5")
def test_what_a_user_may_not_set_is_told_of(tmp_path: Path) -> None:
    """A directory of somebody else keeps its owner and time; the swap is done all the same."""
    del tmp_path
    if os.geteuid() != 0:
        return  # only root can give a directory away
    with open_folder() as folder:
        project = folder / "p"
        staged = make_work(project)
        for here in (project, staged):
            (here / "t").mkdir()
        write(project / "t/x", "old")
        write(staged / "t/x", "new")
        for path in (project / "backup", project / WORK, staged, staged / "t", staged / "t/x"):
            os.chown(path, 65534, 65534)
        (project / "t").chmod(0o777)
        lines = without_rights(lambda: _swap_and_back(project))
        assert "owner could not be set (needs root)" in lines
        assert (project / "t/x").read_text() == "old"


@pytest.mark.spec("A5")
def test_a_change_of_attributes_alone(top: Path) -> None:
    """Of a file is a change of the file; of its entry nothing but path and kind is asked."""
    project, staged = _project(top)
    for here in (project, staged):
        write(here / "x", "same")
    os.setxattr(staged / "x", "user.a", b"1")
    entry = msgspec.structs.replace(thing("x", EntryKind.FILE), size=999, mode=0)
    made = _plan(project, entry)
    assert [change.kind for change in made.changes] == [Kind.METADATA]
    carry_out(FS, made)
    assert os.getxattr(project / "x", "user.a") == b"1"
