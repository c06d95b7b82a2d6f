"""Step 4 of a run: what of its tombs it kills.  Sets only, no steps."""

from __future__ import annotations

from typing import NamedTuple

from tests.model.marking import (
    Past,
    ends_with_targets,
    entry_ends,
    garbage,
    holders,
    live_roots,
    needed_chunks,
    sound,
)
from tests.model.rules import Rules
from tests.model.store_reading import View, indexed_packs
from tests.model.store_state import Commit, Key, Keys, Segment, commit_key
from tests.model.wal import needed


class Verdict(NamedTuple):
    """What a run kills, or the chunks that were found nowhere."""

    kills: Keys
    nowhere: frozenset[str] = frozenset()


def decide(tombs: Keys, view: View, past: Past, dead: frozenset[str], rules: Rules) -> Verdict:
    """Return what a run kills: its tombs less what the roots need."""
    if not rules.kills_within_tombs:
        tombs = _marked_again(view, past, dead, rules)
    roots = _roots(tombs, view, past, dead, rules)
    kills = set(tombs)
    if not rules.tombs_name_commits:
        kills |= {commit_key(session) for session in dead}
    nowhere: frozenset[str] = frozenset()
    for chunk in needed_chunks(roots):
        packs = holders(view, past, chunk)
        if not packs and rules.damage_stops:
            nowhere |= {chunk}
        stay = {Key("pack", pack) for pack in sound(packs, view, past)} - tombs
        if not stay and rules.needed_pack_stays:
            kills -= {Key("pack", pack) for pack in packs}
    if rules.needed_wal_stays:
        bases = [root for root in roots if root.start]
        kills -= {
            key
            for key in kills
            if key.kind == "wal" and any(needed(key.name, one, bases, rules) for one in bases)
        }
    if rules.root_commit_stays:
        kills -= {commit_key(root.session) for root in roots}
    if rules.goes_with_target:
        kills -= {
            commit_key(commit.session)
            for commit in view.commits
            if not ends_with_targets(commit, kills | past.gone | past.void, rules)
        }
    if rules.needed_segment_stays:
        kills -= _needed_segments(kills, tombs, view, past, rules)
    return Verdict(frozenset(kills), nowhere)


def _marked_again(view: View, past: Past, dead: frozenset[str], rules: Rules) -> Keys:
    """Return what could go by what stands there now, whoever may rely on it."""
    needed = needed_chunks(live_roots(view, past, dead))
    kept = frozenset(pack for chunk in needed for pack in holders(view, past, chunk))
    return garbage(view, past, kept, dead, rules)


def _roots(tombs: Keys, view: View, past: Past, dead: frozenset[str], rules: Rules) -> list[Commit]:
    """Return the live roots, and every snapshot whose commit is not in tombs."""
    if rules.untombed_is_root:
        dead = frozenset(session for session in dead if commit_key(session) in tombs)
    return live_roots(view, past, dead)


def _needed_segments(
    kills: set[Key], tombs: Keys, view: View, past: Past, rules: Rules
) -> set[Key]:
    """Return the segments in kills with an entry that would be lost with them."""
    staying: list[Segment] = []
    doubtful: list[Segment] = []
    for segment in sorted(view.segments, key=lambda segment: segment.name):
        key = Key("segment", segment.name)
        if key in past.gone:
            continue
        if key not in tombs:
            if key not in past.unsound:
                staying.append(segment)
        elif key in kills:
            doubtful.append(segment)
    needed = set()
    for segment in doubtful:
        indexed = indexed_packs(staying, foreign=not rules.entries_of_own_domain)
        if not all(
            pack in indexed or entry_ends(pack, kills, view, past) for pack in segment.packs
        ):
            needed.add(Key("segment", segment.name))
            if Key("segment", segment.name) not in past.unsound:
                staying.append(segment)
    return needed
