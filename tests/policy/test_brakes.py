"""What stops retention that nobody watches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from strongroom.policy.amounts import Duration
from strongroom.policy.brakes import brakes, emptied
from strongroom.policy.candidates import Candidate, Group
from strongroom.policy.policy import Policy
from strongroom.policy.retention import Decision
from tests.policy.making import APP, DAY, HOUR, candidate, candidates, decisions, ns

pytestmark = pytest.mark.spec("B6")

DB = Group("main", "db")
NAMES = {APP: "app of this host"}
DAYS = [f"2026-11-{day:02} 02:00" for day in range(1, 31)]


def run(given: Sequence[Candidate], policy: Policy, *, since: str = "", now: str = "") -> list[str]:
    """Decide and look at the brakes."""
    runs = {group: ns(since) for group in (APP, DB)} if since else {}
    now_ns = ns(now) if now else max((one.time_ns for one in given), default=0)
    decided = decisions(given, policy, now=now)
    return brakes(decided, now_ns=now_ns, runs=runs, names=NAMES)


@pytest.mark.parametrize(
    ("count", "going", "stops"),
    [
        (30, 6, False),  # one in five
        (30, 7, True),
        (10, 3, False),  # few, whatever part they are
        (4, 3, False),
        (10, 4, True),
        (19, 4, True),  # 4 of 19 are more than one in five, 4 of 20 are not
        (20, 4, False),
        (5, 0, False),
    ],
)
def test_many_at_once_stop_a_run(count: int, going: int, stops: bool) -> None:  # noqa: FBT001
    """More than one in five, and more than three: how many of how many, and how to go on."""
    found = run(candidates(DAYS[:count]), Policy(keep_last=count - going))
    if stops:
        (sentence,) = found
        assert sentence.startswith(f"{going} of {count} snapshots would go in one run: ")
        assert "--dry-run" in sentence
        assert "--accept" in sentence
    else:
        assert found == []


def test_what_came_since_the_last_run_may_push_out_as_much() -> None:
    """Hourly backups, thinned to days once a day: no cause for alarm, unless the policy shrank."""
    hours = [f"2026-11-30 {hour:02}:30" for hour in range(24)]
    given = candidates([*DAYS[:-1], *hours])
    daily = Policy(keep_daily=30)
    assert run(given, daily, since="2026-11-29 03:00") == []
    assert len(run(given, daily)) == 1
    (sentence,) = run(given, Policy(keep_daily=7), since="2026-11-29 03:00")
    assert sentence.startswith(
        "46 of 53 snapshots would go in one run (24 came since the last run): "
    )
    # the border: as many as one in five more than came
    assert run(candidates(DAYS), Policy(keep_last=20), since=DAYS[-5]) == []
    assert run(candidates(DAYS), Policy(keep_last=19), since=DAYS[-5]) != []


def test_what_came_long_ago_pushes_out_nothing() -> None:
    """After a pause what piled up is much at once; a run each week goes on by itself."""
    (sentence,) = run(candidates(DAYS), Policy(keep_last=2), since=DAYS[0])
    assert sentence.startswith(
        "28 of 30 snapshots would go in one run (7 came since the last run): "
    )
    assert run(candidates(DAYS), Policy(keep_last=20), since=DAYS[22]) == []
    assert len(run(candidates(DAYS), Policy(keep_last=20), since=DAYS[22], now="2026-12-07")) == 1


def test_a_run_on_one_group_is_none_on_another() -> None:
    """What came of a group on which retention never ran does not count."""
    given = [
        *candidates(DAYS[:8]),
        *(replace(one, group=DB, id=f"{one.id}+") for one in candidates(DAYS[:8])),
    ]
    decided = decisions(given, Policy(keep_last=2))
    now_ns = ns(DAYS[7])
    assert brakes(decided, now_ns=now_ns, runs={APP: ns(DAYS[1]), DB: ns(DAYS[1])}) == []
    (sentence,) = brakes(decided, now_ns=now_ns, runs={APP: ns(DAYS[1])})
    assert "(6 came since the last run)" in sentence


def test_a_snapshot_of_two_sources_counts_once() -> None:
    """How many go is said in snapshots."""
    given = [replace(one, group=group) for one in candidates(DAYS[:20]) for group in (APP, DB)]
    found = run(given, Policy(keep_last=10))
    assert [one.partition(":")[0] for one in found] == ["10 of 20 snapshots would go in one run"]


def test_a_rule_that_keeps_nothing_of_a_group_stops_a_run() -> None:
    """A misspelt tag is found out before the second last snapshot goes, however few there are."""
    given = [candidate(DAYS[0]), candidate(DAYS[1])]
    (sentence,) = run(given, Policy(keep_tags=(("monhtly",),)))
    assert sentence.startswith("no rule keeps anything of app of this host, and 1 of its 2 ")
    assert "--accept" in sentence
    assert run(given, Policy(keep_tags=(("monhtly",),), keep_last=1)) == []
    # nothing would go
    assert run(given[:1], Policy(keep_tags=(("monhtly",),))) == []
    # a hold keeps a snapshot, but no rule does
    held = [*given, candidate("2026-10-01", held=True)]
    assert len(run(held, Policy(keep_tags=(("monhtly",),)))) == 1


def test_who_typed_it_is_stopped_only_where_no_rule_keeps_anything() -> None:
    """Much at once, or a source that shrank, is what he may want; a misspelt tag is not."""
    given = [candidate(DAYS[0], files=1000), candidate(DAYS[1], files=1)]
    much = candidates(DAYS)
    misspelt = decisions(given, Policy(keep_tags=(("monhtly",),)))
    (sentence,) = emptied(misspelt, NAMES)
    assert sentence.startswith("no rule keeps anything of app of this host, and 1 of its 2 ")
    assert emptied(decisions(much, Policy(keep_last=1)), NAMES) == []
    assert emptied(decisions(given, Policy(keep_last=1)), NAMES) == []
    assert emptied(decisions(given[:1], Policy(keep_tags=(("monhtly",),))), NAMES) == []


def test_a_group_without_a_name_is_called_by_its_ids() -> None:
    """The sentence says which source of which writer, whether or not somebody knows its name."""
    given = [replace(candidate(time), group=DB) for time in DAYS[:2]]
    (sentence,) = brakes(decisions(given, Policy(days=1), now="2027-01-01"))
    assert "anything of source db of writer main, " in sentence


def test_a_group_that_would_become_empty_stops_a_run() -> None:
    """Whoever decided it: nothing of a source may go in full."""
    going = Decision(candidate(DAYS[0]), keep=False, reasons=())
    (sentence,) = brakes([going])
    assert "1 of its 1 snapshots would go" in sentence


def three(old: tuple[int, int], new: tuple[int, int], **more: bool) -> list[Candidate]:
    """Make a history of one that goes, the one before and the newest, with files and bytes."""
    return [
        candidate(DAYS[0], files=old[0], bytes=old[1]),
        candidate(DAYS[1], files=old[0], bytes=old[1]),
        candidate(DAYS[2], files=new[0], bytes=new[1], **more),
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ((1000, 5000), (499, 5000), "499 files, less than half of the 1,000 of the one before"),
        ((1000, 5000), (1000, 2499), "2,499 bytes, less than half of the 5,000 of the one before"),
        ((1000, 5000), (500, 2500), ""),
        ((1000, 5000), (0, 0), "0 files, less than half of the 1,000 of the one before"),
        ((0, 0), (0, 0), ""),
        ((10, 10), (1000, 1000), ""),
    ],
)
def test_a_source_that_was_emptied_stops_a_run(
    old: tuple[int, int], new: tuple[int, int], said: str
) -> None:
    """Less than half the files or bytes of the one before: the older ones may be all there is."""
    found = run(three(old, new), Policy(keep_last=2))
    if said:
        (sentence,) = found
        assert f"the newest complete snapshot of app of this host has {said}: " in sentence
        assert "--accept" in sentence
    else:
        assert found == []


def test_an_emptied_source_stops_every_run_until_nothing_of_before_would_go() -> None:
    """The second empty snapshot is as large as the first; what goes is compared as well."""
    full = [candidate(time, files=1000, bytes=1000) for time in DAYS[:3]]
    empty = [candidate(time) for time in DAYS[3:10]]
    for nights in range(2, len(empty) + 1):
        (sentence,) = run([*full, *empty[:nights]], Policy(keep_last=2), since=DAYS[2])
        assert "0 files, less than half of the 1,000 of 2026-11-, which would go: " in sentence
    assert run(empty, Policy(keep_last=2), since=DAYS[2]) == []
    # one of before the emptying stays, so others may go; it stops the run in which it would go
    mixed = [*full, *empty[:2]]
    assert run(mixed, Policy(keep_last=3), since=DAYS[2]) == []
    # what stays is not lost: of before the emptying nothing would go
    held = [replace(one, held=True) for one in full]
    assert run([*held, *empty], Policy(keep_last=2), since=DAYS[2]) == []
    # one that is incomplete was never all there is
    part = [replace(one, complete=False) for one in full]
    assert run([*part, *empty], Policy(keep_last=2), since=DAYS[2]) == []
    # that of an agent's hour which counts may be the smaller one
    follower = replace(full[0], counts=False, follows=empty[0].id)
    assert len(run([follower, *empty], Policy(keep_last=2), since=DAYS[2])) == 1


def test_emptiness_is_seen_among_complete_snapshots_that_count() -> None:
    """One that is incomplete is smaller for that; one that does not count says nothing."""
    small = ((1000, 1000), (1, 1))
    assert run(three(*small, complete=False), Policy(keep_last=1)) == []
    assert run(three(*small, counts=False), Policy(keep_last=1)) == []
    assert len(run(three(*small), Policy(keep_last=1))) == 1
    # nothing of the group would go, so nothing is lost by going on
    assert run(three(*small), Policy(keep_last=3)) == []
    # another group that was emptied is no reason where nothing of it goes
    other = [replace(one, group=DB, id=f"{one.id}+") for one in three(*small)][1:]
    assert run([*candidates(DAYS[:2]), *other], Policy(keep_within=Duration(hours=1))) != []
    assert run([*candidates(DAYS[:2]), *other], Policy(keep_last=2)) == []
    # the newest decides, in whatever order they come
    assert len(run(three(*small)[::-1], Policy(keep_last=1))) == 1


def test_every_reason_is_said() -> None:
    """Each group and each brake has its own sentence."""
    apps = [candidate(time, files=100) for time in DAYS]
    dbs = [Candidate(id=f"db{n}", group=DB, time_ns=n * DAY + HOUR, files=100) for n in range(3)]
    given = [*apps[:-1], replace(apps[-1], files=1), *dbs]
    found = run(given, Policy(days=5), now="2026-11-30 02:00")
    assert [one.partition(" ")[0] for one in found] == ["the", "no", "26"]
    assert run([], Policy(keep_last=1)) == []
