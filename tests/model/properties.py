"""What must hold in every state that is reached.

P1     Every snapshot that was acknowledged, and is not forgotten (or is held, or un-forgotten), has
       its commit and, for each chunk, a listed pack.
P2     An index entry leads to such a pack, also for a reader who does not look at gc.
P3     One collector alone, run after run, ends every run and leaves no garbage.
ALARM  Damage is reported where there is some, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from tests.model.collector import Collector
from tests.model.collector_memory import START, CollectorMemory
from tests.model.rules import ALL_RULES, Rules
from tests.model.store_reading import (
    heads_of_kills,
    indexed_packs,
    is_forgotten,
    is_held,
    killed,
    last_good,
    lost_heads,
    void_of_nothing,
    voided,
)
from tests.model.store_state import (
    Commit,
    Key,
    Store,
    chunks_of,
    commit_key,
    is_snapshot,
)
from tests.model.trouble import report
from tests.model.wal import expired_wal, missing_wal, precedes


class Breach(StrEnum):
    """The ways in which a property does not hold."""

    LOST = "LOST"  # P1
    NO_INDEX = "NO INDEX"  # P2
    UNDONE = "UNDONE"  # P3: a run can never be done
    STOPPED = "STOPPED"  # P3: collection stops, and nothing is damaged
    GARBAGE = "GARBAGE"  # P3: what nobody needs stays
    ENDLESS = "ENDLESS"  # P3: runs without end
    FALSE_ALARM = "FALSE ALARM"  # ALARM
    NO_ALARM = "NO ALARM"  # ALARM


DATA_LOSS = frozenset({Breach.LOST, Breach.NO_INDEX})
EVERYTHING = frozenset(Breach)


class Violation(NamedTuple):
    """What does not hold in a state; `alone` is what the one collector of P3 then does."""

    breach: Breach
    what: str
    alone: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.breach}: {self.what}"


def violations(store: Store, rules: Rules) -> Iterator[Violation]:
    """Return how a store breaks P1, P2 or ALARM."""
    promised = _promises(store)
    for promise in sorted(promised, key=lambda commit: commit.session):
        if promise.verb == "snapshot" and not _may_go(promise.session, promised, store):
            yield from _broken_promise(store, promise, rules)
    for source in sorted({commit.source for commit in promised if commit.source}):
        theirs = [commit for commit in promised if commit.source == source]
        there = any(_is_whole(store, commit) for commit in theirs)
        if not there and not _is_empty_allowed(store, source):
            yield Violation(Breach.LOST, f"every good snapshot of source {source}")
    if store.archived:
        yield from _lost_wal(store, rules)
    for what in _false_alarms(store):
        thing = what if " " in what else f"chunk {what}"
        yield Violation(Breach.FALSE_ALARM, f"{thing} is there")


def _promises(store: Store) -> frozenset[Commit]:
    """Return the commits that were acknowledged to people, less those that a person gave up."""
    if not store.damaged:
        return store.acknowledged
    return frozenset(commit for commit in store.acknowledged if not _is_given_up(store, commit))


def _is_given_up(store: Store, commit: Commit) -> bool:
    """Tell whether a commit is void; or came in because its ABORT was lost, and was not void."""
    key = commit_key(commit.session)
    void, void_if_gone = voided(store.orders), void_of_nothing(store.orders)
    if commit in store.commits and key not in store.unreadable:
        return f"commit {key.name}" in store.damaged and key not in void | void_if_gone
    return key in void | void_if_gone


def _damaged(store: Store) -> frozenset[str]:
    """Return what is damaged; what a lost ABORT let in may miss chunks too."""
    if not store.damaged:
        return store.damaged
    given_up = (commit for commit in store.commits if _is_given_up(store, commit))
    return store.damaged.union(*(commit.chunks for commit in given_up))


def _false_alarms(store: Store) -> list[str]:
    """Return what was reported and is not damaged."""
    return sorted(store.alarms - _damaged(store)) if store.alarms else []


def _may_go(snapshot: str, commits: frozenset[Commit], store: Store) -> bool:
    """Tell whether a snapshot is forgotten and not held."""
    forgotten = is_forgotten(snapshot, commits, store.orders)
    return forgotten and not is_held(snapshot, commits, store.orders)


def _broken_promise(store: Store, promise: Commit, rules: Rules) -> Iterator[Violation]:
    name = promise.session
    gone = killed(store.runs) if rules.killed_is_absent else frozenset()
    there = is_snapshot(store, name) and commit_key(name) not in gone
    if not there and f"commit {name}" not in store.damaged:
        yield Violation(Breach.LOST, f"commit of {name}")
    if promise.start:
        bases = [commit for commit in store.acknowledged if commit.start]
        for segment in missing_wal(store, promise, bases, gone):
            yield Violation(Breach.LOST, f"WAL {segment} of {name}")
    for chunk in promise.chunks:
        listed = {pack for pack in store.packs if chunk in chunks_of(pack)}
        stays = {pack for pack in listed if Key("pack", pack) not in gone}
        by_gc = stays & indexed_packs(store.segments, gone)
        by_index = listed & indexed_packs(store.segments)
        if not stays:
            yield Violation(Breach.LOST, f"chunk {chunk} of {name}")
        elif chunk in promise.sound and not stays - store.rotten:
            yield Violation(Breach.LOST, f"the last sound pack with chunk {chunk} of {name}")
        elif not (by_gc and by_index) and chunk not in store.damaged:
            yield Violation(Breach.NO_INDEX, f"chunk {chunk} of {name}")


class Cleaner:
    """P3: lets one collector alone clean up, from any store.

    Nobody else moves: whoever is silent is fenced, and every grace is over.
    """

    LONGEST = 400
    """Steps after which there is no end in sight; 100 are enough for the largest store."""

    def __init__(self, rules: Rules) -> None:
        self._collector = Collector("Z", rules, last=99)
        self._comes_to_a_clean_end: set[tuple[Store, CollectorMemory]] = set()

    def violation(self, store: Store) -> Violation | None:
        """Return how a store breaks P3, or ALARM by silence."""
        memory = START
        way: list[tuple[Store, CollectorMemory]] = []
        labels: list[str] = []
        while (store, memory) not in self._comes_to_a_clean_end:
            way.append((store, memory))
            steps = self._collector.steps(store, memory)
            if not steps:
                breach = _left_over(store)
                if breach is None:
                    break
                return breach._replace(alone=tuple(labels))
            if len(way) > self.LONGEST:
                return Violation(Breach.ENDLESS, "runs without end", (*labels[:20], "..."))
            label, store, memory = steps[0]
            labels.append(label)
        self._comes_to_a_clean_end.update(way)
        return None


def _lost_wal(store: Store, rules: Rules) -> Iterator[Violation]:
    """WAL goes only when it comes before what a complete base backup needs."""
    gone = killed(store.runs) if rules.killed_is_absent else frozenset()
    starts = [c.start for c in store.acknowledged if c.start and c.complete]
    for segment in missing_wal(store, None, (), gone):
        if not any(precedes(segment, start) for start in starts):
            yield Violation(Breach.LOST, f"WAL {segment}, and no base backup comes after it")


def _is_whole(store: Store, commit: Commit) -> bool:
    """Tell whether a complete snapshot is there with all its chunks."""
    gone = killed(store.runs)
    packs = (pack for pack in store.packs if Key("pack", pack) not in gone)
    there = {chunk for pack in packs for chunk in chunks_of(pack)}
    listed = commit in store.commits and commit_key(commit.session) not in gone
    return commit.complete and listed and there >= set(commit.chunks)


def _is_empty_allowed(store: Store, source: str) -> bool:
    keys = {commit_key(commit.session) for commit in store.acknowledged if commit.source == source}
    return any(order.verb == "allow empty" and order.targets & keys for order in store.orders)


def _left_over(store: Store) -> Violation | None:
    """Return what a collector that has come to its end should have ended, deleted or reported."""
    for what in _false_alarms(store):
        return Violation(Breach.STOPPED, f"{what} is reported, and nothing is damaged")
    standing = _standing_damage(store)
    if standing:  # collection has stopped, as it should
        silent = not standing & store.alarms
        return Violation(Breach.NO_ALARM, ", ".join(sorted(standing))) if silent else None
    if not all(run.done for run in store.runs):
        return Violation(Breach.UNDONE, "a run can never be done")
    commits = [c for c in store.commits if commit_key(c.session) not in store.unreadable]
    needed = {chunk for commit in commits for chunk in commit.chunks}
    garbage = [pack for pack in store.packs if not needed & set(chunks_of(pack))]
    garbage += [
        segment.name
        for segment in store.segments
        if not segment.packs & store.packs and Key("segment", segment.name) not in store.unreadable
    ]
    garbage += [
        commit.session
        for commit in commits
        if commit.verb == "snapshot" and _may_go(commit.session, store.commits, store)
        if commit.session not in last_good(commits, store.orders)
    ]
    live = [c for c in commits if c.verb == "snapshot"]
    garbage += [f"WAL {name}" for name in expired_wal(store.wal, live, ALL_RULES)]
    if garbage:
        return Violation(Breach.GARBAGE, f"{' '.join(sorted(garbage))} can never go")
    return None


def _standing_damage(store: Store) -> frozenset[str]:
    """Return the damage that nobody has lived with yet, as it should be reported."""
    if not store.damaged:
        return store.damaged
    void = voided(store.orders)
    counting = [s for s in store.segments if Key("segment", s.name) not in store.unreadable]
    commits = [c for c in store.commits if commit_key(c.session) not in store.unreadable]
    gone = killed(store.runs)
    packs = indexed_packs(counting, gone) & store.packs - {key.name for key in gone}
    found = {chunk for pack in packs for chunk in chunks_of(pack)}
    needed = {chunk for commit in commits for chunk in commit.chunks}
    by_kills = heads_of_kills(store.runs, store.unreadable)
    missed = lost_heads(commits, store.orders, by_kills) - gone
    missed -= store.unreadable | void | void_of_nothing(store.orders)
    unread = {key for key in store.unreadable - void if key.kind != "gc" or _matters(store, key)}
    return (_damaged(store) & needed - found) | report(missed | unread)


def _matters(store: Store, key: Key) -> bool:
    """Tell whether a run cannot go on, or others not without it, because of an object."""
    number, what = key.name.split("/")
    run = store.runs[int(number) - 1]
    return what in {"kills", "done"} or (run.kills is None and not run.done)
