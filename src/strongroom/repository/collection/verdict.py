"""What a collector run may remove, and what it removes in the end. Pure.

Steps 2 and 4 of a run (``docs/format.md`` 16): *tombs* are everything that nothing needed when they
were written; *kills* are what of that nothing needs now, after every session was waited for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from strongroom.repository import layout
from strongroom.repository.commits import Decision
from strongroom.repository.heads import Seen, heads_of
from strongroom.repository.loading import ListedSegment, superseded_by
from strongroom.repository.orders import Order
from strongroom.repository.records import Head, Purpose, Removals, split
from strongroom.repository.runs import NOTHING, Absent


class Listed(NamedTuple):
    """What a collector found: packs with their sizes, segments, keys of commits, decisions.

    ``segment_names``: those of all segments, also of those that do not count any more.
    """

    packs: Mapping[bytes, int]
    segments: Sequence[ListedSegment]
    commits: Collection[str]
    decisions: Sequence[Decision]
    orders: Sequence[Order]
    segment_names: Collection[bytes]

    @property
    def seen(self) -> list[Seen]:
        """All that heads can name."""
        return [*self.orders, *self.decisions]


class Expired(NamedTuple):
    """Keys of the COMMITs and of the WAL that nothing needs any more."""

    commits: Collection[str]
    wal: Collection[str] = ()


def removals(
    packs: Collection[bytes],
    commits: Collection[str],
    index: Collection[bytes],
    wal: Collection[str] = (),
    heads: tuple[Head, ...] = (),
) -> Removals:
    """Return the body of tombs or kills."""
    return Removals(
        packs=b"".join(sorted(packs)),
        commits=tuple(sorted(commits)),
        index=b"".join(sorted(index)),
        wal=tuple(sorted(wal)),
        manifests=(),
        heads=heads,
    )


def tombs(listed: Listed, kept: Collection[bytes], expired: Expired, past: Absent) -> Removals:
    """Return everything that may go when the packs ``kept`` hold what is needed."""
    packs = listed.packs.keys() - set(kept)
    old = superseded_by(listed.segments)
    ended = past.killed_packs - listed.packs.keys()
    index = {
        segment.name
        for segment in listed.segments
        if segment.name in old or all(pack in packs or pack in ended for pack in segment.packs)
    }
    index |= set(listed.segment_names) & past.killed_index  # that a late request brought back
    dead = {*expired.commits, *(set(listed.commits) & past.killed_commits)}
    dead |= _savers_of(listed.decisions, dead | past.killed_commits)
    return removals(packs, dead, index, expired.wal)


class Staying(NamedTuple):
    """What of tombs stays: packs that alone hold a needed chunk, keys of COMMITs and of WAL."""

    packs: Collection[bytes]
    commits: Collection[str]
    wal: Collection[str] = ()


def kills(named: Removals, listed: Listed, staying: Staying, past: Absent) -> Removals:
    """Return what of the tombs ``named`` is removed."""
    spared, roots = staying.packs, staying.commits
    packs = set(split(named.packs, layout.HASH_SIZE, "tombs")) - set(spared)
    commits = set(named.commits) - set(roots)
    going = commits | past.killed_commits
    savers = {d.key for d in listed.decisions if _targets(d)}
    commits -= savers - _savers_of(listed.decisions, going)
    index = set(split(named.index, layout.HASH_SIZE, "tombs"))
    segments = index - _needed_segments(index, packs, listed, past)
    wal = set(named.wal) - set(staying.wal)
    if not (packs or commits or segments or wal):
        return NOTHING
    seen = [one for one in listed.seen if one.key not in commits]
    return removals(packs, commits, segments, wal, heads_of(seen))


def _needed_segments(
    tombed: Collection[bytes], killed: Collection[bytes], listed: Listed, past: Absent
) -> set[bytes]:
    """Return the tombed segments with an entry that may be needed and that nothing has instead.

    Only a staying segment of the same domain that replaces others has it: that a writer lists the
    same pack does not say that it lists the same of it.
    """
    gone = set(tombed) | past.killed_index
    old = superseded_by(listed.segments)
    doubtful = past.doubtful.index
    has = {  # what a writer lists is its word alone; what replaces segments has admin's
        (segment.domain, pack)
        for segment in listed.segments
        if segment.supersedes and segment.name not in gone | old | doubtful
        for pack in segment.packs
    }
    ended = past.killed_packs - listed.packs.keys()
    return {
        segment.name
        for segment in listed.segments
        if segment.name in tombed
        and any(
            pack not in killed and pack not in ended and (segment.domain, pack) not in has
            for pack in segment.packs
        )
    }


def _targets(decision: Decision) -> list[str]:
    """Return the snapshots that a hold or an un-forget is about."""
    commit = decision.commit
    if commit is None or commit.purpose == Purpose.BACKUP:
        return []
    return [key for key in commit.targets if key.startswith(layout.COMMITS)]


def _savers_of(decisions: Sequence[Decision], going: Collection[str]) -> set[str]:
    """Return the holds and un-forgets of which all snapshots go."""
    return {
        decision.key
        for decision in decisions
        if (targets := _targets(decision)) and all(key in going for key in targets)
    }
