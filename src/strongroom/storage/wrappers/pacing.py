"""A limit on bytes per second, shared by threads."""

from __future__ import annotations

import threading
from typing import Final

from strongroom.clock import Clock

_SAVED_SECONDS: Final = 0.5  # what an idle while may add to the next burst


class Pace:
    """Makes callers wait so that together they stay below a rate.

    A token bucket kept as the time at which it is full again: whoever takes bytes moves that time
    on, at once and in turn, and then waits for it, so that no caller starves.
    """

    def __init__(
        self, clock: Clock, bytes_per_second: float, *, saved_seconds: float = _SAVED_SECONDS
    ) -> None:
        if not bytes_per_second > 0:
            raise ValueError(f"not a rate: {bytes_per_second} bytes per second")
        self._clock = clock
        self._rate = bytes_per_second
        self._saved = saved_seconds
        self._paid_until = float("-inf")
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Wait until ``count`` more bytes may pass; they may be any number."""
        with self._lock:
            now = self._clock.elapsed()
            self._paid_until = max(self._paid_until, now - self._saved) + count / self._rate
            wait = self._paid_until - now
        if wait > 0:
            self._clock.sleep(wait)
