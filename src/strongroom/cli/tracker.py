"""Adds events up: where a command is, and how fast it goes."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final, NamedTuple

from strongroom.clock import Clock
from strongroom.model.events import Advanced, Event, PhaseBegan, ProblemFound

_MEAN_SECONDS: Final = 10.0
_SAMPLE_SECONDS: Final = 0.25


class State(NamedTuple):
    """Where a command is; totals are 0 where they are not known."""

    phase: str
    seconds: float
    items: int
    size: int
    total_items: int
    total_bytes: int
    problems: int
    path: bytes
    bytes_per_second: float

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; by bytes, or by items where there are none."""
        if self.total_bytes:
            return min(self.size / self.total_bytes, 1.0)
        if self.total_items:
            return min(self.items / self.total_items, 1.0)
        return None

    @property
    def remaining(self) -> float | None:
        """Seconds to go at the speed of the last ten."""
        if not self.total_bytes or not self.bytes_per_second:
            return None
        return max(self.total_bytes - self.size, 0) / self.bytes_per_second


class Tracker:
    """Adds up events; safe in any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock.elapsed()
        self._phase = ""
        self._items = self._bytes = self._total_items = self._total_bytes = 0
        self._problems = 0
        self._path = b""
        self._samples: deque[tuple[float, int]] = deque()

    def take(self, event: Event) -> None:
        """Take one event in."""
        with self._lock:
            if isinstance(event, Advanced):
                self._items += event.items
                self._bytes += event.bytes
                if event.path:
                    self._path = event.path
            elif isinstance(event, ProblemFound):
                self._problems += 1
            elif isinstance(event, PhaseBegan):
                self._begin(event)

    def state(self) -> State:
        """Return where things are."""
        now = self._clock.elapsed()
        with self._lock:
            samples = self._samples
            if not samples or now - samples[-1][0] > _SAMPLE_SECONDS:
                samples.append((now, self._bytes))
            while len(samples) > 2 and now - samples[0][0] > _MEAN_SECONDS:  # noqa: PLR2004
                samples.popleft()
            then, before = samples[0]
            passed = now - then
            return State(
                phase=self._phase,
                seconds=now - self._began,
                items=self._items,
                size=self._bytes,
                total_items=self._total_items,
                total_bytes=self._total_bytes,
                problems=self._problems,
                path=self._path,
                bytes_per_second=(self._bytes - before) / passed if passed > 0 else 0.0,
            )

    def _begin(self, event: PhaseBegan) -> None:
        """Begin a phase; the same one again only brings totals."""
        if event.phase != self._phase:
            self._phase = event.phase
            self._items = self._bytes = self._total_items = self._total_bytes = 0
            self._path = b""
            self._samples.clear()
        if event.total_items or event.total_bytes:
            self._total_items, self._total_bytes = event.total_items, event.total_bytes
