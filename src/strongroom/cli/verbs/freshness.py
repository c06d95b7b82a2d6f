"""What ``strongroom freshness`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.arguments import SPAN
from strongroom.cli.common import common_options
from strongroom.cli.loading import work
from strongroom.cli.project_options import project_options

_HELP: Final = """\
Say whether there is a recent good backup; for monitors and cron.

\b
Examples:
  strongroom freshness --max-age 24h
  strongroom -r /backup/app freshness --max-age 26h --json

It looks at the archives of the project you are in; where a repository is named, by
-r, STRONGROOM_REPOSITORY or strongroom.toml, at its snapshots instead, and every
source that it holds must have a complete one that is recent. --archives and
--snapshots say which is meant.

The exit code is 5, with a line that begins with ALERT, if there is none.
"""


@click.command("freshness", help=_HELP, short_help="Say whether the last backup is recent.")
@click.option(
    "--max-age",
    type=SPAN,
    default="24h",
    show_default=True,
    metavar="TIME",
    help="How old the last good backup may be (90m, 24h, 7d).",
)
@click.option("--archives", "which", flag_value="archives", help="Look at archives.")
@click.option("--snapshots", "which", flag_value="snapshots", help="Look at snapshots.")
@project_options
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Judge the age of the last backup."""
    return work("freshness", given)
