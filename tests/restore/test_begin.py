"""Where a restore may begin, and what it says where it may not."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import pytest

from strongroom.errors import RefusedError, StrongroomError
from strongroom.model.source import Problem
from strongroom.system.posix import PosixFs
from tests.support.entries import directory, file, names_in, restore
from tests.support.faulty_fs import FsFault, faulty_fs
from tests.support.memory_backup import files_target
from tests.support.other_user import open_folder, without_rights


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
    assert names_in(tmp_path) == {"full", "full/x", "file", "dangling"}


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
