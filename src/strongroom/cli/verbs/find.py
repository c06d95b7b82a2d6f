"""What ``strongroom find`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.choice import choice_options
from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.completing import snapshots
from strongroom.cli.loading import work

_HELP: Final = """\
Find files by name in all snapshots, or in some of them.

\b
Examples:
  strongroom -r /backup/app find '*.conf' --path /etc
  strongroom find -i '/srv/**/invoice*.pdf' --newest 2026-01-31 -l

\b
A pattern without a slash is a name at any depth:      *.conf
With a slash in its middle it is the end of a path:    nginx/*.conf
With a slash at its beginning, a whole path:           /etc/**/*.conf
With a slash at its end it matches folders only:       cache/

Quote patterns, so that the shell leaves them alone. Times are those of the last
change of a file: 2026-11-22, '2026-11-22 14:30', or 7d for a week ago.

The exit code is 0 whether or not something was found, and 4 if a part of a
snapshot is damaged and could not be searched.
"""


@click.command("find", help=_HELP, short_help="Find files by name in the snapshots.")
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN…")
@click.option(
    "-s",
    "--snapshot",
    "names",
    multiple=True,
    metavar="SNAP",
    shell_complete=snapshots,
    help="Only in this one.",
)
@choice_options
@click.option("-i", "--ignore-case", is_flag=True, help="Upper and lower case are the same.")
@click.option("-O", "--oldest", metavar="TIME", help="Only what changed at this time or later.")
@click.option("-N", "--newest", metavar="TIME", help="Only what changed at this time or earlier.")
@click.option("-l", "--long", is_flag=True, help="Mode, owner, size and time as well.")
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Find entries."""
    return work("find", given)
