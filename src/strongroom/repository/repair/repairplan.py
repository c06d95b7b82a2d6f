"""From what was found to what a repair does. Pure: nothing is read or written here."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.repository import layout
from strongroom.repository.findings import Finding


class Step(enum.Enum):
    """What is done, in the order in which it is done."""

    END_RUN = "end a run"
    PUT_BACK = "put back"
    LIST = "list again"
    WRITE = "write anew"
    QUARANTINE = "quarantine"
    VOID = "declare void"
    COMMIT = "commit again"
    LEFT = "left to you"


class Action(NamedTuple):
    """One thing to do: to which object (empty: to several), and why."""

    step: Step
    key: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known before anything is done; reasons by the names of objects.

    ``listed_again``: packs that are in no index although snapshots need them. ``chunks``: how many
    that snapshots need have no sound place. ``put_back``: what a replica can give back.
    ``commit_again``: commits that cannot be read, whose snapshots somebody else has.
    ``blind``: keys of the ``kills`` that end runs of collectors which cannot be read.
    ``void``: what a person names. ``damage``: all that a check found.
    """

    bad_packs: Mapping[bytes, str]
    missing_packs: Mapping[bytes, str]
    quarantined: frozenset[bytes] = frozenset()
    bad_segments: Mapping[str, str]
    listed_again: Sequence[bytes] = ()
    chunks: int = 0
    put_back: Mapping[str, str]
    blind: Sequence[str] = ()
    commit_again: Sequence[str] = ()
    void: Sequence[str] = ()
    damage: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True)
class RepairPlan:
    """What a repair does, in this order."""

    actions: tuple[Action, ...]

    def keys(self, step: Step) -> list[str]:
        """Return the keys that one step is about."""
        return [action.key for action in self.actions if action.step is step]

    @property
    def does_something(self) -> bool:
        """Whether anything is written."""
        return any(action.step is not Step.LEFT for action in self.actions)


def plan_repair(facts: Facts) -> RepairPlan:
    """Say what is to be done about the facts."""
    return RepairPlan((*_actions(facts), *_left(facts)))


def _actions(facts: Facts) -> Iterator[Action]:
    for key in sorted(facts.blind):
        yield Action(Step.END_RUN, key, "its tombs or waits cannot be read, so it removes nothing")
    for key, reason in sorted(facts.put_back.items()):
        yield Action(Step.PUT_BACK, key, f"{reason}; the copy has it")
    for pack_id in sorted(facts.listed_again):
        yield Action(Step.LIST, layout.pack(pack_id), "snapshots need it, and no index lists it")
    if facts.chunks:
        many = f"{facts.chunks:,} chunk(s) that snapshots need have no sound place"
        text = f"{many}; what is not back with a pack is written anew from wherever it can be read"
        yield Action(Step.WRITE, "", text)
    unusable = {**facts.missing_packs, **facts.bad_packs}
    for pack_id, reason in sorted(unusable.items()):
        key = layout.pack(pack_id)
        if pack_id not in facts.quarantined and key not in facts.put_back:
            yield Action(Step.QUARANTINE, key, f"{reason}; nobody is to rely on it")
    for key, reason in sorted(facts.bad_segments.items()):
        yield Action(Step.VOID, key, f"{reason}; what is needed of it is listed again")
    for key in sorted(facts.void):
        yield Action(Step.VOID, key, "you named it")
    for key in sorted(facts.commit_again):
        yield Action(Step.COMMIT, key, "it cannot be read, and the copy has its snapshot")


_ADVICE: Final[Mapping[str, str]] = {
    layout.COMMITS: "a snapshot, or the end of a session, is lost with it: 'repair --from' brings "
    "the snapshot back if a copy has it; then, or to give it up, run 'repair --void {key}'",
    layout.ORDERS: "what it said is lost (a forget, tags, a key slot): 'repair --void {key}' gives "
    "it up; decide again what it had decided",
    layout.SESSIONS: "nothing is lost with it: 'strongroom prune' removes it when its session has "
    "ended",
    layout.SLOTS: "one key is lost with it: take it out with 'key remove' and add it again, or "
    "move the damaged object away yourself and run 'repair --from' a replica",
    layout.WRITERS: "move the damaged object away yourself, and run 'repair --from' a replica",
    layout.CONFIG: "move the damaged object away yourself, and run 'repair --from' a replica",
}


def _left(facts: Facts) -> Iterator[Action]:
    """Yield what only a person can decide, each object once."""
    seen = {*facts.put_back, *facts.void, *facts.bad_segments}
    damaged = {finding.subject for finding in facts.damage}
    ended = {_run_of(key) for key in facts.blind}
    for finding in facts.damage:
        key = finding.subject
        advice = _advice(key, damaged)
        if finding.snapshot or not advice or key in seen or _run_of(key) in ended:
            continue
        seen.add(key)
        if key in facts.commit_again:
            advice = "run 'repair --void {key}' when its snapshot is back"
        yield Action(Step.LEFT, key, f"{finding.text}; {advice.format(key=key)}")


def _run_of(key: str) -> str:
    """Return the part of a key that all objects of one run share; empty for other keys."""
    return key.rpartition("/")[0] if layout.run_part(key) is not None else ""


def _advice(key: str, damaged: Collection[str]) -> str:
    run = layout.run_part(key)
    if run is not None and f"{_run_of(key)}/tombs" in damaged:
        return (
            "nobody knows any more what this run may remove: copy the snapshots into a new "
            "repository with 'strongroom copy'"
        )
    if run is not None:
        return "nobody knows what this run removed: 'repair --void {key}' ends it"
    if key == layout.ORDERS:
        return "'repair --from' a replica that has the order puts it back"
    found = [text for prefix, text in _ADVICE.items() if key.startswith(prefix)]
    return found[0] if found else ""
