"""Kills a process with SIGKILL at each mutating call of a series of puts, before and after it.

``python -m tests.storage.kill_matrix FOLDER RUNG`` prints one JSON object a line for each case:
the folder of its store, whether the child was killed, and the keys whose put had returned.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from pathlib import Path
from typing import Final, Literal

from tests.storage.local_stores import RUNGS, faulty_local_store
from tests.support.faulty_fs import FsFault

VALUES: Final = {
    "config": b"c" * 10,
    "packs/ab/one": b"1" * 100_000,
    "packs/ab/two": b"2" * 5000,
}


def killed_at(nth: int, when: Literal["before", "after"], root: Path, rung: str) -> bool:
    """Run one child, print what became of it, and return whether it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        store, _ = faulty_local_store(root, FsFault("kill", nth, when=when), lacks=RUNGS[rung])
        for key, value in VALUES.items():
            store.put(key, value)
            os.write(writer, key.encode() + b"\n")
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        done = lines.read().split()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if not killed and status != 0:
        raise SystemExit(f"a child ended with {status}")
    sys.stdout.write(json.dumps({"folder": str(root), "killed": killed, "done": done}) + "\n")
    return killed


def main() -> None:
    """Go on until a child survives."""
    folder, rung = sys.argv[1:]
    for nth in itertools.count(1):
        if not killed_at(nth, "before", Path(folder) / f"{nth}-before", rung):
            return
        killed_at(nth, "after", Path(folder) / f"{nth}-after", rung)


if __name__ == "__main__":
    main()
