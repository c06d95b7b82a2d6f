"""Which snapshots a policy keeps: from what a repository lists to decisions. Nothing is written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import NamedTuple

from strongroom.model.snapshot import Counts, ListedSnapshot, SourceRecord, Status
from strongroom.policy.brakes import brakes, emptied
from strongroom.policy.candidates import Group
from strongroom.policy.policy import Policy
from strongroom.policy.retention import Decision, decide
from strongroom.policy.trust import BELIEVED_NS, Claim, believed
from strongroom.repository import layout
from strongroom.repository.records import OrderKind, Origin
from strongroom.repository.repository import Listing, Repository


@dataclass(frozen=True, slots=True)
class Ruling:
    """A policy, when it is applied, and for how long a forgotten snapshot stays; nanoseconds."""

    policy: Policy
    zone: tzinfo
    now_ns: int
    grace_ns: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy makes of one snapshot; ``reasons`` why it stays, none if it goes."""

    listed: ListedSnapshot
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts, oldest first; sentences that stop retention; first-seen times to be signed.

    ``unsigned`` has a time for each snapshot on which no retention ran before.
    """

    verdicts: Sequence[Verdict]
    brakes: Sequence[str]
    emptied: Sequence[str]
    unsigned: Sequence[Origin]


def joined(parts: Sequence[Judged]) -> Judged:
    """Return as one what was judged in parts of which no two have a snapshot in common."""
    verdicts = [verdict for one in parts for verdict in one.verdicts]
    return Judged(
        verdicts=sorted(verdicts, key=lambda one: (one.listed.snapshot.started_ns, one.listed.id)),
        brakes=[sentence for one in parts for sentence in one.brakes],
        emptied=[sentence for one in parts for sentence in one.emptied],
        unsigned=sorted((origin for one in parts for origin in one.unsigned), key=lambda o: o.key),
    )


def store_time_ns(repository: Repository) -> int:
    """What time it is by the store's clock, or by that of this host where the store has none."""
    store_ns = repository.store.time_ns()
    return repository.around.clock.now_ns() if store_ns is None else store_ns


def judge(
    repository: Repository,
    listing: Listing,
    chosen: Sequence[ListedSnapshot],
    ruling: Ruling,
) -> Judged:
    """Apply a policy to ``chosen`` snapshots, of those that are listed and not forgotten."""
    stored = repository.store.list(layout.COMMITS)
    stored_ns = {info.key: info.stored_ns for info in stored if info.stored_ns is not None}
    times = _times(listing, stored_ns)
    standing = listing.history.standing
    for listed in chosen:
        found, ended_ns = times[listed.key], listed.snapshot.ended_ns
        if listed.agent or listed.key in standing.copies:  # which the store's time is kept for
            times[listed.key] = found._replace(claimed_ns=ended_ns)
        else:
            times[listed.key] = found.captured(ended_ns)
    claims = [
        claim
        for listed in chosen
        for claim in _claims(listed, times[listed.key], listed.key in standing.held)
    ]
    candidates = believed(claims, ruling.now_ns, ruling.grace_ns)
    decisions = decide(candidates, ruling.policy, ruling.now_ns, ruling.zone)
    names = {
        Group(listed.writer, source_of(listed, one.name)): _called(listed, one)
        for listed in chosen
        for one in listed.snapshot.sources
    }
    signed, judged = standing.first_seen, _judged(listing)
    return Judged(
        verdicts=_verdicts(chosen, decisions),
        brakes=brakes(decisions, now_ns=ruling.now_ns, runs=_runs(listing, judged), names=names),
        emptied=emptied(decisions, names),
        unsigned=[
            Origin(key, times[key].first_seen_ns, None)
            for key in sorted({listed.key for listed in chosen} - judged.keys())
            if key in stored_ns or key in signed
        ],
    )


class _Times(NamedTuple):
    """When a snapshot says that it was committed, and when a store first showed it."""

    claimed_ns: int
    first_seen_ns: int

    def captured(self, ended_ns: int) -> _Times:
        """Return the times of when it was captured, which for an import is long before.

        Else it would take the place of what was captured since. By the clock of its writer, so much
        earlier than its COMMIT; where that is too much to be believed, the store's word stays.
        """
        late_ns = max(0, self.claimed_ns - ended_ns)
        if late_ns > BELIEVED_NS:
            return self._replace(claimed_ns=ended_ns)
        return _Times(self.claimed_ns - late_ns, self.first_seen_ns - late_ns)


