"""WAL: which segment comes before which, what a base backup needs, and who puts both.

A segment is named by its timeline and number: ``a1 a2 a3``.  Timeline b began after ``a1``, so its
history is ``a1 b2 b3``.  A base backup starts in a segment and needs every one that comes after it.
One that is older than the window in which every moment is kept needs the segments up to its end
alone; but the last such one on the way to a timeline, from which the window is reached, needs all.
What went for the sake of a later one does not come back when that is forgotten.

Timeline c began after ``a1`` as well, and its history never came into the repository: who reads the
repository does not know what comes before ``c2``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.model.gc_reading import absent
from tests.model.rules import ALL_RULES, Rules
from tests.model.store_state import (
    Commit,
    Key,
    Keys,
    Store,
    put_commit,
    put_position,
    put_session,
    put_wal,
)

BEGAN_AFTER = {"b": "a1", "c": "a1"}
UNKNOWN = frozenset("c")


def precedes(earlier: str, later: str) -> bool:
    """Tell whether a segment comes before another in the history of the other's timeline."""
    if earlier[1] >= later[1]:
        return False
    if earlier[0] == later[0]:
        return True
    branch = BEGAN_AFTER.get(later[0], "")
    return branch[:1] == earlier[0] and earlier[1] <= branch[1]


def needs(start: str, segment: str) -> bool:
    """Tell whether a base backup that starts in a segment needs another one."""
    return segment == start or precedes(start, segment)


def needed(segment: str, base: Commit, bases: Iterable[Commit], rules: Rules = ALL_RULES) -> bool:
    """Tell whether a base backup needs a segment, beside others that are there.

    As who reads the repository has to take it: a timeline of which no history is there may come
    from any earlier one.
    """
    if not _needs_all(base, segment, bases, rules):
        own = base.start[1] <= segment[1] <= base.end[1]
        return own and segment[0] == base.start[0] and rules.old_base_needs_its_own
    if segment[0] in UNKNOWN and base.start[0] < segment[0]:
        return rules.unknown_may_be_needed
    return needs(base.start, segment)


def _needs_all(base: Commit, segment: str, bases: Iterable[Commit], rules: Rules) -> bool:
    """Tell whether what comes after a base backup is needed: for one in the window it is.

    For an older one if a timeline, of the segment or of a base backup, is reached from no later one
    that is older too.
    """
    if not base.end:
        return True
    bases = list(bases)
    later = [one for one in bases if one.complete and one.end and one.start[1] > base.start[1]]
    lines = {segment[0], *(one.start[0] for one in bases)}
    if not rules.window_follows_forks:
        lines = {base.start[0]}
    return rules.window_is_reached and any(
        (_is_on_way(base, line) or (line in UNKNOWN and base.start[0] < line))
        and not any(_is_on_way(other, line) for other in later)
        for line in lines
    )


def _is_on_way(base: Commit, line: str) -> bool:
    """Tell whether a timeline is known to lead through the end of an older base backup."""
    branch = "" if line in UNKNOWN else BEGAN_AFTER.get(line, "")
    return line == base.start[0] or (branch[:1] == base.start[0] and base.end[1] <= branch[1])


def expired_wal(wal: Iterable[str], live: Iterable[Commit], rules: Rules) -> frozenset[str]:
    """Return the WAL that may go: it comes before what a complete live base backup needs.

    And no live base backup needs it, complete or not.
    """
    bases = [commit for commit in live if commit.start]
    complete = [base for base in bases if base.complete or not rules.complete_base_only]
    if not complete and rules.no_base_no_expiry:
        return frozenset()
    return frozenset(
        segment
        for segment in wal
        if not any(needed(segment, base, bases, rules) for base in bases)
        and (not complete or any(_comes_before(segment, base.start, rules) for base in complete))
    )


def _comes_before(segment: str, start: str, rules: Rules) -> bool:
    if not rules.cut_follows_history:
        return segment[1] < start[1]
    if start[0] in UNKNOWN and segment[0] != start[0]:
        return False
    return precedes(segment, start)


class BaseBackupMemory(NamedTuple):
    """Where a base backup stands, and what of WAL it may not rely on."""

    at: str
    absent: Keys | None = frozenset()


