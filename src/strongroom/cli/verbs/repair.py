"""What ``strongroom repair`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.loading import work
from strongroom.cli.other import other_options

_HELP: Final = """\
Make good what is damaged, as far as it can be, and say what is lost.

\b
Examples:
  strongroom -r /backup/app repair --read-data --dry-run
  strongroom -r /backup/app repair --read-data --from /mnt/second

Nothing is moved, overwritten or deleted, so a repair can be stopped and run again.
What an index lacks is listed again, damaged packs are put in quarantine, and what
can still be read of them is written anew.

With --from, what is lost here is taken from a good copy: a folder with the same
objects, or a repository that 'copy' made (in either direction). An object that
cannot be read and cannot be made good counts as absent once you name it with
--void; only you can decide that.

A full key is needed. Without --read-data the structure is looked at. The exit
code is 4 if something is still damaged in the end; each loss is named.
"""


@click.command("repair", help=_HELP, short_help="Make good what is damaged.")
@other_options("from", "A good copy: a folder or a name.", required=False)
@click.option("--read-data", is_flag=True, help="Read and check every byte.")
@click.option("--void", multiple=True, metavar="KEY", help="Declare that this object is absent.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Repair."""
    return work("repair", given)
