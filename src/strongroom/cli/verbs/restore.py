"""What ``strongroom restore`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.completing import folders, snapshots
from strongroom.cli.loading import work

_HELP: Final = """\
Bring back a snapshot, or a part of it, into a folder.

\b
Examples:
  strongroom -r /backup/app restore latest --to /tmp/back
  strongroom restore latest~1:/etc/ssh --to ./ssh --dry-run

What is restored keeps its path below the folder; with SNAP:PATH, what lies below
PATH is put into the folder itself. Patterns are those of .gitignore.

The exit code is 4 if something was damaged, 3 if something could not be restored
as it was; everything else is restored all the same.
"""


@click.command("restore", help=_HELP, short_help="Bring back a snapshot, or a part of it.")
@click.argument("snapshot", metavar="SNAP[:PATH]", shell_complete=snapshots)
@click.option(
    "--to",
    required=True,
    metavar="FOLDER",
    shell_complete=folders,
    help="Where to: a new or empty folder.",
)
@click.option("-i", "--include", multiple=True, metavar="PATTERN", help="Only what matches.")
@click.option("-e", "--exclude", multiple=True, metavar="PATTERN", help="Not what matches.")
@click.option(
    "--ownership",
    type=click.Choice(["name", "number", "skip"]),
    default="name",
    show_default=True,
    help="Owners by name, by number, or as this user.",
)
@click.option("--into-existing", is_flag=True, help="Allow a folder that is not empty.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be restored.")
@click.option("--no-confirm", is_flag=True, help="Ask nothing.")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Restore, or say what a restore would do."""
    return work("restore", given)
