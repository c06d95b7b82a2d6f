"""Processes that decide about a snapshot: forget, un-forget and hold."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tests.model.rules import Rules
from tests.model.store_state import (
    Commit,
    Key,
    Order,
    Store,
    is_forgotten,
    is_snapshot,
    killed,
    put_commit,
    put_order,
    put_session,
    tombed,
)


class SaverMemory(NamedTuple):
    """Where an un-forget or hold stands, and which orders it found."""

    at: str
    looked: bool = False
    orders: frozenset[Order] = frozenset()


SaverStep = tuple[str, Store, SaverMemory]


class Saver:
    """An un-forget, which cancels the forget orders of one snapshot, or a hold on it."""

    def __init__(
        self, name: str, verb: Literal["un-forget", "hold"], target: str, rules: Rules
    ) -> None:
        self._name = name
        self._verb = verb
        self._target = target
        self._rules = rules
        self._steps = {
            "look first": self._look_first,
            "put session": self._put_session,
            "list gc": self._list_gc,
            "look": self._look,
            "COMMIT": self._commit,
            "put order": self._put_order,
        }

    def start(self) -> SaverMemory:
        """Return the memory of one that has done nothing."""
        as_order = self._verb == "hold" and not self._rules.hold_is_commit
        early = as_order or not self._rules.target_after_gc
        return SaverMemory("look first" if early else "put session")

    def steps(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        """Return the steps it may take."""
        return [] if memory.at == "end" else self._steps[memory.at](store, memory)

    def _go(self, label: str, store: Store, memory: SaverMemory) -> list[SaverStep]:
        return [(f"{self._name}: {label}", store, memory)]

    def _look_first(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        """Look before the session: what two of the rules forbid."""
        if self._verb == "hold" and not self._rules.hold_is_commit:
            forgotten = is_forgotten(self._target, store.commits, store.orders)
            at = "put session" if forgotten else "put order"
            return self._go("read orders", store, SaverMemory(at))
        return self._look_then("put session", store, memory)

    def _look(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        return self._look_then("COMMIT", store, memory)

    def _look_then(self, at: str, store: Store, memory: SaverMemory) -> list[SaverStep]:
        orders = frozenset(
            order
            for order in store.orders
            if order.verb == "forget" and order.target == self._target
        )
        there = is_snapshot(store, self._target) or not self._rules.missing_target_refused
        found = there and (orders or self._verb == "hold")
        memory = memory._replace(at=at if found else "end", looked=True, orders=orders)
        return self._go(f"read orders and {self._target}", store, memory)

    def _put_session(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        put = put_session(store, self._name)
        return self._go("put session", put, memory._replace(at="list gc"))

    def _list_gc(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        target = Key("commit", self._target)
        if (self._rules.tombed_target_refused and target in tombed(store.runs)) or (
            self._rules.killed_is_absent and target in killed(store.runs)
        ):
            return self._go("list gc, refuses", store, memory._replace(at="end"))
        at = "COMMIT" if memory.looked else "look"
        return self._go("list gc", store, memory._replace(at=at))

    def _commit(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        if self._verb == "hold":
            commit = Commit(self._name, "hold", target=self._target)
        else:
            own_key = self._rules.unforget_is_commit
            key = self._name if own_key else self._name + " order"
            commit = Commit(key, "un-forget", target=self._target, cancels=memory.orders)
        put, accepted = put_commit(store, commit, overwrite=not self._rules.one_decision)
        label = f"COMMIT of the {self._verb}{'' if accepted else ' refused'}"
        return self._go(label, put, SaverMemory("end"))

    def _put_order(self, store: Store, _memory: SaverMemory) -> list[SaverStep]:
        put = put_order(store, Order("hold", self._target, self._name))
        return self._go("put order to hold", put, SaverMemory("end"))


class Forgetter:
    """Puts one order that forgets a snapshot, if it finds the snapshot; no session, no wait."""

    def __init__(self, name: str, target: str) -> None:
        self._name = name
        self._target = target

    def start(self) -> Literal["waiting", "done"]:
        """Return the memory of one that has not put its order."""
        return "waiting"

    def steps(
        self, store: Store, memory: Literal["waiting", "done"]
    ) -> list[tuple[str, Store, Literal["waiting", "done"]]]:
        """Return the one step, as long as it was not taken."""
        if memory == "done" or not is_snapshot(store, self._target):
            return []
        put = put_order(store, Order("forget", self._target, self._name))
        return [(f"{self._name}: forget {self._target}", put, "done")]
