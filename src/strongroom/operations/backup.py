"""Back up sources into one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from strongroom.chunking.cutter import ROWS, ChunkerParameters
from strongroom.clock import as_utc
from strongroom.model.events import Notice, PhaseBegan
from strongroom.model.snapshot import ListedSnapshot, Order, Snapshot, SourceRecord
from strongroom.model.source import ArrivingSource, Problem, Source
from strongroom.operations.anomalies import Anomaly, Current, Earlier, anomalies
from strongroom.repository.arriving import Arriving
from strongroom.repository.ingest import Ingest
from strongroom.repository.lastwalk import LastWalk, new_walk
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.repository import Repository
from strongroom.repository.session import BackupSession, Stored
from strongroom.repository.tally import Tally
from strongroom.repository.writer import Written

_OF_ROWS: Final = frozenset({"postgres"})
_OF_DATABASES: Final = _OF_ROWS | {"postgres-cluster"}
_FAST_LEVEL: Final = 1  # of rows and pages: two to four times as fast, and about as small
_COMPARED: Final = 60  # snapshots, of all sources and hosts, that a new one is compared with


class Circumstances(NamedTuple):
    """Who backs up, and as what; times come from the clock, but for ``when``.

    ``series``: what the snapshot is called if it has no ``name``: this, and when it began.
    ``level``: how hard zstd tries, 1 to 19; None for the usual. ``when``: begin and end, in
    nanoseconds since 1970, of what was captured before and elsewhere.
    """

    host: str
    user: str
    program: str
    tags: Sequence[str] = ()
    name: str = ""
    environment: str = ""
    type: str = "files"
    level: int | None = None
    when: tuple[int, int] | None = None
    series: str = ""


class Captured(NamedTuple):
    """What became of one source. ``changed``: entries that the last walk knew as something else."""

    record: SourceRecord
    tally: Tally
    changed: int = 0
    changed_files: int = 0


Capture = Callable[[BackupSession], Captured]


class Seen(NamedTuple):
    """Entries of a source: how many the last backup had, and how many of those are gone."""

    before: int
    gone: int


class PlannedSource(NamedTuple):
    """A source, and the paths a person named.

    ``order``: how its items are sorted. ``accept``: is told what the source came to before it is
    committed, and raises what speaks against that. ``position``: what it says in the record.
    """

    source: Source
    paths: Sequence[bytes]
    order: Order = Order.COMPONENTS
    accept: Callable[[Seen], None] | None = None
    position: bytes = b""


class PlannedArrivals(NamedTuple):
    """A source whose files are being made, and the paths that they will have.

    ``position`` gives, when all came, what it says of its moment. ``begins`` is told of the session
    that it is saved into, before anything comes.
    """

    source: ArrivingSource
    paths: Sequence[bytes]
    position: Callable[[], bytes] | None = None
    begins: Callable[[BackupSession], None] | None = None


Planned = PlannedSource | PlannedArrivals


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What a backup came to. ``stored``: the objects that hold what was new, and its commit."""

    snapshot: ListedSnapshot
    written: Written
    stored: Sequence[Stored]
    tallies: tuple[Tally, ...]
    seconds: float
    changed: int = 0
    anomalies: tuple[Anomaly, ...] = ()

    @property
    def problems(self) -> list[Problem]:
        """Everything that was not saved as asked."""
        return [problem for tally in self.tallies for problem in tally.problems]


def back_up(
    repository: Repository,
    sources: Sequence[Planned],
    circumstances: Circumstances,
    walks: LocalFiles,
) -> BackupResult:
    """Capture every source and commit. Any error before the commit leaves nothing committed."""

    def capture(planned: Planned) -> Capture:
        def captured(session: BackupSession) -> Captured:
            session.use_level(circumstances.level or level_of(planned.source.kind))
            if isinstance(planned, PlannedArrivals):
                return _take_arrivals(repository, session, planned)
            return _capture(repository, session, planned, walks)

        return captured

    return save_snapshot(repository, [capture(planned) for planned in sources], circumstances)


