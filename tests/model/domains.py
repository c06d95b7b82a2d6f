"""Domains: which one an object belongs to, as its name tells it in the model.

What belongs to the domain of an agent is put by a writer with a small letter: the snapshot ``q``,
the pack ``q:C``, the segment ``iq``; its chunks are capital letters.  All else is of `main`.
"""

from __future__ import annotations

from tests.model.rules import Rules
from tests.model.store_reading import View
from tests.model.store_state import (
    AGENT,
    MAIN,
    Key,
    Keys,
    Store,
    chunks_of,
    domain_of_chunk,
    domain_of_segment,
)

EVERY = frozenset([MAIN, AGENT])


def domains_in(store: Store) -> frozenset[str]:
    """Return the domains of which a store has snapshots."""
    return frozenset(domain_of_chunk(chunk) for c in store.commits for chunk in c.chunks)


def stopped_by(reported: frozenset[str]) -> frozenset[str]:
    """Return the domains in which collection stops: chunks, and objects as ``kind name``."""
    found: frozenset[str] = frozenset()
    for what in reported:
        kind, _, name = what.partition(" ")
        if not name:
            found |= {domain_of_chunk(kind)}
        elif kind == "segment":
            found |= {domain_of_segment(name)}
        elif kind == "commit":
            found |= {AGENT if name[0].islower() else MAIN}
        else:
            found = EVERY
    return found


def spared(keys: Keys, stopped: frozenset[str], view: View, rules: Rules) -> Keys:
    """Return those of some keys that are of domains in which collection has stopped."""
    if not stopped:
        return frozenset()
    return frozenset(key for key in keys if _domain(key, view, rules) in stopped)


def _domain(key: Key, view: View, rules: Rules) -> str:
    if key.kind == "segment":
        return domain_of_segment(key.name)
    if key.kind == "commit":
        return AGENT if key.name[0].islower() else MAIN
    if key.kind == "pack" and not rules.orphans_by_header:
        named = {pack for segment in view.segments for pack in segment.packs}
        if key.name not in named:
            return ""
    return domain_of_chunk(chunks_of(key.name)[0]) if key.kind == "pack" else MAIN
