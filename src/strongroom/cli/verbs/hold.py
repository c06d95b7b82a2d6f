"""What ``strongroom hold`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.arguments import checked_text
from strongroom.cli.choice import choice_options
from strongroom.cli.common import common_options
from strongroom.cli.completing import snapshots
from strongroom.cli.loading import work

_HELP: Final = """\
Keep snapshots, whatever a policy or anybody else says.

\b
Examples:
  strongroom -r /backup/app hold 738fc472 --note 'before the migration'
  strongroom hold --release 738fc472

Without a snapshot it lists what is held, since when and why. A held snapshot is
never forgotten and never removed, until it is released.

A full key is needed.
"""


@click.command("hold", help=_HELP, short_help="Keep snapshots until they are released.")
@click.argument("names", nargs=-1, metavar="[SNAP]…", shell_complete=snapshots)
@choice_options
@click.option("--note", metavar="TEXT", callback=checked_text, help="Why.")
@click.option("--release", is_flag=True, help="Hold them no longer.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say which.")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Hold, release or list."""
    return work("hold", given)
