"""``strongroom store``."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import click

from strongroom.app.probing import Check, Validation, Verdict, validate_store
from strongroom.cli.common import common
from strongroom.cli.flags import flags_of
from strongroom.cli.job import Job, begun
from strongroom.cli.names import harmless
from strongroom.cli.quantities import counted, duration
from strongroom.cli.tables import table
from strongroom.config.environment import read_environment
from strongroom.config.settings import load_settings

REFUSED: Final = 6


def validate(*, url: str | None) -> int:
    """Try a store, and say what it does; 6 if it cannot hold a repository."""
    options = common()
    if url is not None and options.repository not in {None, url}:
        raise click.UsageError(f"give the store once: {url} or -r {options.repository}")
    options = replace(options, repository=url or options.repository)
    settings = load_settings(flags_of(options), read_environment())
    with begun(settings, options) as one:
        found = validate_store(one.run)
        _tell(one, found)
        return 0 if found.missing is None else REFUSED


def _tell(one: Job, found: Validation) -> None:
    for check in found.checks:
        one.output.record("check", name=check.name, verdict=check.verdict.value, text=check.text)
    rows = [("check", "verdict", "what came of it"), *map(_row, found.checks)]
    for line in table(rows):
        one.output.wanted(harmless(line))
    missing = found.missing
    one.output.record(
        "summary",
        store=found.url,
        usable=missing is None,
        weaker=found.is_weaker,
        missing=sum(check.verdict is Verdict.MISSING for check in found.checks),
        warnings=sum(check.verdict is Verdict.WARNING for check in found.checks),
        store_requests=found.requests,
        total_duration=round(found.seconds, 6),
    )
    did = f"{counted(found.requests, 'request')} in {duration(found.seconds)}"
    if found.is_weaker:
        one.output.wanted(
            f"{harmless(found.url)} does not decide between two puts of one key: a repository is "
            f"made there with --weaker-mode, and 'prune' runs on one host at a time ({did})"
        )
    elif missing is not None:
        one.output.wanted(f"{harmless(found.url)} cannot hold a repository ({did})")
    else:
        one.output.line(f"{harmless(found.url)} can hold a repository ({did})")


def _row(check: Check) -> tuple[str, str, str]:
    return check.name, check.verdict.value, check.text
