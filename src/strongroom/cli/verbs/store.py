"""What ``strongroom store`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Look at the store that a repository lies in.

\b
Examples:
  strongroom store validate s3://backups/app
  strongroom store validate
"""
_VALIDATE_HELP: Final = """\
Say whether a store can hold a repository, by trying it.

\b
Examples:
  strongroom store validate s3://backups/app
  strongroom -r /mnt/share/app store validate --json

Without URL, it is the store of the repository that -r or the configuration names. No
key is needed. It puts about a thousand small objects and one of 32 MiB below probe/,
races for keys, lists, reads, and deletes them again; 'init' does a short form of it.

The exit code is 6 if the store lacks what a repository depends on.
"""


@click.group("store", help=_HELP, short_help="Look at the store of a repository.")
@common_options
def command() -> None:
    """Look at a store."""


@command.command("validate", help=_VALIDATE_HELP, short_help="Try what a store does.")
@click.argument("url", required=False, metavar="[URL]")
@common_options
def _validate(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Try a store."""
    return work("store", given, "validate")
