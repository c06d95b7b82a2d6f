"""One heap for all threads."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.spec("B1")

_PROGRAM = """
import ctypes, threading
from strongroom.system.allocator import one_heap

if {wanted}:
    one_heap()
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

_AGAIN = """
import resource
from strongroom.system.allocator import one_heap

if {wanted}:
    one_heap()
def work():
    kept = [bytearray(9 << 20) for _ in range(5)]
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
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


def _faults(*, wanted: bool) -> int:
    """Return how many pages a program is given that needs 45 MiB ten times more."""
    done = subprocess.run(
        [sys.executable, "-c", _AGAIN.format(wanted=wanted)], capture_output=True, check=True
    )
    return int(done.stdout)


def test_memory_that_was_given_back_is_not_asked_for_anew() -> None:
    """Of the system, which would clear each page."""
    assert _faults(wanted=True) < 1_000
    assert _faults(wanted=False) > 10_000, "there was nothing to do"