def _times(listing: Listing, stored_ns: Mapping[str, int]) -> dict[str, _Times]:
    """Return the times of each COMMIT; where no store and no order says so, what it claims."""
    signed = listing.history.standing.first_seen
    found: dict[str, _Times] = {}
    for decision in listing.history.decisions:
        if decision.commit is not None:
            claimed_ns = decision.commit.committed_ns
            seen = [by[decision.key] for by in (stored_ns, signed) if decision.key in by]
            found[decision.key] = _Times(claimed_ns, min(seen, default=claimed_ns))
    return found


def _claims(listed: ListedSnapshot, times: _Times, held: bool) -> Iterator[Claim]:  # noqa: FBT001
    """Yield what is said of a snapshot, once for each of its sources."""
    sources: dict[str, list[Counts]] = {}
    for one in listed.snapshot.sources:
        sources.setdefault(source_of(listed, one.name), []).append(one.counts)
    for source, counts in sources.items():
        yield Claim(
            id=listed.id,
            group=Group(listed.writer, source),
            claimed_ns=times.claimed_ns,
            first_seen_ns=times.first_seen_ns,
            agent=bool(listed.agent),
            tags=tuple(map(os.fsdecode, listed.snapshot.tags)),
            complete=listed.snapshot.status is Status.COMPLETE,
            held=held,
            files=sum(one.files for one in counts),
            bytes=sum(one.bytes for one in counts),
        )


def _called(listed: ListedSnapshot, source: SourceRecord) -> str:
    """How a person calls a source of a snapshot."""
    paths = " ".join(map(os.fsdecode, source.paths)) or os.fsdecode(source.name)
    return f"{paths} of {os.fsdecode(listed.snapshot.host)}"


def groups_of(listed: ListedSnapshot) -> set[Group]:
    """Return the groups in which a snapshot is judged: one for each of its sources."""
    return {Group(listed.writer, source_of(listed, one.name)) for one in listed.snapshot.sources}


def source_of(listed: ListedSnapshot, name: bytes) -> str:
    """Return the id of a source of a snapshot; the same for all snapshots of it."""
    return f"{os.fsdecode(name)} of {os.fsdecode(listed.snapshot.host)}"


def _verdicts(chosen: Sequence[ListedSnapshot], decisions: Sequence[Decision]) -> list[Verdict]:
    reasons: dict[str, dict[str, None]] = {listed.id: {} for listed in chosen}
    staying = set()
    for decision in decisions:
        reasons[decision.candidate.id].update(dict.fromkeys(decision.reasons))
        if decision.keep:
            staying.add(decision.candidate.id)
    known = {decision.candidate.id for decision in decisions}
    return [
        Verdict(
            listed,
            listed.id in staying or listed.id not in known,
            tuple(reasons[listed.id]) or (("it has no source",) if listed.id not in known else ()),
        )
        for listed in chosen
    ]


def _judged(listing: Listing) -> dict[str, int]:
    """Return when a policy last ran on a snapshot, by the key of its COMMIT; nanoseconds.

    Forget orders do not say whether a policy or a person chose. But a policy signs when it first
    saw what it judged, and nobody else does so without naming an original (as ``copy`` does).
    """
    found: dict[str, int] = {}
    for order in listing.history.orders:
        if order.body.kind == OrderKind.ORIGINS and isinstance(order.payload, tuple):
            for one in order.payload:
                if isinstance(one, Origin) and one.copy_of is None:
                    found[one.key] = max(order.body.time_ns, found.get(one.key, 0))
    return found


def _runs(listing: Listing, judged: Mapping[str, int]) -> dict[Group, int]:
    """Return when a policy last ran on each group; nanoseconds."""
    found: dict[Group, int] = {}
    for listed in [*listing.found, *listing.forgotten]:
        if listed.key in judged:
            for group in groups_of(listed):
                found[group] = max(judged[listed.key], found.get(group, 0))
    return found
