"""What ``strongroom doctor`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.completing import sources
from strongroom.cli.loading import work

_HELP: Final = """\
Say what would keep a backup or a restore from working, and how to mend it.

\b
Examples:
  strongroom doctor postgres
  strongroom doctor postgres db --json
"""
_POSTGRES_HELP: Final = """\
Check what a backup of databases needs: connection, programs, rights, room.

\b
Examples:
  strongroom doctor postgres
  strongroom doctor postgres production --json

SOURCE is a source of databases, or an environment; without it all are checked.
Each line says ok, warning or problem, and of the last two what mends it, as it is
to be typed. Nothing is changed on the server, and no repository is opened.

The exit code is the one that a backup would end with: 0 if it would be whole (there
may be warnings), 3 if something would be missing, 1 if a dump would fail, 6 if it has
no room, 14 if the server or its programs are not there, 15 if a database is not.
"""


@click.group("doctor", help=_HELP, short_help="Say what would keep a backup from working.")
@common_options
def command() -> None:
    """Check what a backup needs."""


@command.command("postgres", help=_POSTGRES_HELP, short_help="Check databases.")
@click.argument("source", required=False, metavar="[SOURCE]", shell_complete=sources)
@common_options
def postgres(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Check databases."""
    return work("doctor", given, "postgres")
