"""The randomness port: unpredictable bytes, or reproducible ones in tests."""

from __future__ import annotations

from typing import Protocol


class Randomness(Protocol):
    """Where keys, salts, names and jitter come from; callable from any thread."""

    def take(self, count: int) -> bytes:
        """Return ``count`` fresh bytes that nobody can predict."""
        ...
