"""A collector finds that something is missing: it looks once more before it says so."""

from __future__ import annotations

from tests.model.collector_memory import END, START, CollectorMemory, Self, Step
from tests.model.domains import domains_in, stopped_by
from tests.model.store_state import Store
from tests.model.trouble import is_explained


class Damage:
    """What one collector does about what is needed and not to be had."""

    def __init__(self, me: Self) -> None:
        self._me = me

    def doubt(self, store: Store, memory: CollectorMemory, missing: frozenset[str]) -> Step:
        """Return the step of finding that something is missing."""
        label = f"{self._me.name}: {memory.at}"
        memory = memory._replace(at="list gc before an alarm", doubted=missing)
        if not self._me.rules.damage_is_checked:
            return alarm(store, memory, label)
        return f"{label}, {_said(missing)}", store, memory

    def list_gc(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Start over if the run has moved on meanwhile: what is missing was collected."""
        if memory.doubts == "mark":
            moved_on = memory.run <= len(store.runs)
        else:
            moved_on = store.runs[memory.run - 1].kills is not None
        label = f"{self._me.name}: list gc"
        if moved_on:
            return [(f"{label}, the run has moved on", store, START)]
        still = frozenset(one for one in memory.doubted if not is_explained(store, one))
        if not still:
            return [(f"{label}, and look again: it is there", store, START)]
        return [alarm(store, memory._replace(doubted=still), label)]


def _said(missing: frozenset[str]) -> str:
    chunks = "".join(sorted(one for one in missing if " " not in one))
    parts = [f"{chunks} is nowhere"] if chunks else []
    parts += [f"{one} is not to be had" for one in sorted(missing) if " " in one]
    return ", ".join(parts)


def alarm(store: Store, memory: CollectorMemory, label: str) -> Step:
    """Report damage, and stop: a run that has its tombs is brought to an end and kills nothing.

    Where it concerns some domains only, a run may begin for the others.
    """
    said = store._replace(alarms=store.alarms | memory.doubted)
    after = END
    if memory.doubts == "decide":
        after = memory.then("put kills")._replace(kills=frozenset())
    elif memory.doubts == "mark" and not stopped_by(memory.doubted) >= domains_in(store):
        after = START._replace(reported=memory.doubted)
    return f"{label}, alarm: {_said(memory.doubted)}", said, after
