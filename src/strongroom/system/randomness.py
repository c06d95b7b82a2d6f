"""The one door to randomness."""

from __future__ import annotations

import os


class SystemRandomness:
    """The kernel's generator."""

    def take(self, count: int) -> bytes:
        """See ``Randomness``; waits, once after boot, until the generator is seeded."""
        return os.urandom(count)
