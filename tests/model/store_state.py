"""What the store holds, and what can be read out of one listing of it.

A state of the store is one immutable value, so that two ways to the same state are seen to be the
same.  Three notations keep it small:

- A pack is named ``P:cd``: what put it (``P``), then the chunks in it (``c`` and ``d``).
- A segment of the index names whole packs and the segments that it supersedes.
- A snapshot is named by its session and needs chunks, one letter each.

What it does not hold: sizes, places in packs, contents, signatures, times.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

Kind = Literal["segment", "pack", "commit", "session"]


class Key(NamedTuple):
    """One object in the store, as tombs and kills name it."""

    kind: Kind
    name: str


class Segment(NamedTuple):
    """One index segment: the packs it has entries for, the segments it supersedes."""

    name: str
    packs: frozenset[str]
    supersedes: frozenset[str] = frozenset()


class Order(NamedTuple):
    """A signed order about one snapshot."""

    verb: Literal["forget", "hold"]
    target: str
    by: str


class Commit(NamedTuple):
    """What stands at the commit key of a session: its decision."""

    session: str
    verb: Literal["snapshot", "un-forget", "hold", "ABORT"]
    chunks: str = ""
    target: str = ""
    cancels: frozenset[Order] = frozenset()


class Run(NamedTuple):
    """One numbered collector run: the objects ``gc/<n>/...``, None where not put yet."""

    tombs: frozenset[Key]
    waits: frozenset[str] | None = None
    kills: frozenset[Key] | None = None
    done: bool = False


class Store(NamedTuple):
    """Every object in the store; the last four fields are what is known about them."""

    packs: frozenset[str]
    segments: frozenset[Segment]
    sessions: frozenset[str]
    commits: frozenset[Commit]
    orders: frozenset[Order]
    runs: tuple[Run, ...]
    acknowledged: frozenset[Commit]  # every commit that was accepted, whatever becomes of it
    alarms: frozenset[str] = frozenset()  # chunks that a collector reported as found nowhere
    damaged: frozenset[str] = frozenset()  # chunks that real damage took the index entry of
    volatile: frozenset[tuple[str, Key]] = frozenset()  # who put what, and it may not survive yet


class View(NamedTuple):
    """What a collector read of the store, each listing at its own time."""

    packs: frozenset[str] = frozenset()
    segments: frozenset[Segment] = frozenset()
    commits: frozenset[Commit] = frozenset()
    orders: frozenset[Order] = frozenset()


def chunks_of(pack: str) -> str:
    """Return the chunks in a pack."""
    return pack.split(":")[1]


def tombed(runs: Iterable[Run]) -> frozenset[Key]:
    """Return what unfinished runs may delete."""
    return frozenset(key for run in runs if not run.done for key in run.tombs)


def killed(runs: Iterable[Run]) -> frozenset[Key]:
    """Return what any run, finished or not, has decided to delete."""
    return frozenset(key for run in runs for key in run.kills or ())


def commit_of(commits: Iterable[Commit], session: str) -> Commit | None:
    """Return the decision of a session, if there is one."""
    return next((commit for commit in commits if commit.session == session), None)


def is_snapshot(store: Store, session: str) -> bool:
    """Tell whether the commit of a session is there and is a snapshot."""
    commit = commit_of(store.commits, session)
    return commit is not None and commit.verb == "snapshot"


def superseded(segments: Iterable[Segment], gone: frozenset[Key]) -> set[str]:
    """Return the names of segments that a segment which counts supersedes."""
    counting = (segment for segment in segments if Key("segment", segment.name) not in gone)
    return {name for segment in counting for name in segment.supersedes}


def indexed_packs(segments: Iterable[Segment], gone: frozenset[Key] = frozenset()) -> set[str]:
    """Return the packs found through segments that count and are not superseded."""
    counting = [segment for segment in segments if Key("segment", segment.name) not in gone]
    old = superseded(counting, gone)
    return {pack for segment in counting if segment.name not in old for pack in segment.packs}


def is_held(session: str, commits: Iterable[Commit], orders: Iterable[Order]) -> bool:
    """Tell whether a hold protects a snapshot."""
    return any(commit.verb == "hold" and commit.target == session for commit in commits) or any(
        order.verb == "hold" and order.target == session for order in orders
    )


def is_forgotten(session: str, commits: Iterable[Commit], orders: Iterable[Order]) -> bool:
    """Tell whether a forget order names a snapshot and no un-forget cancels that order."""
    cancelled = {order for commit in commits for order in commit.cancels}
    return any(
        order.verb == "forget" and order.target == session and order not in cancelled
        for order in orders
    )


def put_commit(store: Store, commit: Commit, *, overwrite: bool = False) -> tuple[Store, bool]:
    """Put a decision if its key is free; return the store and whether it was accepted."""
    if not overwrite and commit_of(store.commits, commit.session):
        return store, False
    others = frozenset(other for other in store.commits if other.session != commit.session)
    promised = store.acknowledged if commit.verb == "ABORT" else store.acknowledged | {commit}
    return store._replace(commits=others | {commit}, acknowledged=promised), True


def put_pack(store: Store, pack: str) -> Store:
    """Put a pack."""
    return store._replace(packs=store.packs | {pack})


def put_segment(store: Store, segment: Segment) -> Store:
    """Put an index segment."""
    return store._replace(segments=store.segments | {segment})


def put_session(store: Store, session: str) -> Store:
    """Put a session object."""
    return store._replace(sessions=store.sessions | {session})


def put_order(store: Store, order: Order) -> Store:
    """Put an order."""
    return store._replace(orders=store.orders | {order})


def is_listed(store: Store, key: Key) -> bool:
    """Tell whether a listing of the store shows a key."""
    if key.kind == "pack":
        return key.name in store.packs
    if key.kind == "segment":
        return any(segment.name == key.name for segment in store.segments)
    if key.kind == "session":
        return key.name in store.sessions
    return commit_of(store.commits, key.name) is not None


def delete(store: Store, key: Key) -> Store:
    """Delete one key; nothing happens if it is not there."""
    if key.kind == "pack":
        return store._replace(packs=store.packs - {key.name})
    if key.kind == "segment":
        kept = frozenset(segment for segment in store.segments if segment.name != key.name)
        return store._replace(segments=kept)
    if key.kind == "session":
        return store._replace(sessions=store.sessions - {key.name})
    return store._replace(commits=frozenset(c for c in store.commits if c.session != key.name))


def names(keys: Iterable[Key]) -> str:
    """Write a set of keys for a trace."""
    return "{" + " ".join(sorted(key.name for key in keys)) + "}"
