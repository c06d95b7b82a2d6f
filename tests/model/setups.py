"""What configurations are made of: stores, pairs of collectors, and how one is searched."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from tests.model.collector import Collector
from tests.model.collector_memory import Duty
from tests.model.explore import LIMIT, Found, Search
from tests.model.process import Process
from tests.model.properties import EVERYTHING, Breach
from tests.model.rules import ALL_RULES, Rules
from tests.model.store_state import Commit, Order, Segment, Store, commit_key

Processes = list[Process[Any]]


def store_with(packs: str = "", *, live: str = "", dead: str = "") -> Store:
    """Return a store with indexed packs, live snapshots and forgotten ones.

    ``live="Sc Td"`` are the snapshots S and T, which need the chunks c and d.
    """
    commits = frozenset(
        Commit(word[0], "snapshot", chunks=word[1:]) for word in f"{live} {dead}".split()
    )
    return Store(
        packs=frozenset(packs.split()),
        segments=frozenset(Segment(f"i{pack[0]}", frozenset([pack])) for pack in packs.split()),
        sessions=frozenset(),
        commits=commits,
        orders=frozenset(_forget(word[0]) for word in dead.split()),
        runs=(),
        acknowledged=commits,
    )


def _forget(snapshot: str) -> Order:
    return Order("forget", frozenset([commit_key(snapshot)]), f"F{snapshot}")


def with_commits(store: Store, *commits: Commit) -> Store:
    """Return a store with other commits in the place of those of their sessions."""
    named = {commit.session for commit in commits}
    kept = frozenset(commit for commit in store.commits if commit.session not in named)
    return store._replace(commits=kept | frozenset(commits), acknowledged=kept | frozenset(commits))


ONE_DEAD = store_with("P:c", dead="Sc")
ONE_LIVE = store_with("P:c", live="Sc")
EMPTY = store_with()


def pair(rules: Rules, *, last: int = 2, does: Collection[Duty] = ()) -> list[Collector]:
    """Return two collectors."""
    return [Collector(name, rules, last=last, does=does) for name in "GH"]


class Configuration(NamedTuple):
    """What is searched; `alike`: its two collectors differ in nothing but their names."""

    text: str
    store: Store
    processes: Callable[[Rules], Processes]
    alike: bool = False
    rules: Rules = ALL_RULES

    def begin(self, *without: str, watch: frozenset[Breach] = EVERYTHING) -> Search:
        """Begin a search; where a trace is expected, two alike collectors keep their names."""
        rules = self.rules.without(*without)
        alike = self.alike and not without
        return Search(self.store, self.processes(rules), rules, alike=alike, watch=watch)

    def search(
        self, *without: str, watch: frozenset[Breach] = EVERYTHING, limit: int = LIMIT
    ) -> Found:
        """Search it, without some rules."""
        return self.begin(*without, watch=watch).run(limit)
