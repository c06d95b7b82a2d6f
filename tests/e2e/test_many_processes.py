"""Real processes on one repository at once: backups, collections, restores, stopped and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from tests.cli.harness import COMMAND, Program
from tests.support.noise import noise

pytestmark = [pytest.mark.spec("B4"), pytest.mark.timeout(300)]

WRITERS, ROUNDS = 4, 3
PATIENCE = 60.0


@pytest.fixture(name="program")
def _program(tmp_path: Path) -> Program:
    program = Program(tmp_path)
    program.good("init")
    return program


def until(true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    ends = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.02)


@contextmanager
def started(program: Program, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A command that runs meanwhile; what is left of it afterwards is killed."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=program.folder,
        env={**program.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # so that its children can be ended with it
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@contextmanager
def open_backup(program: Program) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A backup that has begun, and waits for what is written into a pipe with a name."""
    pipe = program.folder / "pipe"
    os.mkfifo(pipe)
    before = len(sessions(program))
    with started(program, "backup", "--stdin-from-command", "--", "cat", pipe) as process:
        until(lambda: len(sessions(program)) > before)
        yield process, pipe
    pipe.unlink()


def sessions(program: Program) -> list[Path]:
    """Return the objects of sessions."""
    return list(program.repository.glob("sessions/*/*"))


def tree(writer: int, number: int) -> dict[str, bytes]:
    """What a writer saves in a round: something that all share, and something of its own."""
    return {
        "shared": noise(200_000, "shared"),
        "own": noise(100_000, f"{writer} {number}"),
        "kept": noise(50_000, f"{writer}"),
    }


