"""What ``strongroom verify`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.arguments import SIZE, SPAN
from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.completing import snapshots
from strongroom.cli.loading import work

_HELP: Final = """\
Check that everything can be read back; nothing is changed.

\b
Examples:
  strongroom -r /backup/app verify --read-data
  strongroom verify --read-data-subset 10%

Without options the structure is checked: every object that must be there, every
signature and every tree. With SNAP, only the tree of that snapshot.

--read-data reads every byte; --read-data-subset a part of them: 10% of the packs,
3/7 for the third of seven parts, or 5G. The exit code is 4 if damage was found.

--every 30d reads what nobody read for so long, the longest first, and with
--budget 20G no more than that; run daily, every byte is read within that time.
"""


@click.command("verify", help=_HELP, short_help="Check that everything can be read back.")
@click.argument("snapshot", required=False, metavar="[SNAP]", shell_complete=snapshots)
@click.option("--read-data", is_flag=True, help="Read and check every byte.")
@click.option("--read-data-subset", metavar="PART", help="Read a part: 10%, 3/7 or 5G.")
@click.option(
    "--every", type=SPAN, metavar="TIME", help="Read what was not read for so long (30d)."
)
@click.option(
    "--budget", type=SIZE, metavar="SIZE", help="With --every: read at most so much (20G)."
)
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Check a repository."""
    return work("verify", given)
