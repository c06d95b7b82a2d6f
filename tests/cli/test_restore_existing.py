"""Restoring over what is there, from the command line."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

from tests.cli.harness import COMMAND, Program
from tests.support.compare_trees import compare_trees
from tests.support.file_trees import ROOT


@pytest.fixture
def documents(program: Program) -> Path:
    """Return a folder that was saved, and is restored in place by these tests."""
    documents = program.make_files(a="saved a", b="saved b")
    program.settle()
    program.good("backup", "./documents")
    return documents


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _back(documents: Path, *options: str) -> list[str | Path]:
    return ["restore", f"latest:{documents}", "--to", documents, *options]


def test_if_changed_writes_only_what_differs(program: Program, documents: Path) -> None:
    """The unchanged file keeps its inode, and the summary says how many stayed."""
    inode = (documents / "b").stat().st_ino
    (documents / "a").write_text("changed")
    options = ("--overwrite", "if-changed", "--no-confirm", "--json")
    summary = program.good(*_back(documents, *options)).record("summary")
    assert (summary["files_restored"], summary["entries_skipped"]) == (1, 1)
    assert (documents / "a").read_text() == "saved a"
    assert (documents / "b").stat().st_ino == inode


def test_never_leaves_what_is_there(program: Program, documents: Path) -> None:
    """Only what is missing comes back, and reading back does not complain of the rest."""
    (documents / "a").write_text("changed")
    (documents / "b").unlink()
    options = ("--overwrite", "never", "--no-confirm", "--verify")
    done = program.good(*_back(documents, *options))
    assert (documents / "a").read_text() == "changed"
    assert (documents / "b").read_text() == "saved b"
    assert "1 entry stays as it was" in done.out


def test_delete_is_listed_first_and_confirmed(program: Program, documents: Path) -> None:
    """A dry run names everything that would go and removes nothing; a plan needs a yes."""
    (documents / "deep").mkdir()
    (documents / "deep" / "x").write_text("x")
    (documents / "new").write_text("x")
    options = ("--overwrite", "if-changed", "--delete")
    listed = program.good(*_back(documents, *options, "-n")).out
    assert [line for line in listed.splitlines() if line.startswith("deletes")] == [
        "deletes deep/x",
        "deletes deep/",
        "deletes new",
    ]
    records = program.good(*_back(documents, *options, "-n", "--json")).records
    gone = [one["path"] for one in records if one["message_type"] == "delete"]
    assert gone == ["deep/x", "deep", "new"]
    refused = program.run(*_back(documents, *options))
    assert refused.code == 6
    assert _names(documents) == ["a", "b", "deep", "new"]
    done = program.good(*_back(documents, *options, "--no-confirm", "--json")).record("summary")
    assert done["entries_deleted"] == 3
    assert _names(documents) == ["a", "b"]


def test_delete_spares_what_is_excluded(program: Program, documents: Path) -> None:
    """With --exclude what matches stays; with --include only what matches goes."""
    for name in ("x.tmp", "x.txt"):
        (documents / name).write_text("x")
    options = ("--overwrite", "if-changed", "--delete", "--no-confirm")
    program.good(*_back(documents, *options, "--exclude", "*.tmp"))
    assert _names(documents) == ["a", "b", "x.tmp"]
    (documents / "x.txt").write_text("x")
    program.good(*_back(documents, *options, "--include", "*.tmp"))
    assert _names(documents) == ["a", "b", "x.txt"]


def test_delete_stays_below_the_restored_paths(program: Program, documents: Path) -> None:
    """A whole snapshot restored into a folder in use: what lies beside its paths stays."""
    back = program.folder / "back"
    inside = back / str(documents).lstrip("/")
    program.good("restore", "latest", "--to", "back")
    for place in (back, inside.parent, inside):
        (place / "beside").write_text("x")
    options = ("--overwrite", "if-changed", "--delete", "--no-confirm")
    program.good("restore", "latest", "--to", "back", *options)
    assert (back / "beside").exists()
    assert (inside.parent / "beside").exists()
    assert _names(inside) == ["a", "b"]


def test_one_file_restored_deletes_nothing(program: Program, documents: Path) -> None:
    """Below a file there is nothing, whatever lies beside it."""
    options = ("--overwrite", "always", "--delete", "--no-confirm")
    program.good("restore", f"latest:{documents}/a", "--to", documents, *options)
    assert _names(documents) == ["a", "b"]


def test_delete_never_removes_the_repository_or_a_key(program: Program) -> None:
    """A folder that holds its own repository, key, cache and state is restored with --delete."""
    (program.folder / "file").write_text("1")
    program.good("backup", "./")
    (program.folder / "extra").write_text("2")
    listed = {path.relative_to(program.folder) for path in program.repository.rglob("*")}
    options = ("--overwrite", "if-changed", "--delete", "--no-confirm")
    program.key_file.rename(program.folder / "newer key")
    env: dict[str, str | None] = {"STRONGROOM_KEY_FILE": str(program.folder / "newer key")}
    to = ("restore", f"latest:{program.folder}", "--to", program.folder)
    program.good(*to, *options, env=env)
    assert not (program.folder / "extra").exists()
    assert (program.folder / "newer key").exists()
    assert listed <= {path.relative_to(program.folder) for path in program.repository.rglob("*")}
    assert "no damage" in program.good("verify", "--read-data").out


def test_delete_refuses_an_incomplete_snapshot(program: Program) -> None:
    """What could not be saved would be taken for something that should go."""
    documents = program.make_files(a="1", secret="2")
    (documents / "secret").chmod(0)
    saved = program.spawn("backup", "./documents", unprivileged=True)
    assert saved.code == 3
    (documents / "secret").chmod(0o600)
    refused = program.run(*_back(documents, "--overwrite", "always", "--delete", "--no-confirm"))
    assert refused.code == 6
    assert "incomplete" in refused.err
    assert (documents / "secret").read_text() == "2"


def test_delete_waits_for_a_good_restore(program: Program, documents: Path) -> None:
    """While something cannot be restored nothing is removed: it may be the last copy of it."""
    (documents / "b").rename(documents / "b moved")
    (documents / "a").unlink()
    (documents / "a").mkdir()
    (documents / "a" / "kept.tmp").write_text("x")
    options = ("--overwrite", "always", "--delete", "--no-confirm", "--exclude", "*.tmp")
    done = program.run(*_back(documents, *options))
    assert done.code == 3
    assert "stay in the target" in done.err
    assert (documents / "b moved").read_text() == "saved b"


def test_verify_reads_everything_back(program: Program, documents: Path) -> None:
    """With --verify the summary says how much was read and that nothing differs."""
    result = program.good("restore", f"latest:{documents}", "--to", "back", "--verify", "--json")
    summary = result.record("summary")
    assert (summary["entries_verified"], summary["entries_different"]) == (2, 0)
    assert (
        "entries_verified"
        in program.good(
            *_back(documents, *("--overwrite", "if-changed"), "--no-confirm", "--json")
        ).out
    )


def test_verify_finds_what_a_comparison_of_times_does_not(
    program: Program, documents: Path
) -> None:
    """A file of the right size and time with other bytes stays with if-changed: exit 3."""
    found = (documents / "a").stat()
    (documents / "a").write_text("SAVED A")
    os.utime(documents / "a", ns=(found.st_atime_ns, found.st_mtime_ns))
    options = ("--overwrite", "if-changed", "--no-confirm")
    program.good(*_back(documents, *options))
    checked = program.run(*_back(documents, *options, "--verify"))
    assert checked.code == 3
    assert "read back: other content" in checked.err
    assert "1 differ" in checked.out
    program.good(*_back(documents, "--overwrite", "always", "--no-confirm", "--verify"))
    assert (documents / "a").read_text() == "saved a"


@pytest.mark.skipif(not ROOT, reason="only root gives files away")
def test_owners_are_mapped(program: Program, documents: Path) -> None:
    """By a pair, by a file, by number, or not at all."""
    (program.folder / "map").write_text("# old new\nroot 1234\n*:77\n")
    cases = {
        ("--owner-map", "root:4321"): (4321, 0),
        ("--owner-map", "map", "--group-map", "*:55"): (1234, 55),
        ("--numeric-owner",): (0, 0),
        ("--no-owner",): (0, 0),
    }
    for number, (options, owner) in enumerate(cases.items()):
        program.good("restore", f"latest:{documents}", "--to", f"back{number}", *options)
        found = (program.folder / f"back{number}" / "a").stat()
        assert (found.st_uid, found.st_gid) == owner


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--owner-map", "root:no such user"), "'no such user'"),
        (("--owner-map", "nowhere"), "is no pair OLD:NEW"),
        (("--owner-map", ":x"), "is no pair"),
        (("--group-map", "bad"), "bad, line 2: 'one' is no pair"),
        (("--no-owner", "--owner-map", "a:0"), "nothing to map"),
        (("--no-owner", "--numeric-owner"), "--no-owner"),
    ],
)
def test_owners_that_cannot_be_mapped(
    program: Program, documents: Path, options: tuple[str, ...], text: str
) -> None:
    """Told before anything is written: exit 2."""
    (program.folder / "bad").write_text("1:1\none\n")
    result = program.run("restore", f"latest:{documents}", "--to", "back", *options)
    assert result.code == 2
    assert text in result.err
    assert not (program.folder / "back").exists()


@pytest.mark.spec("B5")
def test_a_killed_restore_is_finished_by_another(program: Program) -> None:
    """Killed with SIGKILL at several moments, then run again: no difference, little written."""
    data = program.folder / "library"
    library = sysconfig.get_paths()["stdlib"]
    shutil.copytree(library, data, symlinks=True, ignore=shutil.ignore_patterns("site-packages"))
    program.settle()
    program.good("backup", data)
    files = program.good("snapshots", "--json").records[0]["files"]
    to = ("restore", f"latest:{data}", "--to", "back", "--overwrite", "if-changed", "--no-confirm")
    back = program.folder / "back"
    for least in (20, files // 2):
        _kill_when(program, to, back, least)
        left = sum(len(names) for _, _, names in os.walk(back))
        assert 20 <= left < files + 20
    summary = program.good(*to, "--verify", "--json").record("summary")
    assert compare_trees(data, back, ignore=["top"]) == []
    assert summary["entries_skipped"] >= 20
    assert summary["entries_different"] == 0
    assert program.good(*to, "--json").record("summary")["files_restored"] == 0


def _kill_when(program: Program, arguments: tuple[str, ...], back: Path, least: int) -> None:
    """Start a restore and kill it when so many files are there."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=program.folder,
        env=program.environment,
        stdout=subprocess.DEVNULL,
    ) as running:
        while running.poll() is None:
            if sum(len(names) for _, _, names in os.walk(back)) >= least:
                running.send_signal(signal.SIGKILL)
                break
            time.sleep(0.001)
    assert running.returncode == -signal.SIGKILL