class Everybody:
    """Writers, collectors and a restore host, each a thread that runs real processes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.stop = threading.Event()
        self.wrong: list[str] = []
        self.restored = 0

    def run(self) -> None:
        """Let all work until the writers are done."""
        writers = [partial(self.write, writer) for writer in range(WRITERS)]
        first = [threading.Thread(target=self._guarded, args=(work,)) for work in writers]
        rest = [self.collect, self.collect, self.restore]
        others = [threading.Thread(target=self._guarded, args=(work,)) for work in rest]
        for thread in [*first, *others]:
            thread.start()
        for thread in first:
            thread.join()
        self.stop.set()
        for thread in others:
            thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a thread tells the test
            self.wrong.append(repr(error))
            self.stop.set()

    def write(self, writer: int) -> None:
        """Back up again and again; nobody is in the way of a backup."""
        folder = self.program.folder / f"source {writer}"
        folder.mkdir()
        for number in range(ROUNDS):
            for name, data in tree(writer, number).items():
                (folder / name).write_bytes(data)
            result = self.program.spawn("backup", folder, "--host", f"host{writer}")
            assert result.code == 0, result

    def collect(self) -> None:
        """Forget all but the last, and collect without any grace."""
        while not self.stop.is_set():
            for arguments in (("forget", "--keep-last", "1"), ("prune", "--grace", "0")):
                result = self.program.spawn(*arguments)
                assert result.code in {0, 11}, result

    def restore(self) -> None:
        """Restore what is the latest; without a grace it may go meanwhile, which is said."""
        while not self.stop.is_set():
            self.restored += 1
            target = self.program.folder / f"restored {self.restored}"
            result = self.program.spawn("restore", "latest", "--to", target)
            assert result.code in {0, 4, 15}, result
            if result.code == 0:
                check_restored(target)


def check_restored(target: Path) -> None:
    """``AssertionError`` unless a restore gave what one of the writers once saved."""
    (own,) = target.rglob("own")
    writer = int(own.parent.name.rpartition(" ")[2])
    found = {path.name: path.read_bytes() for path in own.parent.iterdir()}
    assert found in [tree(writer, number) for number in range(ROUNDS)]


def test_everybody_at_once(program: Program) -> None:
    """Four processes back up, two forget and collect without any grace, one restores, all at once:
    every command ends well or says that it has to be run again, no restore is wrong, and in the
    end everything that is listed restores bit for bit.
    """
    everybody = Everybody(program)
    everybody.run()
    assert everybody.wrong == []
    program.good("prune", "--grace", "0")
    lines = program.good("verify", "--read-data").out.splitlines()
    assert any(line.startswith("no damage found") for line in lines)  # after a note, it may be
    for writer in range(WRITERS):
        records = program.good("snapshots", "--host", f"host{writer}", "--json").records
        target = program.folder / f"at the end {writer}"
        program.good("restore", records[0]["id"], "--to", target)
        (own,) = target.rglob("own")
        assert own.read_bytes() == tree(writer, ROUNDS - 1)["own"]


def test_a_backup_that_slept_is_refused(program: Program) -> None:
    """A backup that is stopped for longer than a collector waits ends with exit 11 and says that
    nothing is lost; the same backup succeeds when it is run again.
    """
    for text in "12":
        program.make_files(a=text * 5000)
        program.good("backup", "./documents")
    program.good("forget", "--keep-last", "1")
    with open_backup(program) as (process, pipe):
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.2)
        result = program.good("prune", "--fence-after", "1s", "--grace", "0")
        assert "gave up session" in result.err
        process.send_signal(signal.SIGCONT)
        pipe.write_bytes(b"too late")
        _, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 11, err
        assert "given up by a collector" in err
        assert "Nothing is lost: run the same command again" in err
    assert len(program.good("snapshots", "--json").records) == 2
    program.good("backup", "--stdin-from-command", "--", "echo", "in time")
    assert program.good("dump", "latest", "/stdin").out == "in time\n"
    assert program.good("verify", "--read-data").code == 0


def test_a_backup_that_was_killed_is_not_waited_for(program: Program) -> None:
    """A backup is killed; the next prune on this host gives it up at once and does its work, while
    another one that is at work is waited for as ever.
    """
    for text in "12":
        program.make_files(a=text * 9000)
        program.good("backup", "./documents")
    program.good("forget", "--keep-last", "1")
    with open_backup(program) as (process, _pipe):
        process.kill()
        process.wait()
        result = program.good("prune", "--grace", "0", "--wait", "0")
        assert "gave up session" in result.err
        assert "whose process has ended" in result.err
    assert len(program.good("snapshots", "--json").records) == 2
    assert list((program.state / "repositories").glob("*/sessions/*")) == []
    with open_backup(program) as (process, pipe):
        program.make_files(a="3" * 9000)
        program.good("backup", "./documents")
        program.good("forget", "--keep-last", "1")
        assert program.run("prune", "--grace", "0", "--wait", "0").code == 11
        pipe.write_bytes(b"in time")
        assert process.wait(PATIENCE) == 0
    (saved,) = program.good("snapshots", "--path", "/stdin", "--json").records[:-1]
    assert program.good("dump", saved["id"], "/stdin").out == "in time"
    assert program.good("verify", "--read-data").code == 0


def test_a_collector_that_was_killed(program: Program) -> None:
    """A collector waits for a backup at work, and is killed; the next one says for whom it waits,
    exit 11, and when the backup has ended the next finishes the run that was left.
    """
    program.make_files(a="1", b="2" * 9000)
    program.good("backup", "./documents")
    program.make_files(b="3" * 9000)
    program.good("backup", "./documents")
    program.good("forget", "--keep-last", "1")
    with open_backup(program) as (process, pipe):
        with started(program, "prune", "--grace", "0") as collector:
            until((program.repository / "gc/00000001/waits").exists)
            collector.kill()
        result = program.run("prune", "--grace", "0", "--wait", "0")
        assert result.code == 11
        assert "still at work: session" in result.err
        assert "of main" in result.err
        assert not (program.repository / "gc/00000001/kills").exists()
        pipe.write_bytes(b"saved while a collector waited")
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, (out, err)
    result = program.good("prune", "--grace", "0")
    assert "finished 1 run that another collector left" in result.out
    assert (program.repository / "gc/00000001/done").exists()
    assert program.good("dump", "latest", "/stdin").out == "saved while a collector waited"
    assert len(program.good("snapshots", "--json").records) == 3
    assert program.good("verify", "--read-data").code == 0
