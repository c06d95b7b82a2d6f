"""Print what the model finds: ``python -m tests.model [CONFIGURATION...]``.

First every configuration with all rules, then every rule taken away and the shortest way to what
follows.  With names of configurations, only what is about them; with ``--tables`` nothing is
searched, and the tables of ``docs/protocol.md`` are printed.  The output depends on nothing but the
model.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator

from tests.model import tables
from tests.model.configurations import CONFIGURATIONS
from tests.model.explore import Found
from tests.model.removals import COVERED, NEEDED, NOT_NEEDED, Removal
from tests.model.rules import SENTENCES


def report(wanted: Collection[str]) -> Iterator[str]:
    """Return the lines of the report, as they are found."""
    yield "All rules"
    for name, configuration in CONFIGURATIONS.items():
        if name in wanted:
            found = configuration.search()
            counts = f"{found.states:,} states, {found.stores:,} stores"
            yield f"\n{name}: {configuration.text}\n    {counts}: {found.violation or 'safe'}"
            yield from _trace(found)
    yield from _removals("One rule taken away", NEEDED, wanted)
    yield from _removals(
        "Two rules taken away, of which the second covers for the first", COVERED, wanted
    )
    yield "\n\nRules that are no matter of safety here: nothing follows when one is taken away\n"
    for rule, reason in NOT_NEEDED.items():
        yield f"{rule}: {SENTENCES[rule]}\n    {reason}"


def _removals(title: str, removals: list[Removal], wanted: Collection[str]) -> Iterator[str]:
    yield f"\n\n{title}"
    for removal in removals:
        if removal.configuration in wanted:
            found = removal.search()
            yield f"\n{removal}"
            for rule in removal.rules:
                yield f"    not: {SENTENCES[rule]}"
            yield f"    {found.violation or 'safe'}, in {len(found.trace)} steps"
            yield from _trace(found)


def _trace(found: Found) -> Iterator[str]:
    for number, label in enumerate(found.trace, 1):
        yield f"    {number:3}  {label}"
    if found.violation is not None and found.violation.alone:
        yield "         and then one collector alone:"
        for label in found.violation.alone:
            yield f"         {label}"


def main(names: list[str]) -> int:
    """Print the report, or the tables."""
    if names == ["--tables"]:
        for line in (*tables.rules(), "", *tables.configurations()):
            sys.stdout.write(f"{line}\n")
        return 0
    unknown = sorted(set(names) - set(CONFIGURATIONS))
    if unknown:
        known = "\n  ".join(CONFIGURATIONS)
        sys.stderr.write(f"no such configuration: {', '.join(unknown)}\nknown:\n  {known}\n")
        return 2
    for line in report(names or CONFIGURATIONS):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
