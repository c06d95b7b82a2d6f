"""What ``strongroom ls`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.completing import snapshots
from strongroom.cli.loading import work

_HELP: Final = """\
List what is in a snapshot, at and below PATH.

\b
Examples:
  strongroom -r /backup/app ls latest
  strongroom ls latest~1 /etc/ssh -l

Names with control characters are shown as $'...', which a shell reads back.
"""


@click.command("ls", help=_HELP, short_help="List what is in a snapshot.")
@click.argument("snapshot", metavar="SNAP", shell_complete=snapshots)
@click.argument("path", required=False, metavar="[PATH]")
@click.option("-l", "--long", is_flag=True, help="Mode, owner, size and time as well.")
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """List entries."""
    return work("ls", given)
