"""Runs real writers beside each other in processes of their own, on one local store.

``python -m tests.faults.writers FOLDER frozen WHO``: one writer is stopped with SIGSTOP at each of
its requests in turn, while another begins and ends; prints a ``Meeting`` as JSON for each point.
``… FOLDER together WHO``: four writers with threads begin at the same moment, several times. WHO is
``same`` (one source, one host) or ``different``. FOLDER/base is copied for every meeting.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

from strongroom.storage.local import LocalStore
from strongroom.storage.wrappers.forwarding import Verb
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.faults.workloads import SECOND, THIRD, Files
from tests.support.faulty_store import Fault, FaultyStore
from tests.support.kit import Kit, threads

ROUNDS: Final = 5
WRITERS: Final = 4


class Meeting(NamedTuple):
    """What came of it: its folder, the snapshots in the order they were told, whether one froze."""

    folder: str
    snapshots: list[tuple[str, int]]
    froze: bool


class _FreezesAt:
    """``Faults``: this process stops at the n-th request until somebody lets it go on."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def next(self, verb: Verb, key: str) -> Fault | None:
        """See ``Faults``."""
        del verb, key
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        return None


def files_of(number: int, who: str) -> Files:
    """Return what writer ``number`` backs up; with the same source, the same for all."""
    if who == "same":
        return SECOND
    return (SECOND if number % 2 else THIRD) | {b"own/%d" % number: b"of writer %d\n" % number}


def _kit(here: Path, number: int, who: str) -> Kit:
    store = LocalStore(PosixFs(), str(here / "repository"), SystemRandomness())
    return Kit(store, here / ("state" if who == "same" else f"state {number}"))


def _started(work: Callable[[], str]) -> tuple[int, int]:
    """Fork a child that works and tells the id of its snapshot; (pid, descriptor to read it)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _work(work, writer)
    os.close(writer)
    return child, reader


def _work(work: Callable[[], str], teller: int) -> NoReturn:
    try:
        os.write(teller, work().encode())
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing of this child may go on
        traceback.print_exc()
        os._exit(1)


def _ended(child: int, reader: int) -> str:
    """Wait for a child, and return what it told."""
    with os.fdopen(reader) as told:
        snapshot_id = told.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise SystemExit(f"a writer ended with {status}")
    return snapshot_id


def _frozen(here: Path, nth: int, who: str) -> Meeting:
    slow, fast = _kit(here, 0, who), _kit(here, 1, who)
    slow.store = FaultyStore(slow.store, _FreezesAt(nth))
    child, reader = _started(lambda: slow.backup(files_of(0, who), who).snapshot.id)
    _, status = os.waitpid(child, os.WUNTRACED)
    froze = os.WIFSTOPPED(status)
    if not froze:
        if status != 0:
            raise SystemExit(f"a writer ended with {status}")
        with os.fdopen(reader) as told:
            return Meeting(str(here), [(told.read(), 0)], froze)
    try:
        other = _ended(*_started(lambda: fast.backup(files_of(1, who), who).snapshot.id))
    finally:
        os.kill(child, signal.SIGCONT)
    return Meeting(str(here), [(other, 1), (_ended(child, reader), 0)], froze)


def _together(here: Path, who: str) -> Meeting:
    gate_out, gate_in = os.pipe()

    def work(number: int) -> str:
        os.close(gate_in)
        os.read(gate_out, 1)  # ends for all when the last end of the gate is closed
        kit = _kit(here, number, who)
        with threads(2) as workers:
            kit.workers = workers
            return kit.backup(files_of(number, who), who).snapshot.id

    children = [_started(partial(work, number)) for number in range(WRITERS)]
    os.close(gate_out)
    os.close(gate_in)
    told = [(_ended(*child), number) for number, child in enumerate(children)]
    return Meeting(str(here), told, froze=False)


def _tell(meeting: Meeting) -> None:
    sys.stdout.write(json.dumps(meeting) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Let them meet, in every way asked for."""
    folder, how, who = sys.argv[1:]
    for number in itertools.count(1):
        here = Path(shutil.copytree(Path(folder) / "base", Path(folder) / str(number)))
        if how == "together":
            _tell(_together(here, who))
            if number == ROUNDS:
                return
        else:
            meeting = _frozen(here, number, who)
            _tell(meeting)
            if not meeting.froze:
                return


if __name__ == "__main__":
    main()
