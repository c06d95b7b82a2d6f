"""What ``strongroom guard`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.loading import work
from strongroom.cli.project_options import project_options

_HELP: Final = """\
Run a command, such as a deployment, and put the project back if it fails.

\b
Examples:
  strongroom guard -- ./scripts/deploy.sh production
  strongroom guard --check ./scripts/validate-environment.sh -- ./scripts/deploy.sh

It makes an archive and reads all of it back, runs the command, and then the check.
If one of them fails, what the archive holds is restored exactly as it was: what the
command added within that scope is removed, and kept in an archive pre-restore-...

The exit code is 0 if both succeeded, and 1 if the project was put back.
"""


@click.command(
    "guard",
    help=_HELP,
    short_help="Run a command, and undo it if it fails.",
    context_settings={"allow_interspersed_args": False},
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
@click.option("--check", metavar="COMMAND", help="What must succeed after it, words as in a shell.")
@click.option("--scope", multiple=True, metavar="PATH", help="What is kept, in the project.")
@click.option("-e", "--exclude", multiple=True, metavar="PATTERN", help="Leave out what matches.")
@project_options
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Guard a command."""
    return work("guard", given)
