"""The agent and the scripts that PostgreSQL calls."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.harness import Program
from tests.support.other_user import NOBODY, open_folder, without_rights
from tests.support.wal import SYSTEM, numbered, segment

pytestmark = pytest.mark.spec("C6")

ENTRY = (sys.executable, "-m", "strongroom.cli.entry")


@pytest.fixture
def cluster(program: Program) -> Iterator[Program]:
    """A data folder with four segments that wait, and the scripts.

    The state is in a folder with a short name: the path of a socket is bounded.
    """
    with open_folder() as short:
        program.environment["STRONGROOM_STATE_DIR"] = str(short / "state")
        yield _prepared(program)


def _prepared(program: Program) -> Program:
    status = program.folder / "pg_wal/archive_status"
    status.mkdir(parents=True)
    (program.folder / "global").mkdir()
    (program.folder / "global/pg_control").write_bytes(SYSTEM.to_bytes(8, sys.byteorder) + bytes(8))
    for number in range(1, 5):
        name = numbered(number).text
        (program.folder / "pg_wal" / name).write_bytes(segment(numbered(number)))
        (status / f"{name}.ready").touch()
    program.good("wal", "shims", "--source", "db", "--to", program.folder / "bin")
    return program


def _socket(program: Program) -> Path:
    (found,) = Path(program.environment["STRONGROOM_STATE_DIR"]).glob("wal-*.sock")
    return found


@contextmanager
def _agent(program: Program) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [*ENTRY, "wal", "agent", "--source", "db"],
        cwd=program.folder,
        env=program.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert b"archiving for 'db'" in process.stdout.readline()
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def _script(program: Program, name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a script as PostgreSQL does: with hardly any environment."""
    return subprocess.run(
        [str(program.folder / "bin" / name), *words],
        cwd=program.folder,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def _push(program: Program, number: int) -> subprocess.CompletedProcess[str]:
    return _script(program, "strongroom-wal-push", f"pg_wal/{numbered(number).text}")


def _archived(program: Program) -> set[str]:
    return {path.name.upper() for path in (program.repository / "wal").rglob("0*1/*0*")}


def test_the_agent_archives_what_waits(cluster: Program) -> None:
    """The first question has all four archived, and each is answered."""
    with _agent(cluster) as process:
        assert _push(cluster, 1).returncode == 0
        for number in (2, 3, 4):
            done = _push(cluster, number)
            assert (done.returncode, done.stderr) == (0, "")
    assert process.returncode == 0
    assert {numbered(number).text for number in range(1, 5)} <= _archived(cluster)
    assert "no damage and no gap" in cluster.good("wal", "verify", "db").out


def test_without_an_agent_the_script_does_the_work(cluster: Program) -> None:
    """It is slower, and nothing else; also if an agent was killed and left its socket."""
    assert _push(cluster, 1).returncode == 0
    with _agent(cluster) as process:
        process.kill()
        process.wait()
    assert _socket(cluster).exists()
    assert _push(cluster, 2).returncode == 0
    assert {numbered(1).text, numbered(2).text} <= _archived(cluster)
    with _agent(cluster):
        assert _push(cluster, 3).returncode == 0


def test_what_the_agent_refuses_is_1(cluster: Program) -> None:
    """The server keeps its file, and the reason is in its log."""
    with _agent(cluster):
        assert _push(cluster, 1).returncode == 0
        path = cluster.folder / "pg_wal" / numbered(1).text
        path.write_bytes(segment(numbered(1), "other"))
        done = _push(cluster, 1)
        assert done.returncode == 1
        assert "with other content" in done.stderr
        missing = _script(cluster, "strongroom-wal-push", f"pg_wal/{numbered(9).text}")
        assert missing.returncode == 1
        assert _script(cluster, "strongroom-wal-push", "global/pg_control").returncode == 1
    assert _script(cluster, "strongroom-wal-push").returncode == 1


def test_two_agents_for_one_source_are_refused(cluster: Program) -> None:
    """The second is told, exit 6, and the first goes on."""
    with _agent(cluster):
        assert cluster.run("wal", "agent", "--source", "db").code == 6
        assert _push(cluster, 1).returncode == 0


def test_a_repository_that_was_replaced_is_not_written_to(cluster: Program) -> None:
    """What the agent stored somewhere else than it opened is not acknowledged."""
    with _agent(cluster):
        assert _push(cluster, 1).returncode == 0
        config = cluster.repository / "config"
        kept = config.read_bytes()
        late = cluster.folder / "pg_wal" / numbered(9).text
        late.write_bytes(segment(numbered(9)))
        config.unlink()
        assert _push(cluster, 9).returncode == 1
        config.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        assert "another repository" in _push(cluster, 9).stderr
        config.write_bytes(kept)
        assert _push(cluster, 9).returncode == 0


def test_another_user_may_not_ask(cluster: Program) -> None:
    """Even if the mode of the socket were wrong: the kernel's word about the other end counts."""
    if os.geteuid() != 0:
        pytest.skip("one user cannot be another one")
    with _agent(cluster):
        path = _socket(cluster)
        path.chmod(0o666)
        path.parent.chmod(0o711)

        def ask() -> str:
            assert os.geteuid() == NOBODY
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                one.connect(str(path))
                one.sendall(os.fsencode(cluster.folder) + b"\0pg_wal/x\0")
                one.shutdown(socket.SHUT_WR)
                return one.recv(100).decode()

        assert without_rights(ask) == "1another user than the agent's may not ask"


@pytest.mark.parametrize(
    "said", [b"", b"x", b"\0\0", b"relative\0x\0", b"/a\0b\0c\0", bytes(40_000)]
)
def test_what_is_no_request_is_told_so(cluster: Program, said: bytes) -> None:
    """Nothing that is sent stops the agent."""
    with _agent(cluster):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
            one.settimeout(20)
            one.connect(str(_socket(cluster)))
            try:
                one.sendall(said)
                one.shutdown(socket.SHUT_WR)
                assert one.recv(100) == b"1that is no request"
            except OSError:
                assert len(said) > 16_384
        assert _push(cluster, 1).returncode == 0


def test_an_agent_that_does_not_answer_does_not_lose_anything(cluster: Program) -> None:
    """Stopped in the middle of a question, or killed, the file is archived by the script, or not
    acknowledged.
    """
    with _agent(cluster) as process:
        process.send_signal(signal.SIGSTOP)
        asking = subprocess.Popen(
            [str(cluster.folder / "bin/strongroom-wal-push"), f"pg_wal/{numbered(1).text}"],
            cwd=cluster.folder,
            env={"PATH": "/usr/bin:/bin"},
        )
        time.sleep(0.5)
        assert asking.poll() is None
        process.send_signal(signal.SIGKILL)
        assert asking.wait(60) == 0
    assert numbered(1).text in _archived(cluster)


def test_the_script_to_fetch_knows_three_codes(cluster: Program) -> None:
    """Delivered, proven absent, and everything else: also where the program cannot start."""
    assert _push(cluster, 1).returncode == 0
    name = "strongroom-wal-fetch"
    assert _script(cluster, name, numbered(1).text, "out").returncode == 0
    assert (cluster.folder / "out").read_bytes() == segment(numbered(1))
    assert _script(cluster, name, numbered(2).text, "out").returncode == 1
    assert _script(cluster, name, "x", "out").returncode == 200
    assert _script(cluster, name).returncode == 200
    for broken in ("-m strongroom.cli.nothing", "/nowhere/python"):
        for script, words in ((name, (numbered(2).text, "out")), ("strongroom-wal-push", ("x",))):
            path = cluster.folder / "bin" / script
            kept = path.read_text()
            word = "-m strongroom.cli.entry" if broken.startswith("-m") else sys.executable
            assert word in kept
            path.write_text(kept.replace(word, broken))
            expected = 200 if script == name else 1
            assert _script(cluster, script, *words).returncode == expected
            path.write_text(kept)


def test_a_socket_that_cannot_be_is_said(cluster: Program) -> None:
    """The path of a socket is bounded by the system; what to do is in the message."""
    long = {"STRONGROOM_STATE_DIR": str(cluster.folder / ("x" * 100))}
    result = cluster.run("wal", "agent", "--source", "db", env=long)
    assert (result.code, "shorter path" in result.err) == (6, True)


def test_a_script_of_somebody_else_is_not_replaced(cluster: Program) -> None:
    """Our own are, as often as one likes."""
    folder = cluster.folder / "bin"
    cluster.good("wal", "shims", "--source", "db", "--to", folder)
    (folder / "strongroom-wal-push").write_text("#!/bin/sh\n")
    assert cluster.run("wal", "shims", "--source", "db", "--to", folder).code == 6


SEVERAL = """\
version = 1
[repositories.main]
url = "s3://original/app"
key_file = "key"
[repositories.disk]
url = "disk"
key_file = "key"
"""


@pytest.mark.parametrize(
    ("words", "env"),
    [
        ((), {"S3_BACKUP_BUCKET": "replica", "AWS_REGION": "eu-central-1"}),
        (("-r", "disk"), {}),
        ((), {}),
    ],
    ids=["bucket", "name", "default"],
)
def test_the_scripts_mean_the_repository_that_their_writer_meant(
    program: Program, words: tuple[str, ...], env: dict[str, str]
) -> None:
    """The environment of PostgreSQL is empty, so they say which bucket and which of several, with
    the keys that the configuration has for it.
    """
    (program.folder / "strongroom.toml").write_text(SEVERAL)
    for name in ("STRONGROOM_REPOSITORY", "STRONGROOM_KEY_FILE"):
        program.environment.pop(name, None)
    folder = program.folder / "bin"
    with open_folder() as short:
        there = {**env, "STRONGROOM_STATE_DIR": str(short / "state")}
        program.good(*words, "wal", "shims", "--source", "db", "--to", folder, env=there)
    decided = ("repository", "repository region", "key file")

    def meant(*words: str, env: dict[str, str | None]) -> list[tuple[object, object]]:
        found = program.good(*words, "config", "show", "--json", env=env).records
        return [(one["key"], one["value"]) for one in found if one.get("key") in decided]

    mine = meant(*words, env={**env})
    assert len(mine) == 2 if words else 3
    for script in ("strongroom-wal-push", "strongroom-wal-fetch"):
        lines = (folder / script).read_text().splitlines()
        exported = [shlex.split(line)[1] for line in lines if line.startswith("export ")]
        told = dict(one.split("=", 1) for one in exported)
        assert meant(env={**told}) == mine
