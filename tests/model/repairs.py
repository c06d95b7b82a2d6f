"""A person who says that damage is to be lived with."""

from __future__ import annotations

from typing import Literal

from tests.model.rules import Rules
from tests.model.store_reading import killed
from tests.model.store_state import (
    Commit,
    Key,
    Order,
    Store,
    is_listed,
    put_commit,
    put_order,
)

Memory = Literal["not yet", "key is taken", "done"]
VoidStep = tuple[str, Store, Memory]


class Voider:
    """Puts the order that voids one object, once it cannot be read or is lost."""

    def __init__(self, name: str, key: Key, rules: Rules) -> None:
        self._name = name
        self._key = key
        self._rules = rules

    def start(self) -> Memory:
        """Return the memory of one that has not put its order."""
        return "not yet"

    def steps(self, store: Store, memory: Memory) -> list[VoidStep]:
        """Return the next step, if there is something to void."""
        key = self._key
        if memory == "done" or f"{key.kind} {key.name}" not in store.damaged:
            return []
        what = f"{self._name}: void {key.kind} {key.name}"
        if memory == "key is taken":
            order = Order("void of nothing", frozenset([key]), self._name)
            return [(f"{what}, which is gone", put_order(store, order), "done")]
        if key in store.unreadable:
            order = Order("void", frozenset([key]), self._name)
            return [(what, put_order(store, order), "done")]
        if is_listed(store, key) or key in killed(store.runs):
            return []
        if key.kind == "commit" and self._rules.void_takes_the_key:
            put, _ = put_commit(store, Commit(key.name, "ABORT"))
            return [(f"{self._name}: put ABORT at {key.name}", put, "key is taken")]
        return self.steps(store, "key is taken")
