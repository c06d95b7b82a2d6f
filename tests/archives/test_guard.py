"""Guard: a command that fails leaves no trace; one that succeeds is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.archives.project import Project, key_file, public_of
from tests.cli.harness import COMMAND

pytestmark = pytest.mark.spec("A9")

_SPOIL = """\
echo changed > lib/code.sh
rm config/app.toml
mkdir -p lib/new/deep && echo x > lib/new/deep/file
echo release > RELEASE
chmod 600 README.md
ln -s /etc/passwd lib/link
rm -r lib/deep && echo "a file" > lib/deep
mkdir config/empty.d
"""


def _script(project: Project, name: str, text: str) -> str:
    path = project.base / name
    path.write_text(f"#!/bin/sh\nset -e\n{text}")
    path.chmod(0o755)
    return str(path)


def test_all_well(project: Project) -> None:
    """The command and its check succeed: exit code 0, its changes stay, and the backup is there."""
    deploy = _script(project, "deploy", _SPOIL)
    check = _script(project, "check", "test -f RELEASE")
    result = project.cli("guard", "--check", check, "--", deploy)
    assert (project.folder / "RELEASE").exists()
    (one,) = project.names()
    assert one in result.out
    project.cli("archive", "verify", one)


@pytest.mark.parametrize("how", ["command", "check", "missing command", "missing check", "signal"])
def test_a_failure_is_undone_exactly(project: Project, how: str) -> None:
    """Everything that was changed, removed or added within the scope is as it was, the times too;
    what the command left is kept. Exit code 1.
    """
    before = project.state()
    ending = {"command": "exit 3", "signal": "kill -9 $$"}.get(how, "")
    command = [_script(project, "deploy", _SPOIL + ending)]
    check = ["--check", _script(project, "check", "exit 1")] if how == "check" else []
    if how == "missing command":
        command = [str(project.base / "nothing"), "production"]
    elif how == "missing check":
        check = ["--check", str(project.base / "nothing")]
    result = project.cli("guard", *check, "--", *command, code=1)
    assert project.state() == before
    assert "put back" in result.out
    if how == "missing command":
        assert "does not start" in result.out
        return
    (kept,) = [name for name in project.names() if name.startswith("pre-restore-")]
    assert kept in result.out
    project.cli("archive", "restore", kept, "--to", project.base / "left")
    assert (project.base / "left/RELEASE").read_text() == "release\n"
    assert (project.base / "left/lib/new/deep/file").exists()


def test_what_is_ignored_or_outside_stays(project: Project) -> None:
    """A command that takes away the patterns does not take away what they protect."""
    project.write({".strongroomignore": b"secret\n", "lib/secret": b"precious", "data/x": b"data"})
    before = project.state()
    deploy = _script(project, "deploy", "rm .strongroomignore; echo y > data/x; exit 1")
    result = project.cli("guard", "--", deploy, code=1)
    assert (project.folder / "lib/secret").read_bytes() == b"precious"
    assert (project.folder / "data/x").read_text() == "y\n"
    assert "data/" in result.err  # that it is not in the archive was said
    assert set(project.state()) == set(before)


def test_the_older_archives_stay(project: Project) -> None:
    """A restore of what guard made removes no archive, also where all of the project is meant."""
    one = project.made()
    project.cli("guard", "--scope", ".", "--", "false", code=1)
    assert one in project.names()


def test_an_incomplete_backup_runs_nothing(project: Project) -> None:
    """Exit code 6: what cannot be undone is not begun."""
    secret = project.folder / "lib/secret"
    secret.write_text("x")
    os.chown(secret, 12345, 12345)
    secret.chmod(0)
    result = project.program.spawn("guard", "--", "touch", "lib/ran", unprivileged=True)
    assert result.code == 6, result
    assert "lib/secret" in result.err
    assert not (project.folder / "lib/ran").exists()


def test_a_backup_that_fails_runs_nothing(project: Project) -> None:
    """Neither does one that was not made at all."""
    project.backup.write_text("in the way")
    result = project.program.run("guard", "--", "touch", "lib/ran")
    assert result.code == 1, result
    assert not (project.folder / "lib/ran").exists()


def test_a_backup_that_nobody_here_can_open_runs_nothing(project: Project) -> None:
    """An archive that is sealed for somebody else could not be restored."""
    public = public_of(key_file(project, "key"))
    recipients = project.base / "recipients"
    recipients.write_text(f"{public}\n")
    arguments = ["--key-file", recipients, "--", "touch", "lib/ran"]
    result = project.cli("guard", *arguments, code=6)
    assert "open" in result.err
    assert not (project.folder / "lib/ran").exists()
    project.cli("guard", "--key-file", project.base / "key.key", "--", "false", code=1)


def test_a_restore_that_fails_says_so(project: Project) -> None:
    """The command failed, and going back as well: nobody may believe that it was undone."""
    deploy = _script(
        project,
        "deploy",
        "echo x > lib/code.sh; for f in backup/2*/*.tar.gz; do echo > $f; done; exit 1",
    )
    result = project.cli("guard", "--", deploy, code=4)
    assert "as the command left it" in result.err
    assert "archive restore" in result.err
    assert (project.folder / "lib/code.sh").read_text() == "x\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_meanwhile(project: Project, number: int) -> None:
    """The command is stopped, with all that it started, and what it did is undone: exit code 130
    or 143, and nothing of it writes into the project afterwards.
    """
    before = project.state()
    deploy = _script(
        project,
        "deploy",
        "echo x > lib/code.sh\n(sleep 1.5; echo late > lib/late)\necho y > lib/y\n",
    )
    process = subprocess.Popen(
        [*COMMAND, "guard", "--", deploy],
        cwd=project.folder,
        env=project.program.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _wait_for(lambda: (project.folder / "lib/code.sh").read_text() == "x\n")
    process.send_signal(number)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, (out, errors)
    assert b"as it was" in errors
    time.sleep(1.7)
    assert project.state() == before


def _wait_for(holds: object) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if callable(holds) and holds():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come to that")


def test_the_words_of_the_command(project: Project) -> None:
    """They reach it as they are, options too; without any it is a mistake."""
    out = project.base / "words"
    project.cli("guard", "--", "sh", "-c", f'printf "%s|" "$@" > {out}', "-", "--help", "a b", "*")
    assert out.read_text() == "--help|a b|*|"
    project.cli("guard", code=2)
    project.cli("guard", "--check", "'open", "--", "true", code=2)
    project.cli("guard", "--check", " ", "--", "true", code=2)


def test_it_runs_in_the_project(project: Project) -> None:
    """Wherever it was called, with --project."""
    project.program.folder = project.base
    project.cli("guard", "--project", project.folder, "--", "sh", "-c", "pwd > where")
    assert (project.folder / "where").read_text() == f"{Path(project.folder)}\n"
