"""Base backups that no server made: what counts of them here is where they begin and end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

from strongroom.model.source import Part, Problem, Report
from strongroom.operations.backup import BackupResult, Circumstances, PlannedArrivals, back_up
from strongroom.operations.clusters import WalInSession
from strongroom.postgres.cluster import KIND, VERSION, Position
from strongroom.repository.wal import archive_of
from strongroom.sources.made import made_file
from tests.support.kit import Kit
from tests.support.wal import CLUSTER, SIZE, SYSTEM, numbered, segment

DATA = b"cluster/db/data/PG_VERSION"


def position_of(first: int, last: int, *, timeline: int = 1, system: int = SYSTEM) -> Position:
    """Return where a base backup begins and ends, by numbers of segments."""
    start, stop = first * SIZE + 40, last * SIZE + 400
    return Position(VERSION, system, 15, timeline, start, stop, 1, 2, SIZE, False)  # noqa: FBT003


def archive(kit: Kit, numbers: Iterable[int], timeline: int = 1) -> None:
    """Archive segments."""
    wal = archive_of(kit.open())
    for number in numbers:
        name = numbered(number, timeline)
        wal.put(CLUSTER, name, segment(name, filled=50))


def content_of(position: Position) -> bytes:
    """Return the bytes of the one file that is in a base backup."""
    return b"%d of %d\n" % (position.start, position.timeline)


class Taken:
    """An arriving source: one file, then the WAL is waited for as a real one does.

    Without ``wal`` nothing is told of it, and nothing waited for.
    """

    kind = KIND

    def __init__(
        self,
        position: Position,
        wal: WalInSession | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = "db"
        self._position = position
        self._wal = wal
        self._meanwhile = meanwhile
        self.broken = False

    def arrivals(self, report: Report) -> Generator[Part | None, None, None]:
        """See ``ArrivingSource``."""
        one = self._position
        if self._wal is not None:
            self._wal.began(one.system, one.timeline, one.start)
        data = content_of(one)
        yield Part(DATA, data, made_file(DATA, len(data), 0))
        if self.broken:
            report(Problem(DATA, "a page is damaged", missing=False))
        self._meanwhile()
        if self._wal is not None:
            self._wal.wait(one, 0)


def base_backup(
    kit: Kit,
    position: Position,
    *,
    broken: bool = False,
    meanwhile: Callable[[], object] = lambda: None,
) -> BackupResult:
    """Make a base backup; ``meanwhile`` happens when all but the WAL came."""
    kit.clock.sleep(1)
    repository = kit.open()
    wal = WalInSession(archive_of(repository), kit.clock)
    source = Taken(position, wal, meanwhile)
    source.broken = broken
    planned = PlannedArrivals(source, [b"/cluster/db"], position.encoded, wal.begins)
    circumstances = Circumstances("host", "user", "strongroom test")
    return back_up(repository, [planned], circumstances, kit.state)
