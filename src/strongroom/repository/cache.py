"""A disposable cache of objects that never change, keyed by their own name (``Fs`` at the door).

Losing it costs reading again; a damaged entry is caught like a damaged object, because what is read
from here goes through the same checks. Nothing is ever decided by what the cache lists.
"""

from __future__ import annotations

from typing import Protocol


class ObjectCache(Protocol):
    """Remembers whole objects."""

    def get(self, key: str) -> bytes | None:
        """Return what was remembered for a key."""
        ...

    def put(self, key: str, value: bytes) -> None:
        """Remember; failures are of no consequence."""
        ...

    def forget(self, key: str) -> None:
        """Drop an entry that turned out to be damaged."""
        ...


class NoCache:
    """Remembers nothing."""

    def get(self, key: str) -> bytes | None:
        """See ``ObjectCache``."""
        del key
        return None

    def put(self, key: str, value: bytes) -> None:
        """See ``ObjectCache``."""

    def forget(self, key: str) -> None:
        """See ``ObjectCache``."""
