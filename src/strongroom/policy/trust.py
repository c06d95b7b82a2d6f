"""Which times are believed: a host that was broken into must not age out what it saved before.

What counts is when the store first showed a snapshot, not when its writer says that it was made.
If the two are more than an hour apart, the snapshot stays and takes no place in any rule. The
snapshots of an agent in one hour (of UTC) take one place together, that of the oldest complete one,
and stay or go together: a flood takes no more places than a backup each hour would, and nothing is
pushed out of its place by something made just before it. None of an agent goes before the grace is
over, so that there is time to notice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from strongroom.clock import rfc3339
from strongroom.policy.candidates import Candidate, Group
from strongroom.policy.periods import HOUR_NS

BELIEVED_NS: Final = HOUR_NS
"""How far apart the two times of a snapshot may be."""


class Trusted(NamedTuple):
    """The time that counts, and whether the snapshot may take a place in the rules."""

    time_ns: int
    counts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A snapshot in one of its groups, with what was said of it and what was seen.

    ``claimed_ns`` is when its writer says that it was committed (not begun: a first backup may take
    a day), ``first_seen_ns`` when a store first showed it. ``agent``: an agent's key signed it.
    """

    id: str
    group: Group
    claimed_ns: int
    first_seen_ns: int
    agent: bool = False
    tags: tuple[str, ...] = ()
    complete: bool = True
    held: bool = False
    files: int = 0
    bytes: int = 0


def trusted_time(claimed_ns: int, first_seen_ns: int) -> Trusted:
    """Return the time when it was first seen, and whether the claim is near enough."""
    return Trusted(first_seen_ns, abs(claimed_ns - first_seen_ns) <= BELIEVED_NS)


def believed(claims: Iterable[Claim], now_ns: int, grace_ns: int) -> list[Candidate]:
    """Return what ``decide`` takes, in the order of the claims."""
    listed = list(claims)
    found = [_candidate(claim, now_ns, grace_ns) for claim in listed]
    hours: dict[tuple[Group, int], list[Candidate]] = defaultdict(list)
    for claim, one in zip(listed, found, strict=True):
        if claim.agent and one.counts:
            hours[one.group, one.time_ns // HOUR_NS].append(one)
    speakers = {
        key: min(together, key=lambda one: (not one.complete, *one.age_key))
        for key, together in hours.items()
    }
    return [
        _after(one, speakers[one.group, one.time_ns // HOUR_NS])
        if claim.agent and one.counts
        else one
        for claim, one in zip(listed, found, strict=True)
    ]


def _candidate(claim: Claim, now_ns: int, grace_ns: int) -> Candidate:
    time_ns, counts = trusted_time(claim.claimed_ns, claim.first_seen_ns)
    said, seen = rfc3339(claim.claimed_ns), rfc3339(claim.first_seen_ns)
    return Candidate(
        id=claim.id,
        group=claim.group,
        time_ns=time_ns,
        claimed_ns=claim.claimed_ns,
        tags=claim.tags,
        complete=claim.complete,
        counts=counts,
        held=claim.held,
        young=claim.agent and now_ns - claim.first_seen_ns < grace_ns,
        note="" if counts else f"its time is not believed: it says {said}, first seen {seen}",
        files=claim.files,
        bytes=claim.bytes,
    )


def _after(one: Candidate, speaker: Candidate) -> Candidate:
    if one is speaker:
        return one
    return replace(
        one, counts=False, follows=speaker.id, note=f"of the same hour as {speaker.id[:8]}"
    )
