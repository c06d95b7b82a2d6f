"""What restic keeps of the 103 snapshots of its own test ``TestApplyPolicy``: facts as data.

A snapshot is named by its day; those of January 2016 by their time, ``.1`` is a tenth of a second
after one of the same name, and ``*`` stands before one of several with the same time.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from strongroom.policy.amounts import ALL, Duration
from strongroom.policy.candidates import Candidate
from strongroom.policy.policy import Policy
from tests.policy.making import APP, SECOND, ns

_DAYS: Final = {
    "2014-08": "08 10 12 13 13.1 15 18 20 21 22",
    "2014-09": "01 02 05 06 08 09 10 11 20 22",
    "2014-10": "01 02 05 06 08 09 10 11 20 22",
    "2014-11": "08 10 12 13 13.1 15 18 20 21 22",
    "2015-08": "08 10 12 13 13.1 15 18 20 21 22",
    "2015-09": "01 02 05 06 08 09 10 11 20 22",
    "2015-10": "01 02 05 06 08 09 10 11 20 *22 *22 *22 *22 *22",
    "2015-11": "08 10 12 13 13.1 15 18 20 21 22",
}
_JANUARY: Final = (
    "2016-01-01 01:02:03",
    "2016-01-01 01:03:03",
    "2016-01-01 07:08:03",
    "2016-01-03 07:02:03",
    "2016-01-04 10:23:03",
    "2016-01-04 11:23:03",
    "2016-01-04 12:23:03",
    "2016-01-04 12:24:03",
    "2016-01-04 12:28:03",
    "2016-01-04 12:30:03",
    "2016-01-04 16:23:03",
    "2016-01-05 09:02:03",
    "2016-01-06 08:02:03",
    "2016-01-07 10:02:03",
    "2016-01-08 20:02:03",
    "2016-01-09 21:02:03",
    "2016-01-12 21:02:03",
    "2016-01-12 21:08:03",
    "2016-01-18 12:02:03",
)
_TWINS_WITH_TAGS: Final = 3  # of the five snapshots of 2015-10-22


def snapshots() -> list[Candidate]:
    """Make them all, oldest first."""
    found: list[Candidate] = []
    for month, days in _DAYS.items():
        for place, text in enumerate(days.split()):
            day, _, tenth = text.removeprefix("*").partition(".")
            time = ns(f"{month}-{day} 10:20:30") + int(tenth or 0) * SECOND // 10
            name = f"{month}-{text.removeprefix('*')}"
            twin = f"*{place}" if "*" in text else ""
            tags = _tags(month, text, place, len(days.split()))
            found.append(Candidate(id=name + twin, group=APP, time_ns=time, tags=tags))
    found += [Candidate(id=time, group=APP, time_ns=ns(time)) for time in _JANUARY]
    return found


def _tags(month: str, text: str, place: int, count: int) -> tuple[str, ...]:
    if month == "2014-10":
        return ("foo",)
    if month == "2014-11":
        tagged = {"08": "foo", "10": "foo", "12": "foo", "13": "foo", "13.1": "bar"}
        return ("foo", "bar") if text == "15" else tuple(filter(None, [tagged.get(text)]))
    if "*" in text and place >= count - _TWINS_WITH_TAGS:
        return ("foo", "bar")
    return ()


def name_of(id_: str) -> str:
    """Return what an id is called here."""
    return id_.partition("*")[0]


class Example(NamedTuple):
    """A policy and what restic keeps: the newest so many, these, or all but these.

    ``ours`` is what is kept here beyond that, and ``why`` says why.
    """

    policy: Policy
    newest: int = 0
    these: str = ""
    all_but: str = ""
    ours: str = ""
    why: str = ""

    def wanted(self, ordered: list[str]) -> list[str]:
        """Return the names that restic keeps, of all names with the newest first."""
        if self.newest:
            return ordered[: self.newest]
        if self.these:
            return names(self.these)
        return list((Counter(ordered) - Counter(names(self.all_but))).elements())


def names(text: str) -> list[str]:
    """Return the names in a text of this module; ``_`` is a space within one."""
    return [name.replace("_", " ") for name in text.split()]


_NEWEST: Final = "2016-01-18_12:02:03"
_FIRST_NINE: Final = f"""{_NEWEST} 2016-01-12_21:08:03 2016-01-09_21:02:03 2016-01-08_20:02:03
 2016-01-07_10:02:03 2016-01-06_08:02:03 2016-01-05_09:02:03"""
_TEN_DAYS: Final = f"""{_FIRST_NINE} 2016-01-04_16:23:03 2016-01-03_07:02:03 2016-01-01_07:08:03"""
_MONTHS: Final = f"{_NEWEST} 2015-11-22 2015-10-22 2015-09-22 2015-08-22 2014-11-22"
_WEEKS: Final = f"{_NEWEST} 2016-01-12_21:08:03 2016-01-09_21:02:03 2016-01-03_07:02:03"
_FOO: Final = """2015-10-22 2015-10-22 2015-10-22 2014-11-15 2014-11-13 2014-11-12 2014-11-10
 2014-11-08 2014-10-22 2014-10-20 2014-10-11 2014-10-10 2014-10-09 2014-10-08 2014-10-06 2014-10-05
 2014-10-02 2014-10-01"""
_OF_AN_HOUR: Final = """2016-01-12_21:02:03 2016-01-04_12:28:03 2016-01-04_12:24:03
 2016-01-04_12:23:03 2016-01-01_01:02:03 2015-11-13 2015-10-22 2015-10-22 2015-10-22 2015-10-22
 2015-08-13"""
_OF_A_DAY: Final = f"""{_OF_AN_HOUR} 2016-01-04_12:30:03 2016-01-04_11:23:03 2016-01-04_10:23:03
 2016-01-01_01:03:03"""
_BEFORE_14_MONTHS: Final = """2014-11-13.1 2014-11-13 2014-11-12 2014-11-10 2014-11-08
 2014-10-22 2014-10-20 2014-10-11 2014-10-10 2014-10-09 2014-10-08 2014-10-06 2014-10-05 2014-10-02
 2014-10-01 2014-09-22 2014-09-20 2014-09-11 2014-09-10 2014-09-09 2014-09-08 2014-09-06 2014-09-05
 2014-09-02 2014-09-01 2014-08-22 2014-08-21 2014-08-20 2014-08-18 2014-08-15 2014-08-13.1
 2014-08-13 2014-08-12 2014-08-10 2014-08-08"""
_14_MONTHS: Final = Duration(years=1, months=2, days=3, hours=3)
_SPARED: Final = "the newest stays, whatever its tags"

EXAMPLES: Final = (
    Example(Policy(keep_last=10), newest=10),
    Example(Policy(keep_last=15), newest=15),
    Example(Policy(keep_last=99), newest=99),
    Example(Policy(keep_last=200), newest=103),
    Example(
        Policy(keep_hourly=20),
        these=f"""{_FIRST_NINE} 2016-01-04_16:23:03 2016-01-04_12:30:03 2016-01-04_11:23:03
        2016-01-04_10:23:03 2016-01-03_07:02:03 2016-01-01_07:08:03 2016-01-01_01:03:03 2015-11-22
        2015-11-21 2015-11-20 2015-11-18 2015-11-15 2015-11-13.1""",
    ),
    Example(Policy(keep_daily=3), these=f"{_NEWEST} 2016-01-12_21:08:03 2016-01-09_21:02:03"),
    Example(Policy(keep_daily=10), these=_TEN_DAYS),
    Example(
        Policy(keep_daily=30),
        these=f"""{_TEN_DAYS} 2015-11-22 2015-11-21 2015-11-20 2015-11-18 2015-11-15 2015-11-13.1
        2015-11-12 2015-11-10 2015-11-08 2015-10-22 2015-10-20 2015-10-11 2015-10-10 2015-10-09
        2015-10-08 2015-10-06 2015-10-05 2015-10-02 2015-10-01 2015-09-22""",
    ),
    Example(Policy(keep_last=5, keep_daily=5), newest=6),
    Example(Policy(keep_last=2, keep_daily=10), these=_TEN_DAYS),
    Example(Policy(keep_weekly=2), newest=2),
    Example(Policy(keep_weekly=4), these=_WEEKS),
    Example(Policy(keep_daily=3, keep_weekly=4), these=_WEEKS),
    Example(Policy(keep_monthly=6), these=_MONTHS),
    Example(
        Policy(keep_daily=2, keep_weekly=2, keep_monthly=6),
        these=f"{_MONTHS} 2016-01-12_21:08:03",
    ),
    Example(Policy(keep_yearly=10), these=f"{_NEWEST} 2015-11-22 2014-11-22 2014-08-08"),
    Example(
        Policy(keep_daily=7, keep_weekly=2, keep_monthly=3, keep_yearly=10),
        these=f"{_FIRST_NINE} 2015-11-22 2015-10-22 2014-11-22 2014-08-08",
    ),
    Example(Policy(keep_tags=(("foo",),)), these=_FOO, ours=_NEWEST, why=_SPARED),
    Example(
        Policy(keep_tags=(("foo", "bar"),)),
        these="2015-10-22 2015-10-22 2015-10-22 2014-11-15",
        ours=_NEWEST,
        why=_SPARED,
    ),
    Example(
        Policy(keep_tags=(("foo",), ("bar",))),
        these=f"{_FOO} 2014-11-13.1",
        ours=_NEWEST,
        why=_SPARED,
    ),
    Example(Policy(keep_within=Duration(days=1)), newest=1),
    Example(Policy(keep_within=Duration(days=2)), newest=1),
    Example(Policy(keep_within=Duration(days=7)), newest=3),
    Example(Policy(keep_within=Duration(months=1)), newest=19),
    Example(Policy(keep_within=Duration(months=1, days=14)), newest=19),
    Example(Policy(keep_within=Duration(years=1, months=1, days=1)), newest=63),
    Example(Policy(keep_within=Duration(days=13, hours=23)), newest=9),
    Example(Policy(keep_within=Duration(months=2, hours=2)), newest=23),
    Example(Policy(keep_within=_14_MONTHS), newest=68),
    Example(Policy(keep_within_hourly=_14_MONTHS), all_but=f"{_OF_AN_HOUR} {_BEFORE_14_MONTHS}"),
    Example(Policy(keep_within_daily=_14_MONTHS), all_but=f"{_OF_A_DAY} {_BEFORE_14_MONTHS}"),
    Example(
        Policy(keep_within_weekly=_14_MONTHS),
        these=f"""{_WEEKS} 2015-11-22 2015-11-15 2015-11-08 2015-10-22 2015-10-11 2015-10-02
        2015-09-22 2015-09-20 2015-09-11 2015-09-06 2015-08-22 2015-08-15 2015-08-08 2014-11-22
        2014-11-15""",
    ),
    Example(Policy(keep_within_monthly=_14_MONTHS), these=_MONTHS),
    Example(Policy(keep_within_yearly=_14_MONTHS), these=f"{_NEWEST} 2015-11-22 2014-11-22"),
    Example(
        Policy(
            keep_within=Duration(hours=1),
            keep_within_hourly=Duration(days=1),
            keep_within_daily=Duration(days=7),
            keep_within_weekly=Duration(months=1),
            keep_within_monthly=Duration(years=1),
            keep_within_yearly=Duration(years=9999),
        ),
        these=f"{_MONTHS} 2016-01-12_21:08:03 2016-01-09_21:02:03 2016-01-03_07:02:03 2014-08-08",
    ),
    Example(Policy(keep_last=ALL), newest=103),
    Example(Policy(keep_last=ALL, keep_hourly=ALL), newest=103),
    Example(Policy(keep_hourly=ALL), all_but=f"{_OF_AN_HOUR} 2014-11-13 2014-08-13"),
    Example(
        Policy(keep_daily=3, keep_weekly=2, keep_monthly=ALL, keep_yearly=ALL),
        these=f"""{_MONTHS} 2016-01-12_21:08:03 2016-01-09_21:02:03 2014-10-22 2014-09-22 2014-08-22
        2014-08-08""",
    ),
    Example(
        Policy(), newest=103, why="restic keeps nothing, and its command refuses; here all stays"
    ),
)
