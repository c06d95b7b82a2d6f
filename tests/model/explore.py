"""Search through every order of steps: breadth first, so the way to the first breach is shortest.

Stores and memories are numbered.  A state is the number of its store and of each memory, and the
steps of one process are worked out once for each store and memory: so half a million states take
seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from tests.model.durability import after_power_cut
from tests.model.process import Process
from tests.model.properties import DATA_LOSS, EVERYTHING, Breach, Cleaner, Violation, violations
from tests.model.rules import Rules
from tests.model.store_state import Store

LIMIT = 3_000_000
ALARMS = frozenset({Breach.FALSE_ALARM})

State = tuple[int, ...]
Before = dict[State, tuple[State, str] | None]


class Found(NamedTuple):
    """What a search found; the trace is the shortest way to the violation.

    It is complete if no state is left to look at.
    """

    states: int
    stores: int
    complete: bool
    violation: Violation | None = None
    trace: tuple[str, ...] = ()


class _Numbers:
    """Numbers for stores and memories, in the order in which they are met."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def of(self, thing: Hashable) -> int:
        """Return the number of a thing, a new one for a new thing."""
        number = self._numbers.setdefault(thing, len(self.things))
        if number == len(self.things):
            self.things.append(thing)
        return number


class _Table:
    """The steps of one process, worked out once for each store and memory."""

    def __init__(self, process: Process[Any], numbers: _Numbers) -> None:
        self._process = process
        self._numbers = numbers
        self._steps: dict[tuple[int, int], list[tuple[str, int, int]]] = {}
        self._catch_up = getattr(process, "catch_up", None)
        self._caught_up: dict[tuple[int, int], int] = {}

    def steps(self, store: int, memory: int) -> list[tuple[str, int, int]]:
        """Return the steps of the process, numbered."""
        known = self._steps.get((store, memory))
        if known is None:
            things, number = self._numbers.things, self._numbers.of
            known = [
                (label, number(after), number(then))
                for label, after, then in self._process.steps(things[store], things[memory])
            ]
            self._steps[store, memory] = known
        return known

    def catch_up(self, store: int, memory: int) -> int:
        """Return the memory after something was put."""
        if self._catch_up is None:
            return memory
        known = self._caught_up.get((store, memory))
        if known is None:
            things = self._numbers.things
            known = self._numbers.of(self._catch_up(things[store], things[memory]))
            self._caught_up[store, memory] = known
        return known


class Search:
    """One search from one store with some processes.

    With `alike` the last two processes differ in nothing but their names, and states that differ
    only in which of the two stands where count as one.  Labels may then name the wrong one.
    """

    def __init__(
        self,
        store: Store,
        processes: Sequence[Process[Any]],
        rules: Rules,
        *,
        alike: bool = False,
        watch: frozenset[Breach] = EVERYTHING,
    ) -> None:
        self._rules = rules
        self._alike = alike
        self._watch = watch
        self._cleaner = Cleaner(rules) if watch - DATA_LOSS - ALARMS else None
        self._numbers = _Numbers()
        self._tables = [_Table(process, self._numbers) for process in processes]
        starts = [self._numbers.of(process.start()) for process in processes]
        self._first: State = (self._numbers.of(store), *starts)

    def run(self, limit: int = LIMIT) -> Found:
        """Search until a store breaks a watched property, or no state is left."""
        before: Before = {self._first: None}
        queue = deque([self._first])
        checked: set[int] = set()
        while queue and len(before) <= limit:
            state = queue.popleft()
            store = state[0]
            if store not in checked:
                checked.add(store)
                violation = self._violation(store)
                if violation is not None:
                    trace = _way_to(before, state)
                    return Found(len(before), len(checked), not queue, violation, trace)
            for label, new in self._after(state):
                if new not in before:
                    before[new] = (state, label)
                    queue.append(new)
        return Found(len(before), len(checked), complete=not queue)

    def stores(self) -> Iterator[Store]:
        """Return every store that was met."""
        return (thing for thing in self._numbers.things if isinstance(thing, Store))

    def _violation(self, number: int) -> Violation | None:
        store: Store = self._numbers.things[number]
        found = self._violation_in(store)
        if found is None and store.volatile:
            found = self._violation_in(after_power_cut(store))
            return found and found._replace(what=f"{found.what} after a power cut")
        return found

    def _violation_in(self, store: Store) -> Violation | None:
        for violation in violations(store, self._rules):
            if violation.breach in self._watch:
                return violation
        found = self._cleaner.violation(store) if self._cleaner else None
        return found if found and found.breach in self._watch else None

    def _after(self, state: State) -> list[tuple[str, State]]:
        """Return every step of every process, and the state it leads to."""
        store, memories = state[0], state[1:]
        tables = self._tables
        found = []
        for place, memory in enumerate(memories):
            for label, after, then in tables[place].steps(store, memory):
                changed = list(memories)
                changed[place] = then
                if after == store:  # nobody else has anything new to see
                    changed[place] = tables[place].catch_up(after, then)
                else:
                    changed = [t.catch_up(after, m) for t, m in zip(tables, changed, strict=True)]
                if self._alike and changed[-1] < changed[-2]:
                    changed[-2:] = changed[-1], changed[-2]
                found.append((label, (after, *changed)))
        return found


def _way_to(before: Before, state: State) -> tuple[str, ...]:
    """Return the labels of the steps to a state."""
    labels = []
    step = before[state]
    while step is not None:
        state, label = step
        labels.append(label)
        step = before[state]
    return tuple(reversed(labels))
