"""The collector: numbered runs, each of which any collector may finish.

A run is five steps of the design, here taken request by request:

1. list gc, commits and orders (``collector_start``)
2. list packs and index, mark, put tombs (``collector_mark``)
3. list sessions, put waits, wait; put ABORT for a session that is silent (``collector_wait``)
4. list commits, orders, packs and index again, put kills (``collector_decide``)
5. delete what kills names, put done (``collector_delete``)

When a session counts as silent is not modelled: any session may be fenced at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from tests.model.collector_damage import Damage
from tests.model.collector_decide import Decider
from tests.model.collector_delete import Deleter
from tests.model.collector_mark import Marker
from tests.model.collector_memory import (
    AGAIN,
    LISTINGS,
    START,
    CollectorMemory,
    Duty,
    Self,
    Step,
    read,
)
from tests.model.collector_start import Starter
from tests.model.collector_wait import Waiter
from tests.model.rules import Rules
from tests.model.store_state import Store

BOUND_TO_BE_REFUSED = (
    *(f"{listing}_read_again" for listing in LISTINGS),
    *("runs_in_turn", "first_tombs_rule", "first_waits_rule", "first_kills_rule"),
    *("sessions_after_tombs", "adopter_waits", "only_decision_ends_wait"),
    *("adopter_goes_on", "done_after_deletes", "damage_is_checked", "conditional_puts"),
)
"""With these rules a collector whose put will be refused goes on with what stands there."""


class Collector:
    """One collector, which takes run after run up to `last`.

    It may compact the index and repack packs.  Where deleted objects may come back, it does not
    skip the delete of what is not listed.
    """

    def __init__(
        self,
        name: str,
        rules: Rules,
        *,
        last: int = 2,
        does: Collection[Duty] = (),
        collectors: str = "",
    ) -> None:
        self._me = me = Self(name, rules, last, frozenset(does), frozenset(collectors.split()))
        self._only_collects = not me.does & {"compact", "repack"}
        self._catches_up = all(getattr(rules, rule) for rule in BOUND_TO_BE_REFUSED)
        damage = Damage(me)
        marker = Marker(me, damage)
        self._waiter = Waiter(me)
        self._deleter = Deleter(me)
        starter = Starter(me, self._deleter)
        decider = Decider(me, self._deleter, damage)
        self._starter = starter
        self._steps: dict[str, Callable[[Store, CollectorMemory], list[Step]]] = {
            **dict.fromkeys([*me.reads, *me.reads_again], self._list),
            "list gc": starter.list_gc,
            "list index": marker.mark,
            "put new pack": marker.put_new_pack,
            "put new segment": marker.put_new_segment,
            "delete repacked pack": marker.delete_repacked,
            "put tombs": marker.put_tombs,
            "list sessions": self._waiter.list_sessions,
            "put waits": self._waiter.put_waits,
            "wait": self._wait,
            "list index again": decider.decide,
            "put kills": decider.put_kills,
            "delete": self._delete,
            "put done": self._deleter.put_done,
            "list gc before an alarm": damage.list_gc,
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
        if any(key.kind == "gc" for key in store.unreadable):
            return memory
        me, run = self._me, store.runs[memory.run - 1]
        marking = memory.at in me.reads or memory.at == "put tombs"
        if marking and self._only_collects:
            memory = memory.then("list sessions")
        if memory.at in {"list sessions", "put waits"} and run.waits is not None:
            memory = memory.then("wait")
        before_kills = memory.at in {"list sessions", "put waits", "wait", "put kills"}
        if (before_kills or memory.at in me.reads_again) and run.kills is not None:
            memory = self._deleter.begin(store, memory, run.kills)
        if memory.at == "delete" and run.done and "delete what is not listed" not in me.does:
            return START
        return memory

    def _list(self, store: Store, memory: CollectorMemory) -> list[Step]:
        reads = self._me.reads_again if memory.at.endswith(AGAIN) else self._me.reads
        after = reads[reads.index(memory.at) + 1]
        view = read(store, memory)
        label = f"{self._me.name}: {memory.at}"
        return [(label, store, memory._replace(at=after, view=view))]

    def _wait(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Fence a session that is open, or go on with step 4 if none is."""
        steps, is_over = self._waiter.fences(store, memory)
        if is_over:
            steps += self.steps(store, memory._replace(at=self._me.reads_again[0]))
        return steps

    def _delete(self, store: Store, memory: CollectorMemory) -> list[Step]:
        return self._deleter.delete(store, memory) or self._starter.list_gc(store, START)
