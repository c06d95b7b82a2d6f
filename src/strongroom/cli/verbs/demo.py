"""What ``strongroom demo`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Show a backup, a loss and a restore, in a folder of its own.

\b
Examples:
  strongroom demo
  strongroom demo ./try-it --keep

A small project is made, saved, changed, saved again and removed; then both
snapshots are restored, and every byte and attribute is compared. Everything is
removed at the end, unless --keep says otherwise.
"""


@click.command("demo", help=_HELP, short_help="Show a backup, a loss and a restore.")
@click.argument("folder", required=False, metavar="[FOLDER]")
@click.option("--keep", is_flag=True, help="Keep the project and the repository.")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Run the demonstration; 0 only if everything came back as it was."""
    return work("demo", given)
