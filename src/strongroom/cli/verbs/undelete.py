"""What ``strongroom undelete`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.choice import choice_options
from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Bring forgotten snapshots back.

\b
Examples:
  strongroom -r /backup/app undelete 738fc472
  strongroom undelete --host web1

It works until 'strongroom prune' has named a snapshot for removal, which is a week
after it was forgotten at the earliest. 'strongroom snapshots --forgotten' lists
what can be brought back.

A full key is needed.
"""


@click.command("undelete", help=_HELP, short_help="Bring forgotten snapshots back.")
@click.argument("names", nargs=-1, metavar="[SNAP]…")
@choice_options
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would come back.")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Bring back."""
    return work("undelete", given)
