"""What stops collection: what cannot be read, and what is gone without a reason."""

from __future__ import annotations

from tests.model.marking import Past
from tests.model.rules import Rules
from tests.model.store_reading import View, killed, named_heads, voided
from tests.model.store_state import Key, Keys, Store, commit_key, is_listed, run_key


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
        found |= lost_heads(view, past)
    return found


def lost_heads(view: View, past: Past) -> Keys:
    """Return what a commit or an order names, and is gone without a kills or a void."""
    named = named_heads(view.commits, view.orders)
    if not named:
        return named
    there = {commit_key(commit.session) for commit in view.commits}
    there |= {Key("order", order.by) for order in view.orders}
    return named - there - view.unreadable - past.ended - past.gone


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
    key = Key(kind, name)  # type: ignore[arg-type]
    if not name:
        return False  # a chunk
    return key in killed(store.runs) or (is_listed(store, key) and key not in store.unreadable)
