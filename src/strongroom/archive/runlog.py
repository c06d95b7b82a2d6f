"""The log of one run: a line each, with ``ERROR`` where the guide's ``grep`` looks for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from strongroom.archive.files import TROUBLE, Files
from strongroom.clock import Clock, rfc3339
from strongroom.errors import StrongroomError
from strongroom.model.events import Event, Notice, PhaseBegan, ProblemFound, Sink

ERROR: Final = b" ERROR "
"""What the line that says why a run failed has in it."""


def log_line(clock: Clock, level: str, text: str) -> bytes:
    """Return one line of a log."""
    line = f"{rfc3339(clock.now_ns())} {level} {' '.join(text.split())}\n"
    return line.encode("utf-8", "backslashreplace")


def killed_line(clock: Clock) -> bytes:
    """Return what stands in the log of a run that could not write it."""
    return log_line(clock, "ERROR", "the run was killed, and made no archive")


def failed_line(clock: Clock, error: BaseException) -> bytes:
    """Return what stands in the log of a run that this error ended."""
    return log_line(clock, "ERROR", _said(error))


class Lines(Protocol):
    """Where the lines of a log go."""

    def write(self, data: bytes, /) -> object:
        """Take in a line."""
        ...


class RunLog:
    """Writes lines as they come, so that a run that is killed has its log; from any thread.

    A line that cannot be written is no reason to fail: ``broken`` says so at the end.
    """

    def __init__(self, file: Lines, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self.broken: StrongroomError | None = None

    def say(self, text: str) -> None:
        """Write what went as it should."""
        self._write("INFO", text)

    def caution(self, text: str) -> None:
        """Write what a person should look at."""
        self._write("WARNING", text)

    def fail(self, text: str) -> None:
        """Write what failed."""
        self._write("ERROR", text)

    def sink(self, onward: Sink) -> Sink:
        """Return a sink that writes down what is worth it, and hands everything on."""

        def take(event: Event) -> None:
            match event:
                case Notice(text) if text.startswith("warning"):
                    self.caution(text.removeprefix("warning: "))
                case Notice(text):
                    self.say(text)
                case PhaseBegan(phase):
                    self.say(phase)
                case ProblemFound(problem):
                    self.fail(f"{_shown(problem.path)}: {problem.cause}")
                case _:
                    pass
            onward(event)

        return take

    def _write(self, level: str, text: str) -> None:
        with self._lock:
            try:
                self._file.write(log_line(self._clock, level, text))
            except TROUBLE as error:
                self.broken = error


@contextmanager
def logged(files: Files, name: str, clock: Clock) -> Iterator[RunLog]:
    """Keep a log in a new file; what ends the block with an error stands in it."""
    with files.writing(name) as file:
        log = RunLog(file, clock)
        try:
            yield log
        except BaseException as error:
            log.fail(_said(error))
            raise


def _said(error: BaseException) -> str:
    if isinstance(error, StrongroomError):
        return error.message + (f". {error.hint}" if error.hint else "")
    return f"{type(error).__name__}: {error}"


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")
