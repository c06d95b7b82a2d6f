"""The program as a person runs it: a home, a folder, an environment, and no more.

``run`` calls the same ``main`` that the installed command calls, in this process, with its own
streams and environment; ``spawn`` starts a process, for what only a process shows.
"""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from unittest import mock

from strongroom.cli.main import main

_RUNS: Final = itertools.count(1)
_BETWEEN: Final = 16
COMMAND: Final = (sys.executable, "-m", "strongroom.cli.main")
PASSPHRASE: Final = "correct horse"
NO_KEY: Final[dict[str, str | None]] = {"STRONGROOM_KEY_FILE": None}
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Takes from root what lets it read and write everything, then runs the command.
UNPRIVILEGED: Final = """\
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for capability in (1, 2):
    if os.geteuid() == 0 and libc.prctl(24, capability, 0, 0, 0):
        sys.exit("cannot give up a capability")
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    code: int
    out: str
    err: str
    raw: bytes = b""

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    def record(self, message_type: str) -> dict[str, Any]:
        """Return the only JSON line of this type."""
        (found,) = [one for one in self.records if one["message_type"] == message_type]
        return found

    @property
    def exit_error(self) -> dict[str, Any]:
        """The JSON line at the end of standard error."""
        record: dict[str, Any] = json.loads(self.err.splitlines()[-1])
        assert record["message_type"] == "exit_error"
        return record


def _tidy() -> None:
    """Free what commands held, now and then: each counts on the end of its process for that."""
    if next(_RUNS) % _BETWEEN == 0:
        gc.unfreeze()  # each command froze what those before it left
        gc.collect()
        gc.freeze()


class Program:
    """A folder to work in, and a repository in it once ``init`` was called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.repository = folder / "repository"
        self.key_file = folder / "key"
        self.passphrase_file = folder / "passphrase"
        self.home.mkdir()
        self.passphrase_file.write_text(f"{PASSPHRASE}\n")
        self.passphrase_file.chmod(0o600)
        self.environment = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "STRONGROOM_REPOSITORY": str(self.repository),
            "STRONGROOM_KEY_FILE": str(self.key_file),
        }

    @property
    def by_passphrase(self) -> dict[str, str | None]:
        """What to add to the environment to use the passphrase and not the key file."""
        return {**NO_KEY, "STRONGROOM_PASSPHRASE_FILE": str(self.passphrase_file)}

    @property
    def state(self) -> Path:
        """The state folder of this home."""
        return self.home / ".local/state/strongroom"

    @property
    def cache(self) -> Path:
        """The cache folder of this home."""
        return self.home / ".cache/strongroom"

    def run(
        self,
        *arguments: str | Path,
        env: Mapping[str, str | None] | None = None,
        answer: str = "",
    ) -> Result:
        """Run a command in this process; ``env`` adds variables, or takes them away with None.

        ``answer`` is all of its standard input.
        """
        out, err = (
            io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)
        )
        with (
            _kept_signals(),
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self._environment(env), clear=True),
            mock.patch.object(sys, "stdin", io.StringIO(answer)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = main([str(argument) for argument in arguments])
        _tidy()
        raw = _bytes_of(out)
        return Result(code, raw.decode("utf-8", "replace"), _bytes_of(err).decode(), raw)

    def good(
        self,
        *arguments: str | Path,
        env: Mapping[str, str | None] | None = None,
        answer: str = "",
    ) -> Result:
        """Run a command that must end with 0."""
        result = self.run(*arguments, env=env, answer=answer)
        assert result.code == 0, result
        return result

    def spawn(
        self,
        *arguments: str | Path,
        env: Mapping[str, str | None] | None = None,
        unprivileged: bool = False,
        stdout: int | IO[bytes] = subprocess.PIPE,
    ) -> Result:
        """Run a command in a process of its own, without a terminal."""
        command = [*COMMAND, *map(str, arguments)]
        if unprivileged:
            command = [sys.executable, "-c", UNPRIVILEGED, *command]
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment(env),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=120,
        )
        out, err = done.stdout or b"", done.stderr or b""
        return Result(done.returncode, out.decode("utf-8", "replace"), err.decode(), out)

    def settle(self) -> None:
        """Wait until what was written is old enough to be skipped by the next backup."""
        time.sleep(0.1)

    def make_files(
        self, more: Mapping[str, str | bytes] | None = None, **content: str | bytes
    ) -> Path:
        """Write files into ``documents``, and return that folder."""
        folder = self.folder / "documents"
        folder.mkdir(exist_ok=True)
        for name, data in {**content, **(more or {})}.items():
            (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)
        return folder

    def _environment(self, env: Mapping[str, str | None] | None) -> dict[str, str]:
        merged = {**self.environment, **(env or {})}
        return {name: value for name, value in merged.items() if value is not None}


def _bytes_of(stream: io.TextIOWrapper) -> bytes:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


@contextlib.contextmanager
def _kept_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
