"""The calendar: which snapshots share a day, and how far back a duration reaches."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.policy.amounts import Duration
from strongroom.policy.periods import BEGINNING_NS, before, name_of
from strongroom.policy.policy import Period
from tests.policy.making import DAY, HOUR, ns

pytestmark = pytest.mark.spec("B6")

ZONES = {
    "utc": UTC,
    "paris": ZoneInfo("Europe/Paris"),
    "new york": ZoneInfo("America/New_York"),
    "kathmandu": ZoneInfo("Asia/Kathmandu"),  # 5:45 ahead
    "lord howe": ZoneInfo("Australia/Lord_Howe"),  # puts its clocks back by half an hour
    "havana": ZoneInfo("America/Havana"),  # puts them back at one in the night, to midnight
    "azores": ZoneInfo("Atlantic/Azores"),  # puts them back across midnight
    "apia": ZoneInfo("Pacific/Apia"),  # had no 30th of December in 2011
}
TIMES = st.integers(-(1 << 63), (1 << 63) - 1)


@pytest.mark.parametrize(
    ("period", "time", "zone", "name"),
    [
        (Period.HOURLY, "2026-11-20T14:59:59.999999Z", "utc", "2026-11-20 14:00+00:00"),
        (Period.HOURLY, "2026-11-20T14:59:59Z", "paris", "2026-11-20 15:00+01:00"),
        (Period.HOURLY, "2026-11-20T14:20Z", "kathmandu", "2026-11-20 20:00+05:45"),
        # the hour that comes twice is two hours
        (Period.HOURLY, "2026-10-25T00:30Z", "paris", "2026-10-25 02:00+02:00"),
        (Period.HOURLY, "2026-10-25T01:30Z", "paris", "2026-10-25 02:00+01:00"),
        # of the hour that is half left out, and of the half that comes twice
        (Period.HOURLY, "2026-10-03T15:40Z", "lord howe", "2026-10-04 02:00+11:00"),
        (Period.HOURLY, "2026-04-04T14:40Z", "lord howe", "2026-04-05 01:00+11:00"),
        (Period.HOURLY, "2026-04-04T15:10Z", "lord howe", "2026-04-05 01:00+10:30"),
        (Period.DAILY, "2026-11-20T23:59:59Z", "utc", "2026-11-20"),
        (Period.DAILY, "2026-11-20T23:59:59Z", "paris", "2026-11-21"),
        (Period.DAILY, "2026-11-20T04:59:59Z", "new york", "2026-11-19"),
        # a day of 25 hours is one day
        (Period.DAILY, "2026-10-24T22:00Z", "paris", "2026-10-25"),
        (Period.DAILY, "2026-10-25T22:59Z", "paris", "2026-10-25"),
        # and so is one that comes back after midnight
        (Period.DAILY, "2026-10-24T23:59Z", "azores", "2026-10-24"),
        (Period.DAILY, "2026-10-25T00:30Z", "azores", "2026-10-25"),
        (Period.DAILY, "2026-10-25T01:30Z", "azores", "2026-10-25"),
        (Period.DAILY, "2011-12-30T09:59Z", "apia", "2011-12-29"),
        (Period.DAILY, "2011-12-30T10:00Z", "apia", "2011-12-31"),
        (Period.WEEKLY, "2026-11-22T23:59Z", "utc", "2026-W47"),  # a Sunday
        (Period.WEEKLY, "2026-11-23T00:00Z", "utc", "2026-W48"),
        # the days around a year's end belong to the year that has the Thursday
        (Period.WEEKLY, "2020-12-31T12:00Z", "utc", "2020-W53"),
        (Period.WEEKLY, "2021-01-03T12:00Z", "utc", "2020-W53"),
        (Period.WEEKLY, "2021-01-04T12:00Z", "utc", "2021-W01"),
        (Period.WEEKLY, "2024-12-30T12:00Z", "utc", "2025-W01"),
        (Period.WEEKLY, "2026-12-31T23:30Z", "paris", "2026-W53"),
        (Period.MONTHLY, "2026-12-31T22:59Z", "paris", "2026-12"),
        (Period.MONTHLY, "2026-12-31T23:00Z", "paris", "2027-01"),
        (Period.QUARTERLY, "2026-01-01T00:00Z", "utc", "2026-Q1"),
        (Period.QUARTERLY, "2026-03-31T23:59Z", "utc", "2026-Q1"),
        (Period.QUARTERLY, "2026-04-01T00:00Z", "utc", "2026-Q2"),
        (Period.QUARTERLY, "2026-09-30T23:59Z", "utc", "2026-Q3"),
        (Period.QUARTERLY, "2026-12-31T23:59Z", "utc", "2026-Q4"),
        (Period.YEARLY, "2026-12-31T23:59Z", "utc", "2026"),
        (Period.YEARLY, "2026-12-31T23:59Z", "paris", "2027"),
    ],
)
def test_names(period: Period, time: str, zone: str, name: str) -> None:
    """A moment lies in the hour, day, week, month, quarter and year of its zone."""
    assert name_of(period, ns(time), ZONES[zone]) == name


@pytest.mark.parametrize(
    ("time", "zone", "duration", "wanted"),
    [
        ("2026-11-20T12:00", "utc", Duration(hours=36), "2026-11-19T00:00"),
        ("2026-11-20T12:00", "utc", Duration(days=30), "2026-10-21T12:00"),
        ("2026-11-20T12:00", "utc", Duration(weeks=6), "2026-10-09T12:00"),
        ("2026-11-20T12:00", "utc", Duration(weeks=1, days=1), "2026-11-12T12:00"),
        ("2026-11-20T12:00", "utc", Duration(months=11), "2025-12-20T12:00"),
        ("2026-11-20T12:00", "utc", Duration(months=10), "2026-01-20T12:00"),
        ("2026-11-20T12:00", "utc", Duration(2, 5, 0, 7, 3), "2024-06-13T09:00"),
        # a month that is too short ends on its last day
        ("2026-03-31T12:00", "utc", Duration(months=1), "2026-02-28T12:00"),
        ("2024-03-31T12:00", "utc", Duration(months=1), "2024-02-29T12:00"),
        ("2026-12-31T12:00", "utc", Duration(months=1), "2026-11-30T12:00"),
        ("2027-01-31T12:00", "utc", Duration(months=1), "2026-12-31T12:00"),
        ("2024-02-29T12:00", "utc", Duration(years=1), "2023-02-28T12:00"),
        ("2024-02-29T12:00", "utc", Duration(years=4), "2020-02-29T12:00"),
        # first the months, then the days: two days before the end of February
        ("2026-03-31T12:00", "utc", Duration(months=1, days=2), "2026-02-26T12:00"),
        # a day is a day of the clock on the wall, an hour is an hour
        ("2026-10-26T12:00", "paris", Duration(days=2), "2026-10-24T12:00"),
        ("2026-10-26T12:00", "paris", Duration(hours=48), "2026-10-24T13:00"),
        ("2026-03-30T12:00", "paris", Duration(days=2), "2026-03-28T12:00"),
        # a time that the day does not have, and one that it has twice: the earlier one
        ("2026-03-30T02:30", "paris", Duration(days=1), "2026-03-29T03:30"),
        ("2026-10-26T02:30", "paris", Duration(days=1), "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:30+01:00", "paris", Duration(hours=1), "2026-10-25T02:30+02:00"),
        ("2026-10-25T02:30+01:00", "paris", Duration(hours=2), "2026-10-25T01:30"),
    ],
)
def test_before(time: str, zone: str, duration: Duration, wanted: str) -> None:
    """Years to days go back by the calendar of the zone, hours by the clock."""
    assert before(ns(time, ZONES[zone]), duration, ZONES[zone]) == ns(wanted, ZONES[zone])


@pytest.mark.parametrize(
    "duration",
    [
        Duration(years=9999),
        Duration(years=999_999_999),
        Duration(months=999_999_999),
        Duration(weeks=999_999_999),
        Duration(days=999_999_999),
        Duration(hours=999_999_999),
    ],
)
def test_before_all_time(duration: Duration) -> None:
    """However long, a duration reaches back to before every snapshot and no further."""
    assert before(ns("2026-11-20"), duration, UTC) == BEGINNING_NS == -(2**63)
    assert before(BEGINNING_NS, duration, ZONES["paris"]) == BEGINNING_NS


@given(TIMES, st.sampled_from(sorted(ZONES)), st.sampled_from(list(Period)))
def test_every_time_has_a_name(time: int, zone: str, period: Period) -> None:
    """Any time that the format can hold lies somewhere; finer periods lie within coarser ones."""
    name = name_of(period, time, ZONES[zone])
    day = name_of(Period.DAILY, time, ZONES[zone])
    if period is Period.HOURLY:
        assert name.startswith(f"{day} ")
    elif period in {Period.MONTHLY, Period.YEARLY}:
        assert day.startswith(f"{name}-")
    elif period is Period.WEEKLY:
        weeks = (datetime.strptime(f"{name}-{n}", "%G-W%V-%u").date() for n in range(1, 8))  # noqa: DTZ007
        assert day in {one.isoformat() for one in weeks}


@given(
    TIMES,
    st.sampled_from(sorted(ZONES)),
    st.builds(Duration, *[st.integers(0, 60)] * 5),
    st.integers(1, 400),
)
def test_a_longer_duration_reaches_further_back(
    time: int, zone: str, duration: Duration, more: int
) -> None:
    """No duration lies ahead, and more of any unit never reaches less far."""
    reached = before(time, duration, ZONES[zone])
    assert reached <= time
    longer = Duration(
        duration.years, duration.months, duration.weeks, duration.days, duration.hours + more
    )
    assert before(time, longer, ZONES[zone]) <= reached
    if reached > BEGINNING_NS + 400 * DAY:
        fields = (duration.years, duration.months, duration.weeks, duration.days + more)
        further = before(time, Duration(*fields, duration.hours), ZONES[zone])
        assert further <= reached - more * DAY + 25 * HOUR


@pytest.mark.parametrize("zone", sorted(ZONES))
def test_to_the_nanosecond(zone: str) -> None:
    """Hours alone lose nothing, and a calendar keeps at least all that a nanosecond would."""
    time = ns("2026-11-20 12:00") + 1_234
    assert before(time, Duration(hours=1), ZONES[zone]) == time - HOUR
    assert before(time, Duration(days=1), ZONES[zone]) == time - DAY - 234
