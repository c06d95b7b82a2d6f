"""Threads that compute do not take the processor of the one that feeds them."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from strongroom.app.machine import worker_threads
from strongroom.system.priority import interrupt_nobody

pytestmark = pytest.mark.spec("B1")


def _policy() -> tuple[int, int]:
    """Return how the calling thread is scheduled, and how nice it is."""
    return os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)


def test_only_threads_that_compute_are_batch_and_keep_their_share() -> None:
    """Nobody else is, and nobody gets nicer: on a busy machine a nice one would wait for ever."""
    before = _policy()
    with worker_threads() as workers:
        assert workers.compute.submit(_policy).result() == (os.SCHED_BATCH, before[1])
        assert workers.transfer.submit(_policy).result() == before
    assert _policy() == before


def test_who_is_scheduled_in_another_way_stays_so() -> None:
    """Idle stays idle: somebody decided that."""

    def idle() -> int:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        interrupt_nobody()
        return os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(idle).result() == os.SCHED_IDLE