def save_snapshot(
    repository: Repository, captures: Sequence[Capture], circumstances: Circumstances
) -> BackupResult:
    """Make one snapshot of what each of ``captures`` saves into the session that it is given.

    Any error before the commit leaves nothing committed.
    """
    clock = repository.around.clock
    started_ns, began = clock.now_ns(), clock.elapsed()
    level = circumstances.level
    session = BackupSession(repository, level) if level else BackupSession(repository)
    try:
        session.begin()
        captured = [capture(session) for capture in captures]
        began_ns, ended_ns = circumstances.when or (started_ns, clock.now_ns())
        snapshot = Snapshot(
            name=_bytes(circumstances.name or _name_in(circumstances.series, began_ns)),
            environment=_bytes(circumstances.environment),
            type=_bytes(circumstances.type),
            host=_bytes(circumstances.host),
            user=_bytes(circumstances.user),
            tags=tuple(map(_bytes, circumstances.tags)),
            started_ns=began_ns,
            ended_ns=ended_ns,
            program=_bytes(circumstances.program),
            sources=tuple(one.record for one in captured),
        )
        repository.around.sink(PhaseBegan("commit"))
        listed = session.commit(snapshot)
    except BaseException:
        session.give_up()
        raise
    written = session.writer.written
    recent = repository.recent_snapshots(session.history, _COMPARED)
    return BackupResult(
        listed,
        written,
        session.stored,
        tuple(one.tally for one in captured),
        clock.elapsed() - began,
        sum(one.changed for one in captured),
        tuple(_unusual(recent, captured, listed, written.plain_bytes)),
    )


def _name_in(series: str, began_ns: int) -> str:
    return f"{series}-{as_utc(began_ns):%Y%m%d_%H%M%S}" if series else ""


def level_of(kind: str) -> int | None:
    """Return how hard zstd tries for what a source of this kind holds; None for the usual."""
    return _FAST_LEVEL if kind in _OF_DATABASES else None


def chunking_of(repository: Repository, kind: str) -> ChunkerParameters:
    """Return how the files of a source of this kind are cut."""
    if kind in _OF_ROWS:
        return ROWS
    return ChunkerParameters(*msgspec.structs.astuple(repository.config.core.chunking))


def _unusual(
    earlier: Sequence[ListedSnapshot],
    captured: Sequence[Captured],
    listed: ListedSnapshot,
    added: int,
) -> Iterator[Anomaly]:
    """Yield what is unusual about each source beside its own past.

    ``added`` bytes are those of all sources: of one, at most what was read of it.
    """
    for one in captured:
        record, counts = one.record, one.record.counts
        past = [
            Earlier(snapshot.started_ns, source.root, source.counts.files, source.counts.bytes)
            for snapshot in (e.snapshot for e in earlier if e.writer == listed.writer)
            for source in snapshot.sources
            if (source.name, source.kind) == (record.name, record.kind)
        ]
        started_ns = listed.snapshot.started_ns
        sizes = counts.files, counts.bytes
        now = Current(
            started_ns, record.root, *sizes, one.changed_files, min(added, one.tally.bytes_read)
        )
        yield from anomalies(past, now)


def _bytes(text: str) -> bytes:
    """Encode what a person or the system said, which need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _capture(
    repository: Repository, session: BackupSession, planned: PlannedSource, walks: LocalFiles
) -> Captured:
    around = repository.around
    around.sink(PhaseBegan("backup"))
    ingest = Ingest(session, chunking_of(repository, planned.source.kind), around, planned.order)
    name = f"walks/{planned.source.kind}-{planned.source.name}"
    last = LastWalk(walks, name, planned.order)
    with new_walk(walks, name) as walk:
        record = ingest.run(planned.source, last, walk)
        if planned.accept is not None:
            planned.accept(_seen(repository, session, record, last))
    if walk.failure is not None:
        around.sink(Notice(f"warning: the next backup reads everything again: {walk.failure}"))
    paths = tuple(planned.paths)
    record = msgspec.structs.replace(record, paths=paths, position=planned.position)
    return Captured(record, ingest.tally, last.changed, last.changed_files)


def _seen(
    repository: Repository, session: BackupSession, record: SourceRecord, last: LastWalk
) -> Seen:
    """Compare with what this host remembers, else with what the last snapshot says."""
    gone = last.gone()
    if last.known:
        return Seen(last.known, gone)
    earlier = [
        source.counts.entries
        for listed in repository.recent_snapshots(session.history, _COMPARED)
        for source in listed.snapshot.sources
        if (source.name, source.kind) == (record.name, record.kind)
    ]
    before = earlier[-1] if earlier else 0
    return Seen(before, max(before - record.counts.entries, 0))


def _take_arrivals(
    repository: Repository, session: BackupSession, planned: PlannedArrivals
) -> Captured:
    around = repository.around
    around.sink(PhaseBegan("backup"))
    parameters = chunking_of(repository, planned.source.kind)
    arriving = Arriving(session, parameters, around.sink)
    if planned.begins is not None:
        planned.begins(session)
    record = arriving.run(planned.source)
    position = planned.position() if planned.position is not None else b""
    record = msgspec.structs.replace(record, paths=tuple(planned.paths), position=position)
    return Captured(record, arriving.tally)
