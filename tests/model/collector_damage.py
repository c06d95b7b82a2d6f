"""A collector finds a chunk nowhere: it looks at gc once more before it says so."""

from __future__ import annotations

from tests.model.collector_memory import END, START, CollectorMemory, Step
from tests.model.rules import Rules
from tests.model.store_state import Store


class Damage:
    """What one collector does about a chunk that is needed and found nowhere."""

    def __init__(self, name: str, rules: Rules) -> None:
        self._name = name
        self._rules = rules

    def doubt(self, store: Store, memory: CollectorMemory, chunk: str) -> Step:
        """Return the step of finding a chunk nowhere."""
        label = f"{self._name}: {memory.at}"
        memory = memory._replace(at="list gc before an alarm", nowhere=chunk)
        if not self._rules.damage_is_checked:
            return _alarm(store, memory, label)
        return f"{label}, {chunk} is nowhere", store, memory

    def list_gc(self, store: Store, memory: CollectorMemory) -> list[Step]:
        """Start over if the run has moved on meanwhile: what is missing was collected."""
        if memory.doubts == "mark":
            moved_on = memory.run <= len(store.runs)
        else:
            moved_on = store.runs[memory.run - 1].kills is not None
        label = f"{self._name}: list gc"
        if moved_on:
            return [(f"{label}, the run has moved on", store, START)]
        return [_alarm(store, memory, label)]


def _alarm(store: Store, memory: CollectorMemory, label: str) -> Step:
    """Report damage; a run that has its tombs is brought to an end and kills nothing."""
    said = store._replace(alarms=store.alarms | set(memory.nowhere))
    after = END
    if memory.doubts == "decide":
        after = CollectorMemory("put kills", memory.run, kills=frozenset())
    return f"{label}, alarm: {memory.nowhere} is nowhere", said, after
