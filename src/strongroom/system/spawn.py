"""The one door to child processes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from strongroom.clock import SystemClock
from strongroom.model.spawn import Finished

_PATIENCE: Final = 60.0  # seconds to end in order
_AT_LEAST: Final = 5.0  # seconds; what a machine does not bury is there for ever
_PAUSE: Final = 0.02


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


def _end(process: subprocess.Popen[bytes], *, is_group: bool) -> None:
    """End a program, and what it has started where that is a group of its own."""
    send = os.killpg if is_group else os.kill
    clock = SystemClock()
    with suppress(ProcessLookupError):  # none is left
        for number, seconds in ((signal.SIGTERM, _PATIENCE), (signal.SIGKILL, _AT_LEAST)):
            send(process.pid, number)
            until = clock.elapsed() + seconds
            while clock.elapsed() < until:
                process.poll()  # or it would be there for ever
                send(process.pid, 0)
                clock.sleep(_PAUSE)
    process.wait()


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
        # at a terminal it must stay in our group: only that one may read from there
        group = None if os.isatty(0) else 0
        started: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            started.append(subprocess.Popen(list(command), cwd=folder, process_group=group))

        try:
            with ThreadPoolExecutor(1) as starter:  # so no signal gets between start and knowing
                starter.submit(start).result()
            return started[0].wait()
        except BaseException:
            for process in started:
                _end(process, is_group=group is not None)
            raise

    def start(self, command: Sequence[str]) -> Child:
        """See ``Spawn``."""
        return Child(command)
