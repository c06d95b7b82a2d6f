"""WAL of the repository that the settings name, for the commands that PostgreSQL runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from strongroom.app.machine import Run
from strongroom.app.walopening import opened_wal
from strongroom.errors import DamageError, UsageError
from strongroom.operations.wal.fetch import Fetcher, Wanted
from strongroom.operations.wal.fetchahead import FetchAhead
from strongroom.operations.wal.push import Pusher
from strongroom.repository.wal import Put, archive_of
from strongroom.repository.walgaps import WalGaps
from strongroom.repository.walparts import WithWal
from strongroom.repository.walsources import WalSources

_AHEAD_THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class PushReport:
    """A file that is in the repository; ``same``: it was there before."""

    name: str
    system_id: int
    size: int
    same: bool


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """Which file, and where it goes; ``writer``: only what that agent archived, or ``main``.

    ``ahead``: a folder that the segments after it go into, if it is one.
    """

    name: str
    destination: bytes
    system_id: int | None = None
    writer: str | None = None
    past_holes: bool = False
    ahead: bytes = b""


@dataclass(frozen=True, slots=True)
class FetchReport:
    """Whether a file was handed out; if not, it is proven that it is not there.

    ``ahead``: how many segments after it were.
    """

    name: str
    delivered: bool
    partial: bool
    ahead: int = 0


def push_file(run: Run, path: bytes, source: str | None) -> PushReport:
    """Archive the WAL file at ``path``."""
    name = source_of(run, source)
    with opened_wal(run) as repository:
        pusher = Pusher(archive_of(repository), WalSources(repository), run.machine.fs, name)
        done = pusher.push(path)
    return PushReport(done.name.text, done.cluster.system_id, done.size, done.put is Put.SAME)


def fetch_file(run: Run, request: FetchRequest, delivered: Callable[[], None]) -> FetchReport:
    """Hand out a WAL file; ``delivered`` is called when that is decided, before any ahead."""
    began = run.machine.clock.elapsed()
    with opened_wal(run) as repository:
        repository.keyring.require_reader()
        domains, archive, fs = (
            domains_of(repository, request.writer),
            archive_of(repository),
            run.machine.fs,
        )
        wanted = Wanted(
            request.name, request.destination, request.system_id, domains, request.past_holes
        )
        done = Fetcher(archive, WalGaps(repository), fs, run.sink).fetch(wanted)
        delivered()
        took, ahead = run.machine.clock.elapsed() - began, 0
        if request.ahead:
            with ThreadPoolExecutor(_AHEAD_THREADS) as threads:
                ahead = FetchAhead(archive, fs, request.ahead, domains).follow(done, threads, took)
    return FetchReport(done.name.text, done.delivered, done.partial, ahead)


def source_of(run: Run, name: str | None) -> str:
    """Return the name of a source of WAL: any name, or the only database of the configuration."""
    if name is not None:
        if not name or not name.isprintable() or len(name.encode()) > 255:  # noqa: PLR2004
            raise UsageError(f"--source {name!r} is no name of a source", hint="Such as db.")
        return name
    known = list(run.settings.databases)
    if len(known) == 1:
        return known[0]
    raise UsageError(
        "which source this is nobody said",
        hint=f"Give --source NAME ({', '.join(known) or 'any name that is the same every time'}).",
    )


def domains_of(repository: WithWal, writer: str | None) -> Sequence[bytes] | None:
    """Return the domain of the writer with this name; None for all."""
    if writer is None:
        return None
    for one in repository.writers.read_all().values():
        if not isinstance(one, DamageError) and one.name == writer.encode():
            return [one.domain_id]
    raise UsageError(
        f"no writer is called '{writer}'", hint="'strongroom key list' shows the agents."
    )
