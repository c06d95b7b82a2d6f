"""A local disk: a name is sure to survive a power cut only after its put has returned.

A power cut may come at any moment and ends every process.  So it needs no step: the properties
must hold in every state that is reached, and in what a power cut would leave of it.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import Any

from tests.model.process import Process
from tests.model.store_state import Key, Kind, Store, commit_key, delete, run_key


class OnDisk:
    """A process whose put has returned when it takes its next step, and not before.

    Where it stands at a key of `syncs` it first makes durable whatever of those kinds is in the
    store, whoever put it.
    """

    def __init__(
        self, name: str, process: Process[Any], syncs: Mapping[str, Collection[Kind]]
    ) -> None:
        self._name = name
        self._process = process
        self._syncs = syncs

    def start(self) -> Hashable:
        """Return the memory of the process."""
        start: Hashable = self._process.start()
        return start

    def steps(self, store: Store, memory: Any) -> list[tuple[str, Store, Hashable]]:  # noqa: ANN401 - as the process has it
        """Return the steps of the process, or that its last put returns."""
        synced = self._syncs.get(getattr(memory, "at", ""), ())
        returned = frozenset(
            (who, key)
            for who, key in store.volatile
            if who != self._name and key.kind not in synced
        )
        found = []
        before = _keys(store)
        for label, after, then in self._process.steps(store, memory):
            there = _keys(after)
            volatile = {put for put in returned if put[1] in there}
            volatile |= {(self._name, key) for key in there - before}
            found.append((label, after._replace(volatile=frozenset(volatile)), then))
        if not found and returned != store.volatile:
            label = f"{self._name}: its put has returned"
            found.append((label, store._replace(volatile=returned), memory))
        return found

    def catch_up(self, store: Store, memory: Any) -> Hashable:  # noqa: ANN401 - as the process has it
        """Return what the process remembers after another one has put something."""
        catch_up = getattr(self._process, "catch_up", None)
        after: Hashable = catch_up(store, memory) if catch_up else memory
        return after


def _keys(store: Store) -> set[Key]:
    """Return the objects whose names a power cut may take."""
    keys = {Key("pack", pack) for pack in store.packs}
    keys |= {Key("segment", segment.name) for segment in store.segments}
    keys |= {commit_key(commit.session) for commit in store.commits}
    keys |= {Key("order", order.by) for order in store.orders}
    for number, run in enumerate(store.runs, 1):
        if run.kills is not None and not run.done:  # what else is put there syncs the folder
            keys.add(run_key(number, "kills"))
    return keys


def after_power_cut(store: Store) -> Store:
    """Return the least that a power cut leaves of a store; what did not return is no promise."""
    volatile = {key for _, key in store.volatile}
    for key in sorted(volatile):
        store = delete(store, key)
    promised = frozenset(
        commit for commit in store.acknowledged if commit_key(commit.session) not in volatile
    )
    return store._replace(acknowledged=promised, volatile=frozenset())
