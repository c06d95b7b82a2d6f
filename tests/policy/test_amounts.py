"""Counts and durations, read from text; what means nothing is refused with what would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import UsageError
from strongroom.policy.amounts import (
    ALL,
    Amount,
    Duration,
    parse_amount,
    parse_duration,
    parse_whole,
)
from strongroom.policy.policy import Policy
from strongroom.policy.reading import RULES, read_policy
from tests.policy.making import EVERY_RULE, EVERY_RULE_READ

pytestmark = pytest.mark.spec("B6")


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30d", Duration(days=30)),
        ("36h", Duration(hours=36)),
        ("6w", Duration(weeks=6)),
        ("2y5m7d3h", Duration(years=2, months=5, days=7, hours=3)),
        ("1y1d1m", Duration(years=1, months=1, days=1)),
        ("1y4m3w1d", Duration(years=1, months=4, weeks=3, days=1)),
        (" 7d ", Duration(days=7)),
        ("0y7d", Duration(days=7)),
        ("007d", Duration(days=7)),
    ],
)
def test_durations(text: str, duration: Duration) -> None:
    """Numbers with their units, in any order, each once."""
    assert parse_duration(text, "--keep-within") == duration
    assert parse_amount(text, "--keep-daily") == duration


# a capital is refused, since M is minutes to borg; so is a sign, since restic takes one
@pytest.mark.parametrize(
    "text",
    [
        *("", "d", "0d", "0y0h", "30", "30D", "6M", "3s", "5min", "-7d", "7m-5d", "7d7d", "1.5d"),
        *("7 d", "7d 3h", "٣d", "1000000000d", "7dx", "x7d", "all", "unlimited"),
    ],
)
def test_no_durations(text: str) -> None:
    """The error says the value, what it is for, what is allowed, and an example."""
    with pytest.raises(UsageError) as refused:
        parse_duration(text, "--keep-within")
    assert refused.value.message == f"--keep-within {text!r} is no length of time"
    for part in ("y, m (months), w, d or h", "30d", "2y5m7d3h"):
        assert part in refused.value.hint


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("7", 7),
        ("0", 0),
        ("007", 7),
        (" 12 ", 12),
        ("999999999", 999_999_999),
        ("all", ALL),
        ("unlimited", ALL),
        ("-1", ALL),
    ],
)
def test_counts(text: str, amount: Amount) -> None:
    """A number, or that there is no end: as restic, as borg, and as their older versions say it."""
    assert parse_amount(text, "--keep-daily") == amount


@pytest.mark.parametrize("text", ["", "-2", "+7", "1e3", "seven", "0d", "7 8", "ALL", "1000000000"])
def test_no_amounts(text: str) -> None:
    """The error names both forms."""
    with pytest.raises(UsageError) as refused:
        parse_amount(text, "--keep-daily")
    expected = f"--keep-daily {text!r} is neither a count nor a length of time"
    assert refused.value.message == expected
    for part in ("such as 7", "'all'", "30d"):
        assert part in refused.value.hint


@pytest.mark.parametrize("text", ["0", "-1", "30d", "", "3.5", "all", "thirty"])
def test_no_whole_number(text: str) -> None:
    """Zero days would keep nothing, and is no way to say so."""
    with pytest.raises(
        UsageError, match=r"BACKUP_RETENTION_DAYS .* is not a whole number of 1"
    ) as refused:
        parse_whole(text, "BACKUP_RETENTION_DAYS")
    assert "such as 30" in refused.value.hint
    assert parse_whole(" 1 ", "") == 1


@given(st.builds(Duration, *[st.integers(0, 999_999_999)] * 5).filter(str))
def test_a_duration_is_read_back(duration: Duration) -> None:
    """What is shown means what was given."""
    assert parse_duration(str(duration), "") == duration


@given(st.text("0123456789ymwdh-all. ", max_size=12))
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    """Nothing but a usage error comes of a text; no amount is below what a rule can be."""
    try:
        amount = parse_amount(text, "")
    except UsageError:
        return
    assert str(amount) if isinstance(amount, Duration) else amount >= ALL


def read(**texts: str) -> Policy:
    """Read a policy as a command line would say it."""
    return read_policy(texts, "--keep-{}".format)


def test_every_rule_is_read_into_its_own_field() -> None:
    """No text lands in the rule of another one."""
    assert read(**EVERY_RULE) == EVERY_RULE_READ
    assert set(RULES) == set(EVERY_RULE)


def test_tags_and_ids() -> None:
    """Tags between commas belong together; ids are read in small letters."""
    policy = read_policy({}, str, tags=["monthly", "full, nightly"], ids=["738FC4", " a "])
    assert policy.keep_tags == (("monthly",), ("full", "nightly"))
    assert policy.keep_ids == ("738fc4", "a")


@pytest.mark.parametrize("text", ["", " ", "a,", ",a", "a,,b"])
def test_an_empty_tag_is_refused(text: str) -> None:
    """A tag of nothing would match everything, or nothing."""
    with pytest.raises(UsageError, match=r"--keep-tag .* has an empty tag") as refused:
        read_policy({}, "--keep-{}".format, tags=[text])
    assert "nightly,full" in refused.value.hint


@pytest.mark.parametrize("text", ["", "latest", "738fc47g", "0" * 65, "7 8"])
def test_what_is_no_id_is_refused(text: str) -> None:
    """An id that matches nothing would be found out too late."""
    with pytest.raises(UsageError, match=r"--keep-id .* is not the beginning of an id"):
        read_policy({}, "--keep-{}".format, ids=[text])


@pytest.mark.parametrize(
    "texts", [{"daily": "0"}, {"daily": "0", "last": "0"}, {"minimum": "3"}, {"yearly": "00"}]
)
def test_a_policy_that_keeps_nothing_by_itself_is_refused(texts: dict[str, str]) -> None:
    """Whoever says only zeros, or only a minimum, did not mean to keep everything."""
    with pytest.raises(UsageError, match="no rule that keeps anything") as refused:
        read(**texts)
    assert "--keep-daily with 7" in refused.value.hint


def test_a_zero_beside_a_rule_is_no_rule() -> None:
    """Scripts of restic and borg turn a rule off with a zero."""
    assert read(hourly="0", daily="7") == Policy(keep_daily=7)
    assert read() == Policy()
    assert Policy().is_empty


@pytest.mark.parametrize(
    "policy",
    [
        Policy(keep_last=1),
        Policy(keep_yearly=ALL),
        Policy(keep_within_quarterly=Duration(hours=1)),
        Policy(keep_tags=(("a",),)),
        Policy(keep_ids=("a",)),
        Policy(days=1),
    ],
)
def test_one_rule_of_any_kind_makes_a_policy(policy: Policy) -> None:
    """Only a policy without any rule keeps everything."""
    assert not policy.is_empty


@pytest.mark.parametrize(
    "fields",
    [
        {"keep_last": -2},
        {"keep_yearly": -7},
        {"keep_last": 3, "keep_yearly": -7},
        {"days": -1},
        {"minimum": 0},
        {"keep_ids": ("",)},
        {"keep_tags": ((),)},
        {"keep_tags": (("a", ""),)},
    ],
)
def test_no_such_policy(fields: dict[str, int]) -> None:
    """A policy that no text can say is a mistake of the program."""
    with pytest.raises(ValueError, match="Policy"):
        Policy(**fields)  # type: ignore[arg-type]  # that is the point
