"""The port for child processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Finished(NamedTuple):
    """A child that ended: its exit code (negative: the signal), and what it wrote."""

    code: int
    output: bytes
    errors: bytes


class Spawn(Protocol):
    """Starts programs; never through a shell."""

    def run(self, command: Sequence[str], *, seconds: float) -> Finished:
        """Run a program without input until it ends, and return what it wrote.

        ``TimeoutError`` after ``seconds``, when it has been killed; ``OSError`` if it does not
        start.
        """
        ...
