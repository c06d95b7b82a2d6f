"""Mutants that no test can notice, and why they do no harm."""

from __future__ import annotations

from typing import Final

_TYPES = "only for the type checker: what is taken away cannot occur here"
_GONE = "a removed pack that came back counts as little as one that is gone"

REVIEWED: Final[dict[str, str]] = {
    "waiting.py:_name: signs is None or signs.last_ns is None -> without signs is None": _TYPES,
    "survey.py:_census: if name is not None -> ": "what is no name of a segment was not killed",
    "collect.py:_collect: found.past.killed_packs - listed.packs.keys() -> "
    "found.past.killed_packs": "a killed pack that came back is removed again by the same run",
    "repacking.py:_take: continue -> ": "a frame of which nothing is needed is opened for nothing",
    "collect.py:_delete: repository.store.sync([layout.GC]); sizes = {i.key: i.size for i in "
    "repository.store.list(layout.PACKS)} if packs else {} -> the other way round": (
        "sizes are only for the figures"
    ),
    "collect.py:_delete: {*names.commits, *self._killed_commits()} -> without *names.commits": (
        "the kills of this run are among all kills"
    ),
    "census.py:spared: ~covered[first] & tombed[packs] -> ~covered[first]": (
        "packs that are not tombed are taken out of the tombs in vain"
    ),
    "verdict.py:_needed_segments: past.killed_packs - listed.packs.keys() -> past.killed_packs": (
        _GONE
    ),
    "verdict.py:_needed_segments: segment.name in tombed and any((pack not in killed and pack not "
    "in ended and ((segment.... -> without segment.name in tombed": (
        "they are taken out of the tombed ones"
    ),
    "verdict.py:_targets: commit is None or commit.purpose == Purpose.BACKUP -> "
    "without commit.purpose == Purpose.BACKUP": "a backup that names targets is damage, not read",
    "verdict.py:tombs: past.killed_packs - listed.packs.keys() -> past.killed_packs": _GONE,
    "retention.py:_stand_together: 1 -> 2": "any number below 0 begins the loop",
    "trust.py:believed: claim.agent and one.counts -> without claim.agent": (
        "a group is of one writer, who is an agent or is not"
    ),
    "verdict.py:kills: if one.key not in commits -> ": (
        "heads that a kills names explain themselves"
    ),
    "repacking.py:run: since >= self._bytes_between -> with Gt": "a byte more between two segments",
    "repacking.py:run: 0 -> 1": "a byte less between two segments",
    "repacking.py:run: 0 -> 1 (2)": "a byte less between two segments",
    "compacting.py:_cut: segment.size > room -> with GtE": "a byte less in a joined segment",
    "waiting.py:wait: _commit_key(s) not in killed and (not self._decided(s)) -> "
    "without not self._decided(s)": "those that are decided are left out a moment later",
    "collect.py:_collect: raise MovedOnError(error.message) from error -> ": (
        "whoever removed the segment has the number of this run, and its tombs rule"
    ),
    "collect.py:_has_kills: True -> False": "it looks again then, and its kills comes too late",
    "survey.py:survey: stored_ns = {i.key: i.stored_ns for i in store.list(layout.ORDERS) if "
    "i.stored_ns is no...; listed_commits = list(store.list(layout.COMMITS)) -> "
    "the other way round": "both say only when: what is needed was read before",
    "collect.py:_collect: False -> True": "nobody asks a run that is at work whether it is done",
    "compacting.py:_cut: 0 -> 1": "no segment has a single byte",
}
