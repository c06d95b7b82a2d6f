"""Who comes first: working politely, last in line for processors and disks; and among threads."""

from __future__ import annotations

import ctypes
import os
import platform
from contextlib import suppress
from typing import Final

_LOWEST: Final = 19
_PROCESS: Final = 1  # IOPRIO_WHO_PROCESS; with 0, the calling thread
_BEST_EFFORT_LAST: Final = 2 << 13 | 7  # the idle class could starve for ever on a busy disk
_NUMBERS: Final = {"x86_64": 251, "aarch64": 30, "riscv64": 30}  # of ioprio_set, which libc lacks


def lower_priority() -> None:
    """Lower the priority of this thread and all that it starts; ``OSError``.

    On machines whose call number is not known here, only that for processors.
    """
    os.setpriority(os.PRIO_PROCESS, 0, _LOWEST)
    number = _NUMBERS.get(platform.machine())
    if number is None:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, _PROCESS, 0, _BEST_EFFORT_LAST) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def interrupt_nobody() -> None:
    """Let the calling thread, when it wakes, wait for who is at work; its share stays the same.

    It is for threads that compute. One that wakes would otherwise take the processor of the thread
    that feeds them, which then waits even while another processor is idle.
    """
    with suppress(OSError):  # where it is not allowed, it is only slower
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
