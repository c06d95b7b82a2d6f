"""What happens to a store by nobody's decision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from tests.model.store_state import (
    Key,
    Store,
    chunks_of,
    delete,
    is_listed,
    killed,
)

Memory = Literal["not yet", "happened"]


class SentTwice:
    """A request was sent twice, and the second one arrives after its object was deleted."""

    def __init__(self, key: Key, put: Callable[[Store], Store]) -> None:
        self._key = key
        self._put = put

    def start(self) -> Memory:
        """Return the memory before the second request arrives."""
        return "not yet"

    def steps(self, store: Store, memory: Memory) -> list[tuple[str, Store, Memory]]:
        """Return the one step, once the object was there and is gone."""
        deleted = self._key in killed(store.runs) and not is_listed(store, self._key)
        if memory == "happened" or not deleted:
            return []
        return [(f"{self._key.kind} {self._key.name} comes back", self._put(store), "happened")]


class LostSegment:
    """Real damage: one index segment vanishes, and with it the places of what is in its packs."""

    def __init__(self, segment: str) -> None:
        self._key = Key("segment", segment)

    def start(self) -> Memory:
        """Return the memory before the damage."""
        return "not yet"

    def steps(self, store: Store, memory: Memory) -> list[tuple[str, Store, Memory]]:
        """Return the one step, as long as the segment counts."""
        lost = [segment for segment in store.segments if segment.name == self._key.name]
        if memory == "happened" or not lost or self._key in killed(store.runs):
            return []
        chunks = {chunk for pack in lost[0].packs for chunk in chunks_of(pack)}
        damaged = delete(store, self._key)._replace(damaged=store.damaged | chunks)
        return [(f"segment {self._key.name} is lost", damaged, "happened")]
