"""Hard bounds for a piece of a test: what asks for too much memory gets a MemoryError."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PAGE: Final = resource.getpagesize()


@contextlib.contextmanager
def limited(*, megabytes: int, seconds: float | None = None) -> Iterator[None]:
    """Allow this process ``megabytes`` more of address space than it has, until the block ends.

    An allocation beyond it is a MemoryError, which is no answer to hostile bytes. With ``seconds``
    the block must also end within that much processor time.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * _PAGE
    resource.setrlimit(resource.RLIMIT_AS, (now + (megabytes << 20), before[1]))
    began = time.process_time()
    try:
        yield
    finally:
        took = time.process_time() - began
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert seconds is None or took < seconds, f"took {took:.1f} seconds"
