"""At a terminal: prompts without echo, confirmations that default to no, progress, signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests.cli.harness import COMMAND, NO_KEY, Program

_KEY = r"[A-Z2-7]{8}(?:-[A-Z2-7]{8}){7}"


@contextmanager
def terminal(program: Program, *arguments: str, **env: str | None) -> Iterator[pexpect.spawn]:
    """Start a command at a terminal of 100 columns."""
    merged = {**program.environment, "TERM": "xterm", **env}
    child = pexpect.spawn(
        sys.executable,
        [*COMMAND[1:], *arguments],
        cwd=str(program.folder),
        env={name: value for name, value in merged.items() if value is not None},
        timeout=60,
        dimensions=(30, 100),
        use_poll=True,  # other tests of this process may have many files open
    )
    try:
        yield child
    finally:
        child.close(force=True)


def ended(child: pexpect.spawn) -> tuple[int, str]:
    """Wait for the end; the exit code, and what was printed since the last expectation."""
    child.expect(pexpect.EOF)
    text = child.before.decode()
    child.wait()
    return child.exitstatus, text


def test_init_asks_twice_and_for_the_recovery_key(empty: Program) -> None:
    """Init asks for a passphrase until it is given twice, hides it, and asks the key back."""
    with terminal(empty, "init", **NO_KEY) as child:
        child.expect("passphrase for the new repository: ")
        child.sendline("one thing")
        child.expect("the same again: ")
        child.sendline("another thing")
        child.expect("not the same, try again")
        child.expect("passphrase for the new repository: ")
        child.sendline("one thing")
        child.expect("the same again: ")
        assert b"thing" not in child.before
        child.sendline("one thing")
        child.expect(_KEY)
        key = child.after.decode()
        child.expect("type it here")
        child.sendline("no")
        child.expect("not the recovery key, try again")
        child.expect("type it here")
        child.sendline(key.replace("-", " ").lower())
        child.expect("is confirmed")
        assert ended(child)[0] == 0
    with terminal(empty, "snapshots", **NO_KEY) as child:
        child.expect("passphrase for .*: ")
        child.sendline("wrong")
        child.expect("try again")
        child.expect("passphrase for .*: ")
        child.sendline("one thing")
        child.expect("no snapshots")
        assert ended(child)[0] == 0


def test_a_recovery_key_that_is_not_confirmed(empty: Program) -> None:
    """After three wrong answers init says how to go on; the repository is good."""
    with terminal(empty, "init") as child:
        for _ in range(3):
            child.expect("type it here")
            child.sendline("AAAA")
        child.expect("warning: the recovery key is not confirmed")
        assert ended(child)[0] == 0
    empty.good("snapshots")


def test_three_wrong_passphrases(empty: Program) -> None:
    """After three wrong passphrases the command ends with 12."""
    empty.good("init", env=empty.by_passphrase)
    with terminal(empty, "snapshots", **NO_KEY) as child:
        for _ in range(3):
            child.expect("passphrase for .*: ")
            child.sendline("wrong")
        assert ended(child)[0] == 12


def test_an_empty_passphrase_is_refused(empty: Program) -> None:
    """Init does not take an empty passphrase from a person either."""
    with terminal(empty, "init", **NO_KEY) as child:
        child.expect("passphrase for the new repository: ")
        child.sendline("")
        code, text = ended(child)
    assert code == 2
    assert "empty passphrase" in text
    assert not empty.repository.exists()


@pytest.mark.parametrize(("answer", "code"), [("", 6), ("y", 6), ("yes", 0)])
def test_a_restore_over_files_is_confirmed(program: Program, answer: str, code: int) -> None:
    """A restore into a folder in use shows the plan and asks; only ``yes`` means yes."""
    documents = program.make_files(a="saved")
    program.good("backup", "./documents")
    (documents / "a").write_text("changed")
    command = ("restore", f"latest:{documents}", "--to", "documents", "--into-existing")
    with terminal(program, *command) as child:
        child.expect("there is no undo yet")
        child.expect(r"Type yes to go on \[no\]: ")
        child.sendline(answer)
        assert ended(child)[0] == code
    assert (documents / "a").read_text() == ("saved" if code == 0 else "changed")


def test_progress_at_a_terminal(program: Program) -> None:
    """Phase, share, speed and files are shown while it works, and gone at the end."""
    program.make_files(big=os.urandom(1_000_000) * 800)
    with terminal(program, "backup", "./documents") as child:
        child.expect(r"backup .*\d+%.*/s.*entries")
        code, text = ended(child)
    assert code == 0
    assert re.search(r"snapshot [0-9a-f]{8} saved", text)
    with terminal(program, "backup", "./documents", "-q") as child:
        assert ended(child) == (0, "")


def test_no_color(program: Program) -> None:
    """With NO_COLOR nothing is coloured."""
    program.make_files(big=os.urandom(20_000_000))
    with terminal(program, "backup", "./documents", NO_COLOR="1") as child:
        code, text = ended(child)
    assert code == 0
    assert not re.search(r"\x1b\[(?:1;)?(?:3|9|38;)\d*", text)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_asked_to_stop(program: Program, number: signal.Signals, code: int) -> None:
    """A signal ends a backup in order: one line, its own exit code, and nothing is lost."""
    documents = program.make_files()
    _fill(documents)
    child = _started(program, "backup", "./documents", "--json")
    _wait_for_packs(program)
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == code
    assert b"Traceback" not in err
    assert b"interrupted" in err
    program.good("verify", "--read-data")
    again = program.good("backup", "./documents", "--json").record("summary")
    assert again["data_added"] < 300_000_000
    program.good("verify", "--read-data")


def test_asked_to_stop_twice(program: Program) -> None:
    """A second signal ends the process at once; the repository survives that."""
    documents = program.make_files()
    _fill(documents)
    child = _started(program, "backup", "./documents")
    _wait_for_packs(program)
    child.send_signal(signal.SIGINT)
    time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    program.good("verify", "--read-data")
    program.good("backup", "./documents")


def test_an_ignored_signal_stays_ignored(program: Program) -> None:
    """Under nohup a hang-up does not end a backup."""
    documents = program.make_files()
    _fill(documents)
    child = _started(program, "backup", "./documents", ignore=signal.SIGHUP)
    _wait_for_packs(program)
    child.send_signal(signal.SIGHUP)
    child.communicate(timeout=120)
    assert child.returncode == 0


def _fill(folder: Path) -> None:
    """Make 300 MB, which takes long enough to be interrupted."""
    for number in range(6):
        (folder / f"big{number}").write_bytes(os.urandom(50_000_000))


def _started(
    program: Program, *arguments: str, ignore: signal.Signals | None = None
) -> subprocess.Popen[bytes]:
    def prepare() -> None:
        if ignore is not None:
            signal.signal(ignore, signal.SIG_IGN)

    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=program.folder,
        env=program.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=prepare,  # noqa: PLW1509 - no threads here
    )


def _wait_for_packs(program: Program) -> None:
    """Wait until a backup has stored something."""
    for _ in range(600):
        if any(path.is_file() for path in (program.repository / "packs").rglob("*")):
            return
        time.sleep(0.05)
    pytest.fail("no pack was stored")
