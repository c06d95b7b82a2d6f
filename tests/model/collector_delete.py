"""Step 5 of a run: delete what kills names, then the sessions in waits; put done."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.model.collector_memory import START, CollectorMemory, Self, Step
from tests.model.collector_wait import is_decided, waits
from tests.model.store_state import (
    Key,
    Keys,
    Kind,
    Store,
    commit_key,
    delete,
    is_listed,
    put_run,
    run_key,
)

ListGc = Callable[[Store, CollectorMemory], list[Step]]


class Deleter:
    """What one collector does in step 5."""

    def __init__(self, me: Self) -> None:
        self._me = me
        self._deletes_unlisted = "delete what is not listed" in me.does

    def begin(self, store: Store, memory: CollectorMemory, kills: Keys) -> CollectorMemory:
        """Return the memory of one that begins with the deletes of its run."""
        rules = self._me.rules
        sessions: frozenset[str] = frozenset()
        if run_key(memory.run, "waits") not in store.unreadable:
            sessions = waits(store, memory, self._me)
        keys = kills | {Key("session", session) for session in sessions}
        if not rules.abort_stays:
            keys |= {
                commit_key(commit.session)
                for commit in store.commits
                if commit.verb == "ABORT" and commit.session in sessions
            }
        at = "delete" if rules.done_after_deletes else "put done"
        return memory.then(at)._replace(todo=self._in_order(keys))

    def _in_order(self, keys: Iterable[Key]) -> tuple[Key, ...]:
        """Return keys in the order of their deletes."""
        kinds: list[Kind] = ["segment", "pack", "commit", "wal", "session"]
        if not self._me.rules.index_deleted_first:
            kinds = ["pack", "segment", *kinds[2:]]
        if not self._me.rules.sessions_deleted_last:
            kinds = ["session", *kinds[:-1]]
        return tuple(sorted(keys, key=lambda key: (kinds.index(key.kind), key.name)))

    def delete(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Delete the next object that is there; without one the run is done."""
        todo = memory.todo
        while todo and self._passes(store, todo[0]):
            todo = todo[1:]
        if todo:
            label = f"{self._me.name}: delete {todo[0].kind} {todo[0].name}"
            return [(label, delete(store, todo[0]), memory._replace(todo=todo[1:]))]
        return self.put_done(store, memory) if self._me.rules.done_after_deletes else []

    def _passes(self, store: Store, key: Key) -> bool:
        """Tell whether there is nothing to delete at a key, or a session that is not decided."""
        if key.kind == "session" and self._me.rules.decided_sessions_only:
            return not (is_listed(store, key) and is_decided(store, key.name, self._me))
        return not self._deletes_unlisted and not is_listed(store, key)

    def put_done(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """End the run."""
        run = store.runs[memory.run - 1]._replace(done=True)
        after = START if self._me.rules.done_after_deletes else memory._replace(at="delete")
        return [(f"{self._me.name}: put done {memory.run}", put_run(store, memory.run, run), after)]
