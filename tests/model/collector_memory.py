"""Where a collector stands, and what it remembers from one request to the next."""

from typing import NamedTuple

from tests.model.marking import Plan
from tests.model.store_state import Key, Store, View


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
