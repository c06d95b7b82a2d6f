"""What a collector concludes from what it read: no step, no store, only sets.

The length of the grace is not modelled: wherever a forgotten snapshot is looked at, its grace may
be over or not.
"""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from tests.model.rules import Rules
from tests.model.store_state import (
    Commit,
    Key,
    Order,
    Segment,
    View,
    chunks_of,
    indexed_packs,
    is_forgotten,
    is_held,
    superseded,
)

NO_KEYS: frozenset[Key] = frozenset()


class Past(NamedTuple):
    """What the kills of all runs say at the moment of a decision."""

    gone: frozenset[Key]  # counts as absent, listed or not
    ended: frozenset[Key]  # named by a kills


class Mark(NamedTuple):
    """One way to mark: chunks that are needed, packs that are kept for them, tombs."""

    needed: tuple[str, ...]
    kept: frozenset[str]
    tombs: frozenset[Key]


def expired(
    commits: frozenset[Commit], orders: frozenset[Order], rules: Rules
) -> frozenset[str]:
    """Return the snapshots that may go once their grace is over."""
    return frozenset(
        commit.session
        for commit in commits
        if commit.verb == "snapshot"
        and is_forgotten(commit.session, commits, orders)
        and not (rules.held_is_live and is_held(commit.session, commits, orders))
    )


def graces(
    commits: frozenset[Commit], orders: frozenset[Order], rules: Rules
) -> list[frozenset[str]]:
    """Return the snapshots that count as dead: with the grace over, and before that."""
    dead = expired(commits, orders, rules)
    return [dead, frozenset()] if dead else [dead]


def holders(view: View, gone: frozenset[Key], chunk: str) -> list[str]:
    """Return the listed, indexed packs that hold a chunk."""
    indexed = indexed_packs(view.segments, gone)
    return [
        pack
        for pack in sorted(view.packs)
        if chunk in chunks_of(pack) and pack in indexed and Key("pack", pack) not in gone
    ]


def needed_chunks(view: View, dead: frozenset[str], gone: frozenset[Key]) -> list[str]:
    """Return the chunks that live roots need."""
    return sorted(
        {
            chunk
            for commit in view.commits
            if commit.verb == "snapshot"
            and commit.session not in dead
            and Key("commit", commit.session) not in gone
            for chunk in commit.chunks
        }
    )


def nowhere(view: View, dead: frozenset[str], gone: frozenset[Key]) -> str:
    """Return the needed chunks that no listed, indexed pack holds."""
    needed = needed_chunks(view, dead, gone)
    return "".join(chunk for chunk in needed if not holders(view, gone, chunk))


def marks(view: View, past: Past, dead: frozenset[str], rules: Rules) -> Iterator[Mark]:
    """Return every way to mark: of the packs that hold one chunk, one stays, or all do."""
    needed = needed_chunks(view, dead, past.gone)
    choices = []
    for chunk in needed:
        packs = holders(view, past.gone, chunk)
        choice = [frozenset([pack]) for pack in packs]
        choices.append(choice if len(packs) == 1 else [*choice, frozenset(packs)])
    keeps = (frozenset[str]().union(*chosen) for chosen in product(*choices))
    for kept in dict.fromkeys(keeps):
        yield Mark(tuple(needed), kept, garbage(view, past, kept, dead, rules))


def garbage(
    view: View, past: Past, kept: frozenset[str], dead: frozenset[str], rules: Rules
) -> frozenset[Key]:
    """Return everything that may go when some packs are kept."""
    keys = {Key("pack", pack) for pack in view.packs if pack not in kept}
    old = superseded(view.segments, past.gone)
    for segment in view.segments:
        key = Key("segment", segment.name)
        entries_go = all(
            Key("pack", pack) in keys or (Key("pack", pack) in past.ended and pack not in view.packs)
            for pack in segment.packs
        )
        if segment.name in old or key in past.gone or entries_go:
            keys.add(key)
    if rules.tombs_name_commits:
        for commit in view.commits:
            key = Key("commit", commit.session)
            about = commit.target or commit.session
            goes = about in dead or Key("commit", about) in past.gone or key in past.gone
            if goes or (commit.target and not rules.goes_with_target):
                keys.add(key)
    return frozenset(keys)


class Verdict(NamedTuple):
    """What step 4 comes to: kills, or a chunk found nowhere, or neither (it stands still)."""

    kills: frozenset[Key] | None = None
    nowhere: str = ""


def decide(
    tombs: frozenset[Key], view: View, past: Past, dead: frozenset[str], rules: Rules
) -> Verdict:
    """Return what a run kills: its tombs less what the roots need."""
    kills = set(tombs)
    if not rules.kills_within_tombs:
        kills = set(garbage(view, past, _all_holders(view, past, dead), dead, rules))
        tombs = frozenset(kills)
    if not rules.tombs_name_commits:
        kills |= {Key("commit", session) for session in dead}
    roots = _roots(tombs, view, past, dead, rules)
    for chunk in sorted({chunk for root in roots for chunk in root.chunks}):
        packs = {Key("pack", pack) for pack in holders(view, past.gone, chunk)}
        if not packs and rules.damage_stops:
            return Verdict(nowhere=chunk)
        if packs <= tombs:
            if not rules.needed_pack_stays:
                return Verdict()
            kills -= packs
    if rules.root_commit_stays:
        kills -= {Key("commit", root.session) for root in roots}
    if rules.goes_with_target:
        kills -= {
            Key("commit", commit.session)
            for commit in view.commits
            if commit.target and Key("commit", commit.target) not in kills | past.gone
        }
    if rules.needed_segment_stays:
        kills -= _needed_segments(kills, tombs, view, past)
    return Verdict(kills=frozenset(kills))


def _all_holders(view: View, past: Past, dead: frozenset[str]) -> frozenset[str]:
    needed = needed_chunks(view, dead, past.gone)
    return frozenset(pack for chunk in needed for pack in holders(view, past.gone, chunk))


def _roots(
    tombs: frozenset[Key], view: View, past: Past, dead: frozenset[str], rules: Rules
) -> list[Commit]:
    """Return the live roots, and every snapshot whose commit is not in tombs."""
    roots = []
    for commit in view.commits:
        key = Key("commit", commit.session)
        live = commit.session not in dead or (rules.untombed_is_root and key not in tombs)
        if commit.verb == "snapshot" and key not in past.gone and live:
            roots.append(commit)
    return roots


def _needed_segments(
    kills: set[Key], tombs: frozenset[Key], view: View, past: Past
) -> set[Key]:
    """Return the segments in kills with an entry that would be lost with them."""
    staying: list[Segment] = []
    doubtful: list[Segment] = []
    for segment in sorted(view.segments, key=lambda segment: segment.name):
        key = Key("segment", segment.name)
        if key not in tombs and key not in past.gone:
            staying.append(segment)
        elif key in kills and key not in past.gone:
            doubtful.append(segment)
    needed = set()
    for segment in doubtful:
        indexed = indexed_packs(staying)
        for pack in segment.packs:
            key = Key("pack", pack)
            ends = key in kills or (key in past.ended and pack not in view.packs)
            if not ends and pack not in indexed:
                needed.add(Key("segment", segment.name))
                staying.append(segment)
                break
    return needed
