"""What ``strongroom forget`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.choice import choice_options
from strongroom.cli.common import common_options
from strongroom.cli.completing import snapshots
from strongroom.cli.keep import keep_options
from strongroom.cli.loading import work

_HELP: Final = """\
Drop snapshots, by name or by a policy.

\b
Examples:
  strongroom -r /backup/app forget 738fc472
  strongroom forget --keep-daily 14 --keep-weekly 8 --keep-monthly 12 --dry-run

A forgotten snapshot is not listed any more, and 'strongroom undelete' brings it
back until 'strongroom prune' removes it, a week later at the earliest. The last
good snapshot of a source stays in the repository even then, unless it is
forgotten with --allow-empty.

Each rule keeps what it fits; what no rule keeps goes. Each source of each host is
decided by itself, --tag, --host and --path choose what is looked at. Without
options the policy of strongroom.toml is applied, and it stops where it would
remove unusually much: --accept lets it go on.

A full key is needed. Nothing is ever asked.
"""


@click.command("forget", help=_HELP, short_help="Drop snapshots, by name or by a policy.")
@click.argument("names", nargs=-1, metavar="[SNAP]…", shell_complete=snapshots)
@keep_options
@choice_options
@click.option("--allow-empty", is_flag=True, help="Also the last good snapshot may be removed.")
@click.option("--accept", is_flag=True, help="Go on where a brake would stop.")
@click.option("--prune", is_flag=True, help="Free the room afterwards, as 'prune' does.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be forgotten.")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Forget."""
    return work("forget", {"given": given})
