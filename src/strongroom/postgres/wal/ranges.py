"""What an archive of WAL holds, and what it lacks: ranges, gaps, the way to a timeline. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from strongroom.postgres.wal.history import Fork, Histories
from strongroom.postgres.wal.names import WalKind, WalName, segment_name


class Range(NamedTuple):
    """Segments without a gap: the numbers of the first and the last."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many."""
        return self.last - self.first + 1


class TimelineExtent(NamedTuple):
    """What is there of one timeline: ranges in ascending order, what is between them is missing.

    ``fork``: where it left the timeline before, if its history says so. ``partial``: numbers of the
    segments of which only a part is there.
    """

    timeline: int
    ranges: tuple[Range, ...]
    partial: tuple[int, ...]
    has_history: bool
    fork: Fork | None

    @property
    def gaps(self) -> tuple[Range, ...]:
        """What is missing between the first and the last segment."""
        pairs = zip(self.ranges, self.ranges[1:], strict=False)
        return tuple(Range(left.last + 1, right.first - 1) for left, right in pairs)

    @property
    def last(self) -> int | None:
        """The number of the newest whole segment."""
        return self.ranges[-1].last if self.ranges else None

    def has(self, number: int) -> bool:
        """Whether this segment is there, whole."""
        return any(one.first <= number <= one.last for one in self.ranges)


class Missing(NamedTuple):
    """Segments of a timeline that are needed and not there."""

    timeline: int
    first: int
    last: int

    def text(self, segment_size: int) -> str:
        """Name them."""
        first = segment_name(self.timeline, self.first, segment_size).text
        if self.first == self.last:
            return first
        return f"{first} to {segment_name(self.timeline, self.last, segment_size).text}"


