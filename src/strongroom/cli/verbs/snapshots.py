"""What ``strongroom snapshots`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.choice import choice_options
from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.loading import work

_HELP: Final = """\
List the snapshots, the newest first.

\b
Examples:
  strongroom -r /backup/app snapshots
  strongroom snapshots --environment production --tag nightly

'latest' is the newest snapshot, 'latest~1' the one before it; the first digits
of an id will do as well.
"""


@click.command("snapshots", help=_HELP, short_help="List the snapshots.")
@choice_options
@click.option(
    "--environment", "environments", multiple=True, metavar="ENV", help="Only those of it."
)
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only such as full or files.")
@click.option("--forgotten", is_flag=True, help="List what 'undelete' can bring back.")
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """List the snapshots."""
    return work("snapshots", given)
