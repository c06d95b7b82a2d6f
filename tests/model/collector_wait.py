"""Step 3 of a run: list sessions, put waits, wait; put ABORT for a session that is silent."""

from __future__ import annotations

from tests.model.collector_memory import START, CollectorMemory, Self, Step
from tests.model.store_reading import killed
from tests.model.store_state import (
    Commit,
    Store,
    commit_key,
    commit_of,
    put_commit,
    put_run,
    run_key,
)


class Waiter:
    """What one collector does in step 3; `again` is where it goes on."""

    def __init__(self, me: Self) -> None:
        self._me = me

    def list_sessions(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """List the sessions there are, after tombs."""
        sessions = store.sessions if memory.sessions is None else memory.sessions
        sessions -= self._me.collectors
        at = "put waits" if self._me.rules.first_waits_rule else "wait"
        after = memory._replace(at=at, sessions=sessions)
        return [(f"{self._me.name}: list sessions", store, after)]

    def put_waits(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Put waits, unless another collector was faster."""
        assert memory.sessions is not None
        listed = " ".join(sorted(memory.sessions))
        label = f"{self._me.name}: put waits {memory.run} {{{listed}}}"
        run = store.runs[memory.run - 1]
        if run.waits is not None and self._me.rules.conditional_puts:
            label += " refused"
        else:
            store = put_run(store, memory.run, run._replace(waits=memory.sessions))
        return [(label, store, memory._replace(at="wait", sessions=None))]

    def fences(self, store: Store, memory: CollectorMemory) -> tuple[list[Step], bool]:
        """Return the steps that fence an open session, and whether the wait is over."""
        rules = self._me.rules
        if rules.first_waits_rule and run_key(memory.run, "waits") in store.unreadable:
            return [(f"{self._me.name}: waits {memory.run} cannot be read", store, START)], False
        undecided = [
            session
            for session in sorted(waits(store, memory, self._me))
            if not is_decided(store, session, self._me)
        ]
        fenced = () if "fence nobody" in self._me.does else undecided
        steps = [self._fence(store, memory, session) for session in fenced]
        return steps, not undecided or not rules.only_decision_ends_wait

    def _fence(self, store: Store, memory: CollectorMemory, session: str) -> Step:
        key = abort_beside(session) if "fence beside" in self._me.does else session
        put, _ = put_commit(store, Commit(key, "ABORT"))
        return f"{self._me.name}: fence {session}", put, memory


def abort_beside(session: str) -> str:
    """Return where an ABORT stands in a store without conditional puts: at a key of its own."""
    return f"{session}.abort"


def is_decided(store: Store, session: str, me: Self) -> bool:
    """Tell whether a decision is there, or was: a kills names it."""
    key = commit_key(session)
    if "fence beside" in me.does and commit_of(store.commits, abort_beside(session)) is not None:
        return True
    there = commit_of(store.commits, session) is not None
    if there and key in store.unreadable and not me.rules.anything_ends_wait:
        return False
    return there or key in killed(store.runs)


def waits(store: Store, memory: CollectorMemory, me: Self) -> frozenset[str]:
    """Return the sessions that the run waits for."""
    found = store.runs[memory.run - 1].waits
    if not me.rules.first_waits_rule:
        found = memory.sessions
    return found or frozenset()
