"""Which base backup a recovery begins with, and which WAL it needs: decided before anything. Pure.

PostgreSQL itself would accept a target before the end of the backup and stop wherever it is
consistent, promote short of the target where WAL is missing, and fail after hours where the target
lies beyond the WAL. So all of that is refused here, with what can be reached.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from strongroom.clock import rfc3339
from strongroom.errors import NotFoundError, RefusedError, StrongroomError, UsageError
from strongroom.postgres.cluster import Position
from strongroom.postgres.wal.history import leads_through
from strongroom.postgres.wal.names import format_lsn, segment_name
from strongroom.postgres.wal.ranges import Missing, WalExtent

_SHOWN: Final = 5


class TargetKind(enum.Enum):
    """What a recovery stops at."""

    LATEST = "latest"
    TIME = "time"
    LSN = "lsn"
    XID = "xid"
    NAME = "name"


class RecoveryTarget(NamedTuple):
    """Where a recovery stops. ``value``: a time in nanoseconds, or an LSN; ``text``: as it is told.

    ``exclusive``: just before it. ``timeline``: the one to follow; None: the newest.
    """

    kind: TargetKind
    text: str = ""
    value: int = 0
    exclusive: bool = False
    timeline: int | None = None

    @property
    def shown(self) -> str:
        """How a person reads it."""
        if self.kind is TargetKind.LATEST:
            return "the latest moment"
        return f"{self.kind.value} {self.text}"


class _DivergedError(RefusedError):
    """The newest backup is not on the way to the newest timeline; an older one is no answer."""


class Candidate(NamedTuple):
    """A base backup that a recovery may begin with, by the short id of its snapshot."""

    id: str
    position: Position


class Wal(NamedTuple):
    """What WAL there is beside that in backups. ``stored_ns``: when a segment was archived.

    ``extent_of`` gives all that a recovery from a backup can read.
    """

    extent_of: Callable[[Position], WalExtent]
    stored_ns: Callable[[int, int], int | None]


class Way(NamedTuple):
    """How a target is reached: numbers of segments from the first that is needed to the last.

    ``timeline``: the one that is followed. ``is_end``: the target is the end of the backup.
    ``before_hole``: behind the last segment one is missing, and later ones are there.
    """

    candidate: Candidate
    timeline: int
    first: int
    last: int
    is_end: bool
    before_hole: bool = False

    def names(self) -> tuple[str, str]:
        """Return the names of the first and the last segment."""
        position = self.candidate.position
        size = position.segment_size
        last = self.timeline if not self.is_end else position.timeline
        return (
            segment_name(position.timeline, self.first, size).text,
            segment_name(last, self.last, size).text,
        )


def find_way(
    candidates: Sequence[Candidate], wal: Wal, target: RecoveryTarget, now_ns: int, *, named: bool
) -> Way:
    """Return how to reach a target; the error says what can be reached instead.

    ``candidates`` come in the order of their moments; ``named``: a person named the only one.
    """
    if not candidates:
        raise NotFoundError(
            "there is no base backup to recover from",
            hint="Make one: physical = true in the source, and 'strongroom backup NAME'.",
        )
    if target.kind is TargetKind.TIME and target.value > now_ns:
        raise _unreachable(f"{target.text} is in the future", candidates, wal)
    if target.kind in {TargetKind.XID, TargetKind.NAME} and not named and len(candidates) > 1:
        raise UsageError(
            f"no backup says whether it is before {target.shown}",
            hint="Name the base backup to begin with: --snapshot, one of "
            + ", ".join(f"{one.id} ({rfc3339(one.position.stopped_ns)})" for one in candidates),
        )
    eligible = [one for one in candidates if _is_before(one.position, target)]
    if not eligible:
        raise NotFoundError(
            f"no base backup ended before {target.shown}", hint=_windows(candidates, wal)
        )
    reasons: list[StrongroomError] = []
    for candidate in reversed(eligible):
        try:
            return _way(candidate, candidates, wal, target)
        except _DivergedError:
            raise
        except StrongroomError as error:
            reasons.append(error)
    raise reasons[0]


def _is_before(position: Position, target: RecoveryTarget) -> bool:
    if target.kind is TargetKind.TIME:
        return position.stopped_ns <= target.value
    if target.kind is TargetKind.LSN:
        return position.stop <= target.value
    return True


def _way(
    candidate: Candidate, candidates: Sequence[Candidate], wal: Wal, target: RecoveryTarget
) -> Way:
    """Return the way from one backup; an error if there is none."""
    position = candidate.position
    extent = wal.extent_of(position)
    timeline = _timeline(candidate, extent, target)
    first, end = position.first_segment, position.last_segment
    reached = extent.reachable(timeline, first)
    if reached is None or reached < end:
        missing = extent.missing(position.timeline, first, end)
        raise RefusedError(
            f"base backup {candidate.id} needs WAL that is not there: "
            + _named(missing, position.segment_size),
            hint=_windows(candidates, wal),
        )
    hole = _hole(extent, timeline, reached)
    _check_reach(candidate, wal, target, (timeline, reached), hole, candidates)
    is_end = (target.kind is TargetKind.LATEST and reached == end) or (
        target.kind is TargetKind.LSN and target.value == position.stop
    )
    return Way(candidate, timeline, first, reached, is_end, bool(hole))


def _hole(extent: WalExtent, timeline: int, reached: int) -> list[Missing]:
    """Return what is missing behind a segment: later ones are there, or it never comes."""
    own = extent.timelines.get(timeline)
    if own is None or own.last is None or own.last <= reached:
        return extent.never_after(timeline, reached)
    return extent.missing(timeline, reached + 1, own.last)


def _check_reach(
    candidate: Candidate,
    wal: Wal,
    target: RecoveryTarget,
    reach: tuple[int, int],
    hole: Sequence[Missing],
    candidates: Sequence[Candidate],
) -> None:
    """``RefusedError`` if the target lies beyond the WAL that follows the backup without a gap."""
    timeline, reached = reach
    position = candidate.position
    size = position.segment_size
    lacks = f"; {_named(hole, size)} missing, and WAL went on" if hole else ""
    where = f"WAL without a gap ends at {format_lsn((reached + 1) * size)}{lacks}"
    beyond = False
    if target.kind is TargetKind.LSN:
        beyond = target.value > (reached + 1) * size
    elif target.kind is TargetKind.LATEST:
        beyond = bool(hole)
    elif reached == position.last_segment:
        beyond = True
        where = f"base backup {candidate.id} stands alone: there is no WAL after its end"
    elif target.kind is TargetKind.TIME:
        stored = wal.stored_ns(timeline, reached)
        beyond = stored is not None and stored < target.value
        where += f", archived at {rfc3339(stored)}" if stored is not None else ""
    if beyond:
        raise _unreachable(f"{target.shown} cannot be reached: {where}", candidates, wal)


def _timeline(candidate: Candidate, extent: WalExtent, target: RecoveryTarget) -> int:
    """Return the timeline to follow; ``RefusedError`` if the backup is not on its way."""
    position = candidate.position
    known = {*extent.timelines, position.timeline}
    if target.timeline is not None:
        if target.timeline not in known:
            raise NotFoundError(
                f"there is no timeline {target.timeline}",
                hint=f"There are: {', '.join(map(str, sorted(known)))}.",
            )
        if not _is_on_way(position, target.timeline, extent):
            raise RefusedError(
                f"timeline {target.timeline} does not lead through base backup {candidate.id}, "
                f"which is of timeline {position.timeline}"
            )
        return target.timeline
    newest = max(known)
    if _is_on_way(position, newest, extent):
        return newest
    forks = [one for one in extent.histories.get(newest, ()) if one.timeline == position.timeline]
    if forks:
        raise _DivergedError(
            f"timeline {newest} left timeline {forks[0].timeline} at {format_lsn(forks[0].lsn)}, "
            f"before base backup {candidate.id} ended ({format_lsn(position.stop)})",
            hint=f"Say which history is the right one: that of the backup, --timeline "
            f"{position.timeline}, or the other one from an older backup, --timeline {newest}.",
        )
    return max(one for one in known if _is_on_way(position, one, extent))


def _is_on_way(position: Position, timeline: int, extent: WalExtent) -> bool:
    return leads_through(extent.histories, timeline, position.timeline, position.stop)


def _named(missing: Sequence[Missing], segment_size: int) -> str:
    return ", ".join(one.text(segment_size) for one in missing[:_SHOWN])


def _unreachable(text: str, candidates: Sequence[Candidate], wal: Wal) -> RefusedError:
    return RefusedError(text, hint=_windows(candidates, wal))


def _windows(candidates: Sequence[Candidate], wal: Wal) -> str:
    """Say what can be reached, the newest first."""
    lines = []
    for one in reversed(candidates[-_SHOWN:]):
        position = one.position
        begin = f"{one.id}: {rfc3339(position.stopped_ns)} (LSN {format_lsn(position.stop)})"
        extent = wal.extent_of(position)
        reached = extent.reachable(position.timeline, position.first_segment)
        if reached is None or reached < position.last_segment:
            lines.append(f"{one.id}: nothing, its own WAL is missing")
        elif reached == position.last_segment:
            lines.append(f"{begin}, that moment only (--latest --snapshot {one.id})")
        else:
            stored = wal.stored_ns(position.timeline, reached)
            until = f" of {rfc3339(stored)}" if stored is not None else ""
            end = format_lsn((reached + 1) * position.segment_size)
            lines.append(f"{begin} to LSN {end}{until}")
    return f"Nothing was changed. What can be reached, by base backup: {'; '.join(lines)}."
