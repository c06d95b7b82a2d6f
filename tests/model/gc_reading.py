"""What a writer, an un-forget or a hold makes of ``gc/``."""

from __future__ import annotations

from tests.model.rules import Rules
from tests.model.store_reading import doubtful, killed, tombed
from tests.model.store_state import Keys, Store, run_key


def absent(store: Store, void: Keys, rules: Rules, *, tombed_is_absent: bool) -> Keys | None:
    """Return what counts as absent; None if that cannot be said, so nothing may be relied on.

    `void` is what the orders that were read say of objects that cannot be read.
    """
    unreadable = frozenset(key for key in store.unreadable if key.kind == "gc")
    if (
        unreadable
        and rules.unreadable_gc_trusts_nothing
        and _is_in_doubt(store, unreadable, void, rules)
    ):
        return None
    found: Keys = frozenset()
    if tombed_is_absent:
        found |= tombed(store.runs, unreadable)
    if rules.killed_is_absent:
        found |= killed(store.runs, unreadable)
    if rules.void_kills_are_doubtful:
        found |= doubtful(store.runs, void)
    return found


def _is_in_doubt(store: Store, unreadable: Keys, void: Keys, rules: Rules) -> bool:
    """Tell whether something cannot be read that says what is absent."""
    for number, run in enumerate(store.runs, 1):
        tombs, kills = run_key(number, "tombs"), run_key(number, "kills")
        if kills in unreadable - void:
            return True
        over = run.done or (tombs in void and not rules.empty_kills_end_a_run)
        if tombs in unreadable and (kills in void or not over):
            return True
    return False
