"""The port for child processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Finished(NamedTuple):
    """A child that ended: its exit code (negative: the signal), and what it wrote."""

    code: int
    output: bytes
    errors: bytes


class Running(Protocol):
    """A child at work, whose standard output is read."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill a part of ``buffer``; 0 when the child has closed its output."""
        ...

    def wait(self) -> int:
        """Wait for the end; the exit code, negative for the signal that killed it."""
        ...

    def kill(self) -> None:
        """End it now, if it has not ended, and forget it."""
        ...


class Spawn(Protocol):
    """Starts programs; never through a shell."""

    def run(self, command: Sequence[str], *, seconds: float) -> Finished:
        """Run a program without input until it ends, and return what it wrote.

        ``TimeoutError`` after ``seconds``, when it has been killed; ``OSError`` if it does not
        start.
        """
        ...

    def call(self, command: Sequence[str], *, folder: str) -> int:
        """Run a program with our standard streams, in a folder; its exit code, negative: a signal.

        Whatever stops us meanwhile stops it too, and is raised when it has ended; away from a
        terminal also what it has started. ``OSError`` if it does not start.
        """
        ...

    def start(self, command: Sequence[str]) -> Running:
        """Start a program without input; its errors go where ours go. ``OSError``."""
        ...
