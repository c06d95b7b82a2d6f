"""Everything that a collector and its orders do, stopped at a chosen request in a chosen way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.storage.memory import MemoryStore
from strongroom.storage.wrappers.forwarding import Verb
from tests.faults.schedule_base import START_NS, base
from tests.faults.test_crash_at_requests import STOPS, succeeds
from tests.support.faulty_store import WRITES, Fault, FaultyStore, Kind, Script
from tests.support.invariants import Files, check_invariants, check_nothing_left
from tests.support.kit import DAY_NS, Kit

REPEATS: Final = {Kind.TWICE: 1, Kind.ECHO: 3, Kind.LATE: 3}
"""Kinds of requests that arrive twice or late, and after how many others they do."""


def _expired() -> str:
    return min(base().forgotten)


def _wanted() -> str:
    return max(set(base().snapshots) - base().forgotten)


ACTS: Final[Mapping[str, Callable[[Kit], object]]] = {
    "prune": lambda kit: kit.prune(max_unused=0),
    "forget": lambda kit: kit.forget(_wanted()),
    "hold": lambda kit: kit.hold(_expired(), _wanted()),
    "undelete": lambda kit: kit.undelete(_expired()),
}


@dataclass(slots=True)
class Place:
    """A repository as it was before: its store, whose time goes by ``kit.clock``, and one host."""

    store: MemoryStore
    kit: Kit

    def host(self, name: str, faulty: FaultyStore | None = None) -> Kit:
        """Return a host; ``same`` is the one that made the repository."""
        state = self.kit.state_path
        kit = Kit(faulty or self.store, state if name == "same" else state.parent / name)
        kit.clock = self.kit.clock
        return kit


def place(folder: Path) -> Place:
    """Make the repository anew: two days later, so that its dead sessions are silent for long."""
    state = folder / "state"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(base().state, state)
    kit = Kit(MemoryStore(), state)
    store = MemoryStore(clock=kit.clock)
    kit.store = store
    assert kit.clock.now_ns() == START_NS
    for key, value in base().objects.items():
        store.put(key, value)
    kit.clock.sleep(2 * DAY_NS / 1e9)
    return Place(store, kit)


def requests_of(act: str, folder: Path) -> int:
    """Return how many requests this takes when nothing goes wrong."""
    return sum(_counted(act, folder).values())


def changes_of(act: str, folder: Path) -> int:
    """Return how many of these requests change something."""
    return sum(count for verb, count in _counted(act, folder).items() if verb in WRITES)


def _counted(act: str, folder: Path) -> Mapping[Verb, int]:
    made = place(folder)
    counted = FaultyStore(made.store, Script())
    ACTS[act](made.host("same", counted))
    return counted.requests


def stop(act: str, how: str, nth: int, folder: Path) -> Kind | None:
    """Stop at the n-th request, and look at what is left; the kind of fault that struck."""
    made = place(folder)
    faulty = FaultyStore(made.store, Script(*STOPS[how](nth)))
    told = succeeds(lambda: ACTS[act](made.host("same", faulty)), how)
    _judge(act, made, told=told)
    return faulty.struck[0][2] if faulty.struck else None


def repeat(act: str, kind: Kind, nth: int, folder: Path) -> bool:
    """Let the n-th change arrive twice, or late; whether there was one."""
    made = place(folder)
    faulty = FaultyStore(made.store, Script(Fault(kind, nth=nth, later=REPEATS[kind])))
    told = succeeds(lambda: ACTS[act](made.host("same", faulty)), kind.name)
    _judge(act, made, told=told)
    faulty.deliver_echoes()
    assert told or kind is Kind.LATE or not faulty.struck
    check_nothing_left(made.host("judge"))
    return bool(faulty.struck)


def _judge(act: str, made: Place, *, told: bool) -> None:
    snapshots, forgotten = base().snapshots, base().forgotten
    wanted = {one: files for one, files in snapshots.items() if one not in forgotten}
    judge = made.host("judge")
    listed = {one.id for one in judge.listing().found}
    saved = {"hold": _expired(), "undelete": _expired()}.get(act)
    if act == "forget":
        assert _wanted() not in listed or not told
        if _wanted() not in listed:
            del wanted[_wanted()]
    if saved is not None:
        assert saved in listed or not told
        if saved in listed:
            wanted[saved] = snapshots[saved]
    assert listed == set(wanted), "something else is listed than what is wanted"
    check_invariants(made.host("same"), wanted, forgotten=_in_grace(act, wanted))
    _check_later(made, wanted)


def _in_grace(act: str, wanted: Mapping[str, Files]) -> dict[str, Files]:
    """Return what is forgotten and must be there all the same: no collector was at work."""
    if act == "prune":
        return {}
    return {one: files for one, files in base().snapshots.items() if one not in wanted}


def _check_later(made: Place, wanted: Mapping[str, Files]) -> None:
    judge = made.host("judge")
    check_nothing_left(judge)
    for one, _result, files in judge.restore_all(wanted):
        assert files == dict(wanted[one]), "a collection took what is wanted"
    assert judge.verify().damage == [], "verify reports damage after the collections"


def stop_everywhere(act: str, how: str, points: Iterable[int], folder: Path) -> int:
    """Stop at each of these requests; how many there were. A failure says which one it was."""
    count = 0
    for nth in points:
        try:
            stop(act, how, nth, folder / "stopped")
        except BaseException as error:
            error.add_note(f"REPRO: {act}, {how}, request {nth}")
            raise
        count += 1
    return count


def repeat_everywhere(act: str, kind: Kind, folder: Path, *, every: int = 1) -> int:
    """Let each change, or one in ``every``, arrive twice or late; how many there were."""
    nth = 1
    while True:
        try:
            if not repeat(act, kind, nth, folder / "repeated"):
                return nth - 1
        except BaseException as error:
            error.add_note(f"REPRO: {act}, {kind.name}, change {nth}")
            raise
        nth += every