BaseBackupStep = tuple[str, Store, BaseBackupMemory]


class BaseBackup:
    """A session that commits a base backup, if the WAL from its start to its end is there."""

    def __init__(self, name: str, segments: str, rules: Rules) -> None:
        self._name = name
        self._segments = segments.split()
        self._rules = rules
        self._steps: dict[str, Callable[[Store, BaseBackupMemory], BaseBackupStep]] = {
            "put session": self._put_session,
            "list gc": self._list_gc,
            "put position": self._put_position,
            "list WAL": self._list_wal,
            "COMMIT": self._commit,
        }

    def start(self) -> BaseBackupMemory:
        """Return the memory of one that has done nothing."""
        return BaseBackupMemory("put session")

    def steps(self, store: Store, memory: BaseBackupMemory) -> list[BaseBackupStep]:
        """Return the steps it may take."""
        return [] if memory.at == "end" else [self._steps[memory.at](store, memory)]

    def _go(self, label: str, store: Store, at: str, away: Keys | None) -> BaseBackupStep:
        return f"{self._name}: {label}", store, BaseBackupMemory(at, away)

    def _put_session(self, store: Store, _memory: BaseBackupMemory) -> BaseBackupStep:
        return self._go("put session", put_session(store, self._name), "list gc", frozenset())

    def _list_gc(self, store: Store, _memory: BaseBackupMemory) -> BaseBackupStep:
        tombed = self._rules.tombed_is_absent
        away = absent(store, frozenset(), self._rules, tombed_is_absent=tombed)
        if away:
            away = frozenset(key for key in away if key.kind == "wal")
        return self._go("list gc", store, "put position", away)

    def _put_position(self, store: Store, memory: BaseBackupMemory) -> BaseBackupStep:
        put = put_position(store, self._name, self._segments[0])
        label = f"put position {self._segments[0]}"
        return self._go(label, put, "list WAL", memory.absent)

    def _list_wal(self, store: Store, memory: BaseBackupMemory) -> BaseBackupStep:
        there = set() if memory.absent is None else store.wal - {k.name for k in memory.absent}
        if there >= set(self._segments) or not self._rules.base_needs_its_wal:
            return self._go("list WAL", store, "COMMIT", frozenset())
        put, _ = put_commit(store, Commit(self._name, "ABORT"))
        return self._go("list WAL, gives up: ABORT", put, "end", frozenset())

    def _commit(self, store: Store, _memory: BaseBackupMemory) -> BaseBackupStep:
        commit = Commit(self._name, "snapshot", start=self._segments[0])
        put, accepted = put_commit(store, commit, overwrite=not self._rules.one_decision)
        return self._go(f"COMMIT{'' if accepted else ' refused'}", put, "end", frozenset())


class Archiver:
    """Pushes WAL, one segment after the other; no session, no wait."""

    def __init__(self, name: str, segments: str) -> None:
        self._name = name
        self._segments = segments.split()

    def start(self) -> int:
        """Return the number of segments pushed."""
        return 0

    def steps(self, store: Store, pushed: int) -> list[tuple[str, Store, int]]:
        """Return the push of the next segment, unless it is there already."""
        if pushed == len(self._segments) or self._segments[pushed] in store.wal:
            return []
        segment = self._segments[pushed]
        return [(f"{self._name}: push WAL {segment}", put_wal(store, segment), pushed + 1)]


def missing_wal(
    store: Store, base: Commit | None, bases: Iterable[Commit], gone: Keys
) -> list[str]:
    """Return the segments that were pushed, and are missed by a base backup, or by none."""
    there = {segment for segment in store.wal if Key("wal", segment) not in gone}
    return sorted(s for s in store.archived - there if base is None or _is_promised(s, base, bases))


def _is_promised(segment: str, base: Commit, bases: Iterable[Commit]) -> bool:
    """Tell whether a base backup needs a segment, by what happened, whoever knows it."""
    if not _needs_all(base, segment, bases, ALL_RULES):
        return segment[0] == base.start[0] and base.start[1] <= segment[1] <= base.end[1]
    return needs(base.start, segment)
