"""Processes that decide about a snapshot: forget, release, un-forget and hold."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tests.model.gc_reading import absent
from tests.model.rules import Rules
from tests.model.store_reading import heads, is_forgotten, voided
from tests.model.store_state import (
    Commit,
    Key,
    Order,
    Store,
    commit_key,
    commit_of,
    is_listed,
    is_snapshot,
    put_commit,
    put_order,
    put_session,
)


class SaverMemory(NamedTuple):
    """Where an un-forget or hold stands, and which orders it found."""

    at: str
    looked: bool = False
    orders: frozenset[Order] = frozenset()


SaverStep = tuple[str, Store, SaverMemory]


class Saver:
    """An un-forget, which cancels the forget orders of some snapshots, or a hold on them."""

    def __init__(
        self, name: str, verb: Literal["un-forget", "hold"], targets: str, rules: Rules
    ) -> None:
        self._name = name
        self._verb = verb
        self._snapshots = targets.split()
        self._targets = frozenset(commit_key(name) for name in self._snapshots)
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
            forgotten = any(
                is_forgotten(name, store.commits, store.orders) for name in self._snapshots
            )
            at = "put session" if forgotten else "put order"
            return self._go("read orders", store, SaverMemory(at))
        return self._look_then("put session", store, memory)

    def _look(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        return self._look_then("COMMIT", store, memory)

    def _look_then(self, at: str, store: Store, memory: SaverMemory) -> list[SaverStep]:
        orders = frozenset(
            order
            for order in store.orders
            if order.verb == "forget" and order.targets & self._targets
        )
        there = all(is_snapshot(store, name) for name in self._snapshots)
        found = (there or not self._rules.missing_target_refused) and (
            orders or self._verb == "hold"
        )
        memory = memory._replace(at=at if found else "end", looked=True, orders=orders)
        return self._go(f"read orders and {' '.join(self._snapshots)}", store, memory)

    def _put_session(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        put = put_session(store, self._name)
        return self._go("put session", put, memory._replace(at="list gc"))

    def _list_gc(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        tombed = self._rules.tombed_target_refused
        away = absent(store, voided(store.orders), self._rules, tombed_is_absent=tombed)
        if away is None or self._targets & away:
            return self._go("list gc, refuses", store, memory._replace(at="end"))
        at = "COMMIT" if memory.looked else "look"
        return self._go("list gc", store, memory._replace(at=at))

    def _commit(self, store: Store, memory: SaverMemory) -> list[SaverStep]:
        if self._verb == "hold":
            commit = Commit(self._name, "hold", targets=self._targets)
        else:
            own_key = self._rules.unforget_is_commit
            key = self._name if own_key else self._name + " order"
            commit = Commit(key, "un-forget", targets=self._targets, cancels=memory.orders)
        put, accepted = put_commit(store, commit, overwrite=not self._rules.one_decision)
        label = f"COMMIT of the {self._verb}{'' if accepted else ' refused'}"
        return self._go(label, put, SaverMemory("end"))

    def _put_order(self, store: Store, _memory: SaverMemory) -> list[SaverStep]:
        put = put_order(store, Order("hold", self._targets, self._name))
        return self._go("put order to hold", put, SaverMemory("end"))


Waiting = Literal["waiting", "done"]
Verb = Literal["forget", "release", "allow empty", "quarantine"]


class Orderer:
    """Puts one order about objects, once they are there; no session, no wait."""

    def __init__(self, name: str, verb: Verb, *targets: Key) -> None:
        self._name = name
        self._verb: Verb = verb
        self._targets = frozenset(targets)

    def start(self) -> Waiting:
        """Return the memory of one that has not put its order."""
        return "waiting"

    def steps(self, store: Store, memory: Waiting) -> list[tuple[str, Store, Waiting]]:
        """Return the one step, as long as it was not taken."""
        if memory == "done" or not all(_is_there(store, key) for key in self._targets):
            return []
        order = Order(self._verb, self._targets, self._name, self._heads(store))
        what = " ".join(sorted(key.name for key in self._targets))
        return [(f"{self._name}: {self._verb} {what}", put_order(store, order), "done")]

    def _heads(self, _store: Store) -> frozenset[Key]:
        return frozenset()


def _is_there(store: Store, key: Key) -> bool:
    """Tell whether an order about an object may be put: about an ABORT there is none."""
    commit = commit_of(store.commits, key.name) if key.kind == "commit" else None
    return is_listed(store, key) and (commit is None or commit.verb != "ABORT")


class SeeingOrderer(Orderer):
    """One that names the heads it sees."""

    def _heads(self, store: Store) -> frozenset[Key]:
        return heads(store.commits, store.orders)


class Revoker(Orderer):
    """One that revokes writers of one session each: what is there then is accepted.

    What comes later is forgotten before it is there.
    """

    def steps(self, store: Store, memory: Waiting) -> list[tuple[str, Store, Waiting]]:
        """Return the one step, as long as it was not taken."""
        if memory == "done":
            return []
        late = frozenset(key for key in self._targets if not _is_there(store, key))
        order = Order("forget", late, self._name)
        what = " ".join(sorted(key.name for key in late)) or "nobody"
        put = put_order(store, order) if late else store
        return [(f"{self._name}: revoke {what}", put, "done")]


def forgetter(name: str, targets: str) -> Orderer:
    """Return one that forgets snapshots."""
    return Orderer(name, "forget", *(commit_key(target) for target in targets.split()))
