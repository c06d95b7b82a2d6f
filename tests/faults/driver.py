"""Runs the real program on a real folder in children that are killed with SIGKILL.

``python -m tests.faults.driver FOLDER WORK SERIES RUNG`` forks a child for every point of a series
until the series is over, and prints an ``Outcome`` as JSON for each. FOLDER holds ``base``
(``repository`` and ``state`` before the fault) and ``tree`` (what is backed up). WORK is ``init``,
THREADED or any name for a backup in one thread, which takes the same steps each time.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Literal, NamedTuple

from strongroom.clock import SystemClock
from strongroom.model.fs import Buffer, Fs
from strongroom.model.store import Store
from strongroom.sources.files.source import FilesSource
from strongroom.storage.local import LocalStore
from strongroom.storage.wrappers.forwarding import ForwardingStore, Verb
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.storage.local_stores import RUNGS
from tests.support.faulty_fs import MUTATING, FsFault, faulty_fs
from tests.support.faulty_store import Fault, FaultyStore
from tests.support.kit import Kit, threads

THREADED: Final = "with threads"
SERIES: Final = ("before", "after", "amid", "request")
DECIDING: Final = b"deciding"
FELT_NOTHING: Final = b"felt nothing"  # what it was to die after did not come off


class Case(NamedTuple):
    """One point at which a child dies; RUNG is a key of RUNGS."""

    work: str
    series: str
    rung: str
    nth: int


class Outcome(NamedTuple):
    """What became of a child: its folder, the snapshots it acknowledged, how far it came."""

    folder: str
    killed: bool
    acknowledged: list[str]
    deciding: bool
    is_last: bool


class _DiesAt:
    """``Faults``: the end of the process when the n-th request is made."""

    def __init__(self, nth: int) -> None:
        self._left = nth

    def next(self, verb: Verb, key: str) -> Fault | None:
        """See ``Faults``."""
        del verb, key
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return None


class _Telling(ForwardingStore):
    """Tells when the session begins to decide; from then on nobody knows how it ended."""

    def __init__(self, within: Store, teller: int) -> None:
        super().__init__(within)
        self._teller = teller

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        if key.startswith("commits/"):
            os.write(self._teller, DECIDING + b"\n")
        super().put(key, value)


def tree_source(tree: Path) -> FilesSource:
    """Return the source that the children back up."""
    return FilesSource(PosixFs(), SystemClock(), [os.fsencode(tree)], name="tree")


def main() -> None:
    """Go on until a child comes to its end because there is no such point any more."""
    folder, work, series, rung = sys.argv[1:]
    for nth in itertools.count(1):
        outcome = _run(Path(folder), Case(work, series, rung, nth))
        sys.stdout.write(json.dumps(outcome) + "\n")
        sys.stdout.flush()
        if outcome.is_last:
            return


def _run(folder: Path, case: Case) -> Outcome:
    here = folder / f"{case.series}-{case.nth}"
    shutil.copytree(folder / "base", here)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work_and_die(folder / "tree", here, case, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as lines:
        told = lines.read().splitlines()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if not killed and status != 0:
        raise SystemExit(f"the child of {case} ended with {status}")
    acknowledged = [line.decode() for line in told if line not in {DECIDING, FELT_NOTHING}]
    is_last = not killed and FELT_NOTHING not in told
    return Outcome(str(here), killed, acknowledged, DECIDING in told, is_last)


def _work_and_die(tree: Path, here: Path, case: Case, teller: int) -> None:
    try:
        fs, seen = faulty_fs(PosixFs(), *_faults(case), lacks=RUNGS[case.rung])
        kit = _kit(fs, here, case, teller)
        if case.work == "init":
            kit.init()
        else:
            snapshot_id = _backup(kit, tree, threaded=case.work == THREADED)
            os.write(teller, snapshot_id.encode() + b"\n")
        if case.series == "after" and seen.mutations >= case.nth:
            os.write(teller, FELT_NOTHING + b"\n")
        os._exit(0)
    except BaseException:  # noqa: BLE001 - nothing of this child may go on
        traceback.print_exc()
        os._exit(1)


def _backup(kit: Kit, tree: Path, *, threaded: bool) -> str:
    with ExitStack() as stack:
        if threaded:
            kit.workers = stack.enter_context(threads(2))
        return kit.backup_source(stack.enter_context(tree_source(tree))).snapshot.id


def _faults(case: Case) -> Iterator[FsFault]:
    if case.series == "amid":
        yield FsFault("kill", case.nth, calls=frozenset({"write"}), when="amid")
    elif case.series != "request":
        when: Literal["before", "after"] = "before" if case.series == "before" else "after"
        yield FsFault("kill", case.nth, calls=MUTATING, when=when)


def _kit(fs: Fs, here: Path, case: Case, teller: int) -> Kit:
    local = LocalStore(fs, str(here / "repository"), SystemRandomness())
    if case.work == "init":
        local.create_root()
    store: Store = _Telling(local, teller)
    if case.series == "request":
        store = FaultyStore(store, _DiesAt(case.nth))
    return Kit(store, here / "state", fs)


if __name__ == "__main__":
    main()
