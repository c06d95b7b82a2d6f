"""The tables of ``docs/protocol.md``, from the golden values."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.configurations import CONFIGURATIONS
from tests.model.reached import REACHED
from tests.model.removals import COVERED, NEEDED, NOT_NEEDED, Removal
from tests.model.rules import SENTENCES


def rules() -> Iterator[str]:
    """Return the lines of the table of rules: its name, what it says, what follows without it."""
    yield "| rule | says | without it |"
    yield "|---|---|---|"
    for rule, sentence in SENTENCES.items():
        yield f"| `{rule}` | {sentence} | {'; '.join(_without(rule))} |"


def _without(rule: str) -> Iterator[str]:
    for removal in NEEDED:
        if removal.rules == (rule,):
            yield _breach(removal)
    for removal in COVERED:
        first, second = removal.rules
        if first == rule:
            yield f"nothing, as `{second}` covers for it; without both {_breach(removal)}"
    if rule in NOT_NEEDED:
        yield f"nothing: {NOT_NEEDED[rule]}"


def _breach(removal: Removal) -> str:
    steps = "1 step" if removal.steps == 1 else f"{removal.steps} steps"
    return f"{removal.breach}, {steps} ({removal.configuration})"


def configurations() -> Iterator[str]:
    """Return the lines of the table of configurations, and how much of each was searched."""
    yield "| configuration | what is in it | states | stores |"
    yield "|---|---|--:|--:|"
    for name, configuration in CONFIGURATIONS.items():
        states, stores = REACHED[name]
        yield f"| {name} | {configuration.text} | {states:,} | {stores:,} |"
