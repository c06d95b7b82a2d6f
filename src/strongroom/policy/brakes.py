"""When retention that nobody watches must stop and ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from strongroom.policy.candidates import Candidate, Group
from strongroom.policy.periods import HOUR_NS
from strongroom.policy.retention import Decision

RECENT_NS: Final = 7 * 24 * HOUR_NS
"""How far back snapshots can have come since the last run.

Retention that runs at least weekly loses about what came in between; after a longer pause, what
piled up is much at once.
"""
_NO_NAMES: Final[Mapping[Group, str]] = {}
_NO_RUNS: Final[Mapping[Group, int]] = {}
_FEW: Final = 3  # so many may go however few there are
_PART: Final = 5  # one in so many may go
_SHRUNK: Final = 2  # less than one in so many is sudden emptiness
_ACCEPT: Final = "see what goes with --dry-run, and say --accept once if it is right"


def emptied(decisions: Sequence[Decision], names: Mapping[Group, str] = _NO_NAMES) -> list[str]:
    """Return a sentence for each group of which no rule keeps anything.

    A misspelt tag is such a rule, so this stops also who typed it.
    """
    found: list[str] = []
    for group, of_group in _groups(decisions).items():
        if not all(one.keep for one in of_group):
            found += _emptied(_name(group, names), of_group)
    return found


def brakes(
    decisions: Sequence[Decision],
    *,
    now_ns: int = 0,
    runs: Mapping[Group, int] = _NO_RUNS,
    names: Mapping[Group, str] = _NO_NAMES,
) -> list[str]:
    """Return a sentence for each reason not to go on; none means go on.

    ``runs`` is when retention last ran on a group, for those on which it did: as many as came since
    then, and no more than ``RECENT_NS`` before ``now_ns``, may go as well, since each new snapshot
    of a policy that did not change pushes out about one. ``names`` says how a person calls a group.
    """
    found: list[str] = []
    for group, of_group in _groups(decisions).items():
        if not all(one.keep for one in of_group):
            found += _emptied(_name(group, names), of_group)
            found += _shrunk(_name(group, names), of_group)
    since = {group: max(ran_ns, now_ns - RECENT_NS) for group, ran_ns in runs.items()}
    return [*found, *_many(decisions, since)]


def _groups(decisions: Sequence[Decision]) -> Mapping[Group, list[Decision]]:
    groups: dict[Group, list[Decision]] = defaultdict(list)
    for one in decisions:
        groups[one.candidate.group].append(one)
    return groups


def _name(group: Group, names: Mapping[Group, str]) -> str:
    return names.get(group, f"source {group.source} of writer {group.writer}")


def _emptied(name: str, decisions: Sequence[Decision]) -> Iterator[str]:
    """A misspelt tag is a rule that keeps nothing."""
    if not any(one.by_rule for one in decisions):
        going = sum(not one.keep for one in decisions)
        yield (
            f"no rule keeps anything of {name}, and {going:,} of its {len(decisions):,} snapshots "
            f"would go: {_ACCEPT}"
        )


def _shrunk(name: str, decisions: Sequence[Decision]) -> Iterator[str]:
    """Compare with what would go, too: the second snapshot of an emptied source is like the first.

    So the last ones of before the emptying never go by themselves. Earlier ones may, while one that
    stays is at least half as large: else a source that shrank for good would stop every run.
    """
    by_age = sorted(
        (one for one in decisions if one.candidate.complete),
        key=lambda one: one.candidate.age_key,
        reverse=True,
    )
    counted = [one.candidate for one in by_age if one.candidate.counts]
    if not counted:
        return
    newest = counted[0]
    older = [(one, "the one before") for one in counted[1:2]]
    staying = [one.candidate for one in by_age if one.keep]
    every = [one.candidate for one in by_age]  # one that stays is not less than itself
    alone = [one for one in every if all(_less(stays, one, "") for stays in staying)]
    older += [(one, f"{one.id[:8]}, which would go") for one in alone]
    for what in (_less(newest, old, called) for old, called in older):
        if what:
            yield (
                f"the newest complete snapshot of {name} has {what}: if its source was emptied, "
                f"the older ones are all there is; {_ACCEPT}"
            )
            return


def _less(new: Candidate, old: Candidate, called: str) -> str:
    if new.files * _SHRUNK < old.files:
        return f"{new.files:,} files, less than half of the {old.files:,} of {called}"
    if new.bytes * _SHRUNK < old.bytes:
        return f"{new.bytes:,} bytes, less than half of the {old.bytes:,} of {called}"
    return ""


def _many(decisions: Sequence[Decision], since: Mapping[Group, int]) -> Iterator[str]:
    """A policy that shrank, or that is applied for the first time, removes much at once."""
    snapshots = {one.candidate.id for one in decisions}
    going = {one.candidate.id for one in decisions if not one.keep}
    came = {
        one.candidate.id
        for one in decisions
        if one.candidate.group in since and one.candidate.time_ns > since[one.candidate.group]
    }
    excess = len(going) - len(came)
    if excess > _FEW and excess * _PART > len(snapshots):
        added = f" ({len(came):,} came since the last run)" if came else ""
        many = f"{len(going):,} of {len(snapshots):,} snapshots"
        yield f"{many} would go in one run{added}: {_ACCEPT}"
