"""What ``strongroom dump`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.completing import snapshots
from strongroom.cli.loading import work

_HELP: Final = """\
Print one file of a snapshot on standard output.

\b
Examples:
  strongroom -r /backup/app dump latest /etc/hosts
  strongroom dump latest /srv/app.tar | tar -t

If a part of the file is damaged, what comes before it is printed and the exit
code is 4.
"""


@click.command("dump", help=_HELP, short_help="Print one file of a snapshot.")
@click.argument("snapshot", metavar="SNAP", shell_complete=snapshots)
@click.argument("path", required=False, metavar="PATH")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Print the bytes of a file."""
    return work("dump", given)