class WalExtent:
    """All that an archive has of one cluster, by timeline."""

    def __init__(
        self,
        names: Iterable[WalName],
        segment_size: int,
        histories: Histories | None = None,
        never: Iterable[Missing] = (),
    ) -> None:
        """Take the ``names`` that are listed, and the ``histories`` that could be read.

        ``never``: segments that are on record as never to come; those that came do not count.
        """
        self.segment_size = segment_size
        self.histories: Histories = histories or {}
        whole: dict[int, set[int]] = {}
        partial: dict[int, set[int]] = {}
        has_history: set[int] = set()
        for name in names:
            if name.kind is WalKind.HISTORY:
                has_history.add(name.timeline)
            elif name.fits(segment_size) and name.kind is WalKind.SEGMENT:
                whole.setdefault(name.timeline, set()).add(name.number(segment_size))
            elif name.fits(segment_size) and name.kind is WalKind.PARTIAL:
                partial.setdefault(name.timeline, set()).add(name.number(segment_size))
        self.timelines = {
            timeline: TimelineExtent(
                timeline,
                tuple(_ranges(whole.get(timeline, ()))),
                tuple(sorted(partial.get(timeline, set()) - whole.get(timeline, set()))),
                timeline in has_history,
                _last_fork(self.histories, timeline),
            )
            for timeline in sorted({*whole, *partial, *has_history, *self.histories})
        }

        self.never = [
            Missing(one.timeline, *gap)
            for one in sorted(set(never))
            for gap in _holes(self._there(one.timeline), one.first, one.last)
        ]

    def _there(self, timeline: int) -> Sequence[Range]:
        found = self.timelines.get(timeline)
        return found.ranges if found is not None else ()

    def never_after(self, timeline: int, number: int) -> list[Missing]:
        """Return what follows a segment, on its timeline, and is on record as never to come."""
        return [
            one._replace(first=max(one.first, number + 1))
            for one in self.never
            if one.timeline == timeline and one.last > number
        ]

    def has(self, timeline: int, number: int) -> bool:
        """Whether a whole segment is there."""
        found = self.timelines.get(timeline)
        return found is not None and found.has(number)

    def path(self, timeline: int) -> list[tuple[int, int, int | None]]:
        """Return the way to a timeline: (timeline, first number on it, last or None), oldest first.

        The segment of a switch is that of the newer timeline, which has a copy of what is before.
        """
        steps: list[tuple[int, int, int | None]] = []
        begin = 0
        for fork in self.histories.get(timeline, ()):
            switch = fork.lsn // self.segment_size
            steps.append((fork.timeline, begin, switch - 1))
            begin = switch
        steps.append((timeline, begin, None))
        return steps

    def missing(self, timeline: int, first: int, last: int) -> list[Missing]:
        """Return which of the segments ``first`` to ``last`` are missing on the way to a timeline.

        Empty: WAL is complete from the beginning of ``first`` to the end of ``last``.
        """
        found: list[Missing] = []
        for step, begin, end in self.path(timeline):
            low = max(first, begin)
            high = last if end is None else min(last, end)
            there = self._there(step)
            found += [Missing(step, *gap) for gap in _holes(there, low, high)]
        return found

    def reachable(self, timeline: int, first: int) -> int | None:
        """Return the number of the last segment that follows ``first`` without a gap; or None."""
        reached: int | None = None
        for step, begin, end in self.path(timeline):
            low = max(first, begin)
            if end is not None and low > end:
                continue
            there = self._there(step)
            inside = next((one for one in there if one.first <= low <= one.last), None)
            if inside is None:
                return reached
            reached = inside.last if end is None else min(inside.last, end)
            if end is not None and reached < end:
                return reached
        return reached

    def descendants(self, timeline: int) -> Iterator[tuple[int, int]]:
        """Yield (timeline, number of the segment in which the way to it leaves this one)."""
        for other, history in sorted(self.histories.items()):
            for fork in history:
                if fork.timeline == timeline:
                    yield other, fork.lsn // self.segment_size

    def hole(self, name: WalName) -> str | None:
        """Say why the absence of a file is no end of the archive but a hole in it; None: it may be.

        A segment is missed if a later one is there, on its timeline or on one whose way leads
        through it; a history, if segments of its timeline or later histories are there.
        """
        if name.kind is WalKind.HISTORY:
            return self._history_hole(name.timeline)
        if name.kind is not WalKind.SEGMENT or not name.fits(self.segment_size):
            return None
        number = name.number(self.segment_size)
        own = self.timelines.get(name.timeline)
        if own is not None and own.fork is not None and number < own.fork.lsn // self.segment_size:
            return None  # before the timeline began nobody wrote a segment of it
        return self._follower(name, number)

    def _follower(self, name: WalName, number: int) -> str | None:
        """Say what shows that a segment which is not there was written."""
        own = self.timelines.get(name.timeline)
        if own is not None and own.last is not None and own.last > number:
            following = min(one.first for one in own.ranges if one.last > number)
            later = segment_name(name.timeline, max(following, number + 1), self.segment_size)
            return f"{name.text} is missing, and {later.text}, which comes after it, is there"
        if any(gap.first <= number for gap in self.never_after(name.timeline, number - 1)):
            return f"{name.text} is missing, and is on record as a gap: it never comes"
        for other, switch in self.descendants(name.timeline):
            found = self.timelines.get(other)
            if switch > number and found is not None and found.ranges:
                return (
                    f"{name.text} is missing, and the way to timeline {other}, which is there, "
                    "leads through it"
                )
        return None

    def _history_hole(self, timeline: int) -> str | None:
        """PostgreSQL takes the first history that is absent for the end of all timelines."""
        own = self.timelines.get(timeline)
        if timeline > 1 and own is not None and (own.ranges or own.partial):
            return f"the history of timeline {timeline} is missing, and segments of it are there"
        later = [one.timeline for one in self.timelines.values() if one.has_history]
        if timeline > 1 and max(later, default=0) > timeline:
            return (
                f"the history of timeline {timeline} is missing, and that of timeline {max(later)} "
                "is there"
            )
        return None


def _last_fork(histories: Histories, timeline: int) -> Fork | None:
    history = histories.get(timeline)
    return history[-1] if history else None


def _ranges(numbers: Iterable[int]) -> Iterator[Range]:
    first = last = None
    for number in sorted(numbers):
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield Range(first, last)
            first = last = number
    if first is not None and last is not None:
        yield Range(first, last)


def _holes(there: Sequence[Range], low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield what of ``low`` to ``high`` no range has."""
    place = low
    for one in there:
        if one.last < place:
            continue
        if one.first > high:
            break
        if one.first > place:
            yield place, one.first - 1
        place = one.last + 1
    if place <= high:
        yield place, high
