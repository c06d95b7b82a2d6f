"""What a repository has of each cluster's WAL: timelines, ranges, gaps, and what can be reached."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from strongroom.errors import NotFoundError, UsageError
from strongroom.model.events import Advanced, PhaseBegan
from strongroom.postgres.wal.names import WalKind, WalName, format_lsn, parse_name, segment_name
from strongroom.postgres.wal.pages import Cluster
from strongroom.postgres.wal.ranges import Missing, TimelineExtent, WalExtent
from strongroom.repository.repository import Repository
from strongroom.repository.wal import StoredWal, archive_of
from strongroom.repository.walcheck import WalDamage, read_files
from strongroom.repository.walgaps import Gap, WalGaps
from strongroom.repository.walparts import WithWal
from strongroom.repository.walsources import WalSource, WalSources


class Window(NamedTuple):
    """WAL without a gap, on the way to ``timeline``: from ``first`` to the end of ``last``.

    A base backup that began in it can be recovered to any moment up to its end.
    """

    timeline: int
    first: str
    last: str
    segments: int


class ClusterWal(NamedTuple):
    """The WAL of one cluster; ``damaged``: histories and gaps that cannot be read, by key.

    ``recorded``: what is on record as never to come; what came all the same is in no gap.
    ``newest``: the segment that was stored last, as far as the store says when; ``stored``: when
    each one was, in nanoseconds.
    """

    cluster: Cluster
    sources: tuple[str, ...]
    extent: WalExtent
    gaps: tuple[Missing, ...]
    recorded: tuple[Gap, ...]
    windows: tuple[Window, ...]
    newest: StoredWal | None
    files: int
    stored_bytes: int
    damaged: dict[str, str]
    stored: dict[WalName, int]

    def record_of(self, gap: Missing) -> Gap | None:
        """Return the word that a gap never comes: one that covers all of it."""
        return next(
            (
                one
                for one in self.recorded
                if one.missing.timeline == gap.timeline
                and one.missing.first <= gap.first
                and gap.last <= one.missing.last
            ),
            None,
        )

    @property
    def timelines(self) -> list[TimelineExtent]:
        """The timelines, the oldest first."""
        return list(self.extent.timelines.values())

    def tree(self) -> Iterator[tuple[int, TimelineExtent]]:
        """Yield each timeline after the one that it left, with how many are before it."""
        lines = self.extent.timelines
        roots = [
            one for one in lines.values() if one.fork is None or one.fork.timeline not in lines
        ]
        waiting = [(0, one) for one in reversed(roots)]
        while waiting:
            depth, line = waiting.pop()
            yield depth, line
            children = [
                one for one in lines.values() if one.fork and one.fork.timeline == line.timeline
            ]
            waiting += [(depth + 1, one) for one in reversed(children)]

    def name(self, timeline: int, number: int) -> str:
        """Return the name of a segment."""
        return segment_name(timeline, number, self.cluster.segment_size).text

    @staticmethod
    def lsn(position: int) -> str:
        """Write a position as PostgreSQL does."""
        return format_lsn(position)


def survey(repository: WithWal, name: str | None, killed: Collection[str] = ()) -> list[ClusterWal]:
    """Look at every cluster, or at those that a source is or was, or that a system id names.

    What a collector ``killed`` counts as absent, though it may be listed yet.
    """
    known = WalSources(repository).all()
    wanted = clusters_named(known, archive_of(repository).systems(), name)
    return [_surveyed(repository, known, system_id, killed) for system_id in wanted]


def clusters_named(
    known: Sequence[WalSource], stored: Sequence[int], name: str | None
) -> list[int]:
    """Return the system ids that are meant; ``NotFoundError`` if a name is none."""
    if name is None:
        return sorted({*stored, *(one.cluster.system_id for one in known)})
    found = {one.cluster.system_id for one in known if one.name == name}
    if not found and name.isascii() and name.isdigit() and int(name) in stored:
        found = {int(name)}
    if not found:
        names = ", ".join(sorted({one.name for one in known})) or "none"
        raise NotFoundError(
            f"no source '{name}' has WAL in the repository (known: {names})",
            hint="A source is known from its first 'strongroom wal push' on.",
        )
    return sorted(found)


def _surveyed(
    repository: WithWal, known: Sequence[WalSource], system_id: int, killed: Collection[str]
) -> ClusterWal:
    archive = archive_of(repository)
    listed = [one for one in archive.files(system_id) if one.key not in killed]
    size = archive.segment_size(listed)
    said = [one for one in known if one.cluster.system_id == system_id]
    if said and not any(one.name.kind is WalKind.SEGMENT for one in listed):
        size = said[0].cluster.segment_size
    damaged: dict[str, str] = {}
    cluster = Cluster(system_id, size)
    recorded = WalGaps(repository).of(system_id, damaged)
    never = [one.missing for one in recorded if one.segment_size == size]
    extent = archive.extent(cluster, damaged, listed=listed, never=never)
    segments = [one for one in listed if one.name.kind is WalKind.SEGMENT]
    return ClusterWal(
        cluster=cluster,
        sources=tuple(sorted({one.name for one in said})),
        extent=extent,
        gaps=tuple(gaps_of(extent)),
        recorded=tuple(recorded),
        windows=tuple(windows_of(extent)),
        newest=max(
            segments, key=lambda one: (one.stored_ns or 0, one.name.number(size)), default=None
        ),
        files=len(listed),
        stored_bytes=sum(one.size for one in listed),
        damaged=damaged,
        stored={one.name: one.stored_ns for one in segments if one.stored_ns is not None},
    )


def gaps_of(extent: WalExtent) -> Iterator[Missing]:
    """Yield what is missing between segments that are there, or before a timeline that is there.

    And what is on record as never to come.
    What follows the place where a timeline was left is needed by nobody but itself.
    """
    for timeline, found in extent.timelines.items():
        for gap in found.gaps:
            yield Missing(timeline, gap.first, gap.last)
    seen: set[Missing] = set()
    for timeline, found in extent.timelines.items():
        first = first_on_way(extent, timeline)
        if found.last is None or first is None:
            continue
        for missing in extent.missing(timeline, first, found.last):
            there = extent.timelines.get(missing.timeline)
            inside = there is not None and any(
                one.first <= missing.first and missing.last <= one.last for one in there.gaps
            )
            if not inside and missing not in seen:
                seen.add(missing)
                yield missing
    for missing in extent.never:
        there = extent.timelines.get(missing.timeline)
        last = there.last if there is not None else None
        if missing not in seen and (last is None or last < missing.first):
            yield missing


def first_on_way(extent: WalExtent, timeline: int) -> int | None:
    """Return the number of the first segment that is there on the way to a timeline."""
    for step, begin, end in extent.path(timeline):
        for one in extent.timelines[step].ranges if step in extent.timelines else ():
            low = max(one.first, begin)
            if low <= one.last and (end is None or low <= end):
                return low
    return None


def windows_of(extent: WalExtent) -> Iterator[Window]:
    """Yield the stretches without a gap on the way to each timeline from which no other came."""
    parents = {one.fork.timeline for one in extent.timelines.values() if one.fork is not None}
    for timeline, found in extent.timelines.items():
        if timeline in parents and not _goes_on(extent, timeline):
            continue
        first, last = first_on_way(extent, timeline), found.last
        while first is not None and last is not None and first <= last:
            end = extent.reachable(timeline, first)
            if end is None:
                break
            yield Window(
                timeline,
                _on_way(extent, timeline, first),
                _on_way(extent, timeline, end),
                end - first + 1,
            )
            gap = extent.missing(timeline, end + 1, last)
            first = gap[0].last + 1 if gap else None


def _goes_on(extent: WalExtent, timeline: int) -> bool:
    """Whether a timeline has segments after all the places where others left it."""
    last = extent.timelines[timeline].last
    forks = [number for _, number in extent.descendants(timeline)]
    return last is not None and last > max(forks, default=-1)


def _on_way(extent: WalExtent, timeline: int, number: int) -> str:
    for step, begin, end in extent.path(timeline):
        if begin <= number and (end is None or number <= end):
            return segment_name(step, number, extent.segment_size).text
    raise ValueError(number)


class Checked(NamedTuple):
    """What a check of WAL read, and what is wrong with it; bytes are those in the store.

    ``known``: gaps that are on record as never to come.
    """

    files: int
    bytes_read: int
    damage: tuple[WalDamage, ...]
    gaps: tuple[Missing, ...]
    known: tuple[Missing, ...]


def check(
    repository: Repository, cluster: ClusterWal, first: str | None, last: str | None
) -> Checked:
    """Read every file of a cluster, or those between two names; ``UsageError``.

    Gaps count if they lie in between.
    """
    for text in (first, last):
        if text is not None and parse_name(text) is None:
            raise UsageError(
                f"{text!r} is no name of a WAL file", hint="Such as 000000010000000000000001."
            )
    archive = archive_of(repository)
    chosen = [
        one
        for one in archive.files(cluster.cluster.system_id)
        if (first or "") <= one.name.text and (last is None or one.name.text <= last)
    ]
    total = sum(one.size for one in chosen)
    repository.around.sink(PhaseBegan("read WAL", len(chosen), total))
    damage = []
    for one, error in read_files(repository, archive, chosen, read_data=True):
        if error is not None:
            damage.append(error)
        repository.around.sink(Advanced(1, one.size))
    gaps = [gap for gap in cluster.gaps if _between(gap, cluster, first, last)]
    known = tuple(gap for gap in gaps if cluster.record_of(gap) is not None)
    unknown = tuple(gap for gap in gaps if gap not in known)
    return Checked(len(chosen), total, tuple(damage), unknown, known)


def _between(gap: Missing, cluster: ClusterWal, first: str | None, last: str | None) -> bool:
    size = cluster.cluster.segment_size
    begin = segment_name(gap.timeline, gap.first, size).text
    end = segment_name(gap.timeline, gap.last, size).text
    return (first or "") <= end and (last is None or begin <= last)
