"""The repository that schedules and stopped collections begin with."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

from strongroom.clock import ManualClock
from strongroom.repository import layout
from strongroom.storage.memory import MemoryStore
from tests.faults.workloads import die_at_put, objects_of
from tests.support.hooks import HookedStore
from tests.support.invariants import Files
from tests.support.kit import DAY_NS, Kit
from tests.support.noise import noise
from tests.support.randomness import SeededRandomness

START_NS: Final = 1_700_000_000_000_000_000
POOL: Final = {b"f%d" % number: noise(400, f"file {number}") for number in range(8)}

BACKUPS: Final = [[0, 1], [1, 2], [2, 3], [0, 3, 4], [4, 5], [5, 6], [0, 6], [1, 4, 6], [2, 5]]
"""Which files of the pool each backup of the base has; none has the last one."""
FORGOTTEN: Final = (0, 2, 4, 5)


def files_of(numbers: Iterable[int]) -> dict[bytes, bytes]:
    """Return files of the pool."""
    names = list(POOL)
    return {names[number]: POOL[names[number]] for number in numbers}


@dataclass(frozen=True, slots=True)
class Base:
    """The repository that schedules begin with.

    ``snapshots``: files by id; ``forgotten`` ones among them.
    """

    objects: Mapping[str, bytes]
    state: Path
    snapshots: Mapping[str, Files]
    forgotten: frozenset[str]


@cache
def base() -> Base:
    """Make the repository once: snapshots wanted and not, chunks that lie twice, dead sessions."""
    folder = Path(tempfile.mkdtemp(prefix="strongroom-schedules-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    clock = ManualClock(START_NS - 3 * DAY_NS)
    store = HookedStore(MemoryStore(clock=clock))
    kits = [_seeded(Kit(store, folder / name), seed, clock) for seed, name in enumerate("ab")]
    kits[0].init()
    snapshots: dict[str, Files] = {}

    def back_up(kit: Kit, numbers: list[int]) -> None:
        snapshots[kit.backup(files_of(numbers)).snapshot.id] = files_of(numbers)

    for numbers in BACKUPS[:4]:
        back_up(kits[0], numbers)
    store.before("put", layout.PACKS, partial(back_up, kits[1], BACKUPS[4]))
    for numbers in BACKUPS[5:]:
        back_up(kits[0], numbers)
    die_at_put(kits[0], files_of([0, 7]), layout.INDEX)
    die_at_put(kits[0], files_of([3, 7]), layout.COMMITS)
    ids = list(snapshots)
    forgotten = frozenset(ids[number] for number in FORGOTTEN)
    kits[0].forget(*sorted(forgotten))
    return Base(objects_of(store), folder / "a", snapshots, forgotten)


def _seeded(kit: Kit, seed: int, clock: ManualClock) -> Kit:
    kit.clock = clock
    kit.randomness = SeededRandomness(seed)
    return kit
