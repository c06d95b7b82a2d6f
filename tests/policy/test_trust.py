"""Which times are believed, and what an agent can do with the snapshots that it makes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.policy.amounts import Duration
from strongroom.policy.candidates import Candidate, Group
from strongroom.policy.policy import Policy
from strongroom.policy.retention import decide
from strongroom.policy.trust import Claim, Trusted, believed, trusted_time
from tests.policy.making import APP, DAY, HOUR, ns

pytestmark = pytest.mark.spec("B6")

GRACE = 7 * DAY
WEB = Group("web", "app")
NOW = ns("2026-11-22 12:00")


def claim(name: str, time: str, *, agent: bool = True, claimed: str = "") -> Claim:
    """Make a snapshot that was first seen at a time, and claims to be of it, or of another."""
    return Claim(
        id=name,
        group=WEB if agent else APP,
        claimed_ns=ns(claimed or time),
        first_seen_ns=ns(time),
        agent=agent,
    )


def found(*claims: Claim, now: int = NOW) -> dict[str, Candidate]:
    """Return what is believed, by id."""
    return {one.id: one for one in believed(claims, now, GRACE)}


@pytest.mark.parametrize(
    ("off", "counts"),
    [
        (0, True),
        (HOUR, True),
        (-HOUR, True),
        (HOUR + 1, False),
        (-HOUR - 1, False),
        (999 * DAY, False),
    ],
)
def test_a_time_that_is_more_than_an_hour_off_does_not_count(off: int, counts: bool) -> None:  # noqa: FBT001
    """The time is always the one that was seen, whatever was claimed."""
    assert trusted_time(NOW + off, NOW) == Trusted(NOW, counts)
    assert trusted_time(NOW, NOW + off) == Trusted(NOW + off, counts)


def test_what_is_believed_is_handed_on() -> None:
    """Nothing of a snapshot is lost or changed on the way to the decision."""
    one = Claim(
        id="a",
        group=APP,
        claimed_ns=NOW - HOUR,
        first_seen_ns=NOW,
        tags=("x",),
        complete=False,
        held=True,
        files=7,
        bytes=9,
    )
    wanted = Candidate(
        id="a",
        group=APP,
        time_ns=NOW,
        claimed_ns=NOW - HOUR,
        tags=("x",),
        complete=False,
        held=True,
        files=7,
        bytes=9,
    )
    assert believed([one], NOW, GRACE) == [wanted]
    plain = Claim(id="b", group=APP, claimed_ns=NOW, first_seen_ns=NOW)
    assert believed([plain], NOW, GRACE) == [
        Candidate(id="b", group=APP, time_ns=NOW, claimed_ns=NOW)
    ]


def test_a_time_that_is_not_believed_says_both() -> None:
    """A person sees what was claimed and what was seen."""
    one = found(claim("a", "2026-11-20 10:00", claimed="2020-01-01", agent=False))["a"]
    assert one.note == (
        "its time is not believed: it says 2020-01-01T00:00:00.000000Z, "
        "first seen 2026-11-20T10:00:00.000000Z"
    )
    assert (one.counts, one.time_ns, one.follows) == (False, ns("2026-11-20 10:00"), "")


@pytest.mark.parametrize(("age", "young"), [(GRACE - 1, True), (GRACE, False), (-DAY, True)])
def test_an_agents_snapshot_is_young_until_the_grace_is_over(age: int, young: bool) -> None:  # noqa: FBT001
    """By the time it was seen; one of a full-key host never is."""
    one = replace(claim("a", "2026-11-22 12:00"), claimed_ns=0)
    assert found(one, now=one.first_seen_ns + age)["a"].young is young
    assert not found(replace(one, agent=False), now=one.first_seen_ns + age)["a"].young


def test_of_an_agents_hour_one_takes_a_place() -> None:
    """The oldest; the others follow it. Other hours, groups and writers are not its business."""
    other = replace(claim("e", "2026-11-20 10:20"), group=Group("web", "db"))
    given = [
        claim("d", "2026-11-20 11:00"),
        claim("b", "2026-11-20 10:30"),
        claim("a23456789", "2026-11-20 10:10"),
        claim("c", "2026-11-20 10:59:59.999"),
        other,
        claim("f", "2026-11-20 10:20", agent=False),
        claim("g", "2026-11-20 10:40", agent=False),
    ]
    listed = believed(given, NOW, GRACE)
    assert [one.id for one in listed] == [one.id for one in given]
    follows = {one.id: one.follows for one in listed}
    assert follows == {
        "a23456789": "",
        "b": "a23456789",
        "c": "a23456789",
        **dict.fromkeys("defg", ""),
    }
    assert {one.id: one.counts for one in listed} == {key: not to for key, to in follows.items()}
    assert {one.note for one in listed if one.follows} == {"of the same hour as a2345678"}


def test_of_an_agents_hour_a_complete_one_takes_the_place() -> None:
    """A second try that worked is not hidden behind the first that did not."""
    first = replace(claim("a", "2026-11-20 10:10"), complete=False)
    follows = {
        one.id: one.follows
        for one in believed(
            [first, claim("c", "2026-11-20 10:30"), claim("b", "2026-11-20 10:20")], NOW, GRACE
        )
    }
    assert follows == {"a": "b", "b": "", "c": "b"}


def test_a_time_that_is_not_believed_leads_nobody() -> None:
    """It does not speak for its hour, and stays for itself."""
    listed = found(
        claim("a", "2026-11-20 10:10", claimed="2020-01-01"), claim("b", "2026-11-20 10:20")
    )
    assert [listed["a"].follows, listed["b"].follows] == ["", ""]
    assert (listed["a"].counts, listed["b"].counts) == (False, True)


def test_back_dated_snapshots_push_out_nothing() -> None:
    """Who claims last week's days for today's rubbish ages nothing out."""
    honest = [claim(f"good{day}", f"2026-11-{day} 02:00") for day in range(10, 15)]
    rubbish = [
        claim(f"bad{day}", f"2026-11-15 {day}:00", claimed=f"2026-11-{day} 02:01")
        for day in range(10, 15)
    ]
    policy = Policy(keep_daily=5)
    decisions = decide(believed([*honest, *rubbish], NOW + 30 * DAY, GRACE), policy, NOW, UTC)
    assert all(one.keep for one in decisions)


def test_a_flood_takes_a_place_an_hour() -> None:
    """Sixty snapshots in two hours take two places of ten, and stay together with them."""
    honest = [claim(f"good{day}", f"2026-11-{day} 02:00") for day in range(10, 20)]
    flood = [
        claim(f"bad{hour}{minute:02}", f"2026-11-20 {hour}:{minute:02}")
        for hour in (10, 11)
        for minute in range(0, 60, 2)
    ]
    decisions = decide(
        believed([*honest, *flood], NOW + 30 * DAY, GRACE), Policy(keep_last=10), NOW, UTC
    )
    kept = {one.candidate.id for one in decisions if one.keep}
    assert {one.id for one in flood} < kept
    assert [one.id for one in honest if one.id not in kept] == ["good10", "good11"]


def test_rubbish_just_before_a_backup_does_not_hide_it() -> None:
    """A backup that was forestalled stays as long as it would have, and goes when its hour goes."""
    days = range(10, 20)
    honest = [claim(f"good{day}", f"2026-11-{day} 02:30") for day in days]
    before = [claim(f"bad{day}", f"2026-11-{day} 02:29") for day in days]
    for policy in (Policy(keep_daily=5), Policy(keep_within=Duration(days=4))):
        decisions = decide(believed([*honest, *before], NOW + 30 * DAY, GRACE), policy, NOW, UTC)
        kept = {one.candidate.id for one in decisions if one.keep}
        wanted = {f"{who}{day}" for who in ("good", "bad") for day in range(15, 20)}
        assert wanted <= kept
        assert kept - wanted <= {"good14", "bad14"}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 6 * HOUR), st.integers(-2 * HOUR, 2 * HOUR), st.booleans(), st.booleans()
        ),
        max_size=12,
    )
)
def test_every_hour_of_an_agent_has_one_speaker(seen: list[tuple[int, int, bool, bool]]) -> None:
    """Of each hour exactly one counts, and whoever follows follows that one."""
    claims = [
        Claim(
            id=f"{place:02}",
            group=WEB,
            claimed_ns=time + off,
            first_seen_ns=time,
            agent=agent,
            complete=complete,
        )
        for place, (time, off, agent, complete) in enumerate(seen)
    ]
    listed = believed(claims, NOW, GRACE)
    by_id = {one.id: one for one in listed}
    for given_, one in zip(claims, listed, strict=True):
        honest = abs(given_.claimed_ns - given_.first_seen_ns) <= HOUR
        assert one.counts == (honest and not one.follows)
        assert not one.follows or (given_.agent and honest)
        if one.follows:
            speaker = by_id[one.follows]
            assert speaker.counts
            assert speaker.time_ns // HOUR == one.time_ns // HOUR
            assert speaker.complete or not one.complete
    spoken = [
        one.time_ns // HOUR
        for given_, one in zip(claims, listed, strict=True)
        if given_.agent and one.counts
    ]
    assert len(spoken) == len(set(spoken))


def test_of_two_in_one_second_the_later_one_is_the_last() -> None:
    """A bucket tells whole seconds; within one their own times decide, not their ids."""
    second = ns("2026-11-22 11:00")
    early = replace(claim("b", "2026-11-22 11:00", agent=False), claimed_ns=second + 1)
    late = replace(claim("a", "2026-11-22 11:00", agent=False), claimed_ns=second + 2)
    for claims in ([early, late], [late, early]):
        decided = decide(believed(claims, NOW, GRACE), Policy(keep_last=1), NOW, UTC)
        assert [one.candidate.id for one in decided if one.keep] == ["a"]
