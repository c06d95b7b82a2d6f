"""A store that is far away: how much of its line a backup, a restore and a check use."""

from __future__ import annotations

import os
import platform
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import data, far_bucket
from strongroom.app.machine import Machine, this_machine, worker_threads
from strongroom.model.events import ignore
from strongroom.model.store import Store
from strongroom.operations.backup import Circumstances, PlannedSource, back_up
from strongroom.operations.init import init
from strongroom.operations.restore import restore
from strongroom.operations.verify import verify
from strongroom.repository.localfiles import FileCache, LocalFiles
from strongroom.repository.opening import read_config
from strongroom.repository.records import SlotKind
from strongroom.repository.repository import Repository, Surroundings
from strongroom.repository.slots import Secret
from strongroom.repository.unlocking import unlock
from strongroom.restore.files.begin import TargetOptions, begin
from strongroom.sources.files.source import FilesSource
from strongroom.storage.local import LocalStore
from strongroom.storage.wrappers.latency import LatencyStore
from strongroom.storage.wrappers.metered import MeteredStore

SETS = ("random", "python")
SECONDS = 0.03
BANDWIDTH = 100e6
BUCKET_BANDWIDTH = 50e6  # a faster one would measure the server
_SECRET = Secret(SlotKind.KEY_FILE, b"a key of thirty-two bytes, fixed")
_RANDOM_BYTES = 1_000_000_000
_HEAD = f"""# A store that is far away

Made by `./run bench latency` on {{date:%Y-%m-%d}}: {SECONDS * 1000:.0f} ms are added to every
request, and all requests share a line of {BANDWIDTH / 1e6:.0f} MB/s. {os.cpu_count()} processors,
Python {{python}}; one run each. *Near* is the same without the line, which no line can be faster
than."""
_BUCKET = f"""The same in a bucket, by commands as they are typed, start included. A line before
moto, a server in Python that shares the processors, carries {BUCKET_BANDWIDTH / 1e6:.0f} MB/s each
way for all connections, and makes all that comes back {SECONDS * 1000:.0f} ms late."""


@dataclass(frozen=True)
class Step:
    """One verb: seconds of wall time and of processor, requests, bytes over the line."""

    name: str
    wall: float
    cpu: float
    requests: int
    moved: int

    @property
    def share(self) -> float:
        """How much of the line was used, from 0 to 1."""
        return self.moved / BANDWIDTH / self.wall


class _Host:
    """One host with a repository on a store that is far away."""

    def __init__(self, machine: Machine, work: Path, *, far: bool) -> None:
        self._machine = machine
        self._work = work
        repo = work / "repo"
        repo.mkdir()
        within: Store = LocalStore(machine.fs, str(repo), machine.randomness)
        if far:
            within = LatencyStore(within, machine.clock, seconds=SECONDS, bandwidth=BANDWIDTH)
        self.meter = MeteredStore(within)
        self._state = LocalFiles(machine.fs, os.fsencode(work / "state"), machine.randomness)

    @contextmanager
    def open(self) -> Iterator[Repository]:
        """Open the repository as a command does."""
        config = read_config(self.meter)
        keyring = unlock(self.meter, config, [_SECRET], lambda _text: None)
        machine = self._machine
        with worker_threads() as workers:
            cache = FileCache(self._state.below("cache"))
            around = Surroundings(
                machine.clock, machine.randomness, workers, cache, self._state, ignore
            )
            yield Repository(self.meter, config, keyring, around)

    def init(self) -> None:
        machine = self._machine
        now = machine.clock.now_ns()
        init(self.meter, _SECRET, machine.randomness, now, self._state)

    def backup(self, source: Path) -> None:
        machine = self._machine
        files = FilesSource(machine.fs, machine.clock, [os.fsencode(source)], name="bench")
        planned = [PlannedSource(files, [os.fsencode(source)])]
        with files, self.open() as repository:
            back_up(repository, planned, Circumstances("h", "u", "bench"), self._state)

    def restore(self) -> None:
        out = self._work / "out"
        machine = self._machine
        problems: list[object] = []
        path = os.fsencode(out)
        with self.open() as repository:
            target = begin(machine.fs, path, problems.append, machine.randomness, TargetOptions())
            with closing(target):
                result = restore(repository, repository.snapshots()[-1], target)
        if problems or result.damaged:
            raise RuntimeError(f"the restore was not whole: {problems or result.damaged}")

    def verify(self) -> None:
        with self.open() as repository:
            verify(repository, None, None, read_data=True)


def _timed(host: _Host, name: str, act: Callable[[], None]) -> Step:
    os.sync()
    before = [sum(column) for column in zip(*host.meter.snapshot().values(), strict=True)]
    usage, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    act()
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    now = [sum(column) for column in zip(*host.meter.snapshot().values(), strict=True)]
    requests, _, sent, received = (a - b for a, b in zip(now, before or [0, 0, 0, 0], strict=True))
    return Step(name, wall, cpu, requests, sent + received)


def _make(name: str, folder: Path) -> str:
    if name != "random":
        return data.make(name, folder)
    rng = random.Random(22)
    for number in range(10):
        with folder.joinpath(f"random-{number}.bin").open("wb") as out:
            for _ in range(10):
                out.write(rng.randbytes(_RANDOM_BYTES // 100))
    return f"random bytes, which nothing makes smaller: 10 files, {_RANDOM_BYTES / 1e6:,.0f} MB"


def _measured(work: Path, source: Path, *, far: bool) -> list[Step]:
    for name in ("repo", "state", "out"):
        shutil.rmtree(work / name, ignore_errors=True)
    host = _Host(this_machine(), work, far=far)
    host.init()
    return [
        _timed(host, "backup", lambda: host.backup(source)),
        _timed(host, "restore", host.restore),
        _timed(host, "verify --read-data", host.verify),
    ]


def run(work: Path, *, sets: Sequence[str] | None) -> str:
    """Measure and return the page: each set over the line, and beside it without one."""
    lines = [_HEAD.format(date=datetime.now(UTC), python=platform.python_version())]
    for name in sets or SETS:
        with tempfile.TemporaryDirectory(dir=work) as folder:
            source = Path(folder) / "data"
            source.mkdir()
            described = _make(name, source)
            in_bucket = far_bucket.measured(Path(folder), source, SECONDS, BUCKET_BANDWIDTH)
            far = _measured(Path(folder), source, far=True)
            near = _measured(Path(folder), source, far=False)
        lines += [
            "",
            f"## {name}: {described}",
            "",
            "| verb | seconds | MB over the line | of the line | requests | processor s | near s |",
            "|---|---|---|---|---|---|---|",
            *(
                f"| {a.name} | {a.wall:.2f} | {a.moved / 1e6:.0f} | {a.share:.0%} | {a.requests:,} "
                f"| {a.cpu:.2f} | {b.wall:.2f} |"
                for a, b in zip(far, near, strict=True)
            ),
            "",
            _BUCKET,
            "",
            "| command | seconds | MB over the line | of the line | processor s |",
            "|---|---|---|---|---|",
            *in_bucket,
        ]
    return "\n".join([*lines, ""])
