"""What must hold in every state that is reached.

P1  Every snapshot that was acknowledged and is not forgotten (or is held, or un-forgotten) has its
    commit and, for each chunk, a listed pack.
P2  For each such chunk an index entry leads to such a pack.
P3  One collector alone, run after run, ends every run and leaves no garbage.
ALARM  No collector reports damage where there is none.
"""

from enum import StrEnum
from typing import NamedTuple

from tests.model.collector import START, Collector, CollectorMemory
from tests.model.rules import Rules
from tests.model.store_state import (
    Key,
    Promise,
    Store,
    chunks_of,
    indexed_packs,
    is_forgotten,
    is_held,
    is_snapshot,
    killed,
)


class Loss(StrEnum):
    """The kinds of violation."""

    LOST = "LOST"  # P1
    NO_INDEX = "NO INDEX"  # P2
    UNDONE = "UNDONE"  # P3: a run can never be done
    GARBAGE = "GARBAGE"  # P3: what nobody needs stays
    ENDLESS = "ENDLESS"  # P3: runs without end
    FALSE_ALARM = "FALSE ALARM"  # ALARM


class Violation(NamedTuple):
    """What does not hold in a state."""

    kind: Loss
    what: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.kind}: {self.what}"


def violation(store: Store, rules: Rules) -> Violation | None:
    """Return how a store breaks P1, P2 or ALARM."""
    gone = killed(store) if rules.killed_is_absent else frozenset()
    indexed = indexed_packs(store.segments, gone)
    for chunk in sorted(store.alarms - store.damaged):
        return Violation(Loss.FALSE_ALARM, f"chunk {chunk}")
    for promise in sorted(store.promises):
        if not _is_promised(store, promise):
            continue
        name = promise.snapshot
        if not is_snapshot(store, name) or Key("commit", name) in gone:
            return Violation(Loss.LOST, f"commit of {name}")
        for chunk in promise.chunks:
            packs = {
                pack
                for pack in store.packs
                if chunk in chunks_of(pack) and Key("pack", pack) not in gone
            }
            if not packs:
                return Violation(Loss.LOST, f"chunk {chunk} of {name}")
            if not packs & indexed and chunk not in store.damaged:
                return Violation(Loss.NO_INDEX, f"chunk {chunk} of {name}")
    return None


def _is_promised(store: Store, promise: Promise) -> bool:
    name = promise.snapshot
    forgotten = is_forgotten(name, store.commits, store.orders)
    return not forgotten or is_held(name, store.commits, store.orders)


class Cleaner:
    """P3: lets one collector alone clean up, from any store."""

    LONGEST = 400

    def __init__(self, rules: Rules) -> None:
        self._collector = Collector("Z", rules, last=99)
        self._clean: set[tuple[Store, CollectorMemory]] = set()

    def violation(self, store: Store) -> Violation | None:
        """Return how a store breaks P3.

        Nobody else moves: whoever is silent is fenced, and the grace is over.
        """
        memory = START
        way = []
        while (store, memory) not in self._clean:
            way.append((store, memory))
            steps = self._collector.steps(store, memory)
            if not steps:
                found = _left_over(store)
                if found is None:
                    break
                return found
            if len(way) > self.LONGEST:
                return Violation(Loss.ENDLESS, "runs without end")
            _, store, memory = steps[0]
        self._clean.update(way)
        return None


def _left_over(store: Store) -> Violation | None:
    """Return what a collector that has come to its end should have ended or deleted."""
    if not all(run.done for run in store.runs):
        return Violation(Loss.UNDONE, "a run can never be done")
    needed = {chunk for commit in store.commits for chunk in commit.chunks}
    indexed = indexed_packs(store.segments, frozenset())
    damage = {c for c in store.damaged & needed if not any(c in chunks_of(p) for p in indexed & store.packs)}
    if damage:
        return None if damage & store.alarms else Violation(Loss.GARBAGE, "SILENT")
    for pack in sorted(store.packs):
        if not needed & set(chunks_of(pack)):
            return Violation(Loss.GARBAGE, f"pack {pack} stays")
    for segment in sorted(store.segments):
        if not segment.packs & store.packs:
            return Violation(Loss.GARBAGE, f"segment {segment.name} stays")
    for commit in sorted(store.commits):
        name = commit.session
        forgotten = is_forgotten(name, store.commits, store.orders)
        if (
            commit.verb == "snapshot"
            and forgotten
            and not is_held(name, store.commits, store.orders)
        ):
            return Violation(Loss.GARBAGE, f"commit of {name} stays")
    return None


