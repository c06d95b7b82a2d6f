"""What holds of every policy and every history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.policy.amounts import ALL, Duration
from strongroom.policy.candidates import Candidate, Group
from strongroom.policy.policy import Policy
from strongroom.policy.retention import Decision, decide
from tests.policy.making import DAY, HOUR, ns

pytestmark = pytest.mark.spec("B6")

ZONES: Final = st.sampled_from(
    [ZoneInfo(name) for name in ("UTC", "Europe/Paris", "Australia/Lord_Howe", "Atlantic/Azores")]
)
NEWEST: Final = ns("2026-11-22 12:00")
GROUPS: Final = (Group("main", "app"), Group("main", "db"), Group("agent", "app"))
TAGS: Final = ("a", "b", "c")

durations = st.builds(
    Duration,
    years=st.integers(0, 2),
    months=st.integers(0, 14),
    weeks=st.integers(0, 6),
    days=st.integers(0, 40),
    hours=st.integers(0, 50),
).filter(lambda one: bool(str(one)))
COUNTS: Final = [f.name for f in fields(Policy) if f.name.startswith("keep_") and f.default == 0]
LENGTHS: Final = [f.name for f in fields(Policy) if f.name.startswith("keep_within")]
RULES: Final[dict[str, st.SearchStrategy[Any]]] = {
    **dict.fromkeys(COUNTS, st.integers(ALL, 5) | durations),
    **dict.fromkeys(LENGTHS, durations),
    "keep_tags": st.sampled_from([(("a",),), (("a", "b"),), (("b",), ("c",))]),
    "keep_ids": st.sampled_from([("0",), ("1", "00")]),
    "days": st.sampled_from([1, 30]),
    "minimum": st.integers(1, 4),
}


def policy_of(rules: dict[str, Any]) -> Policy:
    """Make a policy of its rules."""
    return Policy(**rules)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Make a policy of up to four rules."""
    names = draw(st.lists(st.sampled_from(sorted(RULES)), max_size=4, unique=True))
    return policy_of({name: draw(RULES[name]) for name in names})


