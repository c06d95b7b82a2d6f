"""The one door to child processes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final

from strongroom.model.spawn import Finished

_PATIENCE: Final = 60.0  # seconds to end in order


class Child:
    """See ``Running``."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0
        )

    def readinto(self, buffer: memoryview) -> int:
        """See ``Running``."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        return self._process.stdout.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def wait(self) -> int:
        """See ``Running``."""
        return self._process.wait()

    def kill(self) -> None:
        """See ``Running``."""
        with self._process as process:
            process.kill()


class SystemSpawn:
    """Starts programs of this machine."""

    def run(self, command: Sequence[str], *, seconds: float) -> Finished:
        """See ``Spawn``."""
        try:
            done = subprocess.run(
                list(command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"did not end within {seconds:.0f} seconds") from error
        return Finished(done.returncode, done.stdout, done.stderr)

    def call(self, command: Sequence[str], *, folder: str) -> int:
        """See ``Spawn``."""
        process = subprocess.Popen(list(command), cwd=folder)
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            raise

    def start(self, command: Sequence[str]) -> Child:
        """See ``Spawn``."""
        return Child(command)
