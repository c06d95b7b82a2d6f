"""When retention that nobody watches must stop and ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from strongroom.policy.candidates import Candidate, Group
from strongroom.policy.retention import Decision

_NO_NAMES: Final[Mapping[Group, str]] = {}
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
    since_ns: int | None = None,
    names: Mapping[Group, str] = _NO_NAMES,
) -> list[str]:
    """Return a sentence for each reason not to go on; none means go on.

    ``since_ns`` is when retention last ran, None if it never did: as many as came since then may go
    as well, since each new snapshot of a policy that did not change pushes out about one. ``names``
    says how a person calls a group.
    """
    found: list[str] = []
    for group, of_group in _groups(decisions).items():
        if not all(one.keep for one in of_group):
            found += _emptied(_name(group, names), of_group)
            found += _shrunk(_name(group, names), of_group)
    return [*found, *_many(decisions, since_ns)]


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
    complete = sorted(
        (one.candidate for one in decisions if one.candidate.complete and one.candidate.counts),
        key=lambda one: (one.time_ns, one.id),
        reverse=True,
    )
    if len(complete) > 1 and (what := _less(*complete[:2])):
        yield (
            f"the newest complete snapshot of {name} has {what}: if its source was emptied, "
            f"the older ones are all there is; {_ACCEPT}"
        )


def _less(new: Candidate, old: Candidate) -> str:
    if new.files * _SHRUNK < old.files:
        return f"{new.files:,} files, less than half of the {old.files:,} of the one before"
    if new.bytes * _SHRUNK < old.bytes:
        return f"{new.bytes:,} bytes, less than half of the {old.bytes:,} of the one before"
    return ""


def _many(decisions: Sequence[Decision], since_ns: int | None) -> Iterator[str]:
    """A policy that shrank, or that is applied for the first time, removes much at once."""
    snapshots = {one.candidate.id for one in decisions}
    going = {one.candidate.id for one in decisions if not one.keep}
    came = {
        one.candidate.id
        for one in decisions
        if since_ns is not None and one.candidate.time_ns > since_ns
    }
    excess = len(going) - len(came)
    if excess > _FEW and excess * _PART > len(snapshots):
        added = f" ({len(came):,} came since the last run)" if came else ""
        many = f"{len(going):,} of {len(snapshots):,} snapshots"
        yield f"{many} would go in one run{added}: {_ACCEPT}"
