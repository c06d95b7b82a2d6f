"""What the store holds, and the requests that change it.

A state of the store is one immutable value, so that two ways to the same state are seen to be the
same.  A few notations keep it small:

- A pack is named ``P:cd``: what put it (``P``), then the chunks in it (``c`` and ``d``).  Chunks of
  the domain `main` are small letters, those of the domain of an agent capital ones.
- A segment of the index names whole packs and the segments that it supersedes.
- A snapshot is named by its session and needs chunks, one letter each.

What it does not hold: sizes, places in packs, contents, signatures, times.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Literal, NamedTuple

Kind = Literal["segment", "pack", "commit", "session", "order", "gc", "wal", "abort"]


class Key(NamedTuple):
    """One object in the store, as tombs and kills name it."""

    kind: Kind
    name: str


Keys = frozenset[Key]
MAIN = "main"
AGENT = "agent"


class Segment(NamedTuple):
    """One index segment: the packs it has entries for, the segments it supersedes."""

    name: str
    packs: frozenset[str]
    supersedes: frozenset[str] = frozenset()


class Order(NamedTuple):
    """A signed order about objects; a forget and a release name commits."""

    verb: Literal[
        "forget", "hold", "release", "allow empty", "quarantine", "void", "void of nothing"
    ]
    targets: Keys
    by: str
    heads: Keys = frozenset()


class Commit(NamedTuple):
    """What stands at the commit key of a session: its decision."""

    session: str
    verb: Literal["snapshot", "un-forget", "hold", "ABORT"]
    chunks: str = ""
    targets: Keys = frozenset()
    cancels: frozenset[Order] = frozenset()
    heads: Keys = frozenset()
    start: str = ""  # of a base backup: the first segment of WAL that it needs
    end: str = ""  # of one that is older than the window: the last one
    source: str = ""
    complete: bool = True
    sound: str = ""  # chunks that it stored anew where their pack was in quarantine


class Run(NamedTuple):
    """One numbered collector run: the objects ``gc/<n>/...``, None where not put yet."""

    tombs: Keys
    waits: frozenset[str] | None = None
    kills: Keys | None = None
    done: bool = False
    heads: Keys = frozenset()  # what kills name as heads


class Store(NamedTuple):
    """Every object in the store; the fields after `runs` are what is known about them."""

    packs: frozenset[str]
    segments: frozenset[Segment]
    sessions: frozenset[str]
    commits: frozenset[Commit]
    orders: frozenset[Order]
    runs: tuple[Run, ...]
    acknowledged: frozenset[Commit]  # every commit that was accepted, whatever becomes of it
    alarms: frozenset[str] = frozenset()  # what collectors reported
    damaged: frozenset[str] = frozenset()  # what real damage took
    volatile: frozenset[tuple[str, Key]] = frozenset()  # who put what, and it may not survive yet
    unreadable: Keys = frozenset()  # objects whose bytes have changed
    rotten: frozenset[str] = frozenset()  # packs whose bytes have changed, whoever knows
    wal: frozenset[str] = frozenset()  # segments of WAL
    positions: frozenset[tuple[str, str]] = frozenset()  # session, the first segment it protects
    archived: frozenset[str] = frozenset()  # every segment that was pushed
    dead: frozenset[str] = frozenset()  # processes that will never move again
    missed: Keys = frozenset()  # commits and orders that vanished, and others name them as heads


def chunks_of(pack: str) -> str:
    """Return the chunks in a pack."""
    return pack.split(":")[1]


def domain_of_segment(name: str) -> str:
    """Return the domain of an index segment."""
    return AGENT if name[1:2].islower() else MAIN


def domain_of_chunk(chunk: str) -> str:
    """Return the domain of a chunk."""
    return AGENT if chunk.isupper() else MAIN


def commit_key(session: str) -> Key:
    """Return the key at which a session is decided."""
    return Key("commit", session)


def run_key(number: int, what: str) -> Key:
    """Return the key of an object of a run."""
    return Key("gc", f"{number}/{what}")


def commit_of(commits: Iterable[Commit], session: str) -> Commit | None:
    """Return the decision of a session, if there is one."""
    return next((commit for commit in commits if commit.session == session), None)


def is_snapshot(store: Store, session: str) -> bool:
    """Tell whether the commit of a session is there and is a snapshot."""
    commit = commit_of(store.commits, session)
    return commit is not None and commit.verb == "snapshot"


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


def put_wal(store: Store, segment: str) -> Store:
    """Push a segment of WAL."""
    return store._replace(wal=store.wal | {segment}, archived=store.archived | {segment})


def put_position(store: Store, session: str, segment: str) -> Store:
    """Put the heartbeat that says from which segment on a session protects WAL."""
    return store._replace(positions=store.positions | {(session, segment)})


def put_order(store: Store, order: Order) -> Store:
    """Put an order."""
    return store._replace(orders=store.orders | {order})


def put_run(store: Store, number: int, run: Run) -> Store:
    """Put an object of a run: the run is given as it is afterwards."""
    return store._replace(runs=(*store.runs[: number - 1], run, *store.runs[number:]))


def is_listed(store: Store, key: Key) -> bool:
    """Tell whether a listing of the store shows a key."""
    return key.name in _LISTINGS[key.kind](store)


def _list_gc(store: Store) -> set[str]:
    return {
        f"{number}/{what}"
        for number, run in enumerate(store.runs, 1)
        for what in ("tombs", "waits", "kills", "done")
        if getattr(run, what) not in (None, False)
    }


_LISTINGS: dict[Kind, Callable[[Store], Collection[str]]] = {
    "pack": lambda store: store.packs,
    "wal": lambda store: store.wal,
    "session": lambda store: store.sessions,
    "segment": lambda store: {segment.name for segment in store.segments},
    "commit": lambda store: {commit.session for commit in store.commits},
    "order": lambda store: {order.by for order in store.orders},
    "gc": _list_gc,
}


def delete(store: Store, key: Key) -> Store:
    """Delete one key, of gc only kills; nothing happens if it is not there."""
    if key in store.unreadable:
        store = store._replace(unreadable=store.unreadable - {key})
    return _DELETES[key.kind](store, key.name)


def _delete_segment(store: Store, name: str) -> Store:
    kept = frozenset(segment for segment in store.segments if segment.name != name)
    return store._replace(segments=kept)


def _delete_session(store: Store, name: str) -> Store:
    positions = frozenset(pair for pair in store.positions if pair[0] != name)
    return store._replace(sessions=store.sessions - {name}, positions=positions)


def _delete_commit(store: Store, name: str) -> Store:
    return store._replace(commits=frozenset(c for c in store.commits if c.session != name))


def _delete_order(store: Store, name: str) -> Store:
    return store._replace(orders=frozenset(order for order in store.orders if order.by != name))


def _delete_kills(store: Store, name: str) -> Store:
    number = int(name.removesuffix("/kills"))
    run = store.runs[number - 1]._replace(kills=None, heads=frozenset())
    return put_run(store, number, run)


_DELETES: dict[Kind, Callable[[Store, str], Store]] = {
    "pack": lambda store, name: store._replace(packs=store.packs - {name}),
    "wal": lambda store, name: store._replace(wal=store.wal - {name}),
    "session": _delete_session,
    "segment": _delete_segment,
    "commit": _delete_commit,
    "order": _delete_order,
    "gc": _delete_kills,
}


def names(keys: Iterable[Key]) -> str:
    """Write a set of keys for a trace."""
    return "{" + " ".join(sorted(key.name for key in keys)) + "}"
