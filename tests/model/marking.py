"""Steps 1 and 2 of a run: what is live, and everything that may go.  Sets only, no steps.

The length of the grace is not modelled: wherever a forgotten snapshot is looked at, its grace may
be over or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from tests.model.rules import Rules
from tests.model.store_reading import (
    View,
    indexed_packs,
    is_forgotten,
    is_held,
    last_good,
    superseded,
)
from tests.model.store_state import Commit, Key, Keys, Segment, chunks_of, commit_key
from tests.model.wal import expired_wal


class Past(NamedTuple):
    """What the kills of earlier runs, and orders, say at the moment of a decision."""

    ended: Keys  # named by a kills
    gone: Keys  # counts as absent, listed or not, and goes
    unsound: Keys = frozenset()  # nothing goes because these are there
    doubtful: Keys = frozenset()  # may have been named by kills that are void
    void: Keys = frozenset()  # counts as absent, and stays
    heads: Keys = frozenset()  # what kills name as heads


class Mark(NamedTuple):
    """One way to mark: the chunks that are needed, the packs that are kept for them."""

    needed: frozenset[str]
    kept: frozenset[str]


class Plan(NamedTuple):
    """What a run puts: tombs, and before them perhaps a new segment (and pack)."""

    label: str
    tombs: Keys
    new_segment: Segment | None = None
    repacked: str = ""


def expired(view: View, past: Past, rules: Rules) -> frozenset[str]:
    """Return the snapshots that may go once their grace is over."""
    forgotten = frozenset(
        commit.session
        for commit in view.commits
        if commit.verb == "snapshot"
        and _is_forgotten(commit.session, view, rules)
        and not (rules.held_is_live and _is_held(commit.session, view, rules))
    )
    if rules.last_good_is_live and forgotten:
        away = past.gone | past.void
        counting = (c for c in view.commits if c.source and commit_key(c.session) not in away)
        forgotten -= last_good(counting, view.orders)
    return forgotten


def _is_forgotten(session: str, view: View, rules: Rules) -> bool:
    if rules.cancels_for_targets:
        return is_forgotten(session, view.commits, view.orders)
    cancelled = {order for commit in view.commits for order in commit.cancels}
    return is_forgotten(session, (), view.orders - cancelled)


def _is_held(session: str, view: View, rules: Rules) -> bool:
    held = is_held(session, view.commits, view.orders)
    if rules.release_names_holds:
        return held
    return held and not any(
        order.verb == "release" and commit_key(session) in order.targets for order in view.orders
    )


def graces(view: View, past: Past, rules: Rules) -> list[frozenset[str]]:
    """Return the snapshots that count as dead: with the grace over, and before that.

    Of what a run has tombed whose kills are void the grace is over.
    """
    dead = expired(view, past, rules)
    over = frozenset(session for session in dead if commit_key(session) in past.doubtful)
    return [dead] if dead == over else [dead, over]


def holders(view: View, past: Past, chunk: str) -> list[str]:
    """Return the listed, indexed packs that hold a chunk."""
    indexed = indexed_packs(view.segments, past.gone)
    return [
        pack
        for pack in sorted(view.packs)
        if chunk in chunks_of(pack) and pack in indexed and Key("pack", pack) not in past.gone
    ]


def sound(packs: list[str], view: View, past: Past) -> list[str]:
    """Return the packs of these that another may go for."""
    if not past.unsound:
        return packs
    certain = [s for s in view.segments if Key("segment", s.name) not in past.unsound]
    indexed = indexed_packs(certain, past.gone)
    return [pack for pack in packs if pack in indexed and Key("pack", pack) not in past.unsound]


def live_roots(view: View, past: Past, dead: frozenset[str]) -> list[Commit]:
    """Return the snapshots that count."""
    return [
        commit
        for commit in view.commits
        if commit.verb == "snapshot"
        and commit.session not in dead
        and commit_key(commit.session) not in past.gone | past.void
    ]


def needed_chunks(roots: list[Commit]) -> list[str]:
    """Return the chunks that roots need."""
    return sorted({chunk for root in roots for chunk in root.chunks})


def nowhere(view: View, past: Past, dead: frozenset[str]) -> frozenset[str]:
    """Return the needed chunks that no listed, indexed pack holds."""
    needed = needed_chunks(live_roots(view, past, dead))
    return frozenset(chunk for chunk in needed if not holders(view, past, chunk))


def marks(view: View, past: Past, dead: frozenset[str]) -> Iterator[Mark]:
    """Return every way to mark: of the packs that hold one chunk, one stays, or all do.

    Unsound ones go only if a sound one stays.
    """
    needed = needed_chunks(live_roots(view, past, dead))
    choices = []
    for chunk in needed:
        packs = holders(view, past, chunk)
        one = [frozenset([pack]) for pack in sound(packs, view, past)]
        choices.append(one if len(one) == len(packs) == 1 else [*one, frozenset(packs)])
    keeps = (frozenset[str]().union(*chosen) for chosen in product(*choices))
    for kept in dict.fromkeys(keeps):
        yield Mark(frozenset(needed), kept)


def garbage(
    view: View, past: Past, kept: frozenset[str], dead: frozenset[str], rules: Rules
) -> Keys:
    """Return everything that may go when some packs are kept."""
    keys = {Key("pack", pack) for pack in view.packs if pack not in kept}
    old = superseded(view.segments, past.gone)
    for segment in view.segments:
        key = Key("segment", segment.name)
        useless = all(entry_ends(pack, keys, view, past) for pack in segment.packs)
        if segment.name in old or key in past.gone or useless:
            keys.add(key)
    if view.wal:
        live = live_roots(view, past, dead)
        keys |= {Key("wal", segment) for segment in expired_wal(view.wal, live, rules)}
    if rules.tombs_name_commits:
        ends = past.gone | {commit_key(session) for session in dead}
        if not rules.void_stays:
            keys |= {key for key in view.unreadable & past.void if key.kind == "commit"}
        keys |= {
            key
            for commit in view.commits
            if (key := commit_key(commit.session)) in ends
            or (commit.targets and ends_with_targets(commit, ends | past.void, rules))
        }
    if not rules.goes_with_target:
        keys |= {commit_key(commit.session) for commit in view.commits if commit.targets}
    return frozenset(keys)


def ends_with_targets(commit: Commit, ends: set[Key] | Keys, rules: Rules) -> bool:
    """Tell whether the targets of an un-forget or hold go, or it has none."""
    if rules.goes_with_all_targets or not commit.targets:
        return commit.targets <= ends
    return bool(commit.targets & ends)


def entry_ends(pack: str, keys: set[Key], view: View, past: Past) -> bool:
    """Tell whether nobody needs an index entry: its pack is among keys, or was deleted."""
    key = Key("pack", pack)
    return key in keys or (key in past.ended and pack not in view.packs)


def compaction(
    name: str, view: View, past: Past, mark: Mark, dead: frozenset[str], rules: Rules
) -> Plan:
    """Return the plan that puts one segment in the place of all."""
    packs = indexed_packs(view.segments, past.gone)
    drop = {pack for pack in packs if Key("pack", pack) in past.ended}
    if not rules.merge_keeps_entries:
        drop |= packs - view.packs
    merged = Segment(
        f"m{name}", frozenset(packs - drop), frozenset(segment.name for segment in view.segments)
    )
    later = view._replace(segments=view.segments | {merged})
    return Plan("will compact", garbage(later, past, mark.kept, dead, rules), merged)


def repacks(
    name: str, view: View, past: Past, mark: Mark, dead: frozenset[str], rules: Rules
) -> Iterator[Plan]:
    """Return the plans that put what is needed of one pack into a new one."""
    for pack in sorted(mark.kept):
        left = "".join(chunk for chunk in chunks_of(pack) if chunk in mark.needed)
        if left == chunks_of(pack):
            continue
        new = f"{name}:{left}"
        segment = Segment(f"i{name}", frozenset([new]))
        later = view._replace(packs=view.packs | {new}, segments=view.segments | {segment})
        tombs = garbage(later, past, mark.kept - {pack} | {new}, dead, rules)
        yield Plan(f"will repack {pack}", tombs, segment, repacked=pack)
