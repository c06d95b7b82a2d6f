"""What happens to a store by nobody's decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tests.model.store_reading import heads_of_kills, key_of_head, killed
from tests.model.store_state import (
    Key,
    Segment,
    Store,
    chunks_of,
    commit_key,
    delete,
    is_listed,
    put_segment,
)

Memory = Literal["not yet", "happened"]
FaultStep = tuple[str, Store, Memory]


class SentTwice:
    """A request was sent twice, and the second one arrives after its object was deleted."""

    def __init__(self, key: Key, put: Callable[[Store], Store]) -> None:
        self._key = key
        self._put = put

    def start(self) -> Memory:
        """Return the memory before the second request arrives."""
        return "not yet"

    def steps(self, store: Store, memory: Memory) -> list[FaultStep]:
        """Return the one step, once the object was there and is gone."""
        deleted = self._key in killed(store.runs) and not is_listed(store, self._key)
        if memory == "happened" or not deleted:
            return []
        return [(f"{self._key.kind} {self._key.name} comes back", self._put(store), "happened")]


class Forged:
    """Somebody puts an index segment of his own, at any time."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment

    def start(self) -> Memory:
        """Return the memory before it is put."""
        return "not yet"

    def steps(self, store: Store, memory: Memory) -> list[FaultStep]:
        """Return the one step."""
        if memory == "happened":
            return []
        label = f"segment {self._segment.name} is put by a stranger"
        return [(label, put_segment(store, self._segment), "happened")]


class _Damage:
    """Real damage to one object, as long as no kills names it."""

    says = "is damaged"

    def __init__(self, key: Key) -> None:
        self._key = key

    def start(self) -> Memory:
        """Return the memory before the damage."""
        return "not yet"

    def steps(self, store: Store, memory: Memory) -> list[FaultStep]:
        """Return the one step, as long as the object counts."""
        there = is_listed(store, self._key) and self._key not in killed(store.runs)
        if memory == "happened" or not there:
            return []
        damaged = {f"{self._key.kind} {self._key.name}"}
        for segment in store.segments:
            if Key("segment", segment.name) == self._key:
                damaged |= {chunk for pack in segment.packs for chunk in chunks_of(pack)}
        store = store._replace(damaged=store.damaged | damaged)
        label = f"{self._key.kind} {self._key.name} {self.says}"
        return [(label, self._harm(store), "happened")]

    def _harm(self, store: Store) -> Store:
        raise NotImplementedError


class Rots(_Damage):
    """The bytes of an object change: it is there and cannot be read."""

    says = "cannot be read any more"

    def _harm(self, store: Store) -> Store:
        return store._replace(unreadable=store.unreadable | {self._key})


class Lost(_Damage):
    """An object vanishes; of a commit or order that nobody names, nobody can know.

    With an index segment the places vanish of what is in its packs.
    """

    says = "is lost"

    def _harm(self, store: Store) -> Store:
        heads = heads_of_kills(store.runs).union(
            *(commit.heads for commit in store.commits), *(order.heads for order in store.orders)
        )
        known = {key_of_head(head) for head in heads}
        store = delete(store, self._key)
        if self._key.kind == "segment":
            return store
        if self._key in known:
            return store._replace(missed=store.missed | {self._key})
        promised = (c for c in store.acknowledged if commit_key(c.session) != self._key)
        return store._replace(acknowledged=frozenset(promised))
