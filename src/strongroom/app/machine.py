"""The doors of this machine, made once, and what a command runs with."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from strongroom.app.awsdoor import AwsDoor
from strongroom.clock import Clock, SystemClock
from strongroom.config.settings import Settings
from strongroom.model.events import Notice, Sink
from strongroom.model.fs import Fs
from strongroom.model.randomness import Randomness
from strongroom.model.spawn import Spawn
from strongroom.repository.packer import Workers
from strongroom.system.allocator import one_heap
from strongroom.system.posix import PosixFs
from strongroom.system.priority import interrupt_nobody, lower_priority
from strongroom.system.randomness import SystemRandomness
from strongroom.system.spawn import SystemSpawn

# A thread that only computes in Python lets others wait for so many seconds each time that they
# come back from a call that released the interpreter's lock, which these do for each chunk.
_SWITCH_INTERVAL: Final = 0.0005
_LEAST_TRANSFERS: Final = 4
_LEAST_AT_ONCE: Final = 2  # one computes while the other waits for a disk
_MOST_TRANSFERS: Final = 16


@dataclass(frozen=True, slots=True)
class Machine:
    """The doors to this machine, and who works on it."""

    fs: Fs
    clock: Clock
    randomness: Randomness
    spawn: Spawn
    host: str
    user: str


class Person(Protocol):
    """Somebody at a terminal."""

    def passphrase(self, question: str, *, twice: bool) -> bytes:
        """Ask for a passphrase without showing it; if ``twice``, until both are the same."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """What one command works with; ``person`` is None where nobody can be asked.

    ``other``: the option that names the repository, where it is a second one. ``moments``: what
    times of --as-of mean, decided once, nanoseconds since 1970.
    """

    settings: Settings
    machine: Machine
    sink: Sink
    person: Person | None = None
    warned: set[str] = field(default_factory=set)
    other: str = ""
    aws: AwsDoor = field(default_factory=AwsDoor)
    moments: dict[str, int] = field(default_factory=dict)

    def tell(self, text: str) -> None:
        """Say one line to whoever watches."""
        self.sink(Notice(text))

    def tell_once(self, text: str) -> None:
        """Say one line to whoever watches, the first time that it is to be said."""
        if text not in self.warned:
            self.warned.add(text)
            self.tell(text)

    def warn(self, text: str) -> None:
        """Say, once, that something is not as it should be, though the command goes on."""
        self.tell_once(f"warning: {text}")


def this_machine(*, polite: bool = False) -> Machine:
    """Open the real doors; ``polite``: from now on others use processors and disks first."""
    one_heap()
    if polite:
        lower_priority()
    return Machine(
        fs=PosixFs(),
        clock=SystemClock(),
        randomness=SystemRandomness(),
        spawn=SystemSpawn(),
        host=os.uname().nodename,
        user=_user_name(),
    )


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


@contextmanager
def worker_threads() -> Iterator[Workers]:
    """Lend threads: as many as processors to compute, more to wait for the store.

    After an error, what has not begun is dropped; what has begun is waited for.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL)
    processors = len(os.sched_getaffinity(0))
    transfers = min(max(_LEAST_TRANSFERS, 2 * processors), _MOST_TRANSFERS)
    compute = ThreadPoolExecutor(
        processors, thread_name_prefix="compute", initializer=interrupt_nobody
    )
    transfer = ThreadPoolExecutor(transfers, thread_name_prefix="transfer")
    try:
        yield Workers(compute, transfer, max(processors, _LEAST_AT_ONCE))
    finally:
        compute.shutdown(cancel_futures=True)
        transfer.shutdown(cancel_futures=True)
