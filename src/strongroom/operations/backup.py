"""Back up sources into one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from strongroom.chunking.cutter import ChunkerParameters
from strongroom.errors import StrongroomError
from strongroom.model.events import Notice, PhaseBegan
from strongroom.model.snapshot import ListedSnapshot, Snapshot, SourceRecord
from strongroom.model.source import Problem, Source
from strongroom.repository.ingest import Ingest, Tally
from strongroom.repository.lastwalk import LastWalk, new_walk
from strongroom.repository.localfiles import LocalFiles
from strongroom.repository.repository import Repository
from strongroom.repository.session import BackupSession
from strongroom.repository.writer import Written


class Circumstances(NamedTuple):
    """Who backs up, and as what; times come from the clock."""

    host: str
    user: str
    program: str
    tags: Sequence[str] = ()
    name: str = ""
    environment: str = ""
    type: str = "files"


class PlannedSource(NamedTuple):
    """A source, and the paths a person named."""

    source: Source
    paths: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class BackupResult:
    """What a backup came to."""

    snapshot: ListedSnapshot
    written: Written
    tallies: tuple[Tally, ...]
    seconds: float

    @property
    def problems(self) -> list[Problem]:
        """Everything that was not saved as asked."""
        return [problem for tally in self.tallies for problem in tally.problems]


def back_up(
    repository: Repository,
    sources: Sequence[PlannedSource],
    circumstances: Circumstances,
    walks: LocalFiles,
) -> BackupResult:
    """Capture every source and commit. Any error before the commit leaves nothing committed."""
    clock = repository.around.clock
    started_ns, began = clock.now_ns(), clock.elapsed()
    session = BackupSession(repository)
    try:
        session.begin()
        captured = [_capture(repository, session, planned, walks) for planned in sources]
        snapshot = Snapshot(
            name=_bytes(circumstances.name),
            environment=_bytes(circumstances.environment),
            type=_bytes(circumstances.type),
            host=_bytes(circumstances.host),
            user=_bytes(circumstances.user),
            tags=tuple(map(_bytes, circumstances.tags)),
            started_ns=started_ns,
            ended_ns=clock.now_ns(),
            program=_bytes(circumstances.program),
            sources=tuple(record for record, _ in captured),
        )
        repository.around.sink(PhaseBegan("commit"))
        listed = session.commit(snapshot)
    except BaseException:
        _give_up(session, repository)
        raise
    tallies = tuple(tally for _, tally in captured)
    return BackupResult(listed, session.writer.written, tallies, clock.elapsed() - began)


def _bytes(text: str) -> bytes:
    """Encode what a person or the system said, which need not be UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _give_up(session: BackupSession, repository: Repository) -> None:
    """Put our own ABORT; the error that brought us here matters more than one on the way out."""
    try:
        session.abort()
    except StrongroomError as error:
        repository.around.sink(Notice(f"the session could not be closed: {error}"))


def _capture(
    repository: Repository, session: BackupSession, planned: PlannedSource, walks: LocalFiles
) -> tuple[SourceRecord, Tally]:
    around = repository.around
    around.sink(PhaseBegan("backup"))
    parameters = ChunkerParameters(*msgspec.structs.astuple(repository.config.core.chunking))
    ingest = Ingest(session, parameters, around)
    name = f"walks/{planned.source.kind}-{planned.source.name}"
    with new_walk(walks, name) as walk:
        record = ingest.run(planned.source, LastWalk(walks, name), walk)
    if walk.failure is not None:
        around.sink(Notice(f"warning: the next backup reads everything again: {walk.failure}"))
    record = msgspec.structs.replace(record, paths=tuple(planned.paths))
    return record, ingest.tally
