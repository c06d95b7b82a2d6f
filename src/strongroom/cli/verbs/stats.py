"""What ``strongroom stats`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli import completing
from strongroom.cli.choice import choice_options
from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Say how much the snapshots hold, and how much room they take.

\b
Examples:
  strongroom -r /backup/app stats
  strongroom stats latest --host web1

\b
restore size     what restoring each of the snapshots would write, added up;
                 a file with several names counts once for each
different files  files of which no two contain the same, and their bytes
different data   what is left when equal pieces are kept once: files, and the
                 lists of names and attributes
stored           what that takes in the repository, compressed and encrypted
deduplication    restore size divided by different data
compression      different data divided by stored
repository       all objects in the store: also other snapshots, the index,
                 padding, and what interrupted backups left

'added' is what a snapshot needs and no older one of those counted does, as it is
stored.
The exit code is 4 if something is damaged; the numbers are then too small.
"""


@click.command("stats", help=_HELP, short_help="Say how much room the snapshots take.")
@click.argument("snapshots", nargs=-1, metavar="[SNAP]…", shell_complete=completing.snapshots)
@choice_options
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Add up."""
    return work("stats", given)
