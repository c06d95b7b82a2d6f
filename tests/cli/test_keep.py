"""The options that say what to keep, on a command of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

import click
import pytest

from strongroom.cli.keep import keep_options, policy_from, zone_from
from strongroom.errors import UsageError
from strongroom.policy.amounts import ALL, Duration
from strongroom.policy.policy import Policy
from tests.policy.making import EVERY_RULE, EVERY_RULE_READ

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
    rules = [f"--keep-{rule.replace('_', '-')}={text}" for rule, text in EVERY_RULE.items()]
    names = ["--keep-tag=a", "--keep-tag=b,c", "--keep-id=738F", "--keep-id=0"]
    found = given(*rules, *names, "--timezone", "Europe/Paris")
    wanted = replace(EVERY_RULE_READ, keep_tags=(("a",), ("b", "c")), keep_ids=("738f", "0"))
    assert policy_from(found) == wanted
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
