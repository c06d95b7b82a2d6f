"""Where a collector stands, and what it remembers from one request to the next."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tests.model.marking import Past, Plan
from tests.model.rules import Rules
from tests.model.store_state import Key, Store, View, killed

LISTINGS = ("commits", "orders", "packs", "index")
PACKS_FIRST = ("packs", "commits", "orders", "index")
AGAIN = " again"
_FIELDS = {"commits": "commits", "orders": "orders", "packs": "packs", "index": "segments"}

Duty = Literal["compact", "repack", "delete what is not listed"]


class CollectorMemory(NamedTuple):
    """Where a collector stands, and what it remembers."""

    at: str = "list gc"
    run: int = 0
    view: View = View()
    trusts: frozenset[str] = frozenset()  # listings that it will not read again
    plan: Plan | None = None
    tombs: frozenset[Key] | None = None  # its own, where they rule and not those that exist
    sessions: frozenset[str] | None = None
    kills: frozenset[Key] | None = None
    todo: tuple[Key, ...] = ()
    nowhere: str = ""
    doubts: str = ""  # the step in which it found a chunk nowhere: "mark" or "decide"


Step = tuple[str, Store, CollectorMemory]
START = CollectorMemory()
END = CollectorMemory("end")


def read(store: Store, memory: CollectorMemory) -> View:
    """Return the view after the listing at which the collector stands."""
    listing = memory.at.removesuffix(AGAIN).removeprefix("list ")
    if memory.at.endswith(AGAIN) and listing in memory.trusts:
        return memory.view
    field = _FIELDS[listing]
    return memory.view._replace(**{field: getattr(store, field)})


def trusting(memory: CollectorMemory, view: View, trusts: list[str]) -> CollectorMemory:
    """Return the memory of one that forgets what it read, except listings that it trusts."""
    fields = [_FIELDS[listing] for listing in trusts]
    kept = View(**{field: getattr(view, field) for field in fields})
    return memory._replace(view=kept, trusts=frozenset(trusts))


def past(store: Store, memory: CollectorMemory, rules: Rules) -> Past:
    """Return what the kills of the runs before its own say: what it saw when it listed gc."""
    ended = killed(store.runs[: memory.run - 1])
    return Past(ended, gone=ended if rules.killed_is_absent else frozenset())
