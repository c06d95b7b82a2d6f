"""What the engine tells the world while it works; sinks turn it into progress, logs and metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from strongroom.model.source import Problem

_Path = bytes  # a field called bytes hides the type from those after it


@dataclass(frozen=True, slots=True)
class PhaseBegan:
    """A new phase; totals are 0 where they are not known."""

    phase: str
    total_items: int = 0
    total_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Advanced:
    """Work done since the last one; ``path`` is something being worked on."""

    items: int
    bytes: int
    path: _Path = b""


@dataclass(frozen=True, slots=True)
class ProblemFound:
    """Something was not done as asked; it is also in the result."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Notice:
    """One line a person should see; nothing is wrong with the result."""

    text: str


Event = PhaseBegan | Advanced | ProblemFound | Notice
Sink = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """Tell nobody."""
