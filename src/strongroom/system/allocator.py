"""How the C library gives out memory to many threads."""

from __future__ import annotations

import ctypes
from typing import Final

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_LARGEST: Final = 32 << 20  # of what is taken from the heap; twice as much is kept


def one_heap() -> None:
    """Let all threads share one heap; to be called before there are any.

    Each thread would keep a heap of its own, with what its largest buffers left behind: a third of
    the memory of a backup. Small objects are Python's own affair, so nobody waits for the one. It
    keeps some of what is given back, since that is asked for again at once, and would be cleared.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # a C library may do without
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST)
