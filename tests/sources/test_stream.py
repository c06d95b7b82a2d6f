"""A stream is one file, and it is saved whole or not at all."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from strongroom.clock import ManualClock
from strongroom.errors import SourceError, StrongroomError
from strongroom.model.spawn import Account, Attended, Finished
from strongroom.sources.stream.source import CommandOutput, StandardInput, Stream, StreamSource
from strongroom.storage.memory import MemoryStore
from strongroom.system.posix import PosixFs
from strongroom.system.spawn import SystemSpawn
from tests.support.hook_fs import hook_fs
from tests.support.kit import Kit

pytestmark = pytest.mark.spec("B11")


class _Child:
    """A command that prints ``pieces``, then ends with ``code``."""

    def __init__(self, pieces: Sequence[bytes | OSError], code: int = 0) -> None:
        self._pieces = list(pieces)
        self._code = code
        self.calls: list[str] = []

    def readinto(self, buffer: memoryview) -> int:
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        if isinstance(piece, OSError):
            raise piece
        size = min(len(piece), len(buffer))
        buffer[:size] = piece[:size]
        if piece[size:]:
            self._pieces.insert(0, piece[size:])
        return size

    def wait(self) -> int:
        self.calls.append("wait")
        return self._code

    def kill(self) -> None:
        self.calls.append("kill")


class _Spawn:
    """A port at which one child can be started."""

    def __init__(self, child: _Child | OSError | ValueError) -> None:
        self._child = child

    def run(
        self,
        command: Sequence[str],
        *,
        seconds: float,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
    ) -> Finished:
        raise OSError(command, seconds, environment, account)

    def call(self, command: Sequence[str], *, folder: str) -> int:
        raise OSError(command, folder)

    def attend(
        self, command: Sequence[str], *, environment: Mapping[str, str], keep: Sequence[int] = ()
    ) -> Attended:
        raise OSError(command, environment, keep)

    def start(self, command: Sequence[str]) -> _Child:
        del command
        if not isinstance(self._child, _Child):
            raise self._child
        return self._child


def _kit(tmp_path: Path) -> Kit:
    kit = Kit(MemoryStore(), tmp_path / "state")
    kit.init()
    return kit


def _source(child: _Child | OSError | ValueError) -> StreamSource:
    def opened() -> Stream:
        return CommandOutput(_Spawn(child), ["dump", "--all"])

    return StreamSource("command", "test", b"db/app.sql", ManualClock(), opened)


@pytest.mark.parametrize(
    "pieces", [[b"x"], [b"short ", b"pieces"], [bytes(range(256)) * 20_000, b"", b"not the end"]]
)
def test_what_a_command_prints_is_one_file(tmp_path: Path, pieces: list[bytes]) -> None:
    """In whatever pieces it comes; until the first empty read, which is the end of a pipe."""
    kit, child = _kit(tmp_path), _Child(pieces)
    result = kit.backup_source(_source(child))
    _, files = kit.restore(result.snapshot.id)
    assert files == {b"db/app.sql": b"".join(pieces).removesuffix(b"not the end")}
    assert (result.tallies[0].files, result.problems) == (1, [])
    assert child.calls == ["wait", "kill"]


@pytest.mark.parametrize(
    ("child", "text"),
    [
        (_Child([b"half of it"], 3), "'dump' ended with exit code 3"),
        (_Child([b"half of it"], -signal.SIGKILL), "'dump' was killed by SIGKILL"),
        (_Child([b"half of it"], -200), "'dump' was killed by signal 200"),
        (_Child([]), "nothing came"),
        (_Child([b"half of it", OSError(5, "input/output error")]), "cannot read what 'dump'"),
        (FileNotFoundError(2, "no such file"), "'dump' does not start"),
        (PermissionError(13, "denied"), "'dump' does not start"),
        (ValueError("embedded null byte"), "'dump' does not start"),
    ],
)
def test_a_command_that_fails_makes_no_snapshot(
    tmp_path: Path, child: _Child | OSError | ValueError, text: str
) -> None:
    """Failed, killed, silent, unreadable or not there: an error, and nothing is listed."""
    kit = _kit(tmp_path)
    with pytest.raises(StrongroomError, match=text) as error:
        kit.backup_source(_source(child))
    unreachable = not isinstance(child, _Child) or "cannot read" in text
    assert error.value.code == (14 if unreachable else 1)
    assert kit.snapshots() == []
    if isinstance(child, _Child):
        assert child.calls[-1] == "kill"


def test_standard_input_that_cannot_be_read(tmp_path: Path) -> None:
    """It ends the backup; a file without its end would be worse."""
    kit = _kit(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(5, os.strerror(5))

    fs = hook_fs({"readinto": fail}, within=PosixFs())
    source = StreamSource("stdin", "test", b"x", ManualClock(), lambda: StandardInput(fs))
    with pytest.raises(SourceError, match="cannot read standard input"):
        kit.backup_source(source)
    assert kit.snapshots() == []


def test_a_command_does_not_outlive_its_backup() -> None:
    """When the backup gives up, what still runs is killed and waited for."""
    stream = CommandOutput(SystemSpawn(), ["sh", "-c", "echo $$; exec sleep 600"])
    buffer = memoryview(bytearray(100))
    number = int(bytes(buffer[: stream.readinto(buffer)]))
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < 60
    assert not (Path("/proc") / str(number)).exists()
