"""The options that say what to keep, on a command of their own."""

from __future__ import annotations

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import click
import pytest

from strongroom.cli.keep import keep_options, policy_from, zone_from
from strongroom.errors import UsageError
from strongroom.policy.amounts import ALL, Duration
from strongroom.policy.policy import Policy

pytestmark = pytest.mark.spec("B6")


def given(*arguments: str) -> Mapping[str, object]:
    """Return what a command with the options is given."""

    @click.command()
    @keep_options
    def command(**given_: object) -> Mapping[str, object]:
        return given_

    found: Mapping[str, object] = command.main(list(arguments), standalone_mode=False)
    return found


def test_every_option() -> None:
    """Each option is one rule."""
    found = given(
        *("--keep-last", "1", "--keep-hourly", "2", "--keep-daily", "3", "--keep-weekly", "4"),
        *("--keep-monthly", "5", "--keep-quarterly", "6", "--keep-yearly", "unlimited"),
        *("--keep-within", "1y5m", "--keep-within-hourly", "1h", "--keep-within-daily", "2h"),
        *("--keep-within-weekly", "3h", "--keep-within-monthly", "4h"),
        *("--keep-within-quarterly", "5h", "--keep-within-yearly", "6h"),
        *("--keep-tag", "a", "--keep-tag", "b,c", "--keep-id", "738F", "--keep-id", "0"),
        *("--keep-days", "30", "--keep-minimum", "2", "--timezone", "Europe/Paris"),
    )
    assert policy_from(found) == Policy(
        keep_last=1,
        keep_hourly=2,
        keep_daily=3,
        keep_weekly=4,
        keep_monthly=5,
        keep_quarterly=6,
        keep_yearly=ALL,
        keep_within=Duration(years=1, months=5),
        keep_within_hourly=Duration(hours=1),
        keep_within_daily=Duration(hours=2),
        keep_within_weekly=Duration(hours=3),
        keep_within_monthly=Duration(hours=4),
        keep_within_quarterly=Duration(hours=5),
        keep_within_yearly=Duration(hours=6),
        keep_tags=(("a",), ("b", "c")),
        keep_ids=("738f", "0"),
        days=30,
        minimum=2,
    )
    assert zone_from(found) == ZoneInfo("Europe/Paris")


def test_nothing_said_is_no_policy() -> None:
    """Then what the configuration says holds; a zone alone changes that of the configuration."""
    assert policy_from(given()) is None
    assert zone_from(given()) is None
    assert policy_from(given("--timezone", "UTC")) is None


@pytest.mark.parametrize(
    ("arguments", "policy"),
    [
        (("--keep-daily", "30d"), Policy(keep_daily=Duration(days=30))),
        (("--keep-tag", "a"), Policy(keep_tags=(("a",),))),
        (("--keep-id", "7"), Policy(keep_ids=("7",))),
        (("--keep-last", "-1"), Policy(keep_last=ALL)),
    ],
)
def test_one_option_is_a_policy(arguments: tuple[str, ...], policy: Policy) -> None:
    """Each kind of option is enough."""
    assert policy_from(given(*arguments)) == policy


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--keep-last", "few"), "--keep-last 'few' is neither a count nor a length of time"),
        (("--keep-within-daily", "7"), "--keep-within-daily '7' is no length of time"),
        (("--keep-minimum", "0", "--keep-last", "1"), "--keep-minimum '0' is not a whole number"),
        (("--keep-days", "0"), "--keep-days '0' is not a whole number"),
        (("--keep-tag", ""), "--keep-tag '' has an empty tag"),
        (("--keep-id", "latest"), "--keep-id 'latest' is not the beginning of an id"),
        (("--keep-last", "0"), "this policy has no rule that keeps anything"),
        (("--keep-minimum", "3"), "this policy has no rule that keeps anything"),
    ],
)
def test_what_means_nothing_is_refused(arguments: tuple[str, ...], said: str) -> None:
    """The error names the option as it was typed."""
    with pytest.raises(UsageError) as refused:
        policy_from(given(*arguments))
    assert refused.value.message.startswith(said)
    assert refused.value.hint


def test_an_unknown_zone_is_refused() -> None:
    """With the nearest name."""
    with pytest.raises(UsageError, match="--timezone 'Paris' is no known time zone"):
        zone_from(given("--timezone", "Paris"))
