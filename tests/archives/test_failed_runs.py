"""Runs that fail, are stopped or killed: no archive, a log that says why, and nothing else."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import pytest

from strongroom.archive.shelf import State
from strongroom.errors import InterruptError, StrongroomError
from strongroom.model.fs import Fs
from tests.archives.project import Project, QuickFs, names_in, within
from tests.cli.harness import COMMAND
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import MUTATING, FaultyFs, FsFault, faulty_fs
from tests.support.hook_fs import hook_fs

pytestmark = pytest.mark.spec("A7")

_EVERY: Final = MUTATING | {"open", "stat", "read", "names", "try_lock", "drop_cache", "close"}
_GREP: Final = 'find backup/ -name "*.log" -exec grep -l "ERROR" {} \\;'  # as the guide has it


def _faulty(project: Project, *faults: FsFault) -> tuple[Fs, FaultyFs]:
    """Return a disk that is faulty where archives are, and sound where the project is."""
    inside, counts = faulty_fs(QuickFs(), *faults)
    return within(project.backup, inside), counts


def _found(project: Project) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", _GREP], cwd=project.folder, check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


def _attempts(project: Project, calls: frozenset[str]) -> int:
    project.make()
    fs, counts = _faulty(project)
    project.make(fs=fs)
    return sum(counts.attempts[call] for call in calls)


@pytest.mark.parametrize(
    ("number", "when", "times"),
    [
        (errno.EIO, "before", 1),
        (errno.ENOSPC, "amid", 1),
        (errno.EIO, "after", 1),
        (errno.EROFS, "before", 10_000),
    ],
)
def test_a_disk_that_fails_at_any_call(
    project: Project, number: int, when: Literal["before", "amid", "after"], times: int
) -> None:
    """Whichever call: it is an error with exit code 1, or the archive is whole and good. What
    failed is no archive, and after the next run nothing is left of it but its log.
    """
    calls = _EVERY - {"close"} if when == "before" else MUTATING
    attempts = _attempts(project, calls)
    assert attempts > 20
    good = 2
    for nth in range(1, attempts + 1):
        fs, _ = _faulty(project, FsFault("error", nth, calls, when, number, times=times))
        try:
            made = project.make(fs=fs)
        except StrongroomError as error:
            assert error.code == 1, (nth, error)
            assert str(project.backup) in error.message, (nth, error)
        else:
            assert project.listed()[str(made.id)].state is State.GOOD
            good += 1
        archives = [one for one in project.shelf().listed() if one.is_archive]
        assert {one.state for one in archives} == {State.GOOD}
    project.make()
    states = [one.state for one in project.shelf().listed()]
    assert State.UNFINISHED not in states
    for one in project.shelf().listed():
        files = names_in(project.backup / one.folder)
        assert len(files) == 5 if one.is_archive else files == [one.id.log]
        if not one.is_archive:
            assert "ERROR" in (project.backup / one.folder / one.id.log).read_text()
    project.cli("archive", "verify", "--all")


@pytest.mark.parametrize("room", [0, 100, 3000, 9000, 12_000])
def test_a_full_disk_leaves_a_log_that_the_guide_finds(project: Project, room: int) -> None:
    """When the archive went, there is room for the line that says why."""
    project.write({"lib/noise": os.urandom(10_000)})
    fs = _Room(project.backup, room)
    with pytest.raises(StrongroomError, match="no space left") as caught:
        project.make(fs=hook_fs({"write": fs.write, "unlink": fs.unlink}, within=QuickFs()))
    assert caught.value.code == 1
    assert "space" in caught.value.hint
    (failed,) = project.shelf().listed()
    assert failed.state is State.FAILED
    assert names_in(project.backup / failed.folder) == [failed.id.log]
    assert _found(project) == [f"backup/{failed.folder}/{failed.id.log}"]
    out = project.cli("archive", "list").out
    assert "failed" in out
    assert str(failed.id) in out
    assert "ALERT: No backups found" in project.cli("freshness", code=5).out


class _Room:
    """Lets only so many bytes be in the folder of the archives."""

    def __init__(self, folder: Path, room: int) -> None:
        self._folder = str(folder)
        self._room = room

    def write(self, fd: int, data: memoryview) -> None:
        if str(Path(f"/proc/self/fd/{fd}").readlink()).startswith(self._folder):
            if len(data) > self._room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._room -= len(data)

    def unlink(self, _name: bytes, *, dir_fd: int) -> None:
        if str(Path(f"/proc/self/fd/{dir_fd}").readlink()).startswith(self._folder):
            self._room = 1 << 20


def test_killed_at_every_call(project: Project) -> None:
    """It is listed as unfinished, never as an archive; the next run settles it, and the log says
    that it was killed, where the guide looks.
    """
    attempts = _attempts(project, MUTATING)
    for nth in range(1, attempts + 1):
        before = {str(one.id) for one in project.shelf().archives()}
        fs, _ = _faulty(project, FsFault("crash", nth, MUTATING, "before"))
        with pytest.raises(SimulatedCrash):
            project.make(fs=fs)
        new = [one for one in project.shelf().listed() if str(one.id) not in before]
        assert {one.state for one in new} <= {State.UNFINISHED, State.GOOD, State.FAILED}
        for one in new:
            if one.state is State.UNFINISHED:
                assert "killed" in one.why
        project.make()
        states = {one.state for one in project.shelf().listed()}
        assert states <= {State.GOOD, State.FAILED}
    failed = [one for one in project.shelf().listed() if one.state is State.FAILED]
    assert failed
    assert sorted(_found(project)) == sorted(f"backup/{one.folder}/{one.id.log}" for one in failed)
    project.cli("archive", "verify", "--all")


def _started(project: Project, *arguments: str) -> subprocess.Popen[bytes]:
    """Start an archive of a pipe's end: it stays at work until somebody ends it."""
    (project.folder / "lib/large").write_bytes(os.urandom(8 << 20))
    process = subprocess.Popen(
        [*COMMAND, "archive", "create", "--level", "9", *arguments],
        cwd=project.folder,
        env=project.program.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if any(name.startswith(".partial-") for name in project.names()):
            (partial,) = project.backup.glob(".partial-*")
            if any(partial.glob("*.tar.gz")):
                return process
        time.sleep(0.002)
    raise AssertionError("it did not begin")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_person_stops_it(project: Project, number: int) -> None:
    """Exit code 130 or 143; the log says so, and nothing else is left."""
    process = _started(project)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert b"Traceback" not in errors
    (failed,) = project.shelf().listed()
    assert failed.state is State.FAILED
    assert len(_found(project)) == 1


def test_while_one_is_at_work(project: Project) -> None:
    """It is listed as at work, and no other run takes it for one that was killed."""
    process = _started(project)
    process.send_signal(signal.SIGSTOP)
    try:
        assert "a run is at work on it" in project.cli("archive", "list").out
        project.create("--scope", "config")
        project.cli("archive", "cleanup")
        assert any(name.startswith(".partial-") for name in project.names())
    finally:
        process.send_signal(signal.SIGCONT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, (out, errors)
    assert len(project.shelf().archives()) == 2


def test_a_real_kill(project: Project) -> None:
    """What the system ends is unfinished, and the next run settles it."""
    process = _started(project)
    process.kill()
    process.communicate(timeout=60)
    (unfinished,) = project.shelf().listed()
    assert unfinished.state is State.UNFINISHED
    assert "unfinished" in project.cli("archive", "list").out
    project.cli("archive", "verify", code=15)
    (project.folder / "lib/large").unlink()
    project.cli("archive", "create")
    states = sorted(one.state.name for one in project.shelf().listed())
    assert states == ["FAILED", "GOOD"]


def test_what_cannot_be_settled_stops_nobody(project: Project) -> None:
    """Leftovers of somebody else's run, that we may not touch: said, and the backup is made."""
    project.make()
    partial = project.backup / ".partial-20200101_000000"
    partial.mkdir()
    (partial / "backup-20200101_000000.tar.gz").write_bytes(b"cut")
    os.chown(partial, 12345, 12345)
    partial.chmod(0o755)
    result = project.program.spawn("archive", "create", unprivileged=True)
    assert result.code == 0, result
    assert ".partial-20200101_000000" in result.err


def test_strange_things_among_the_archives(project: Project) -> None:
    """A file with the name of an archive, a folder that nobody may read: shown, and no trouble."""
    project.made()
    (project.backup / "20200101_000000").write_text("a file")
    (project.backup / "20200101_000001-failed").write_text("a file")
    (project.backup / ".partial-20200101_000002").write_text("a file")
    (project.backup / "20200101_000003").symlink_to("nowhere")
    (project.backup / "notes.txt").write_text("mine")
    (project.backup / "20200101_000004").mkdir()
    closed = project.backup / "20200101_000005"
    closed.mkdir()
    closed.chmod(0)
    os.chown(closed, 12345, 12345)
    for arguments in (["archive", "list"], ["archive", "create"], ["archive", "cleanup", "0"]):
        result = project.program.spawn(*arguments, unprivileged=True)
        assert result.code == 0, result
        assert "Traceback" not in result.err
    assert (project.backup / "notes.txt").read_text() == "mine"
    out = project.cli("archive", "list").out
    for number in (3, 4, 5):
        assert f"20200101_00000{number}" in out


def test_the_log_of_a_good_run_has_no_error(project: Project) -> None:
    """Or the guide's search would find something every day."""
    made = project.create()
    log = (made / f"backup-{made.name}.log").read_text()
    assert "done" in log
    assert _found(project) == []


def test_interrupted_in_this_process(project: Project) -> None:
    """At any call that writes, a signal leaves the log and no archive."""

    def stop(act: int) -> Callable[..., None]:
        left = [act]

        def hook(*_: object, **__: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise InterruptError(signal.SIGINT)

        return hook

    for nth in range(1, 12):
        fs = within(project.backup, hook_fs({"write": stop(nth)}, within=QuickFs()))
        try:
            project.make(fs=fs)
        except InterruptError:
            failed = max(project.shelf().listed(), key=lambda one: one.id.stamp)
            assert failed.state is State.FAILED
    assert not [one for one in project.shelf().listed() if one.state is State.UNFINISHED]
    assert len(_found(project)) >= 5
    assert sys.exc_info() == (None, None, None)
