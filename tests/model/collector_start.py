"""The beginning of a run: list gc, and start a run or adopt the one that is not done."""

from __future__ import annotations

from tests.model.collector_damage import alarm
from tests.model.collector_delete import Deleter
from tests.model.collector_memory import END, START, CollectorMemory, Self, Step
from tests.model.store_reading import voided
from tests.model.store_state import Keys, Store, put_run, run_key
from tests.model.trouble import dark_kills, report


class Starter:
    """What one collector does when it lists gc."""

    def __init__(self, me: Self, deleter: Deleter) -> None:
        self._me = me
        self._deleter = deleter

    def list_gc(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Start the next run, or adopt the one that is not done.

        What orders say of objects that cannot be read is read with it.
        """
        me, label = self._me, f"{self._me.name}: list gc"
        void = voided(store.orders) if store.unreadable else frozenset()
        free = len(store.runs) + 1
        number = free
        if me.rules.runs_in_turn:
            unfinished = (n for n, run in enumerate(store.runs, 1) if not _is_done(store, n, void))
            number = next(unfinished, free)
        if number > me.last:
            return []
        dark = dark_kills(store)
        if dark - void and me.rules.unreadable_kills_stop:
            doubting = CollectorMemory(doubted=report(dark - void))
            return [alarm(store, doubting, label)]
        sessions = None if me.rules.sessions_after_tombs else store.sessions
        memory = CollectorMemory(
            me.reads[0], number, sessions=sessions, dark=dark, reported=memory.reported
        )
        if number == free:
            return [(f"{label}, starts run {number}", store, memory)]
        if not me.rules.unfinished_is_finished:
            return [(f"{label}, leaves run {number} alone", store, END)]
        if store.unreadable:
            broken = self._broken(store, memory, void)
            if broken is not None:
                return [broken]
        return [(f"{label}, finishes run {number}", store, self._adopt(store, memory))]

    def _adopt(self, store: Store, memory: CollectorMemory) -> CollectorMemory:
        """Go on where the run stands."""
        run, rules = store.runs[memory.run - 1], self._me.rules
        readable = run_key(memory.run, "kills") not in memory.dark
        if run.kills is not None and readable and rules.adopter_goes_on:
            return self._deleter.begin(store, memory, run.kills)
        if not rules.adopter_waits:
            return memory._replace(at=self._me.reads_again[0])
        if run.waits is not None and rules.adopter_goes_on:
            return memory.then("wait")
        return memory._replace(at="list sessions")

    def _broken(self, store: Store, memory: CollectorMemory, void: Keys) -> Step | None:
        """Return what to do about a run of which something cannot be read."""
        number, rules = memory.run, self._me.rules
        run = store.runs[number - 1]
        label = f"{self._me.name}: list gc"
        keys = {what: run_key(number, what) for what in ("tombs", "waits", "kills", "done")}
        unreadable = {what for what, key in keys.items() if key in store.unreadable}
        is_void = {what for what in unreadable if keys[what] in void}
        if "done" in unreadable:
            return alarm(store, memory._replace(doubted=report(frozenset([keys["done"]]))), label)
        if "kills" in is_void:
            put = put_run(store, number, run._replace(done=True))
            return f"{label}, run {number} is over: put done", put, START
        if run.kills is None and unreadable & {"tombs", "waits"}:
            if rules.empty_kills_end_a_run:
                after = memory.then("put kills")._replace(kills=frozenset())
                return f"{label}, run {number} cannot be read: it will kill nothing", store, after
            if is_void:
                put = put_run(store, number, run._replace(done=True))
                return f"{label}, run {number} is over: put done", put, START
            doubted = report(frozenset(keys[what] for what in unreadable))
            return alarm(store, memory._replace(doubted=doubted), label)
        return None


def _is_done(store: Store, number: int, void: Keys) -> bool:
    key = run_key(number, "done")
    return store.runs[number - 1].done and (key not in store.unreadable or key in void)
