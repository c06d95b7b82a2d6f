"""The options that say what to keep, and the policy that they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Final, cast

import click

from strongroom.cli.common import F
from strongroom.config.zones import parse_zone
from strongroom.policy.policy import Policy
from strongroom.policy.reading import RULES, read_policy

_PER: Final = ("hour", "day", "week", "month", "quarter", "year")
_COUNT: Final = "N|DURATION"
_ZONE: Final = "--timezone"


def _flag(rule: str) -> str:
    return f"--keep-{rule.replace('_', '-')}"


def _adjective(unit: str) -> str:
    return "daily" if unit == "day" else f"{unit}ly"


_TEXTS: Final = {
    "last": (_COUNT, "Keep the N newest, or all so far back (7d, 1y6m)."),
    **{_adjective(unit): (_COUNT, f"Keep one of each of the last N {unit}s.") for unit in _PER},
    "within": ("DURATION", "Keep all so far back from the newest (30d, 2y5m7d3h)."),
    **{
        f"within_{_adjective(unit)}": ("DURATION", f"Keep one of each {unit} so far back.")
        for unit in _PER
    },
    "days": ("N", "Keep all that are younger than N days today."),
    "minimum": ("N", "Never leave fewer than N complete ones (1)."),
}
_OPTIONS: Final = (
    *(click.option(_flag(rule), metavar=_TEXTS[rule][0], help=_TEXTS[rule][1]) for rule in RULES),
    click.option(
        "--keep-tag",
        multiple=True,
        metavar="T[,T…]",
        help="Keep all with this tag; with commas, with all of these.",
    ),
    click.option("--keep-id", multiple=True, metavar="ID", help="Keep the one of this id."),
    click.option(_ZONE, metavar="ZONE", help="Whose days and hours count, such as Europe/London."),
)


def keep_options(function: F) -> F:
    """Add ``--keep-last`` and the like; ``policy_from`` and ``zone_from`` read them."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def policy_from(given: Mapping[str, object]) -> Policy | None:
    """Return the policy that the options say, None if they say none; UsageError."""
    found = {rule: given.get(f"keep_{rule}") for rule in RULES}
    texts = {rule: str(text) for rule, text in found.items() if text is not None}
    tags = cast(Sequence[str], given.get("keep_tag") or ())
    ids = cast(Sequence[str], given.get("keep_id") or ())
    if not texts and not tags and not ids:
        return None
    return read_policy(texts, _flag, tags=tags, ids=ids)


def zone_from(given: Mapping[str, object]) -> tzinfo | None:
    """Return the zone that the options say, None if they say none; UsageError."""
    text = given.get("timezone")
    return None if text is None else parse_zone(str(text), _ZONE)
