"""What restic, borg and kopia publish of their retention, and where this one differs on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from strongroom.policy.amounts import ALL, Duration
from strongroom.policy.policy import Policy
from tests.policy import restic_examples
from tests.policy.making import candidate, candidates, decisions, kept, reasons
from tests.policy.restic_examples import EXAMPLES, Example, name_of

pytestmark = pytest.mark.spec("B6")


def days(first: str, last: str, *, without: tuple[str, ...] = ()) -> list[str]:
    """Return every day but some."""
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    found = []
    while day <= end:
        found.append(day.isoformat())
        day += timedelta(days=1)
    return [one for one in found if one not in without]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: str(EXAMPLES.index(one)))
def test_restic_keeps_the_same_of_its_own_examples(example: Example) -> None:
    """Of the snapshots and policies of its tests the same ones stay, or more where it says why."""
    snapshots = restic_examples.snapshots()
    ordered = [name_of(one.candidate.id) for one in decisions(snapshots, Policy())]
    wanted = sorted([*example.wanted(ordered), *restic_examples.names(example.ours)])
    assert sorted(map(name_of, kept(snapshots, example.policy))) == wanted


RESTIC_WEEKS = (
    "2025-04-21 11:00",
    "2025-04-22 11:00",
    "2025-04-23 11:00",
    "2025-04-24 11:00",
    "2025-04-25 11:00",
    "2025-04-25 23:00",
    "2025-04-28 11:00",
    "2025-04-29 11:00",
    "2025-05-01 11:00",
    "2025-05-02 11:00",
    "2025-05-02 23:00",
)


def test_restic_two_weeks_with_a_day_missed() -> None:
    """The example of its manual: five days with a snapshot, or the days of a week."""
    given = candidates(RESTIC_WEEKS)
    four = ["2025-05-02 23:00", "2025-05-01 11:00", "2025-04-29 11:00", "2025-04-28 11:00"]
    assert kept(given, Policy(keep_daily=5)) == [*four, "2025-04-25 23:00"]
    # restic leaves out what is exactly as far back as the duration; here it is kept, as by borg
    week = Duration(days=7)
    assert kept(given, Policy(keep_within_daily=week)) == [*four, "2025-04-25 23:00"]
    assert kept(given[:5] + given[6:], Policy(keep_within_daily=week)) == four


def test_restic_a_century_of_days() -> None:
    """The example of its manual: 7 days, 4 more weeks, 11 or 12 months, 74 or 75 years."""
    given = candidates(days("1926-01-01", "2025-12-31"))
    policy = Policy(keep_daily=7, keep_weekly=5, keep_monthly=12, keep_yearly=75)
    found = kept(given, policy)
    assert found[:7] == days("2025-12-25", "2025-12-31")[::-1]
    assert found[7:11] == ["2025-12-21", "2025-12-14", "2025-12-07", "2025-11-30"]
    assert found[11:21] == [f"2025-{m:02}-{d}" for m, d in enumerate(LAST_DAYS, 1)][::-1]
    assert found[21:] == [f"{year}-12-31" for year in range(2024, 1950, -1)]


LAST_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31)


def test_borg_a_year_of_days() -> None:
    """The example of its manual: 14 days, 6 months, a year.

    borg fills a rule only with what no finer rule keeps: there the months go on to June, and
    the year is the oldest of all. Here, as in restic, each rule stands for itself, so that another
    rule never takes anything away; whoever wants six months more asks for seven.
    """
    given = candidates(days("2015-01-01", "2015-12-31", without=("2015-12-19",)))
    policy = Policy(keep_daily=14, keep_monthly=6, keep_yearly=1)
    daily = days("2015-12-17", "2015-12-31", without=("2015-12-19",))[::-1]
    months = ["2015-11-30", "2015-10-31", "2015-09-30", "2015-08-31", "2015-07-31"]
    assert kept(given, policy) == [*daily, *months]
    more = Policy(keep_daily=14, keep_monthly=7, keep_yearly=2)
    assert kept(given, more) == [*daily, *months, "2015-06-30", "2015-01-01"]
    assert reasons(decisions(given, more))["2015-01-01"] == ["oldest yearly"]


def test_borg_counts_and_intervals() -> None:
    """The example of its manual: one a day for a week, 4 weeks, 5 months back, 2 years.

    Differences: rules stand for themselves (borg goes on to 2026-05-10 and 2026-05-03 for its
    weeks, and to the oldest for its years), a month is one of the calendar and not 31 days (so
    five of them end on 2026-01-04, and 2025-12-31 is kept as the year's), and time goes back from
    the newest snapshot without being told to (``--from``).
    """
    missed = ("2026-03-31", "2026-05-24", "2026-06-03")
    given = candidates(f"{day} 16:00" for day in days("2025-11-15", "2026-06-04", without=missed))
    policy = Policy(
        keep_daily=Duration(weeks=1),
        keep_weekly=4,
        keep_monthly=Duration(months=5),
        keep_yearly=2,
    )
    found = kept(given, policy, now="2026-06-04 16:12")
    assert found == [
        f"{day} 16:00"
        for day in (
            *("2026-06-04", "2026-06-02", "2026-06-01", "2026-05-31", "2026-05-30", "2026-05-29"),
            *("2026-05-28", "2026-05-23", "2026-05-17", "2026-04-30", "2026-03-30", "2026-02-28"),
            *("2026-01-31", "2025-12-31"),
        )
    ]


def test_borg_quarters() -> None:
    """Its test of quarters of three months; those of 13 weeks are not offered here."""
    given = candidates(
        [
            *("2020-12-06", "2021-01-03", "2021-03-28", "2021-04-25", "2021-06-27", "2021-07-04"),
            *("2021-09-26", "2021-10-03", "2021-12-26", "2022-01-02"),
        ]
    )
    assert kept(given, Policy(keep_quarterly=99)) == [
        *("2022-01-02", "2021-12-26", "2021-09-26", "2021-06-27", "2021-03-28", "2020-12-06")
    ]


BORG_ARCHIVES = (
    "2015-01-01 10:00",
    "2016-01-01 10:00",
    "2017-01-01 10:00",
    "2017-02-01 10:00",
    "2017-03-01 10:00",
    "2017-03-02 10:00",
    "2017-03-03 10:00",
    "2017-03-04 10:00",
    "2017-10-01 09:45",
    "2017-10-01 09:55",
    "2017-10-01 10:00:01",
    "2017-10-01 10:00:03",
    "2017-10-01 10:00:05",
)


@pytest.mark.parametrize(
    ("policy", "places"),
    [
        (Policy(keep_yearly=3), [12, 1, 0]),
        (Policy(keep_monthly=3), [12, 7, 3]),
        (Policy(keep_weekly=2), [12, 7]),
        (Policy(keep_daily=3), [12, 7, 6]),
        (Policy(keep_hourly=3), [12, 9, 7]),
        (Policy(keep_last=2), [12, 11]),
        (Policy(keep_daily=ALL), [12, 7, 6, 5, 4, 3, 2, 1, 0]),
        # nothing stays of borg's; here a policy without a rule keeps everything
        (Policy(keep_daily=0), [*range(12, -1, -1)]),
    ],
)
def test_borg_a_rule_at_a_time(policy: Policy, places: list[int]) -> None:
    """Its test of single rules: the last one of each period, the newest periods first."""
    assert kept(candidates(BORG_ARCHIVES), policy) == [BORG_ARCHIVES[place] for place in places]


def test_borg_the_oldest_fills_a_rule_that_is_not_full() -> None:
    """Its test: of three years two are there, so the oldest snapshot stays; of two it goes."""
    years = ["2019-12-31", "2018-12-31", "2018-12-30", "2018-01-01"]
    given = candidates(years)
    assert kept(given, Policy(keep_yearly=3)) == ["2019-12-31", "2018-12-31", "2018-01-01"]
    assert kept(given, Policy(keep_yearly=2)) == ["2019-12-31", "2018-12-31"]


def rolling(first: str, last: str, policy: Policy) -> Iterator[list[str]]:
    """Make a snapshot each day and forget after it; yield what is there then."""
    left: list[str] = []
    for day in days(first, last):
        left = kept(candidates([*left, day]), policy)
        yield left


def test_borg_a_history_grows_from_its_first_day() -> None:
    """Its test of a schedule that rolls: the first snapshot stays until there are enough months.

    borg, whose months do not count what its days keep, lets it go with the fourth month; here it is
    the third, since the month that runs is one of them.
    """
    runs = list(rolling("2024-01-01", "2024-04-06", Policy(keep_daily=6, keep_monthly=3)))
    by_day = {run[0]: run for run in runs}
    assert by_day["2024-02-29"][-2:] == ["2024-01-31", "2024-01-01"]
    assert by_day["2024-03-01"][-2:] == ["2024-02-25", "2024-01-31"]
    assert by_day["2024-04-06"][6:] == ["2024-03-31", "2024-02-29"]


@pytest.mark.parametrize(
    ("policy", "given", "wanted", "ours"),
    [
        (
            Policy(),
            "2020-01-01T12:00 2020-01-01T12:01 2020-01-01T12:02 2020-01-01T12:03",
            "2020-01-01T12:00 2020-01-01T12:01 2020-01-01T12:02 2020-01-01T12:03",
            "",
        ),
        (
            Policy(keep_last=3),
            "2020-01-01T12:00 2020-01-01T12:01 2020-01-01T12:02 2020-01-01T12:03",
            "2020-01-01T12:01 2020-01-01T12:02 2020-01-01T12:03",
            "",
        ),
        (
            Policy(keep_daily=3),
            """2020-01-01T12:00 2020-01-01T15:00 2020-01-02T12:00 2020-01-02T15:00
            2020-01-03T12:00 2020-01-03T15:00 2020-01-04T12:00 2020-01-04T15:00""",
            "2020-01-02T15:00 2020-01-03T15:00 2020-01-04T15:00",
            "",
        ),
        (
            Policy(keep_monthly=3),
            """2020-01-01T12:00 2020-01-01T15:00 2020-02-01T12:00 2020-02-02T15:00
            2020-03-01T12:00 2020-03-02T15:00 2020-04-01T12:00 2020-04-02T15:00""",
            "2020-02-02T15:00 2020-03-02T15:00 2020-04-02T15:00",
            "",
        ),
        (
            # kopia's counts are ages as well: February is missing, and January does not stand in
            # for it. Here, as in restic and borg, a count is a count; an age is a duration.
            Policy(keep_monthly=3),
            "2020-01-01T12:00 2020-01-01T15:00 2020-03-02T15:00 2020-04-01T12:00 2020-04-02T15:00",
            "2020-03-02T15:00 2020-04-02T15:00",
            "2020-01-01T15:00",
        ),
        (
            Policy(keep_monthly=Duration(months=3)),
            "2020-01-01T12:00 2020-01-01T15:00 2020-03-02T15:00 2020-04-01T12:00 2020-04-02T15:00",
            "2020-03-02T15:00 2020-04-02T15:00",
            "",
        ),
        (
            Policy(keep_weekly=3),
            "2020-01-01T12:00 2020-01-01T15:00 2020-01-08T12:00 2020-01-09T12:00 2020-01-15T12:00",
            "2020-01-01T15:00 2020-01-09T12:00 2020-01-15T12:00",
            "",
        ),
    ],
)
def test_kopia_keeps_the_same_of_its_own_examples(
    policy: Policy, given: str, wanted: str, ours: str
) -> None:
    """Of the snapshots of its tests the same stay, or more where a comment says why."""
    expected = sorted([*wanted.split(), *ours.split()], reverse=True)
    assert kept(candidates(given.split()), policy) == expected


def test_kopia_four_rules_at_once_and_incomplete_snapshots() -> None:
    """Its test of all rules together.

    kopia keeps incomplete snapshots only after the last complete one, the newest three and those of
    the last four hours. Here they fill the rules as well, but never in the place of a complete one:
    what kopia keeps of the complete ones stays. More stays because counts are no ages here.
    """
    hours = [f"2020-{m:02}-01T{h}:00" for m in (1, 2, 3, 4) for h in (12, 13, 14, 15)]
    hours += [f"2020-{m:02}-02T{h}:00" for m in (1, 2, 3, 4) for h in (12, 13, 15)]
    late = [f"2020-04-02T{h}:01" for h in range(15, 24)] + ["2020-04-02T23:50"]
    given = [*candidates(hours), *(candidate(time, complete=False) for time in late)]
    policy = Policy(keep_last=3, keep_hourly=7, keep_daily=5, keep_monthly=2)
    found = kept(given, policy)
    kopia = {
        *("2020-03-02T15:00", "2020-04-01T15:00", "2020-04-02T12:00", "2020-04-02T13:00"),
        *("2020-04-02T15:00", "2020-04-02T21:01", "2020-04-02T22:01", "2020-04-02T23:50"),
    }
    assert kopia < set(found)
    assert [time for time in found if time in late] == [
        *("2020-04-02T23:50", "2020-04-02T23:01", "2020-04-02T22:01", "2020-04-02T21:01"),
        *("2020-04-02T20:01", "2020-04-02T19:01", "2020-04-02T18:01", "2020-04-02T17:01"),
    ]
    assert [time for time in found if time in hours] == [
        *("2020-04-02T15:00", "2020-04-02T13:00", "2020-04-02T12:00", "2020-04-01T15:00"),
        *("2020-04-01T14:00", "2020-04-01T13:00", "2020-04-01T12:00", "2020-03-02T15:00"),
        *("2020-03-01T15:00", "2020-02-02T15:00"),
    ]
