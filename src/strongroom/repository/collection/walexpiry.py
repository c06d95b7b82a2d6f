"""Which WAL nothing needs any more (``docs/format.md`` 16). Pure.

WAL goes if it comes before the start of a complete base backup, in the history of its timeline, and
no base backup needs it. What is not known for certain stays: WAL of a cluster without a complete
base backup, of a timeline whose ancestors nobody knows, of segments of another size.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, NamedTuple

from strongroom.postgres.wal.history import Histories, leads_through
from strongroom.postgres.wal.names import WalKind, WalName, parse_name, segment_name
from strongroom.postgres.wal.ranges import WalExtent
from strongroom.repository import layout

NO_BACKUP: Final = "no complete base backup of it is there"
SIZES: Final = "its base backups have segments of different sizes"
LATER: Final = "a base backup of a later release is there, which nobody here can read"


class WalObject(NamedTuple):
    """Something below ``wal/`` that is of segments: a file, or the word of a gap; ``size`` bytes.

    ``first`` and ``last`` are names of segments, the same one for a file.
    """

    key: str
    domain: bytes
    system: int
    first: WalName
    last: WalName
    size: int


class Base(NamedTuple):
    """A base backup that stays. ``numbers``: of the first and last segment up to ``stop``, an LSN.

    ``by_admin``: what it says counts for the WAL of every domain. ``wanted``: not forgotten, or
    held. ``old``: older than the window in which every moment can be reached.
    """

    id: str
    domain: bytes
    by_admin: bool
    complete: bool
    wanted: bool
    old: bool
    system: int
    timeline: int
    numbers: tuple[int, int]
    stop: int
    segment_size: int

    @property
    def first(self) -> int:
        """The number of the segment that it begins in."""
        return self.numbers[0]

    def counts_for(self, domain: bytes) -> bool:
        """Whether WAL of a domain may go because this is there: an agent's word is of its own."""
        return self.complete and (self.by_admin or self.domain == domain)


class Cut(NamedTuple):
    """Of one timeline in one domain: what lies before ``limit`` goes, but for ``spared`` ranges.

    ``base``: the base backup that needs what comes then, if that is what ends it.
    """

    limit: int
    spared: tuple[tuple[int, int], ...]
    base: Base | None

    def lets_go(self, first: int, last: int) -> bool:
        """Whether segments from ``first`` to ``last`` may go."""
        return last < self.limit and not self.touches(first, last)

    def touches(self, first: int, last: int) -> bool:
        """Whether a range that is spared lies between them."""
        return any(low <= last and first <= high for low, high in self.spared)


class Judged(NamedTuple):
    """What becomes of the WAL of one cluster; sizes in bytes. ``why``: why all of it stays.

    ``base``: the short id of the oldest base backup whose WAL stays; ``needed``: its first segment.
    """

    system: int
    files: int
    size: int
    kept_files: int
    kept_size: int
    base: str
    needed: str
    why: str