@st.composite
def histories(draw: st.DrawFn) -> list[Candidate]:
    """Make up to three groups, dense and thin, with all that can be said of a snapshot."""
    # steps of minutes, hours or days back from the newest, so that periods are shared and not
    step = st.sampled_from([0, HOUR // 3, HOUR, 5 * HOUR, DAY, 9 * DAY, 40 * DAY])
    found: list[Candidate] = []
    time = NEWEST
    for place in range(draw(st.integers(0, 15))):
        time -= draw(step)
        name = f"{draw(st.integers(0, 3))}{place:03}"
        found += [
            Candidate(
                id=name,
                group=group,
                time_ns=time,
                tags=tuple(draw(st.lists(st.sampled_from(TAGS), max_size=2, unique=True))),
                complete=draw(st.sampled_from([True, True, False])),
                counts=draw(st.sampled_from([True, True, True, False])),
                held=draw(st.sampled_from([False, False, False, True])),
                young=draw(st.sampled_from([False, False, False, True])),
            )
            for group in draw(
                st.lists(st.sampled_from(GROUPS), min_size=1, max_size=2, unique=True)
            )
        ]
    believed = [one for one in found if one.counts]
    return [
        replace(one, follows=draw(st.sampled_from(believed)).id)
        if believed and not one.counts and draw(st.booleans())
        else one
        for one in found
    ]


Key = tuple[Group, str]


def staying(given: Iterable[Decision]) -> set[Key]:
    """Return what stays."""
    return {(one.candidate.group, one.candidate.id) for one in given if one.keep}


@given(histories(), policies(), ZONES, st.randoms(use_true_random=False))
def test_the_order_of_the_snapshots_means_nothing(
    history: list[Candidate],
    policy: Policy,
    zone: ZoneInfo,
    random: Any,  # noqa: ANN401
) -> None:
    """The same snapshots in another order get the same decisions, reasons and order."""
    shuffled = list(history)
    random.shuffle(shuffled)
    found = decide(history, policy, NEWEST, zone)
    assert found == decide(shuffled, policy, NEWEST, zone)
    assert len(found) == len(history)
    for one in found:
        assert one.keep == bool(one.reasons)
        assert len(set(one.reasons)) == len(one.reasons)


@given(histories(), policies(), ZONES)
def test_what_was_kept_is_kept_again(
    history: list[Candidate], policy: Policy, zone: ZoneInfo
) -> None:
    """A second run at the same time removes nothing, so an interrupted one is simply run again."""
    first = decide(history, policy, NEWEST, zone)
    left = [one.candidate for one in first if one.keep]
    assert all(one.keep for one in decide(left, policy, NEWEST, zone))


@given(histories(), policies(), ZONES, st.data())
def test_removing_some_of_what_goes_changes_nothing_for_what_stays(
    history: list[Candidate], policy: Policy, zone: ZoneInfo, data: st.DataObject
) -> None:
    """A run that was cut short half way leaves the rest of the same decision."""
    first = decide(history, policy, NEWEST, zone)
    wanted = staying(first)
    going = {one.candidate.id for one in first if not one.keep}
    gone = data.draw(st.sets(st.sampled_from(sorted(going)))) if going else set()
    # what follows another is seen anew each time, and without that one leads itself
    gone |= {one.id for one in history if one.follows in gone} & going
    left = [one for one in history if one.id not in gone]
    assert staying(decide(left, policy, NEWEST, zone)) == wanted


@given(histories(), policies(), st.sampled_from(sorted(set(RULES) - {"minimum"})), ZONES, st.data())
def test_one_more_rule_removes_nothing(
    history: list[Candidate], policy: Policy, name: str, zone: ZoneInfo, data: st.DataObject
) -> None:
    """Whatever rule is added to a policy, what it kept stays."""
    if policy.is_empty or getattr(policy, name):
        return
    more = replace(policy, **{name: data.draw(RULES[name])})
    kept = staying(decide(history, policy, NEWEST, zone))
    assert kept <= staying(decide(history, more, NEWEST, zone))


@given(histories(), st.sampled_from(COUNTS), st.integers(1, 6), st.integers(1, 3), ZONES)
def test_a_larger_count_removes_nothing(
    history: list[Candidate], name: str, count: int, more: int, zone: ZoneInfo
) -> None:
    """What seven days keep, eight days keep, and so do all of them."""
    kept = [
        staying(decide(history, policy_of({name: each}), NEWEST, zone))
        for each in (count, count + more, ALL)
    ]
    assert kept[0] <= kept[1] <= kept[2]


@given(histories(), st.sampled_from([*COUNTS, *LENGTHS]), durations, st.integers(1, 90), ZONES)
def test_a_longer_duration_removes_nothing(
    history: list[Candidate], name: str, duration: Duration, more: int, zone: ZoneInfo
) -> None:
    """What a week keeps, two weeks keep."""
    longer = replace(duration, hours=duration.hours + 24 * more)
    kept = [
        staying(decide(history, policy_of({name: each}), NEWEST, zone))
        for each in (duration, longer)
    ]
    assert kept[0] <= kept[1]


@given(histories(), policies(), ZONES)
def test_no_group_loses_its_last_ones(
    history: list[Candidate], policy: Policy, zone: ZoneInfo
) -> None:
    """Of every group the newest, and the newest complete ones, as many as the minimum, stay."""
    kept = staying(decide(history, policy, NEWEST, zone))
    for group in GROUPS:
        members = [one for one in history if one.group == group and one.counts]
        members.sort(key=lambda one: (one.time_ns, one.id), reverse=True)
        complete = [one for one in members if one.complete]
        for one in [*members[:1], *complete[: policy.minimum]]:
            assert (group, one.id) in kept


@given(histories(), policies(), ZONES)
def test_nothing_untouchable_goes(history: list[Candidate], policy: Policy, zone: ZoneInfo) -> None:
    """What is held, young or not believed stays, and so does all of a snapshot, or nothing."""
    found = decide(history, policy, NEWEST, zone)
    kept = {id_ for _, id_ in staying(found)}
    for one in found:
        assert one.keep == (one.candidate.id in kept)
        if one.candidate.held or one.candidate.young:
            assert one.keep
        if not one.candidate.counts and not one.candidate.follows:
            assert one.keep
        if one.candidate.follows in kept:
            assert one.keep


@given(histories(), st.integers(1, 8), ZONES)
def test_the_last_n_stay(history: list[Candidate], count: int, zone: ZoneInfo) -> None:
    """``last`` keeps at least so many of a group, and so many complete ones, if there are."""
    kept = staying(decide(history, Policy(keep_last=count), NEWEST, zone))
    for group in GROUPS:
        members = [one for one in history if one.group == group and one.counts]
        for those in (members, [one for one in members if one.complete]):
            stay = [one for one in those if (group, one.id) in kept]
            assert len(stay) >= min(count, len(those))


@given(histories(), policies(), ZONES)
def test_groups_do_not_know_each_other(
    history: list[Candidate], policy: Policy, zone: ZoneInfo
) -> None:
    """Apart from snapshots of several sources, a group is decided as if it were alone."""
    single = [replace(one, id=f"{one.id}-{GROUPS.index(one.group)}", follows="") for one in history]
    together = staying(decide(single, policy, NEWEST, zone))
    alone: set[Key] = set()
    for group in GROUPS:
        members = [one for one in single if one.group == group]
        alone |= staying(decide(members, policy, NEWEST, zone))
    assert together == alone


@given(histories(), policies(), ZONES, st.integers(0, 4000))
def test_later_only_days_age(
    history: list[Candidate], policy: Policy, zone: ZoneInfo, more: int
) -> None:
    """However long nothing is backed up, nothing goes but by the rule that says days."""
    now = staying(decide(history, replace(policy, days=0), NEWEST, zone))
    later = staying(decide(history, replace(policy, days=0), NEWEST + more * DAY, zone))
    assert now == later
