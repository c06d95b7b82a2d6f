"""What ``strongroom retention`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.choice import choice_options
from strongroom.cli.common import common_options
from strongroom.cli.keep import keep_options
from strongroom.cli.loading import work

_HELP: Final = """\
Look at what the retention policy keeps.

\b
Examples:
  strongroom retention explain
  strongroom retention explain --at 2027-06-30 --keep-monthly 12
"""
_EXPLAIN: Final = """\
Say for each snapshot whether a policy keeps it, and why.

\b
Examples:
  strongroom retention explain
  strongroom retention explain --at 2027-06-30 --keep-daily 7 --keep-monthly 12

Without --keep options it is the policy of strongroom.toml. Nothing is written.
"""


@click.group("retention", help=_HELP, short_help="Say what a policy keeps, and why.")
@common_options
def command() -> None:
    """Do one of the commands below it."""


@command.command("explain", help=_EXPLAIN, short_help="Say what a policy keeps, and why.")
@keep_options
@choice_options
@click.option("--at", metavar="TIME", help="As it will be, or was, at this time (now).")
@common_options
def explain(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Explain."""
    return work("retention", {"given": given}, "explain")