@dataclass(frozen=True)
class WalNeeds:
    """What base backups need of WAL. ``is_blind``: one of them cannot be read.

    By the system id of each cluster: the ``histories`` that could be read, and the ``timelines``
    of which anything is there.
    """

    bases: Sequence[Base] = ()
    histories: Mapping[int, Histories] = field(default_factory=dict)
    timelines: Mapping[int, Collection[int]] = field(default_factory=dict)
    is_blind: bool = False

    def of(self, system: int) -> list[Base]:
        """Return the base backups of a cluster."""
        return [one for one in self.bases if one.system == system]

    def expired(self, objects: Iterable[WalObject]) -> set[str]:
        """Return the keys of what nothing needs."""
        cuts: dict[tuple[int, bytes, int], Cut | None] = {}
        found = set()
        for one in objects:
            place = one.system, one.domain, one.first.timeline
            if place not in cuts:
                cuts[place] = self._cut(*place)
            cut, numbers = cuts[place], self._numbers(one)
            if cut is not None and numbers is not None and cut.lets_go(*numbers):
                found.add(one.key)
        return found

    def spared(self, keys: Collection[str]) -> set[str]:
        """Return those of some keys that a base backup needs, or that are no WAL that goes.

        They may be of timelines of which a listing showed nothing.
        """
        found = {key: wal_object(key, 0) for key in keys}
        needs = self._beside(one for one in found.values() if one is not None)
        stays = set()
        floors: dict[tuple[int, int], Cut] = {}
        for key, one in found.items():
            numbers = self._numbers(one) if one is not None else None
            if one is None or self.is_blind:
                stays.add(key)
            elif numbers is not None:
                place = one.system, one.first.timeline
                if place not in floors:
                    floors[place] = needs.needed(*place)
                if not floors[place].lets_go(*numbers):
                    stays.add(key)
            elif self.of(one.system):
                stays.add(key)  # of segments of another size
        return stays

    def _beside(self, objects: Iterable[WalObject]) -> WalNeeds:
        """Return the same, of whose timelines those of some objects are as well."""
        timelines = {system: set(there) for system, there in self.timelines.items()}
        for one in objects:
            timelines.setdefault(one.system, set()).add(one.first.timeline)
        return replace(self, timelines=timelines)

    def judge(self, objects: Collection[WalObject], expired: Collection[str]) -> list[Judged]:
        """Say of each cluster what becomes of its WAL, and why."""
        found = []
        for system in sorted({one.system for one in objects}):
            theirs = [one for one in objects if one.system == system]
            going = [one for one in theirs if one.key in expired]
            oldest = self._oldest(system)
            size = sum(one.size for one in going)
            found.append(
                Judged(
                    system,
                    len(going),
                    size,
                    len(theirs) - len(going),
                    sum(one.size for one in theirs) - size,
                    oldest.id[:8] if oldest is not None else "",
                    _first_name(oldest) if oldest is not None else "",
                    self._why(system),
                )
            )
        return found

    def _oldest(self, system: int) -> Base | None:
        bases = [one for one in self.of(system) if one in self._whole]
        return min(bases, key=lambda one: one.first, default=None)

    def _why(self, system: int) -> str:
        bases = self.of(system)
        if self.is_blind:
            return LATER
        if not any(one.complete for one in bases):
            return NO_BACKUP
        return SIZES if len({one.segment_size for one in bases}) > 1 else ""

    def _numbers(self, one: WalObject) -> tuple[int, int] | None:
        """Return the numbers of the segments, if all base backups agree on what they are."""
        sizes = {base.segment_size for base in self.bases if base.system == one.system}
        if len(sizes) != 1:
            return None
        (size,) = sizes
        if not (one.first.fits(size) and one.last.fits(size)):
            return None
        return one.first.number(size), one.last.number(size)

    def _cut(self, system: int, domain: bytes, timeline: int) -> Cut | None:
        """Return where the WAL of a timeline in a domain may end to begin; None: it all stays."""
        if self._why(system):
            return None
        needed = self.needed(system, timeline)
        limit = max(
            (self._before(base, timeline) for base in self.of(system) if base.counts_for(domain)),
            default=0,
        )
        return needed._replace(limit=min(limit, needed.limit))

    def needed(self, system: int, timeline: int) -> Cut:
        """Return up to where no base backup needs the WAL of a timeline."""
        limit, who = 1 << 64, None
        spared = []
        for base in self.of(system):
            if base not in self._whole:
                if base.timeline == timeline:
                    spared.append(base.numbers)
                continue
            floor = self._floor(base, timeline)
            if floor is not None and floor < limit:
                limit, who = floor, base
        return Cut(limit, tuple(spared), who)

    @cached_property
    def _whole(self) -> frozenset[Base]:
        """The base backups after which every moment is to be reached.

        Of those that are older than the window these are the last ones on the way to a timeline:
        what the window is reached from there.
        """
        return frozenset(
            base
            for base in self.bases
            if not base.old
            or any(
                self._floor(base, timeline) is not None and not self._is_replaced(base, timeline)
                for timeline in self._lines[base.system]
            )
        )

    @cached_property
    def _lines(self) -> Mapping[int, frozenset[int]]:
        """Every timeline of each cluster that has base backups."""
        found: dict[int, set[int]] = {}
        for base in self.bases:
            found.setdefault(base.system, set()).add(base.timeline)
        return {
            system: frozenset(
                {*own, *self.timelines.get(system, ()), *self.histories.get(system, ())}
            )
            for system, own in found.items()
        }

    @cached_property
    def _last(self) -> Mapping[tuple[int, int, bytes | None], int]:
        """Where the last base backup begins from which the window is reached.

        By cluster, timeline, and domain, which is None for what counts in every domain. Only what
        is wanted counts: what is forgotten will not be there. It must be known for certain to be on
        the way to the timeline.
        """
        found: dict[tuple[int, int, bytes | None], int] = {}
        for one in self.bases:
            if not (one.old and one.complete and one.wanted):
                continue
            histories = self.histories.get(one.system, {})
            for timeline in self._lines[one.system]:
                if leads_through(histories, timeline, one.timeline, one.stop):
                    place = one.system, timeline, None if one.by_admin else one.domain
                    found[place] = max(found.get(place, 0), one.first)
        return found

    def _is_replaced(self, base: Base, timeline: int) -> bool:
        """Whether a later base backup is what the window of a timeline is reached from."""
        return any(
            self._last.get((base.system, timeline, domain), 0) > base.first
            for domain in (None, base.domain)
        )

    def _floor(self, base: Base, timeline: int) -> int | None:
        """Return from which segment of a timeline on a base backup may need them; None: none.

        A fork in the segment in which it begins may come after it, and counts.
        """
        if timeline == base.timeline:
            return base.first
        if timeline < base.timeline:
            return None
        histories = self.histories.get(base.system, {})
        if timeline not in histories:
            return 0  # nobody knows where it comes from
        begin = base.first * base.segment_size
        return base.first if leads_through(histories, timeline, base.timeline, begin) else None

    def _before(self, base: Base, timeline: int) -> int:
        """Return up to where the segments of a timeline come before a base backup."""
        if timeline == base.timeline:
            return base.first
        histories = self.histories.get(base.system, {})
        for line, _low, high in WalExtent((), base.segment_size, histories).path(base.timeline):
            if line == timeline and high is not None:
                return min(base.first, high + 1)
        return 0


def wal_object(key: str, size: int) -> WalObject | None:
    """Return what of WAL a key names, that may go one day; None for a history, and all else."""
    ids = layout.wal_ids(key)
    if ids is not None:
        name = parse_name(ids[2])
        if name is None or name.kind is WalKind.HISTORY:
            return None
        return WalObject(key, ids[0], ids[1], name.segment, name.segment, size)
    gap = layout.wal_gap_ids(key)
    if gap is None:
        return None
    first, last = parse_name(gap[2]), parse_name(gap[3])
    if first is None or last is None:
        return None
    return WalObject(key, gap[0], gap[1], first, last, size)


def _first_name(base: Base) -> str:
    return segment_name(base.timeline, base.first, base.segment_size).text
