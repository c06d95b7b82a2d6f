"""What a collector is, where it stands, and what it remembers from one request to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from tests.model.marking import Past, Plan
from tests.model.rules import Rules
from tests.model.store_reading import (
    View,
    doubtful,
    heads_of_kills,
    killed,
    quarantined,
    read_commits,
    read_index,
    read_orders,
    read_packs,
    void_of_nothing,
    voided,
)
from tests.model.store_state import Key, Keys, Store

LISTINGS = ("commits", "orders", "packs", "index")
PACKS_FIRST = ("packs", "commits", "orders", "index")
AGAIN = " again"
_READ: dict[str, Callable[[Store, View], View]] = {
    "commits": read_commits,
    "orders": read_orders,
    "packs": read_packs,
    "index": read_index,
}
_FIELDS = {"commits": "commits", "orders": "orders", "packs": "packs", "index": "segments"}

Duty = Literal[
    "compact", "repack", "delete what is not listed", "name heads", "fence nobody", "fence beside"
]


class Self(NamedTuple):
    """What a collector is: its name, its rules, its last run, and what it does besides."""

    name: str
    rules: Rules
    last: int
    does: frozenset[Duty]
    collectors: frozenset[str] = frozenset()  # sessions that are collectors themselves

    @property
    def reads(self) -> list[str]:
        """The listings of steps 1 and 2, in order."""
        order = LISTINGS if self.rules.roots_before_packs else PACKS_FIRST
        return [f"list {listing}" for listing in order]

    @property
    def reads_again(self) -> list[str]:
        """The listings of step 4, in order."""
        order = LISTINGS if self.rules.roots_before_packs_again else PACKS_FIRST
        return [f"list {listing}{AGAIN}" for listing in order]


class CollectorMemory(NamedTuple):
    """Where a collector stands, and what it remembers."""

    at: str = "list gc"
    run: int = 0
    view: View = View()
    trusts: frozenset[str] = frozenset()  # listings that it will not read again
    plan: Plan | None = None
    tombs: Keys | None = None  # its own, where they rule and not those that exist
    sessions: frozenset[str] | None = None
    kills: Keys | None = None
    heads: Keys = frozenset()  # what its kills will name as heads
    todo: tuple[Key, ...] = ()
    doubted: frozenset[str] = frozenset()  # what it will report
    doubts: str = ""  # the step in which it found it: "mark" or "decide"
    dark: Keys = frozenset()  # what of gc it could not read
    reported: frozenset[str] = frozenset()  # what stops collection in some domains only

    def then(self, at: str) -> CollectorMemory:
        """Return the memory of one that goes on with this run and needs nothing of what it read."""
        return CollectorMemory(at, self.run, dark=self.dark, reported=self.reported)


Step = tuple[str, Store, CollectorMemory]
START = CollectorMemory()
END = CollectorMemory("end")


def read(store: Store, memory: CollectorMemory) -> View:
    """Return the view after the listing at which the collector stands."""
    listing = memory.at.removesuffix(AGAIN).removeprefix("list ")
    if memory.at.endswith(AGAIN) and listing in memory.trusts:
        return memory.view
    return _READ[listing](store, memory.view)


def trusting(memory: CollectorMemory, view: View, trusts: list[str]) -> CollectorMemory:
    """Return the memory of one that forgets what it read, except listings that it trusts."""
    fields = [_FIELDS[listing] for listing in trusts]
    kept = View(**{field: getattr(view, field) for field in fields})
    return memory._replace(view=kept, trusts=frozenset(trusts))


def past(store: Store, memory: CollectorMemory, view: View, rules: Rules) -> Past:
    """Return what the kills of the runs before its own say, as it read gc, and what orders say."""
    before = store.runs[: memory.run - 1]
    ended = killed(before, memory.dark)
    gone = ended if rules.killed_is_absent else frozenset()
    unsound = quarantined(view.orders) if rules.quarantined_counts_not else frozenset()
    void = voided(view.orders)
    perhaps = doubtful(before, void)
    if rules.void_kills_are_doubtful:
        unsound |= perhaps
    void = (void & view.unreadable) | void_of_nothing(view.orders)  # a void is about bytes
    return Past(ended, gone, unsound, perhaps, void, heads_of_kills(before, memory.dark))
