"""What ``strongroom shims`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli import completing
from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Write the scripts of the backup procedures guide, which call strongroom.

\b
Examples:
  strongroom shims install scripts/
  strongroom shims install /srv/app/scripts --replace

./scripts/backup-system.sh create then makes an archive, and so on.
"""
_INSTALL_HELP: Final = """\
Write backup-system.sh, verify-backup.sh and restore-backup.sh into a folder.

\b
Examples:
  strongroom shims install scripts/
  strongroom shims install /usr/local/lib/app/scripts --replace

Each works on the project whose folder it is called by: ./scripts/backup-system.sh
on the folder you are in. A script of the same name that we did not write stays,
unless --replace is given: it is kept as NAME.before-strongroom then.
"""


@click.group("shims", help=_HELP, short_help="Write the scripts of the guide.")
@common_options
def command() -> None:
    """Work on shims."""


@command.command("install", help=_INSTALL_HELP, short_help="Write the scripts into a folder.")
@click.argument("folder", metavar="FOLDER", shell_complete=completing.folders)
@click.option("--replace", is_flag=True, help="Put scripts that we did not write aside.")
@common_options
def _install(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Install shims."""
    return work("shims", given, "install")


@command.command(
    "run",
    hidden=True,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--project", required=True)
@click.option("--home", required=True)
@click.option("--bash", default="")
def _run(**given: Any) -> int:  # noqa: ANN401 - what the shims say
    """Do what a shim was called for."""
    return work("shims", given, "run")
