"""Which snapshots stay, and why.

A snapshot stays if any rule keeps it; the rules do not know each other, so one more never removes
anything. Each group (a source of a writer) is decided for itself:

- **last, hourly … yearly**, a count: of the newest so many periods that have a snapshot, the newest
  one each. While there are fewer periods than that, the oldest snapshot stays as well, so that
  history does not begin later than it must. A duration instead of a count, and **within**: of
  every period, as far back from the newest snapshot.
- **days**: everything that is younger now. **tags**, **ids**: everything that matches.
- An incomplete snapshot speaks for a period only if no complete one is in it, and a count is
  filled twice: with whatever there is, and with the complete ones alone. So days of half a backup
  neither push out the complete ones nor are lost, and a source that is never complete still ages.
- Whatever the rules say, these stay: the newest ``minimum`` complete ones, the newest of all (it
  was just made), what is held, what an agent made too lately, and what does not count.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

from strongroom.policy.candidates import Candidate, Group
from strongroom.policy.periods import HOUR_NS
from strongroom.policy.policy import Policy
from strongroom.policy.rules import Kept, kept_by_name, kept_by_time

_AHEAD_NS: Final = HOUR_NS  # how far a time may lie ahead of ``now`` and still be believed

_Key = tuple[Group, str]
_Reasons = dict[str, None]  # in their order, each once


class Decision(NamedTuple):
    """What becomes of a candidate; ``by_rule``: a rule of the policy keeps it, not only safety."""

    candidate: Candidate
    keep: bool
    reasons: tuple[str, ...]
    by_rule: bool = False


def decide(
    candidates: Iterable[Candidate], policy: Policy, now_ns: int, zone: tzinfo
) -> list[Decision]:
    """Return a decision for each candidate, by group, the newest first.

    Days and the like are those of ``zone``. A snapshot that stays in one of its groups stays
    in all. ValueError if an id comes twice in a group.
    """
    members: dict[_Key, Candidate] = {}
    for one in candidates:
        if members.setdefault((one.group, one.id), one) is not one:
            raise ValueError(one.id)
    by_age = sorted(members.values(), key=lambda one: one.age_key, reverse=True)
    groups: dict[Group, list[Candidate]] = defaultdict(list)
    for one in by_age:
        groups[one.group].append(one)
    found: dict[_Key, _Reasons] = {}
    by_rule: set[_Key] = set()
    for group, ordered in sorted(groups.items()):
        found |= {(group, one.id): {} for one in ordered}
        counted = [one for one in ordered if one.counts and one.time_ns <= now_ns + _AHEAD_NS]
        if policy.is_empty:
            _add(found, group, ((one.id, "no policy") for one in ordered))
        else:
            by_rule |= _add(found, group, kept_by_time(policy, counted, now_ns, zone))
            by_rule |= _add(found, group, kept_by_name(policy, ordered))
        _add(found, group, _untouchable(ordered, now_ns))
        spared = _spared(counted, policy.minimum)
        _add(found, group, [(id_, why) for id_, why in spared if not found[group, id_]])
    _stand_together(members, found)
    return [
        Decision(members[key], bool(reasons), tuple(reasons), key in by_rule)
        for key, reasons in found.items()
    ]


def _add(found: dict[_Key, _Reasons], group: Group, kept: Iterable[Kept]) -> set[_Key]:
    """Add reasons; the keys that got one."""
    keys = set()
    for id_, reason in kept:
        found[group, id_][reason] = None
        keys.add((group, id_))
    return keys


def _untouchable(ordered: Sequence[Candidate], now_ns: int) -> Iterator[Kept]:
    """Yield what no rule may remove, whatever it is."""
    for one in ordered:
        if one.held:
            yield one.id, "held"
        if one.young:
            yield one.id, "an agent's, and too young to go"
        if not one.counts and not one.follows:
            yield one.id, one.note or "its time is not believed"
        elif one.time_ns > now_ns + _AHEAD_NS:
            yield one.id, "its time is yet to come"


def _spared(counted: Sequence[Candidate], minimum: int) -> Iterator[Kept]:
    """Yield the newest of all, and the newest complete ones."""
    if counted:
        yield counted[0].id, "the newest"
    complete = [one.id for one in counted if one.complete]
    for id_ in complete[:1]:
        yield id_, "the newest complete one"
    for id_ in complete[1:minimum]:
        yield id_, f"minimum {minimum}"


def _stand_together(members: Mapping[_Key, Candidate], found: dict[_Key, _Reasons]) -> None:
    """Keep what follows one that stays or that is unknown, and every source of what stays.

    Each may be the cause of the other: what stays for one source is followed in another.
    """
    known = {id_ for _, id_ in members}
    staying = {id_ for (_, id_), reasons in found.items() if reasons}
    following = {key: one for key, one in members.items() if one.follows}
    before = -1
    while before < len(staying):
        before = len(staying)
        for key, one in following.items():
            if one.follows in staying or one.follows not in known:
                found[key][one.note or f"goes with {one.follows}"] = None
                staying.add(one.id)
    for (_, id_), reasons in found.items():
        if id_ in staying and not reasons:
            reasons["another source of it stays"] = None
