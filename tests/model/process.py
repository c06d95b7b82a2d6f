"""What a process is to the search."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol, TypeVar

from tests.model.store_state import Store

Memory = TypeVar("Memory", bound=Hashable)


class Process(Protocol[Memory]):
    """Anything that takes steps in the store.

    It may have a third method, ``catch_up(store, memory) -> memory``: what it remembers after
    another process has put something.
    """

    def start(self) -> Memory:
        """Return its memory before its first step."""
        ...

    def steps(self, store: Store, memory: Memory) -> Sequence[tuple[str, Store, Memory]]:
        """Return every step it may take: label, store afterwards, memory afterwards."""
        ...
