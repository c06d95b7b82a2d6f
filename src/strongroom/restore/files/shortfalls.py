"""What could not be restored as it was, counted, so that fifty thousand files make one line."""

from __future__ import annotations

import errno
from threading import Lock
from typing import Final

from strongroom.system.causes import cause_of

_MOST_KINDS: Final = 500


class Shortfalls:
    """Counts by what could not be set and why; safe in any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[tuple[str, str], int] = {}
        self._first: dict[tuple[str, str], bytes] = {}

    def add(self, what: str, path: bytes, reason: str) -> None:
        """Count that ``what`` of the entry ``path`` could not be set."""
        with self._lock:
            kind = (what, reason)
            if kind not in self._counts and len(self._counts) >= _MOST_KINDS:
                kind = ("another attribute", "various reasons")
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._first.setdefault(kind, path)

    def lines(self) -> list[tuple[bytes, str]]:
        """Return each kind in a sentence, after the first path that it happened to."""
        with self._lock:
            lines = []
            for (what, reason), count in self._counts.items():
                whose = "" if count == 1 else f" of {count:,} files"
                cause = f"{what}{whose} could not be set ({reason})"
                lines.append((self._first[what, reason], cause))
            return lines


def reason_of(error: OSError | ValueError | OverflowError) -> str:
    """Say in a few words why an attribute could not be set."""
    if not isinstance(error, OSError):
        return "no such value here"
    return "needs root" if error.errno == errno.EPERM else cause_of(error)
