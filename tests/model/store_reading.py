"""What can be read out of what a listing shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.model.store_state import (
    Commit,
    Key,
    Keys,
    Kind,
    Order,
    Run,
    Segment,
    Store,
    chunks_of,
    commit_key,
    domain_of_chunk,
    domain_of_segment,
    run_key,
)


class View(NamedTuple):
    """What a process read of the store, each listing at its own time.

    What cannot be read is in no listing but in `unreadable`.
    """

    packs: frozenset[str] = frozenset()
    segments: frozenset[Segment] = frozenset()
    commits: frozenset[Commit] = frozenset()
    orders: frozenset[Order] = frozenset()
    unreadable: Keys = frozenset()
    wal: frozenset[str] = frozenset()


def read_commits(store: Store, view: View) -> View:
    """Return the view after a listing of commits."""
    unreadable = {key for key in store.unreadable if key.kind == "commit"}
    commits = store.commits
    if unreadable:
        commits = frozenset(c for c in commits if commit_key(c.session) not in unreadable)
    return _with(view, "commit", unreadable)._replace(commits=commits)


def read_orders(store: Store, view: View) -> View:
    """Return the view after a listing of orders."""
    unreadable = {key for key in store.unreadable if key.kind == "order"}
    orders = store.orders
    if unreadable:
        orders = frozenset(o for o in orders if Key("order", o.by) not in unreadable)
    return _with(view, "order", unreadable)._replace(orders=orders)


def read_packs(store: Store, view: View) -> View:
    """Return the view after a listing of packs and WAL: they are not read."""
    return view._replace(packs=store.packs, wal=store.wal)


def read_index(store: Store, view: View) -> View:
    """Return the view after a listing of the index."""
    unreadable = {key for key in store.unreadable if key.kind == "segment"}
    segments = store.segments
    if unreadable:
        segments = frozenset(s for s in segments if Key("segment", s.name) not in unreadable)
    return _with(view, "segment", unreadable)._replace(segments=segments)


def _with(view: View, kind: str, unreadable: set[Key]) -> View:
    others = frozenset(key for key in view.unreadable if key.kind != kind)
    return view._replace(unreadable=others | unreadable)


# Runs


def tombed(runs: Iterable[Run], unreadable: Keys = frozenset()) -> Keys:
    """Return what unfinished runs may delete, as far as it can be read."""
    return frozenset(
        key
        for number, run in enumerate(runs, 1)
        if not run.done and not (unreadable and run_key(number, "tombs") in unreadable)
        for key in run.tombs
    )


def killed(runs: Iterable[Run], unreadable: Keys = frozenset()) -> Keys:
    """Return what any run, finished or not, has decided to delete, as far as it can be read."""
    return frozenset(
        key
        for number, run in enumerate(runs, 1)
        if not (unreadable and run_key(number, "kills") in unreadable)
        for key in run.kills or ()
    )


def doubtful(runs: Iterable[Run], void: Keys) -> Keys:
    """Return what a run may have decided to delete whose kills are void."""
    return frozenset(
        key
        for number, run in enumerate(runs, 1)
        if void and run_key(number, "kills") in void
        for key in run.tombs
    )


def heads_of_kills(runs: Iterable[Run], unreadable: Keys = frozenset()) -> Keys:
    """Return what the kills of runs name as heads, as far as they can be read."""
    return frozenset(
        key
        for number, run in enumerate(runs, 1)
        if run.heads and run_key(number, "kills") not in unreadable
        for key in run.heads
    )


# Index


def superseded(segments: Iterable[Segment], gone: Keys) -> set[str]:
    """Return the names of segments that a segment of their domain which counts supersedes."""
    return {
        name
        for segment in segments
        if segment.supersedes and Key("segment", segment.name) not in gone
        for name in segment.supersedes
        if domain_of_segment(name) == domain_of_segment(segment.name)
    }


def indexed_packs(
    segments: Iterable[Segment], gone: Keys = frozenset(), *, foreign: bool = False
) -> set[str]:
    """Return the packs found through segments that count and are not superseded.

    What a segment of another domain says of a pack does not count, unless `foreign`.
    """
    counting = [segment for segment in segments if Key("segment", segment.name) not in gone]
    old = superseded(counting, gone)
    return {
        pack
        for segment in counting
        if segment.name not in old
        for pack in segment.packs
        if foreign or domain_of_segment(segment.name) == domain_of_chunk(chunks_of(pack)[0])
    }


# Commits and orders


def is_held(session: str, commits: Iterable[Commit], orders: Iterable[Order]) -> bool:
    """Tell whether a hold that was not released protects a snapshot."""
    target, released = commit_key(session), _targets("release", orders)
    return any(
        commit.verb == "hold" and target in commit.targets
        for commit in commits
        if not released or commit_key(commit.session) not in released
    ) or any(order.verb == "hold" and target in order.targets for order in orders)


def is_forgotten(session: str, commits: Iterable[Commit], orders: Iterable[Order]) -> bool:
    """Tell whether a forget names a snapshot and no un-forget cancels it for this snapshot."""
    target = commit_key(session)
    cancelled = {
        order for commit in commits if target in commit.targets for order in commit.cancels
    }
    return any(
        order.verb == "forget" and target in order.targets and order not in cancelled
        for order in orders
    )


def last_good(commits: Iterable[Commit], orders: Iterable[Order]) -> frozenset[str]:
    """Return the last complete snapshot of each source, unless an order allows that it goes.

    The names of snapshots tell their order.
    """
    last: dict[str, str] = {}
    for commit in commits:
        if commit.source and commit.complete:
            last[commit.source] = max(commit.session, last.get(commit.source, ""))
    allowed = _targets("allow empty", orders) if last else frozenset()
    return frozenset(name for name in last.values() if commit_key(name) not in allowed)


def quarantined(orders: Iterable[Order]) -> Keys:
    """Return the packs that nobody may rely on."""
    return _targets("quarantine", orders)


def voided(orders: Iterable[Order]) -> Keys:
    """Return what counts as absent although something that cannot be read stands there."""
    return _targets("void", orders)


def void_of_nothing(orders: Iterable[Order]) -> Keys:
    """Return what is gone, and its absence is explained."""
    return _targets("void of nothing", orders)


def _targets(verb: str, orders: Iterable[Order]) -> Keys:
    return frozenset(key for order in orders if order.verb == verb for key in order.targets)


def heads(commits: Iterable[Commit], orders: Iterable[Order]) -> Keys:
    """Return the heads: what no other commit or order names."""
    seen = list(_seen(commits, orders))
    named = {key for _, names in seen for key in names}
    return frozenset(key for key, _ in seen if key not in named)


def lost_heads(commits: Iterable[Commit], orders: Iterable[Order], by_kills: Keys) -> Keys:
    """Return the keys of what some commit, order or kills names, and is not there as named."""
    seen = list(_seen(commits, orders))
    named = {key for _, names in seen for key in names} | by_kills
    lost = named - {key for key, _ in seen}
    return frozenset(key_of_head(head) for head in lost)


def key_of_head(head: Key) -> Key:
    """Return the key of an object by the name it has as a head."""
    return commit_key(head.name) if head.kind == "abort" else head


def _seen(commits: Iterable[Commit], orders: Iterable[Order]) -> Iterator[tuple[Key, Keys]]:
    """Return each commit and order as a head, which names its bytes, and the heads it names."""
    for commit in commits:
        kind: Kind = "abort" if commit.verb == "ABORT" else "commit"
        yield Key(kind, commit.session), commit.heads
    for order in orders:
        yield Key("order", order.by), order.heads
