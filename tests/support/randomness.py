"""Randomness that a seed repeats."""

from __future__ import annotations

import random
import threading


class SeededRandomness:
    """A ``Randomness`` for tests."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def take(self, count: int) -> bytes:
        """See ``Randomness``."""
        with self._lock:
            return self._random.randbytes(count)
