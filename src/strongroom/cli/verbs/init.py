"""What ``strongroom init`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Make a new repository.

\b
Examples:
  strongroom -r /backup/app init --passphrase-file ~/.backup-passphrase
  strongroom -r /backup/app init --kms alias/backup

The folder is made if it does not exist, and so is the key file. Without a
passphrase file or key file, the passphrase is asked for at the terminal. With
--kms a key of AWS KMS opens it: whoever may use that key needs no passphrase.

The recovery key is printed once. Keep it apart from this machine: it opens the
repository when the passphrase or the key file is lost.
"""


@click.command("init", help=_HELP, short_help="Make a new repository.")
@click.option("--kms", metavar="KEY", help="Let a key of AWS KMS open it: an ARN or alias/NAME.")
@click.option(
    "--weaker-mode",
    is_flag=True,
    help="Take a bucket that has no conditional puts; see docs/s3.md for what that costs.",
)
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Make a repository and show its recovery key."""
    return work("init", given)
