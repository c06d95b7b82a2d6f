"""Step 4 of a run: what of its tombs it kills.  Sets only, no steps."""

from __future__ import annotations

from typing import NamedTuple

from tests.model.marking import (
    Past,
    entry_ends,
    garbage,
    holders,
    live_roots,
    needed_chunks,
)
from tests.model.rules import Rules
from tests.model.store_state import Commit, Key, Segment, View, indexed_packs


class Verdict(NamedTuple):
    """What a run kills, or a chunk that was found nowhere."""

    kills: frozenset[Key]
    nowhere: str = ""


def decide(
    tombs: frozenset[Key], view: View, past: Past, dead: frozenset[str], rules: Rules
) -> Verdict:
    """Return what a run kills: its tombs less what the roots need."""
    if not rules.kills_within_tombs:
        tombs = _marked_again(view, past, dead, rules)
    roots = _roots(tombs, view, past, dead, rules)
    kills = set(tombs)
    if not rules.tombs_name_commits:
        kills |= {Key("commit", session) for session in dead}
    for chunk in needed_chunks(roots):
        packs = {Key("pack", pack) for pack in holders(view, past, chunk)}
        if not packs and rules.damage_stops:
            return Verdict(frozenset(), nowhere=chunk)
        if packs <= tombs and rules.needed_pack_stays:
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
    return Verdict(frozenset(kills))


def _marked_again(view: View, past: Past, dead: frozenset[str], rules: Rules) -> frozenset[Key]:
    """Return what could go by what stands there now, whoever may rely on it."""
    needed = needed_chunks(live_roots(view, past, dead))
    kept = frozenset(pack for chunk in needed for pack in holders(view, past, chunk))
    return garbage(view, past, kept, dead, rules)


def _roots(
    tombs: frozenset[Key], view: View, past: Past, dead: frozenset[str], rules: Rules
) -> list[Commit]:
    """Return the live roots, and every snapshot whose commit is not in tombs."""
    if rules.untombed_is_root:
        dead = frozenset(session for session in dead if Key("commit", session) in tombs)
    return live_roots(view, past, dead)


def _needed_segments(kills: set[Key], tombs: frozenset[Key], view: View, past: Past) -> set[Key]:
    """Return the segments in kills with an entry that would be lost with them."""
    staying: list[Segment] = []
    doubtful: list[Segment] = []
    for segment in sorted(view.segments, key=lambda segment: segment.name):
        key = Key("segment", segment.name)
        if key in past.gone:
            continue
        if key not in tombs:
            staying.append(segment)
        elif key in kills:
            doubtful.append(segment)
    needed = set()
    for segment in doubtful:
        indexed = indexed_packs(staying)
        if not all(
            pack in indexed or entry_ends(pack, kills, view, past) for pack in segment.packs
        ):
            needed.add(Key("segment", segment.name))
            staying.append(segment)
    return needed
