"""A store without conditional puts: two puts of one key may both succeed, and the last one stays.

Sessions are not fenced by time.  A collector waits, or a person says which session is dead and
puts its ABORT.  A collector opens a session too, and works only where no other collector has an
open one.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any, NamedTuple

from tests.model.collector import Collector
from tests.model.collector_memory import CollectorMemory
from tests.model.collector_wait import abort_beside
from tests.model.process import Process
from tests.model.rules import Rules
from tests.model.store_state import Commit, Store, commit_of, put_commit, put_session
from tests.model.writers import END, Writer, WriterMemory, WriterStep

AnyStep = tuple[str, Store, Any]


class AloneMemory(NamedTuple):
    """Where a collector stands that must be alone, and what it remembers as a collector."""

    at: str
    inner: CollectorMemory


class Alone:
    """A collector that works only where no other one of `collectors` has an open session."""

    def __init__(self, collector: Collector, name: str, collectors: str, rules: Rules) -> None:
        self._collector = collector
        self._name = name
        self._others = set(collectors.split()) - {name}
        self._rules = rules

    def start(self) -> AloneMemory:
        """Return the memory of one that has done nothing."""
        at = "put session" if self._rules.one_collector else "run"
        return AloneMemory(at, self._collector.start())

    def steps(self, store: Store, memory: AloneMemory) -> list[AnyStep]:
        """Return the steps that it may take."""
        if memory.at != "run":
            return self._session_step(store, memory)
        steps = self._collector.steps(store, memory.inner)
        if not steps and self._rules.one_collector:
            return self._session_step(store, memory._replace(at="ABORT"))
        return [(label, after, memory._replace(inner=then)) for label, after, then in steps]

    def _session_step(self, store: Store, memory: AloneMemory) -> list[AnyStep]:
        """Return the step about its own session: put it, look for others, end it."""
        if memory.at == "put session":
            put = put_session(store, self._name)
            return [(f"{self._name}: put session", put, memory._replace(at="look"))]
        if memory.at == "look":
            others = sorted(store.sessions & self._others)
            busy = [session for session in others if not commit_of(store.commits, session)]
            label = f"{self._name}: list sessions"
            if busy:
                return [(f"{label}, {busy[0]} is at work", store, memory._replace(at="ABORT"))]
            return [(label, store, memory._replace(at="run"))]
        if memory.at == "ABORT":
            put, _ = put_commit(store, Commit(self._name, "ABORT"), overwrite=True)
            return [(f"{self._name}: ABORT", put, memory._replace(at="end"))]
        return []


class Mortal:
    """A process that may die, and others could know it."""

    def __init__(self, name: str, process: Process[Any]) -> None:
        self._name = name
        self._process = process

    def start(self) -> Hashable:
        """Return the memory of the process."""
        start: Hashable = self._process.start()
        return start

    def steps(self, store: Store, memory: Any) -> list[AnyStep]:  # noqa: ANN401 - as the process has it
        """Return the steps of the process, or that it dies."""
        if memory == "dead":
            return []
        steps: list[AnyStep] = list(self._process.steps(store, memory))
        if steps:
            dead = store._replace(dead=store.dead | {self._name})
            steps.append((f"{self._name}: dies", dead, "dead"))
        return steps


class Namer:
    """A person who says that a session is dead: looks whether it is open, and puts its ABORT."""

    def __init__(self, name: str, sessions: Collection[str], rules: Rules) -> None:
        self._name = name
        self._sessions = sessions
        self._rules = rules

    def start(self) -> str:
        """Return the memory of one that has said nothing."""
        return "look"

    def steps(self, store: Store, memory: str) -> list[AnyStep]:
        """Return the steps that it may take."""
        if memory == "end":
            return []
        if memory != "look":
            put, _ = put_commit(store, Commit(memory, "ABORT"), overwrite=True)
            return [(f"{self._name}: put ABORT of {memory}", put, "end")]
        found = []
        for session in self._sessions:
            is_open = session in store.sessions and not commit_of(store.commits, session)
            if is_open and (session in store.dead or not self._rules.named_dead_is_dead):
                found.append((f"{self._name}: says that {session} is dead", store, session))
        return found


class LooksAfterwards(Writer):
    """A writer that says success only if no ABORT stands beside its COMMIT."""

    def steps(self, store: Store, memory: WriterMemory) -> list[WriterStep]:
        """Return the steps that it may take."""
        if memory.at == "look for ABORT":
            label = f"{self._name}: look for ABORT"
            if commit_of(store.commits, abort_beside(self._name)) is not None:
                return [(f"{label}: fenced", store, END)]
            said = frozenset(c for c in store.commits if c.session == self._name)
            store = store._replace(acknowledged=store.acknowledged | said)
            return [(f"{label}: success", store, END)]
        steps = super().steps(store, memory)
        if memory.at != "COMMIT" or not self._rules.looks_before_it_says:
            return steps
        after = memory._replace(at="look for ABORT")
        return [
            (label, put._replace(acknowledged=store.acknowledged), after) for label, put, _ in steps
        ]
