"""A policy from texts, each with the name of its rule: ``daily`` is 7, ``within`` is ``30d``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from strongroom.errors import UsageError
from strongroom.policy.amounts import Amount, parse_amount, parse_duration, parse_whole
from strongroom.policy.policy import Period, Policy

_PERIODS: Final = tuple(period.value for period in Period if period is not Period.LAST)
_DIGITS: Final = re.compile(r"[0-9a-f]{1,64}")

RULES: Final[Mapping[str, Callable[[str, str], Amount]]] = {
    Period.LAST.value: parse_amount,
    **dict.fromkeys(_PERIODS, parse_amount),
    "within": parse_duration,
    **dict.fromkeys((f"within_{name}" for name in _PERIODS), parse_duration),
    "days": parse_whole,
    "minimum": parse_whole,
}
"""How the text of each rule is read; both get the text and the name to call it in an error."""

_PLAIN: Final = frozenset({"days", "minimum"})


def read_policy(
    texts: Mapping[str, str],
    called: Callable[[str], str],
    *,
    tags: Iterable[str] = (),
    ids: Iterable[str] = (),
) -> Policy:
    """Return the policy that the texts of ``RULES`` say; UsageError by the name of ``called``."""
    fields: dict[str, Any] = {
        name if name in _PLAIN else f"keep_{name}": RULES[name](text, called(name))
        for name, text in texts.items()
    }
    policy = Policy(
        keep_tags=tuple(read_tags(text, called("tag")) for text in tags),
        keep_ids=tuple(_read_id(text, called("id")) for text in ids),
        **fields,
    )
    if texts and policy.is_empty:
        raise UsageError(
            "this policy has no rule that keeps anything",
            hint=f"Give one other than 0, such as {called('daily')} with 7. Without a policy "
            "everything is kept.",
        )
    return policy


def read_tags(text: str, what: str) -> tuple[str, ...]:
    """Read ``nightly,full``: tags of which a snapshot must have all; UsageError."""
    tags = tuple(tag.strip() for tag in text.split(","))
    if not all(tags):
        raise UsageError(
            f"{what} {text!r} has an empty tag",
            hint="Give a tag, or several with commas between them, such as nightly,full.",
        )
    return tags


def _read_id(text: str, what: str) -> str:
    digits = text.strip().lower()
    if not _DIGITS.fullmatch(digits):
        raise UsageError(
            f"{what} {text!r} is not the beginning of an id",
            hint="Give the first digits that 'strongroom snapshots' shows, such as 738fc472.",
        )
    return digits
