"""The rules of a policy, applied to one group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from strongroom.policy.amounts import ALL, Duration
from strongroom.policy.candidates import Candidate
from strongroom.policy.periods import before, name_of
from strongroom.policy.policy import Period, Policy

Kept = tuple[str, str]
"""An id, and why a rule keeps it."""


def kept_by_time(
    policy: Policy, ordered: Sequence[Candidate], now_ns: int, zone: tzinfo
) -> Iterator[Kept]:
    """Yield what the rules keep of those of a group that count, which come newest first."""
    if not ordered:
        return
    for period, amount in policy.amounts():
        if isinstance(amount, Duration):
            yield from _within(period, amount, ordered, zone)
        else:
            yield from _counted(period, amount, ordered, zone)
    if policy.days:
        since = before(now_ns, Duration(days=policy.days), zone)
        young = (one for one in ordered if one.time_ns >= since)
        yield from ((one.id, f"younger than {policy.days}d") for one in young)


def kept_by_name(policy: Policy, ordered: Sequence[Candidate]) -> Iterator[Kept]:
    """Yield what the rules keep for its tags or its id, whether it counts or not."""
    for tags in policy.keep_tags:
        reason = f"tag {tags[0]}" if len(tags) == 1 else f"tags {', '.join(tags)}"
        yield from ((one.id, reason) for one in ordered if set(tags) <= set(one.tags))
    for digits in policy.keep_ids:
        yield from ((one.id, f"id {digits}") for one in ordered if one.id.startswith(digits))


def _counted(
    period: Period, count: int, ordered: Sequence[Candidate], zone: tzinfo
) -> Iterator[Kept]:
    """Fill the count with whatever there is, then with the complete ones alone."""
    told: set[str] = set()
    for considered, word in (
        (ordered, ""),
        ([one for one in ordered if one.complete], "complete "),
    ):
        speakers = _speakers(period, considered, zone)
        kept = [
            (one.id, f"{word}{period} {name}")
            for name, one in speakers[: None if count == ALL else count]
        ]
        if considered and (count == ALL or len(speakers) < count):
            kept.append((considered[-1].id, f"oldest {word}{period}"))
        for id_, reason in kept:
            if id_ not in told:
                told.add(id_)
                yield id_, reason


def _within(
    period: Period, duration: Duration, ordered: Sequence[Candidate], zone: tzinfo
) -> Iterator[Kept]:
    """Keep one of each period that reaches into the time before the newest."""
    since = before(ordered[0].time_ns, duration, zone)
    inside = [one for one in ordered if one.time_ns >= since]
    speakers = _speakers(period, inside, zone)
    for name, one in speakers:
        what = "" if period is Period.LAST else f"{period} {name} "
        yield one.id, f"{what}within {duration}"
    oldest = ordered[-1]
    if oldest.time_ns >= since and all(one is not oldest for _, one in speakers):
        yield oldest.id, f"oldest {period} within {duration}"


def _speakers(
    period: Period, ordered: Sequence[Candidate], zone: tzinfo
) -> list[tuple[str, Candidate]]:
    """Return the name of each period and who speaks for it: its newest complete one, or its newest.

    Of ``LAST`` each speaks for itself, and is named by its place.
    """
    if period is Period.LAST:
        return [(str(place), one) for place, one in enumerate(ordered, 1)]
    found: dict[str, Candidate] = {}
    for one in ordered:
        name = name_of(period, one.time_ns, zone)
        if name not in found or (one.complete and not found[name].complete):
            found[name] = one
    return list(found.items())
