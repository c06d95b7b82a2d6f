"""Progress: a bar on a terminal, a line a minute elsewhere, status lines with ``--json``."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol, Self

from strongroom.cli.bar import Bar
from strongroom.cli.names import path_fields, shown
from strongroom.cli.output import Output, say
from strongroom.cli.quantities import counted, duration, size
from strongroom.cli.tracker import State, Tracker
from strongroom.clock import Clock
from strongroom.model.events import Event

_LINE_SECONDS: Final = 60.0
_STATUS_SECONDS: Final = 1.0
_LONGEST_PATH: Final = 1000


class Progress(Protocol):
    """Shows events to whoever watches."""

    @property
    def wants_totals(self) -> bool:
        """Whether it is worth some work to know the end beforehand."""
        ...

    def take(self, event: Event) -> None:
        """Take one event in; from any thread."""
        ...

    def pause(self) -> AbstractContextManager[None]:
        """Take the display away while somebody is asked."""
        ...

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, *exception: object) -> None:
        """Leave nothing on the screen."""
        ...


class Plain:
    """Progress without a display: now and then ``show`` gets the state; never if it is None."""

    def __init__(self, clock: Clock, every: float, show: Callable[[State], None] | None) -> None:
        self._clock = clock
        self._every = every
        self._show = show
        self._tracker = Tracker(clock)
        self._next = clock.elapsed() + every
        self._lock = threading.Lock()

    @property
    def wants_totals(self) -> bool:
        """See ``Progress``."""
        return False

    def take(self, event: Event) -> None:
        """See ``Progress``."""
        if self._show is None:
            return
        self._tracker.take(event)
        now = self._clock.elapsed()
        if now < self._next:
            return
        with self._lock:
            if now < self._next:
                return
            self._next = now + self._every
        self._show(self._tracker.state())

    def pause(self) -> AbstractContextManager[None]:
        """See ``Progress``."""
        return nullcontext()

    def __enter__(self) -> Self:
        """See ``Progress``."""
        return self

    def __exit__(self, *exception: object) -> None:
        """See ``Progress``."""


def text_of(state: State) -> str:
    """Return a line that says where things are."""
    share = state.share
    parts = [state.phase or "begin"]
    if share is not None:
        parts.append(f"{share:.0%}")
    of = f" of {size(state.total_bytes)}" if state.total_bytes else ""
    parts.append(f"{size(state.size)}{of}")
    parts.append(f"{size(round(state.bytes_per_second))}/s")
    parts.append(counted(state.items, "entry", "entries"))
    if state.remaining is not None:
        parts.append(f"{duration(state.remaining)} left")
    if state.problems:
        parts.append(counted(state.problems, "problem"))
    if state.path:
        parts.append(shown(state.path[:_LONGEST_PATH]))
    return ", ".join(parts)


def record_of(state: State, output: Output) -> None:
    """Print a status line for programs."""
    output.record(
        "status",
        phase=state.phase,
        seconds_elapsed=round(state.seconds, 3),
        seconds_remaining=None if state.remaining is None else round(state.remaining, 3),
        percent_done=None if state.share is None else round(state.share, 6),
        items_done=state.items,
        total_items=state.total_items,
        bytes_done=state.size,
        total_bytes=state.total_bytes,
        error_count=state.problems,
        current_files=[path_fields(state.path[:_LONGEST_PATH])["path"]] if state.path else [],
    )


def progress_for(output: Output, clock: Clock, *, color: bool, wanted: bool) -> Progress:
    """Choose how progress is shown; it is, while it is entered."""
    if not wanted:
        return Plain(clock, 0, None)
    if output.json_lines:
        return Plain(clock, _STATUS_SECONDS, lambda state: record_of(state, output))
    if not sys.stderr.isatty():
        return Plain(clock, _LINE_SECONDS, lambda state: say(text_of(state)))
    return Bar(Tracker(clock), color=color)
