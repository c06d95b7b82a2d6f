"""The one door to child processes."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from strongroom.clock import SystemClock
from strongroom.model.spawn import Account, Finished

_PATIENCE: Final = 60.0  # seconds to end in order
_AT_LEAST: Final = 5.0  # seconds; what a machine does not bury is there for ever
_PAUSE: Final = 0.02
_GRACE: Final = 5.0  # as above, of a group that is told to
_MOST_SAID: Final = 64 << 10
_PR_SET_PDEATHSIG: Final = 1
_prctl: Final = ctypes.CDLL(None).prctl


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


def _end_with_parent() -> None:
    """In a child: have the kernel send SIGTERM when the thread that started it is gone (prctl(2)).

    A program that writes files would go on without whoever reads and removes them.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class AttendedChild:
    """See ``Attended``. Standard error goes to a file without a name, so that it never blocks."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by kill
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=dict(environment),
                process_group=0,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call, which takes no lock
            )
        except BaseException:
            self._errors.close()
            raise

    def readinto(self, buffer: memoryview) -> int:
        """See ``Running``."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        return self._process.stdout.readinto1(buffer)  # type: ignore[attr-defined, no-any-return]

    def line(self) -> bytes:
        """See ``Attended``."""
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        return self._process.stdout.readline()

    @property
    def input(self) -> int:
        """See ``Attended``."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        return self._process.stdin.fileno()

    def send(self, data: bytes) -> None:
        """See ``Attended``."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def end_input(self) -> None:
        """See ``Attended``."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def ended(self, seconds: float) -> int | None:
        """See ``Attended``."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def wait(self) -> int:
        """See ``Running``."""
        return self._process.wait()

    def said(self) -> bytes:
        """See ``Attended``."""
        fd = self._errors.fileno()
        size = os.fstat(fd).st_size
        return os.pread(fd, _MOST_SAID, max(size - _MOST_SAID, 0))

    def hold(self) -> None:
        """See ``Attended``."""
        if self._process.poll() is None:
            self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """See ``Attended``."""
        if self._process.poll() is None:
            self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """See ``Running``; the group is told to end first, so that servers hear of it."""
        self.end_input()
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)  # what is held does not hear
            if self.ended(_GRACE) is None:
                self._signal(signal.SIGKILL)
        self._bury()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _bury(self) -> None:
        """Wait for the end of the program.

        An interruption that strikes while ``subprocess`` takes its lock leaves it locked for ever;
        so the kernel is asked, and who was not waited for then is buried when we end.
        """
        if self._process.returncode is None:
            with suppress(ChildProcessError):
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_AT_LEAST)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class SystemSpawn:
    """Starts programs of this machine."""

    def run(
        self,
        command: Sequence[str],
        *,
        seconds: float,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
    ) -> Finished:
        """See ``Spawn``."""
        uid, gid, groups, home = account or (None, None, None, None)
        try:
            done = subprocess.run(
                list(command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=seconds,
                env=None if environment is None else dict(environment),
                user=uid,
                group=gid,
                extra_groups=groups,
                cwd=home and "/",
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

    def attend(self, command: Sequence[str], *, environment: Mapping[str, str]) -> AttendedChild:
        """See ``Spawn``."""
        return AttendedChild(command, environment)
