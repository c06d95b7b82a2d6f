"""What stops collection: what cannot be read, and what is gone without a reason."""

from __future__ import annotations

from tests.model.marking import Past
from tests.model.rules import Rules
from tests.model.store_reading import View, heads_of_kills, killed, lost_heads, voided
from tests.model.store_state import Keys, Store, commit_key, run_key


def troubles(view: View, past: Past, rules: Rules) -> Keys:
    """Return what a collector that has listed everything must not go on without."""
    found: Keys = frozenset()
    void = voided(view.orders)
    for kind, stops in (
        ("commit", rules.unreadable_commit_stops),
        ("order", rules.unreadable_order_stops),
        ("segment", rules.unreadable_segment_stops),
    ):
        if stops:
            found |= {key for key in view.unreadable - void if key.kind == kind}
    if rules.lost_head_stops:
        found |= _lost(view, past, rules)
    return found


def _lost(view: View, past: Past, rules: Rules) -> Keys:
    """Return the heads that are gone without a kills or a void.

    What the tombs of a run name whose kills are void may be gone by those.
    """
    lost = lost_heads(view.commits, view.orders, past.heads) - view.unreadable
    if not rules.heads_name_bytes:
        lost -= {commit_key(commit.session) for commit in view.commits}
    return lost - past.ended - past.void - past.doubtful


def dark_kills(store: Store) -> Keys:
    """Return the kills that cannot be read."""
    keys = (run_key(number, "kills") for number in range(1, len(store.runs) + 1))
    return frozenset(key for key in keys if key in store.unreadable)


def report(keys: Keys) -> frozenset[str]:
    """Return how troubles are reported."""
    return frozenset(f"{key.kind} {key.name}" for key in keys)


def is_explained(store: Store, reported: str) -> bool:
    """Tell whether an object that was missed is there after all, or a kills has named it."""
    kind, _, name = reported.partition(" ")
    if not name:
        return False  # a chunk
    missed = store.unreadable | lost_heads(store.commits, store.orders, heads_of_kills(store.runs))
    return not any((key.kind, key.name) == (kind, name) for key in missed - killed(store.runs))
