"""Restores that fail, are stopped or killed: the project is as before, or as wanted."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import pytest

from strongroom.app.archives.finishing import finish
from strongroom.app.archives.place import WORK
from strongroom.app.archives.restoring import (
    RestorePlan,
    RestoreReport,
    RestoreRequest,
    restore_archive,
)
from strongroom.errors import (
    DamageError,
    InterruptError,
    RefusedError,
    RolledBackError,
    StrongroomError,
)
from strongroom.model.fs import Fs
from strongroom.restore.swap.swapping import Phase
from tests.archives.project import Project, QuickFs, Tree, names_in, tree_of
from tests.cli.harness import COMMAND
from tests.support.crash import SimulatedCrash
from tests.support.faulty_fs import MUTATING, FaultyFs, FsFault, faulty_fs
from tests.support.hook_fs import hook_fs

pytestmark = pytest.mark.spec("A5")

_LOOKING: Final = frozenset({"open", "stat", "fstat", "read", "names", "xattrs_at", "syncfs"})
FILES: Final = {
    "lib/a": b"a" * 100,
    "lib/d/b": b"b" * 5000,
    "config/c": b"c",
    "top": b"t",
    "untouched": b"u",
}


class Scene:
    """A project with an archive, spoilt since: what is there, and what is wanted."""

    def __init__(self, base: Path) -> None:
        self.project = Project(base, FILES)
        self.project.write({"lib/d/linked": b"l"})
        os.link(self.project.folder / "lib/d/linked", self.project.folder / "lib/again")
        self.project.clock.sleep(60)
        self.wanted = self.project.state()
        self.one = self.project.made()
        self.spoil()
        self.spoilt = self.project.state()

    def spoil(self) -> None:
        """Change, remove, retype and add something."""
        folder = self.project.folder
        (folder / "lib/a").write_text("changed")
        (folder / "lib/d/b").unlink()
        (folder / "lib/d/b").mkdir()
        (folder / "lib/d/b/inside").write_text("x")
        (folder / "lib/again").unlink()
        (folder / "lib/added").write_text("added")
        (folder / "config/c").chmod(0o600)
        (folder / "top").unlink()
        for path in sorted(folder.rglob("*")):
            if not path.is_relative_to(self.project.backup):
                os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)

    def now(self) -> Tree:
        """Describe what is there."""
        return self.project.state()

    def restore(self, fs: Fs | None = None, *, keeps: bool = True) -> RestoreReport:
        """Restore the archive."""
        report = self.project.restore(self.one, fs=fs, delete=True, keeps=keeps)
        assert report is not None
        return report

    @property
    def work(self) -> Path:
        return self.project.folder / WORK

    def settle(self, *, forward: bool) -> None:
        """Finish by ``--resume`` or ``--rollback``."""
        option = "--resume" if forward else "--rollback"
        self.project.cli("archive", "restore", option)
        assert not self.work.exists()


@pytest.fixture(name="scene")
def _scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def _counted(base: Path, calls: frozenset[str], *, keeps: bool) -> int:
    base.mkdir()
    scene = Scene(base)
    fs, faults = faulty_fs(QuickFs())
    scene.restore(fs, keeps=keeps)
    assert scene.now() == scene.wanted
    return sum(faults.attempts[call] for call in calls)


def _contents(tree: Tree) -> dict[bytes, tuple[str, str, bytes]]:
    return {path: (seen.kind, seen.content, seen.target) for path, seen in tree.items()}


def _again(base: Path, number: int) -> Scene:
    folder = base / str(number)
    folder.mkdir()
    return Scene(folder)


def _faulty(
    nth: int, calls: frozenset[str], when: Literal["before", "after"], number: int, times: int = 1
) -> tuple[Fs, FaultyFs]:
    return faulty_fs(QuickFs(), FsFault("error", nth, calls, when, number, times=times))


@pytest.mark.parametrize(
    ("number", "when", "calls", "keeps"),
    [
        (errno.ENOSPC, "before", MUTATING, True),
        (errno.EIO, "after", MUTATING, False),
        (errno.EIO, "before", _LOOKING, False),
    ],
)
def test_one_call_that_fails(
    tmp_path: Path,
    number: int,
    when: Literal["before", "after"],
    calls: frozenset[str],
    keeps: bool,  # noqa: FBT001 - whether there is an archive before it
) -> None:
    """Whichever call: all of the project is as before, byte for byte and with its times, the error
    says so, and nothing is left behind; or it succeeded, and the project is as wanted.
    """
    total = _counted(tmp_path / "all", calls, keeps=keeps)
    step = max(1, total // 40)
    codes = set()
    scene = _again(tmp_path, 0)
    for nth in range(1, total + 1, step):
        fs, _ = _faulty(nth, calls, when, number)
        archives = scene.project.names()
        try:
            report = scene.restore(fs, keeps=keeps)
        except StrongroomError as error:
            codes.add(error.code)
            said = f"{error.message} {error.hint}"
            assert "is as it was" in said or "Nothing was changed" in said, (nth, said)
            assert scene.now() == scene.spoilt, nth
            assert not scene.work.exists(), nth
            extra = scene.project.names() - archives
            assert not [n for n in extra if not n.startswith(("pre-restore-", ".partial"))]
        else:
            now = scene.now()
            now.pop(b"lib/added", None)  # what cannot be looked at stays
            if report.problems:  # attributes that could not be set, which is said
                assert _contents(now) == _contents(scene.wanted), nth
            else:
                assert now == scene.wanted, nth
            scene = _again(tmp_path, nth)
    assert codes <= {1, 4, 6, 14, 21}, codes
    assert 21 in codes
    scene.restore(None)
    assert scene.now() == scene.wanted


def test_a_disk_that_stays_broken(tmp_path: Path) -> None:
    """It may stay in the middle, exit code 22: the message says what to run, and that works."""
    total = _counted(tmp_path / "all", MUTATING, keeps=False)
    codes = set()
    for nth in range(1, total + 1, max(1, total // 25)):
        scene = _again(tmp_path, nth)
        fs, _ = _faulty(nth, MUTATING, "before", errno.EROFS, times=100_000)
        try:
            scene.restore(fs, keeps=False)
        except StrongroomError as error:
            codes.add(error.code)
            if error.code == 22:
                assert f"--project {scene.project.folder} --rollback" in error.hint
                scene.settle(forward=nth % 2 == 0)
                assert scene.now() == (scene.wanted if nth % 2 == 0 else scene.spoilt)
                continue
            assert scene.now() == scene.spoilt
            if scene.work.exists():  # nothing can be removed there
                scene.settle(forward=False)
            assert scene.now() == scene.spoilt
        else:
            assert scene.now() == scene.wanted
    assert {21, 22} <= codes


def test_killed_at_any_call(tmp_path: Path) -> None:
    """Afterwards ``--rollback`` makes the project as before, and ``--resume`` as wanted; until then
    no archive is made, and no other restore begins.
    """
    total = _counted(tmp_path / "all", MUTATING, keeps=False)
    phases: set[bool | None] = set()
    for nth in range(1, total + 1, max(1, total // 30)):
        scene = _again(tmp_path, nth)
        fs, _ = faulty_fs(QuickFs(), FsFault("crash", nth, MUTATING, "before"))
        with pytest.raises(SimulatedCrash):
            scene.restore(fs, keeps=False)
        if not scene.work.exists():
            continue
        with pytest.raises(RefusedError, match="unfinished"):
            scene.project.make()
        with pytest.raises(RefusedError, match="unfinished"):
            scene.restore()
        forward = nth % 2 == 0
        result = scene.project.program.run(
            "archive", "restore", "--resume" if forward else "--rollback"
        )
        if result.code == 6:  # it had changed nothing, or all of it is done
            phases.add(None)
            assert scene.now() in (scene.spoilt, scene.wanted)
            scene.settle(forward=not forward)
            assert scene.now() in (scene.spoilt, scene.wanted)
        else:
            assert result.code == 0, result
            phases.add(forward)
            expected = [scene.wanted] if forward else [scene.spoilt]
            if "or was complete" in result.out:
                expected = [scene.spoilt, scene.wanted]
            assert scene.now() in expected, nth
        assert not scene.work.exists()
        scene.project.make()
    assert {True, False} <= phases


@pytest.mark.parametrize("call", ["pwrite", "rename_new", "rename", "read", "utime", "unlink"])
def test_a_person_stops_it(tmp_path: Path, call: str) -> None:
    """At any such call: the project is as before, and the message says so; or it is done."""
    stopped = 0
    for nth in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89):
        scene = _again(tmp_path, nth)
        left = [nth]

        def stop(*_: object, left: list[int] = left, **__: object) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise InterruptError(signal.SIGINT)

        fs = hook_fs({call: stop}, within=QuickFs())
        try:
            scene.restore(fs, keeps=False)
        except InterruptError as error:
            assert "is as it was" in error.hint
            assert scene.now() == scene.spoilt
            assert error.code == 130
            stopped += 1
        else:
            assert scene.now() == scene.wanted
        assert not scene.work.exists()
    assert stopped or call == "unlink"


def test_a_damaged_archive(scene: Scene) -> None:
    """Exit code 4 before anything is changed; nothing is left."""
    archive = next((scene.project.backup / scene.one).glob("*.tar.gz"))
    good = archive.read_bytes()
    for at in random.Random(3).sample(range(len(good)), 25):
        bad = bytearray(good)
        bad[at] ^= 0x10
        archive.write_bytes(bad)
        with pytest.raises(DamageError) as caught:
            scene.restore()
        assert caught.value.code == 4
        assert scene.now() == scene.spoilt
        assert not scene.work.exists()
    assert scene.project.names() == {scene.one}


def test_an_archive_that_changes_between_the_passes(scene: Scene) -> None:
    """It is read twice; when it is another one the second time, nothing is changed."""
    archive = next((scene.project.backup / scene.one).glob("*.tar.gz"))
    opened = []

    def spoil(name: bytes, *_: object, **__: object) -> None:
        if name == os.fsencode(archive.name):
            opened.append(name)
            if len(opened) == 2:
                (scene.project.folder / "other").write_text("x")
                subprocess.run(
                    ["tar", "-czf", archive, "README", "lib", "config"],
                    cwd=scene.project.folder,
                    check=False,
                    capture_output=True,
                )
                (scene.project.folder / "other").unlink()

    with pytest.raises(DamageError):
        scene.restore(hook_fs({"open": spoil}, within=QuickFs()))
    assert len(opened) == 2
    assert scene.now() == scene.spoilt
    assert not scene.work.exists()


def test_a_project_that_changes_meanwhile(scene: Scene) -> None:
    """What somebody does between the plan and the swap is not lost: refused, exit code 6."""
    scene.restore()
    (scene.project.folder / "lib/a").write_text("changed")

    def change(plan: RestorePlan) -> bool:
        assert plan.swap.changes
        (scene.project.folder / "untouched").write_text("meanwhile")
        return True

    with pytest.raises((RefusedError, RolledBackError)) as caught:
        _restore_with(scene.project, scene.one, change)
    assert caught.value.code in {6, 21}
    assert (scene.project.folder / "untouched").read_text() == "meanwhile"
    assert not scene.work.exists()


def _restore_with(project: Project, name: str, decide: Callable[[RestorePlan], bool]) -> None:
    request = RestoreRequest(name=name, keeps=False)
    restore_archive(project.run(), project.place, project.place.folder, request, decide)


def test_a_check_that_finds_something_else(scene: Scene) -> None:
    """When what was restored does not read back, it is rolled back: exit code 21."""

    class Lying(QuickFs):
        def rename(self, old: bytes, name: bytes, *, old_dir_fd: int, dir_fd: int) -> None:
            super().rename(old, name, old_dir_fd=old_dir_fd, dir_fd=dir_fd)
            if name == b"journal.done":
                (scene.project.folder / "lib/a").write_text("bad disk")

    with pytest.raises(RolledBackError) as caught:
        scene.restore(Lying(), keeps=False)
    assert "lib/a" in caught.value.message
    assert scene.now() == scene.spoilt
    assert not scene.work.exists()


def test_what_cannot_be_kept_is_not_replaced(scene: Scene) -> None:
    """Without a whole archive of what is there, nothing is replaced; and the way out is said."""
    secret = scene.project.folder / "lib/a"
    os.chown(secret, 12345, 12345)
    secret.chmod(0)
    spoilt = scene.now()
    result = scene.project.program.spawn(
        "archive", "restore", scene.one, "--no-confirm", unprivileged=True
    )
    assert result.code in {6, 21, 22}, result
    assert "lib/a" in result.err
    assert scene.now() == spoilt


def test_a_target_that_may_not_be_written(scene: Scene) -> None:
    """Said at once, and nothing is changed."""
    target = scene.project.base / "closed"
    target.mkdir(mode=0o555)
    os.chown(target, 12345, 12345)
    result = scene.project.program.spawn(
        "archive", "restore", scene.one, "--to", str(target), unprivileged=True
    )
    assert result.code in {1, 6, 21}, result
    assert "Nothing was changed" in result.err or "is as it was" in result.err
    assert names_in(target) == []


@pytest.mark.parametrize("forward", [True, False])
def test_a_real_kill_at_any_moment(tmp_path: Path, forward: bool) -> None:  # noqa: FBT001 - which way
    """A process that is killed with SIGKILL while it restores hundreds of files."""
    project = Project(tmp_path, {f"lib/{n % 10}/{n}": b"%d" % n * 50 for n in range(60)})
    wanted = project.state()
    one = project.made()
    for n in range(0, 60, 2):
        (project.folder / f"lib/{n % 10}/{n}").write_text("changed")
    spoilt = project.state()
    command = [*COMMAND, "archive", "restore", one, "--no-confirm", "--no-pre-backup"]
    middle = 0
    for pause in (0.0, 0.005, 0.02):
        process = subprocess.Popen(
            command,
            cwd=project.folder,
            env=project.program.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        journal = project.folder / WORK / "journal"
        while process.poll() is None and time.monotonic() < deadline:
            if journal.exists():
                time.sleep(pause)
                break
            time.sleep(0.001)
        process.kill()
        process.wait()
        if (project.folder / WORK).exists():
            middle += journal.exists()
            option = "--resume" if forward else "--rollback"
            result = project.program.run("archive", "restore", option)
            if result.code == 6:
                project.cli("archive", "restore", "--rollback" if forward else "--resume")
        now = project.state()
        assert now in (wanted, spoilt)
        if now == wanted:
            project.restore(one)  # nothing to do
            for n in range(0, 60, 2):
                (project.folder / f"lib/{n % 10}/{n}").write_text("changed")
            spoilt = project.state()
    assert middle


def test_there_is_nothing_to_end(scene: Scene) -> None:
    """``--rollback`` and ``--resume`` without a restore: exit code 6, and nothing happens."""
    for option in ("--rollback", "--resume"):
        result = scene.project.cli("archive", "restore", option, code=6)
        assert "no restore" in result.err
    scene.project.cli("archive", "restore", "--rollback", "--resume", code=2)
    scene.project.cli("archive", "restore", scene.one, "--rollback", code=2)


def test_a_killed_restore_elsewhere(scene: Scene) -> None:
    """``--to`` says which one is meant, for both ways out."""
    target = scene.project.base / "target"
    target.mkdir()
    (target / "lib").mkdir()
    (target / "lib/a").write_text("old")
    before = tree_of(target)
    fs, _ = faulty_fs(QuickFs(), FsFault("crash", 3, frozenset({"rename_new"}), "before"))
    with pytest.raises(SimulatedCrash):
        scene.project.restore(scene.one, fs=fs, to=str(target), keeps=False)
    assert (target / WORK).exists()
    scene.project.cli("archive", "restore", "--rollback", "--to", target)
    assert tree_of(target) == before


def test_rolled_back_twice(scene: Scene) -> None:
    """Whoever rolls back is killed as well, and rolls back again."""
    fs, _ = faulty_fs(QuickFs(), FsFault("crash", 6, frozenset({"rename_new"}), "before"))
    with pytest.raises(SimulatedCrash):
        scene.restore(fs, keeps=False)
    fs, _ = faulty_fs(QuickFs(), FsFault("crash", 2, frozenset({"rename_new"}), "before"))
    with pytest.raises(SimulatedCrash):
        finish(scene.project.run(fs), scene.project.folder, forward=False)
    outcome = finish(scene.project.run(), scene.project.folder, forward=False)
    assert outcome.phase is Phase.ROLLED_BACK
    assert scene.now() == scene.spoilt
    with pytest.raises(RefusedError):
        finish(scene.project.run(), scene.project.folder, forward=False)
