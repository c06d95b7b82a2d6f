"""What stays of a group, of several groups, and why."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from strongroom.policy.amounts import ALL, Duration
from strongroom.policy.candidates import Candidate, Group
from strongroom.policy.policy import Policy
from strongroom.policy.retention import decide
from tests.policy.making import APP, DAY, HOUR, candidate, candidates, decisions, kept, ns, reasons

pytestmark = pytest.mark.spec("B6")

PARIS = ZoneInfo("Europe/Paris")
WEEK = tuple(f"2026-11-{day:02} 12:00" for day in range(16, 23))
DB = Group("main", "db")


def incomplete(time: str) -> Candidate:
    """Make a snapshot that lacks something."""
    return candidate(time, complete=False)


def test_each_rule_says_why() -> None:
    """A reason names the rule, and the period or the place that the snapshot has in it."""
    given = [
        candidate("2026-11-22 13:30", tags=("monthly", "full")),
        candidate("2026-11-22 12:00"),
        candidate("2026-11-20 12:00", held=True),
        candidate("2026-07-01 12:00"),
        candidate("2025-07-01 12:00"),
        candidate("2020-01-01 12:00"),
    ]
    policy = Policy(
        keep_last=2,
        keep_hourly=1,
        keep_daily=1,
        keep_weekly=1,
        keep_monthly=1,
        keep_quarterly=2,
        keep_yearly=2,
        keep_within=Duration(hours=1),
        keep_within_daily=Duration(days=2),
        keep_tags=(("monthly",), ("full", "monthly"), ("other",)),
        keep_ids=("2026-11-22 13",),
        days=1,
    )
    assert reasons(decisions(given, policy)) == {
        "2026-11-22 13:30": [
            "last 1",
            "within 1h",
            "hourly 2026-11-22 13:00+00:00",
            "daily 2026-11-22",
            "daily 2026-11-22 within 2d",
            "weekly 2026-W47",
            "monthly 2026-11",
            "quarterly 2026-Q4",
            "yearly 2026",
            "younger than 1d",
            "tag monthly",
            "tags full, monthly",
            "id 2026-11-22 13",
        ],
        "2026-11-22 12:00": ["last 2", "younger than 1d"],
        "2026-11-20 12:00": ["held"],
        "2026-07-01 12:00": ["quarterly 2026-Q3"],
        "2025-07-01 12:00": ["yearly 2025"],
    }


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (Policy(keep_last=1), 1),
        (Policy(keep_last=3), 3),
        (Policy(keep_last=7), 7),
        (Policy(keep_last=ALL), 7),
        (Policy(keep_last=Duration(days=2)), 3),
        (Policy(keep_within=Duration(days=2)), 3),
        (Policy(keep_within=Duration(days=1, hours=23)), 2),
        (Policy(keep_within_daily=Duration(days=2)), 3),
        (Policy(keep_daily=Duration(days=2)), 3),
        (Policy(days=2), 3),
        (Policy(keep_last=1, minimum=4), 4),
        (Policy(keep_last=5, minimum=4), 5),
    ],
)
def test_what_lies_exactly_on_the_border_stays(policy: Policy, wanted: int) -> None:
    """A count keeps so many; a duration keeps what is exactly as old as well."""
    assert kept(candidates(WEEK), policy) == list(WEEK[: -wanted - 1 : -1])


def test_days_count_from_now_and_within_from_the_newest() -> None:
    """When backups stop, what is kept by days ages, and what is kept within a duration does not."""
    given = candidates(WEEK)
    assert kept(given, Policy(days=5), now="2026-11-25 12:00") == list(WEEK[:3:-1])
    assert kept(given, Policy(days=5), now="2027-11-25 12:00") == [WEEK[-1]]
    assert kept(given, Policy(keep_within=Duration(days=5)), now="2027-11-25") == list(WEEK[:0:-1])


def test_without_a_rule_everything_stays() -> None:
    """An empty policy keeps everything, and so does one that has nothing but a minimum."""
    for policy in (Policy(), Policy(minimum=2)):
        found = decisions(candidates(WEEK), policy)
        assert [one.reasons for one in found] == [("no policy",)] * 7
        assert all(one.keep and not one.by_rule for one in found)
    assert decisions([], Policy(keep_last=1)) == []


def test_days_are_those_of_the_zone() -> None:
    """The same snapshots are of one day in one zone, and of two in another."""
    given = candidates(["2026-11-19 12:00", "2026-11-20 22:30", "2026-11-20 23:30"])
    assert kept(given, Policy(keep_daily=2)) == ["2026-11-20 23:30", "2026-11-19 12:00"]
    assert kept(given, Policy(keep_daily=2), zone=PARIS) == ["2026-11-20 23:30", "2026-11-20 22:30"]


def test_the_hour_that_comes_twice_has_two_snapshots() -> None:
    """When clocks go back, hourly snapshots of both hours stay, and the day is one day."""
    times = [f"2026-10-25 0{hour}:30+00:00" for hour in range(4)] + ["2026-10-24 12:00+00:00"]
    given = candidates(times)
    assert kept(given, Policy(keep_hourly=4), zone=PARIS) == times[3::-1]
    names = [
        text
        for found in reasons(decisions(given, Policy(keep_hourly=4), zone=PARIS)).values()
        for text in found
    ]
    assert names[1:3] == ["hourly 2026-10-25 03:00+01:00", "hourly 2026-10-25 02:00+01:00"]
    assert kept(given, Policy(keep_daily=1), zone=PARIS) == [times[3]]


def test_a_day_that_comes_back_after_midnight_is_one_day() -> None:
    """Where clocks go back to the day before, the newest snapshot of each date stays, once."""
    havana = ZoneInfo("America/Havana")  # at 01:00 on the 1st of November it is 00:00 again
    times = [f"2026-11-01 0{hour}:30+00:00" for hour in range(3, 8)]
    assert kept(candidates(times), Policy(keep_daily=2), zone=havana) == [times[4], times[0]]
    azores = ZoneInfo("Atlantic/Azores")  # at 01:00 on the 25th of October it is 00:00 again
    times = [f"2026-10-2{time}+00:00" for time in ("4 22:30", "4 23:30", "5 00:30", "5 01:30")]
    found = kept(candidates(times), Policy(keep_daily=1), zone=azores)
    assert found == [times[3]]


def test_a_week_of_two_years_is_one_week() -> None:
    """The days around New Year's are one ISO week, and its Sunday's snapshot speaks for it."""
    times = ["2020-12-27", "2020-12-28", "2020-12-31", "2021-01-01", "2021-01-03", "2021-01-04"]
    assert kept(candidates(times), Policy(keep_weekly=3)) == [
        "2021-01-04",
        "2021-01-03",
        "2020-12-27",
    ]
    found = reasons(decisions(candidates(times), Policy(keep_weekly=3)))
    assert found["2021-01-03"] == ["weekly 2020-W53"]


def test_the_oldest_stays_while_a_count_is_not_full() -> None:
    """Until there are enough months, history begins with the first snapshot; then it moves on."""
    times = ["2026-09-10", "2026-09-30", "2026-10-31", "2026-11-22"]
    assert kept(candidates(times), Policy(keep_monthly=4)) == [*times[:0:-1], "2026-09-10"]
    assert kept(candidates(times), Policy(keep_monthly=3)) == times[:0:-1]
    assert kept(candidates(times), Policy(keep_monthly=ALL)) == [*times[:0:-1], "2026-09-10"]
    found = reasons(decisions(candidates(times), Policy(keep_monthly=4)))
    assert found["2026-09-10"] == ["oldest monthly"]


def test_the_oldest_stays_while_a_duration_reaches_it() -> None:
    """And so long as a duration reaches back to the first snapshot."""
    times = ["2026-09-10", "2026-09-30", "2026-11-22"]
    reaching = Policy(keep_monthly=Duration(days=73))
    assert kept(candidates(times), reaching) == times[::-1]
    found = reasons(decisions(candidates(times), reaching))
    assert found["2026-09-10"] == ["oldest monthly within 73d"]
    assert found["2026-09-30"] == ["monthly 2026-09 within 73d"]
    assert kept(candidates(times), Policy(keep_monthly=Duration(days=72))) == times[:0:-1]
    # one that speaks for its month needs no second reason
    found = reasons(decisions(candidates(times[1:]), reaching))
    assert found["2026-09-30"] == ["monthly 2026-09 within 73d"]
    assert reasons(decisions(candidates(times[1:]), Policy(keep_monthly=3)))["2026-09-30"] == [
        "monthly 2026-09"
    ]


def test_an_incomplete_one_does_not_speak_for_a_day_that_has_a_complete_one() -> None:
    """The complete one of the day stays, though it is older."""
    given = [
        candidate("2026-11-21 02:00"),
        incomplete("2026-11-21 14:00"),
        candidate("2026-11-22 02:00"),
    ]
    assert kept(given, Policy(keep_daily=2)) == ["2026-11-22 02:00", "2026-11-21 02:00"]
    assert kept(given, Policy(keep_daily=Duration(days=2))) == [
        "2026-11-22 02:00",
        "2026-11-21 02:00",
    ]


def test_of_several_incomplete_ones_the_newest_speaks() -> None:
    """Where a day has nothing complete, its last try is the best there is."""
    given = [
        candidate("2026-11-20 02:00"),
        incomplete("2026-11-21 02:00"),
        incomplete("2026-11-21 14:00"),
        candidate("2026-11-22 02:00"),
    ]
    assert kept(given, Policy(keep_daily=3)) == [
        "2026-11-22 02:00",
        "2026-11-21 14:00",
        "2026-11-20 02:00",
    ]


def test_incomplete_ones_neither_push_out_complete_ones_nor_are_lost() -> None:
    """Three days of half a backup: they stay, and so do three complete days before them."""
    given = [*candidates(WEEK[:4]), *(incomplete(time) for time in WEEK[4:])]
    assert kept(given, Policy(keep_daily=3)) == list(WEEK[:0:-1])
    assert kept(given, Policy(keep_last=3)) == list(WEEK[:0:-1])
    found = reasons(decisions(given, Policy(keep_last=3, keep_daily=3)))
    assert found[WEEK[-1]] == ["last 1", "daily 2026-11-22"]
    assert found[WEEK[3]] == ["complete last 1", "complete daily 2026-11-19"]


def test_of_a_source_that_is_never_complete_the_old_ones_go() -> None:
    """A count is a count also where every snapshot lacks something; the newest stays."""
    given = [incomplete(time) for time in WEEK]
    assert kept(given, Policy(keep_daily=2)) == list(WEEK[:-3:-1])
    assert reasons(decisions(given, Policy(days=1), now="2027-01-01")) == {WEEK[-1]: ["the newest"]}


def test_the_snapshot_that_was_just_made_stays() -> None:
    """An incomplete one that is newer than the complete one of its day is not removed at once."""
    given = [candidate("2026-11-22 02:00"), incomplete("2026-11-22 10:00")]
    given.append(incomplete("2026-11-22 14:00"))
    found = reasons(decisions(given, Policy(keep_daily=1)))
    assert found == {"2026-11-22 14:00": ["the newest"], "2026-11-22 02:00": ["daily 2026-11-22"]}


def test_the_last_complete_one_stays_whatever_the_policy_says() -> None:
    """A misspelt tag removes neither the newest snapshot nor the newest complete one."""
    given = [*candidates(WEEK[:5]), *(incomplete(time) for time in WEEK[5:])]
    found = decisions(given, Policy(keep_tags=(("monhtly",),)))
    assert reasons(found) == {
        WEEK[6]: ["the newest"],
        WEEK[4]: ["the newest complete one"],
    }
    assert not any(one.by_rule for one in found)


def test_the_minimum_counts_complete_ones() -> None:
    """So many complete ones stay, whatever lies between them."""
    given = [*candidates(WEEK[:4]), *(incomplete(time) for time in WEEK[4:])]
    policy = Policy(keep_last=1, minimum=3)
    assert reasons(decisions(given, policy)) == {
        WEEK[6]: ["last 1"],
        WEEK[3]: ["complete last 1"],
        WEEK[2]: ["minimum 3"],
        WEEK[1]: ["minimum 3"],
    }


def test_a_held_one_stays_and_still_takes_its_place() -> None:
    """A hold removes nothing from a rule: when it is released, the day keeps what it had."""
    given = [candidate("2026-11-22 02:00"), candidate("2026-11-22 14:00", held=True)]
    given += candidates(["2026-11-23 02:00"])
    found = reasons(decisions(given, Policy(keep_daily=2)))
    assert found["2026-11-22 14:00"] == ["daily 2026-11-22", "held"]
    assert "2026-11-22 02:00" not in found
    given[0] = candidate("2026-11-22 02:00", held=True)
    assert reasons(decisions(given, Policy(keep_last=1)))["2026-11-22 02:00"] == ["held"]


def test_what_does_not_count_stays_and_takes_no_place() -> None:
    """A snapshot whose time is not believed removes nothing, and is no newest one."""
    given = [*candidates(WEEK), candidate("2026-11-22 23:00", counts=False, note="odd")]
    given.append(candidate("2026-11-16 13:00", counts=False))
    policy = Policy(keep_last=1, keep_within=Duration(days=1))
    assert reasons(decisions(given, policy)) == {
        "2026-11-22 23:00": ["odd"],
        WEEK[6]: ["last 1", "within 1d"],
        WEEK[5]: ["within 1d"],
        "2026-11-16 13:00": ["its time is not believed"],
    }
    alone = [candidate("2026-11-22 23:00", counts=False)]
    assert kept(alone, Policy(keep_last=1, keep_within=Duration(days=1))) == ["2026-11-22 23:00"]


@pytest.mark.parametrize(("ahead", "counts"), [(HOUR, True), (HOUR + 1, False)])
def test_what_is_yet_to_come_stays_and_takes_no_place(ahead: int, counts: bool) -> None:  # noqa: FBT001
    """With a clock that is behind, nothing goes; a clock may be an hour behind."""
    given = candidates(WEEK[-2:])
    now = ns(WEEK[-1]) - ahead
    found = reasons(decide(given, Policy(keep_last=1), now, UTC))
    if counts:
        assert found == {WEEK[-1]: ["last 1"]}
    else:
        assert found == {WEEK[-1]: ["its time is yet to come"], WEEK[-2]: ["last 1"]}


def test_a_young_one_of_an_agent_stays() -> None:
    """There is time to notice what an agent does."""
    given = [*candidates(WEEK[1:]), candidate(WEEK[0], young=True)]
    found = reasons(decisions(given, Policy(keep_last=1)))
    assert found[WEEK[0]] == ["an agent's, and too young to go"]


def test_what_follows_another_stays_as_long_as_that_one() -> None:
    """It takes no place, and goes with the one whose place it shares."""
    one, two, last = WEEK[0], "2026-11-16 12:30", WEEK[1]
    follower = candidate(two, counts=False, follows=one, note="of the same hour")
    given = [candidate(one), follower, candidate(last)]
    assert reasons(decisions(given, Policy(keep_last=2))) == {
        last: ["last 1"],
        two: ["of the same hour"],
        one: ["last 2"],
    }
    assert kept(given, Policy(keep_last=1)) == [last]
    assert kept([follower, candidate(last)], Policy(keep_last=1)) == [last, two]


def test_what_follows_another_stays_with_all_of_its_sources() -> None:
    """In one source it follows what stays, in the other what goes: it stays in both."""
    given = [
        Candidate(id="1", group=APP, time_ns=HOUR),
        Candidate(id="2", group=APP, time_ns=HOUR + 1, counts=False, follows="1"),
        Candidate(id="0", group=DB, time_ns=HOUR),
        Candidate(id="2", group=DB, time_ns=HOUR + 1, counts=False, follows="0"),
        Candidate(id="3", group=DB, time_ns=DAY),
    ]
    found = decisions(given, Policy(keep_last=1))
    assert [(one.candidate.group.source, one.candidate.id, one.reasons) for one in found] == [
        ("app", "2", ("goes with 1",)),
        ("app", "1", ("last 1",)),
        ("db", "3", ("last 1",)),
        ("db", "2", ("another source of it stays",)),
        ("db", "0", ()),
    ]


def test_what_stays_for_one_source_is_followed_in_another() -> None:
    """A chain over two sources, in whatever order it is come upon: all of it stays."""
    chain = [
        Candidate(id="a", group=DB, time_ns=HOUR),
        Candidate(id="b", group=DB, time_ns=HOUR + 1, counts=False, follows="a"),
        Candidate(id="b", group=APP, time_ns=HOUR + 1),
        Candidate(id="c", group=APP, time_ns=HOUR + 2, counts=False, follows="b"),
        Candidate(id="d", group=APP, time_ns=DAY),
    ]
    found = decisions(chain, Policy(keep_last=1))
    assert [(one.candidate.id, one.reasons) for one in found] == [
        ("d", ("last 1",)),
        ("c", ("goes with b",)),
        ("b", ("another source of it stays",)),
        ("b", ("goes with a",)),
        ("a", ("last 1",)),
    ]
    newer = Candidate(id="e", group=DB, time_ns=DAY)
    assert kept([*chain, newer], Policy(keep_last=1)) == ["d", "e"]


@pytest.mark.parametrize(
    ("more", "policy", "reason"),
    [
        ({"held": True}, Policy(keep_last=1), "held"),
        ({"young": True}, Policy(keep_last=1), "an agent's, and too young to go"),
        ({"tags": ("a", "b")}, Policy(keep_last=1, keep_tags=(("b",),)), "tag b"),
        ({}, Policy(keep_last=1, keep_ids=("2026-11-16 12:3",)), "id 2026-11-16 12:3"),
    ],
)
def test_what_follows_another_may_stay_alone(
    more: dict[str, bool], policy: Policy, reason: str
) -> None:
    """A hold, its age, a tag and an id are reasons of its own."""
    follower = candidate("2026-11-16 12:30", counts=False, follows=WEEK[0], **more)
    given = [candidate(WEEK[0]), follower, candidate(WEEK[1])]
    assert reasons(decisions(given, policy))[follower.id] == [reason]
    assert WEEK[0] not in kept(given, policy)


def test_a_tag_list_needs_all_of_its_tags() -> None:
    """Tags between commas must all be there; of several lists one is enough."""
    given = [
        candidate(WEEK[0], tags=("a",)),
        candidate(WEEK[1], tags=("b", "a")),
        candidate(WEEK[2], tags=("c",)),
        candidate(WEEK[3], tags=()),
        candidate(WEEK[4]),
    ]
    assert kept(given, Policy(keep_tags=(("a", "b"),))) == [WEEK[4], WEEK[1]]
    assert kept(given, Policy(keep_tags=(("a", "b"), ("c",)))) == [WEEK[4], WEEK[2], WEEK[1]]


def test_groups_are_decided_one_by_one() -> None:
    """Each source of each writer has its own last one, in the order of the groups."""
    other = Group("agent", "app")
    groups = (DB, APP, other)
    given = [
        Candidate(id=f"{n}{group.writer[0]}{group.source}", group=group, time_ns=n * HOUR)
        for n in range(3)
        for group in groups
    ]
    found = decisions(given, Policy(keep_last=1))
    order = [(one.candidate.group, one.candidate.time_ns // HOUR) for one in found]
    assert order == [(group, n) for group in (other, APP, DB) for n in (2, 1, 0)]
    assert [one.candidate.id for one in found if one.keep] == ["2aapp", "2mapp", "2mdb"]


def test_a_snapshot_of_two_sources_stays_if_one_of_them_needs_it() -> None:
    """What is the last of one source is not removed for being old in another."""
    both = [Candidate(id="both", group=group, time_ns=0) for group in (APP, DB)]
    newer = Candidate(id="newer", group=APP, time_ns=HOUR)
    found = decisions([*both, newer], Policy(keep_last=1))
    assert [(one.candidate.id, one.candidate.group.source, one.reasons) for one in found] == [
        ("newer", "app", ("last 1",)),
        ("both", "app", ("another source of it stays",)),
        ("both", "db", ("last 1",)),
    ]
    assert [one.by_rule for one in found] == [True, False, True]
    assert not all(
        one.keep for one in decisions([*both, newer, *newest_of_both()], Policy(keep_last=1))
    )


def newest_of_both() -> list[Candidate]:
    """Make a snapshot that is the newest of both sources."""
    return [Candidate(id="newest", group=group, time_ns=2 * HOUR) for group in (APP, DB)]


def test_of_two_at_the_same_time_the_ids_decide() -> None:
    """The decision does not hang on who comes first."""
    given = [Candidate(id=name, group=APP, time_ns=0) for name in ("b", "c", "a")]
    for order in (given, given[::-1]):
        assert kept(order, Policy(keep_last=1)) == ["c"]


def test_one_snapshot_twice_is_a_mistake() -> None:
    """A place that is taken twice by one snapshot would push out another."""
    with pytest.raises(ValueError, match="2026-11-16"):
        decisions([candidate(WEEK[0]), candidate(WEEK[0], held=True)], Policy(keep_last=1))
