"""The port for child processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Account(NamedTuple):
    """Whom a child runs as, in which groups; only root can give it another one."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


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


class Attended(Running, Protocol):
    """A child in a process group of its own, with an environment of its own, that is talked to.

    What it writes on standard error is kept. ``kill`` ends all of its group. It is told to end if
    the thread that started it does, however that ends.
    """

    @property
    def input(self) -> int:
        """The descriptor of its standard input, for whoever feeds several at once."""
        ...

    def send(self, data: bytes) -> None:
        """Write to its standard input. ``OSError`` if it does not listen any more."""
        ...

    def line(self) -> bytes:
        """Return the next line of its output with its end; nothing when it has closed it."""
        ...

    def end_input(self) -> None:
        """Close its standard input; it may have ended before."""
        ...

    def ended(self, seconds: float) -> int | None:
        """Wait so long for the end; the exit code, or None if it still runs."""
        ...

    def hold(self) -> None:
        """Stop it and its group where they stand, until ``go_on``."""
        ...

    def go_on(self) -> None:
        """Let what was held go on."""
        ...

    def said(self) -> bytes:
        """Return the end of what it wrote on standard error."""
        ...


class Spawn(Protocol):
    """Starts programs; never through a shell."""

    def run(
        self,
        command: Sequence[str],
        *,
        seconds: float,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
    ) -> Finished:
        """Run a program without input until it ends, and return what it wrote.

        ``environment`` is all that it sees; None: what we see. ``account``: whose process it is;
        None: ours. ``TimeoutError`` after ``seconds``,
        when it has been killed; ``OSError`` if it does not start.
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

    def attend(self, command: Sequence[str], *, environment: Mapping[str, str]) -> Attended:
        """Start a program that is talked to; ``environment`` is all that it sees. ``OSError``."""
        ...
