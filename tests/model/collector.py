"""The collector: numbered runs, each of which any collector may finish.

A run is five steps of the design, here taken request by request:

1. list gc, commits and orders
2. list packs and index, mark, put tombs
3. list sessions, put waits, wait; put ABORT for a session that is silent
4. list commits, orders, packs and index again, put kills
5. delete what kills names, put done

When a session counts as silent is not modelled: any session may be fenced at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from tests.model.collector_damage import Damage
from tests.model.collector_mark import Marker
from tests.model.collector_memory import (
    AGAIN,
    END,
    LISTINGS,
    PACKS_FIRST,
    START,
    CollectorMemory,
    Duty,
    Step,
    past,
    read,
)
from tests.model.marking import graces
from tests.model.rules import Rules
from tests.model.store_state import (
    Commit,
    Key,
    Kind,
    Run,
    Store,
    commit_of,
    delete,
    is_listed,
    killed,
    names,
    put_commit,
)
from tests.model.verdict import decide

BOUND_TO_BE_REFUSED = (
    *(f"{listing}_read_again" for listing in LISTINGS),
    *("runs_in_turn", "first_tombs_rule", "first_waits_rule", "first_kills_rule"),
    *("sessions_after_tombs", "adopter_waits", "only_decision_ends_wait"),
    *("adopter_goes_on", "done_after_deletes", "damage_is_checked"),
)
"""With these rules a collector whose put will be refused goes on with what stands there."""


class Collector:
    """One collector, which takes run after run up to `last`.

    It may compact the index and repack packs.  Where deleted objects may come back, it does not
    skip the delete of what is not listed.
    """

    def __init__(
        self, name: str, rules: Rules, *, last: int = 2, does: Collection[Duty] = ()
    ) -> None:
        self._name = name
        self._rules = rules
        self._last = last
        self._only_collects = "compact" not in does and "repack" not in does
        self._deletes_unlisted = "delete what is not listed" in does
        self._damage = Damage(name, rules)
        marker = Marker(name, rules, does)
        first = LISTINGS if rules.roots_before_packs else PACKS_FIRST
        again = LISTINGS if rules.roots_before_packs_again else PACKS_FIRST
        self._reads = [f"list {listing}" for listing in first]
        self._reads_again = [f"list {listing}{AGAIN}" for listing in again]
        self._catches_up = all(getattr(rules, rule) for rule in BOUND_TO_BE_REFUSED)
        self._steps: dict[str, Callable[[Store, CollectorMemory], list[Step]]] = {
            **dict.fromkeys([*self._reads, *self._reads_again], self._list),
            "list gc": self._list_gc,
            "list index": marker.mark,
            "put new pack": marker.put_new_pack,
            "put new segment": marker.put_new_segment,
            "delete repacked pack": marker.delete_repacked,
            "put tombs": marker.put_tombs,
            "list sessions": self._list_sessions,
            "put waits": self._put_waits,
            "wait": self._wait,
            "list index again": self._decide,
            "put kills": self._put_kills,
            "delete": self._delete,
            "put done": self._put_done,
            "list gc before an alarm": self._damage.list_gc,
            "end": lambda _store, _memory: [],
        }

    def start(self) -> CollectorMemory:
        """Return the memory of a collector that has read nothing."""
        return START

    def steps(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Return the steps this collector may take."""
        return self._steps[memory.at](store, memory)

    def catch_up(self, store: Store, memory: CollectorMemory) -> CollectorMemory:
        """Skip what is bound to be refused: what was read for it no longer matters.

        It loses no store, only ways to it: the skipped steps put nothing.  Traces leave them out.
        """
        if not self._catches_up or not 1 <= memory.run <= len(store.runs):
            return memory
        number, run = memory.run, store.runs[memory.run - 1]
        marking = memory.at in self._reads or memory.at == "put tombs"
        if marking and self._only_collects:
            memory = CollectorMemory("list sessions", number)
        if memory.at in {"list sessions", "put waits"} and run.waits is not None:
            memory = CollectorMemory("wait", number)
        before_kills = memory.at in {"list sessions", "put waits", "wait", "put kills"}
        if (before_kills or memory.at in self._reads_again) and run.kills is not None:
            memory = self._deleting(store, number, run.kills)
        if memory.at == "delete" and run.done and not self._deletes_unlisted:
            return START
        return memory

    def _go(self, label: str, store: Store, memory: CollectorMemory) -> Step:
        return f"{self._name}: {label}", store, memory

    # Step 1: list gc, commits, orders

    def _list_gc(self, store: Store, _memory: CollectorMemory) -> list[Step]:
        """Start the next run, or adopt the one that is not done."""
        free = len(store.runs) + 1
        unfinished = (number for number, run in enumerate(store.runs, 1) if not run.done)
        number = next(unfinished, free) if self._rules.runs_in_turn else free
        if number > self._last:
            return []
        sessions = None if self._rules.sessions_after_tombs else store.sessions
        memory = CollectorMemory(self._reads[0], number, sessions=sessions)
        if number == free:
            return [self._go(f"list gc, starts run {number}", store, memory)]
        if not self._rules.unfinished_is_finished:
            return [self._go(f"list gc, leaves run {number} alone", store, END)]
        return [self._go(f"list gc, finishes run {number}", store, self._adopt(store, memory))]

    def _adopt(self, store: Store, memory: CollectorMemory) -> CollectorMemory:
        """Go on where the run stands."""
        run = store.runs[memory.run - 1]
        if run.kills is not None and self._rules.adopter_goes_on:
            return self._deleting(store, memory.run, run.kills)
        if not self._rules.adopter_waits:
            return memory._replace(at=self._reads_again[0])
        if run.waits is not None and self._rules.adopter_goes_on:
            return CollectorMemory("wait", memory.run)
        return memory._replace(at="list sessions")

    def _list(self, store: Store, memory: CollectorMemory) -> list[Step]:
        reads = self._reads_again if memory.at.endswith(AGAIN) else self._reads
        after = reads[reads.index(memory.at) + 1]
        view = read(store, memory)
        return [self._go(memory.at, store, memory._replace(at=after, view=view))]

    # Step 3: list sessions, put waits, wait

    def _list_sessions(self, store: Store, memory: CollectorMemory) -> list[Step]:
        sessions = store.sessions if memory.sessions is None else memory.sessions
        at = "put waits" if self._rules.first_waits_rule else "wait"
        return [self._go("list sessions", store, memory._replace(at=at, sessions=sessions))]

    def _put_waits(self, store: Store, memory: CollectorMemory) -> list[Step]:
        assert memory.sessions is not None
        label = f"put waits {memory.run} {{{' '.join(sorted(memory.sessions))}}}"
        run = store.runs[memory.run - 1]
        if run.waits is not None:
            label += " refused"
        else:
            store = _with_run(store, memory.run, run._replace(waits=memory.sessions))
        return [self._go(label, store, memory._replace(at="wait", sessions=None))]

    def _wait(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Fence a session that is open, or go on with step 4 if none is.

        A COMMIT that a kills names was a decision too.
        """
        ended = killed(store.runs)
        undecided = [
            session
            for session in sorted(self._waits(store, memory))
            if commit_of(store.commits, session) is None and Key("commit", session) not in ended
        ]
        steps = [
            self._go(f"fence {session}", put_commit(store, Commit(session, "ABORT"))[0], memory)
            for session in undecided
        ]
        if not undecided or not self._rules.only_decision_ends_wait:
            steps += self.steps(store, memory._replace(at=self._reads_again[0]))
        return steps

    def _waits(self, store: Store, memory: CollectorMemory) -> frozenset[str]:
        """Return the sessions that the run waits for."""
        waits = store.runs[memory.run - 1].waits
        if not self._rules.first_waits_rule:
            waits = memory.sessions
        return waits or frozenset()

    # Step 4: list again, decide, put kills

    def _decide(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """List the index again, the last of the four listings, and decide."""
        view, before = read(store, memory), past(store, memory, self._rules)
        tombs = memory.tombs
        if tombs is None:
            tombs = store.runs[memory.run - 1].tombs
        steps: list[Step] = []
        for dead in graces(view, self._rules):
            verdict = decide(tombs, view, before, dead, self._rules)
            if verdict.nowhere:
                doubting = memory._replace(doubts="decide")
                steps.append(self._damage.doubt(store, doubting, verdict.nowhere))
            else:
                after = CollectorMemory(
                    "put kills", memory.run, sessions=memory.sessions, kills=verdict.kills
                )
                label = f"list index again, decides {names(verdict.kills)}"
                steps.append(self._go(label, store, after))
        return steps

    def _put_kills(self, store: Store, memory: CollectorMemory) -> list[Step]:
        assert memory.kills is not None
        label = f"put kills {memory.run}"
        run = store.runs[memory.run - 1]
        kills = memory.kills
        if run.kills is not None:
            label += " refused"
            kills = run.kills if self._rules.first_kills_rule else kills
        else:
            store = _with_run(store, memory.run, run._replace(kills=kills))
        after = self._deleting(store, memory.run, kills, memory.sessions)
        return [self._go(label, store, after)]

    # Step 5: delete, put done

    def _deleting(
        self,
        store: Store,
        number: int,
        kills: frozenset[Key],
        sessions: frozenset[str] | None = None,
    ) -> CollectorMemory:
        """Return the memory of one that begins with the deletes of a run."""
        at = "delete" if self._rules.done_after_deletes else "put done"
        waits = self._waits(store, CollectorMemory(run=number, sessions=sessions))
        keys = kills | {Key("session", session) for session in waits}
        if not self._rules.abort_stays:
            keys |= {
                Key("commit", commit.session)
                for commit in store.commits
                if commit.verb == "ABORT" and commit.session in waits
            }
        return CollectorMemory(at, number, todo=self._in_order(keys))

    def _in_order(self, keys: Iterable[Key]) -> tuple[Key, ...]:
        """Return keys in the order of their deletes."""
        kinds: list[Kind] = ["segment", "pack", "commit", "session"]
        if not self._rules.index_deleted_first:
            kinds = ["pack", "segment", "commit", "session"]
        if not self._rules.sessions_deleted_last:
            kinds = ["session", *kinds[:3]]
        return tuple(sorted(keys, key=lambda key: (kinds.index(key.kind), key.name)))

    def _delete(self, store: Store, memory: CollectorMemory) -> list[Step]:
        todo = memory.todo
        while todo and not self._deletes_unlisted and not is_listed(store, todo[0]):
            todo = todo[1:]
        if todo:
            label = f"delete {todo[0].kind} {todo[0].name}"
            return [self._go(label, delete(store, todo[0]), memory._replace(todo=todo[1:]))]
        if self._rules.done_after_deletes:
            return self._put_done(store, CollectorMemory("put done", memory.run))
        return self._list_gc(store, START)

    def _put_done(self, store: Store, memory: CollectorMemory) -> list[Step]:
        run = store.runs[memory.run - 1]._replace(done=True)
        after = START if self._rules.done_after_deletes else memory._replace(at="delete")
        return [self._go(f"put done {memory.run}", _with_run(store, memory.run, run), after)]


def _with_run(store: Store, number: int, run: Run) -> Store:
    """Return the store with one run in a new state."""
    return store._replace(runs=(*store.runs[: number - 1], run, *store.runs[number:]))
