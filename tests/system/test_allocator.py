"""One heap for all threads."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.spec("B1")

_PROGRAM = """
import ctypes, threading
from strongroom.system.allocator import one_arena

if {wanted}:
    one_arena()
libc = ctypes.CDLL(None)
all_at_once = threading.Barrier(4)
def work():
    all_at_once.wait()
    kept = [bytes(100_000) for _ in range(20)]
    all_at_once.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.malloc_stats()
"""


def _heaps(*, wanted: bool) -> int:
    """Return how many heaps the C library says that a program with four threads has."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(wanted=wanted)], capture_output=True, check=True
    )
    return done.stderr.count(b"Arena ")


def test_threads_share_one_heap() -> None:
    """What one thread has given back is there for all others."""
    assert _heaps(wanted=True) == 1
    assert _heaps(wanted=False) > 1, "there was nothing to do"
