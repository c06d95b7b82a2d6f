"""Search through every order of steps: breadth first, so the first violation has the shortest way.

Stores and memories are numbered.  A state is the number of its store and of each memory, and the
steps of one process are worked out once for each (store, memory): that is what makes half a
million states a matter of seconds.
"""

from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, Protocol

from tests.model.properties import Cleaner, Violation, violation
from tests.model.rules import Rules
from tests.model.store_state import Store

State = tuple[int, ...]
LIMIT = 3_000_000


class Process(Protocol):
    """Anything that takes steps in the store."""

    def start(self) -> Hashable:
        """Return its memory before its first step."""
        ...

    def steps(self, store: Store, memory: Any) -> Sequence[tuple[str, Store, Hashable]]:  # noqa: ANN401 - its own
        """Return every step it may take: label, store afterwards, memory afterwards."""
        ...


class Found(NamedTuple):
    """What a search found."""

    states: int
    stores: int
    violation: Violation | None
    trace: tuple[str, ...] = ()


class _Table:
    """The steps of one process, worked out once for each store and memory."""

    def __init__(self, process: Process, numbers: "_Numbers") -> None:
        self._process = process
        self._numbers = numbers
        self._steps: dict[tuple[int, int], list[tuple[str, int, int]]] = {}
        self._caught_up: dict[tuple[int, int], int] = {}
        self._catch_up = getattr(process, "catch_up", None)

    def steps(self, store: int, memory: int) -> list[tuple[str, int, int]]:
        """Return the steps of the process, numbered."""
        known = self._steps.get((store, memory))
        if known is None:
            things, number = self._numbers.things, self._numbers.of
            steps = self._process.steps(things[store], things[memory])
            known = [(label, number(after), number(then)) for label, after, then in steps]
            self._steps[store, memory] = known
        return known

    def catch_up(self, store: int, memory: int) -> int:
        """Return the memory after what another process put."""
        if self._catch_up is None:
            return memory
        known = self._caught_up.get((store, memory))
        if known is None:
            things = self._numbers.things
            known = self._numbers.of(self._catch_up(things[store], things[memory]))
            self._caught_up[store, memory] = known
        return known


class _Numbers:
    """Numbers for stores and memories."""

    def __init__(self) -> None:
        self.things: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def of(self, thing: Hashable) -> int:
        """Return the number of a thing, a new one for a new thing."""
        number = self._numbers.setdefault(thing, len(self.things))
        if number == len(self.things):
            self.things.append(thing)
        return number


def explore(
    store: Store, processes: Sequence[Process], rules: Rules, *, alike: bool = False, watch: str = 'P3'
) -> Found:
    """Search until a state breaks a property, or no state is left.

    With `alike` the last two processes differ in nothing but their names, and states that differ
    in nothing but which of the two stands where count as one.
    """
    numbers = _Numbers()
    tables = [_Table(process, numbers) for process in processes]
    cleaner = Cleaner(rules)
    first = (numbers.of(store), *(numbers.of(process.start()) for process in processes))
    before: dict[State, tuple[State, str] | None] = {first: None}
    queue = deque([first])
    checked = set()
    while queue:
        state = queue.popleft()
        at = state[0]
        if at not in checked:
            checked.add(at)
            found = violation(numbers.things[at], rules)
            if found and found.kind == "FALSE ALARM" and 'alarm' not in watch: found = None
            if not found and 'P3' in watch: found = cleaner.violation(numbers.things[at])
            if found:
                return Found(len(before), len(checked), found, _trace(before, state))
        for place, memory in enumerate(state[1:]):
            table = tables[place]
            for label, after, then in table.steps(at, memory):
                if after == at:
                    then = table.catch_up(at, then)
                    new = (*state[: place + 1], then, *state[place + 2 :])
                else:
                    new = (after, *[tables[i].catch_up(after, then if i == place else m) for i, m in enumerate(state[1:])])
                if alike and new[-1] < new[-2]:
                    new = (*new[:-2], new[-1], new[-2])
                if new not in before:
                    before[new] = (state, label)
                    queue.append(new)
        if len(before) > LIMIT:
            raise RuntimeError(f"more than {LIMIT} states")
    return Found(len(before), len(checked), None)


def _trace(before: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    """Return the labels on the way to a state."""
    labels = []
    step = before[state]
    while step is not None:
        state, label = step
        labels.append(label)
        step = before[state]
    return tuple(reversed(labels))
