"""What ``strongroom rds`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Look at a database in Amazon RDS or Aurora, and make and copy its snapshots.

\b
Examples:
  strongroom rds status db
  strongroom rds snapshot db

A source says which it is: rds = { instance = "shop-db" }, or { cluster = … }.
'strongroom recover db --to-time …' brings it to a moment, onto a new one.
"""
_STATUS_HELP: Final = """\
Say what can be recovered of an instance or a cluster, and what would hurt one day.

\b
Examples:
  strongroom rds status db
  strongroom rds status production.db --json

The exit code is 5 if it cannot be recovered to a moment, or only to one that is
more than 15 minutes ago.
"""
_SNAPSHOT_HELP: Final = """\
Make a snapshot of an instance or a cluster, and wait until it is available.

\b
Examples:
  strongroom rds snapshot db
  strongroom rds snapshot db --name before-upgrade

It has the tags of the database and stays until somebody deletes it. Nothing is
asked: a snapshot changes nothing.
"""
_COPY_HELP: Final = """\
Copy a snapshot into another region, wait for it, and compare it.

\b
Examples:
  strongroom rds copy db --to-region eu-west-1
  strongroom rds copy db --to-region eu-west-1 --kms-key alias/backup

Without --snapshot it is the newest one that is available. An encrypted one needs
a key of the other region.
"""


@click.group("rds", help=_HELP, short_help="Look at RDS and Aurora, and make snapshots.")
@common_options
def command() -> None:
    """Work on databases in RDS."""


@command.command("status", help=_STATUS_HELP, short_help="Say what can be recovered.")
@click.argument("source", metavar="SOURCE")
@common_options
def _status(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Say what can be recovered."""
    return work("rds", given, "status")


@command.command("snapshot", help=_SNAPSHOT_HELP, short_help="Make a snapshot.")
@click.argument("source", metavar="SOURCE")
@click.option("--name", metavar="NAME", help="What it is called (strongroom-… and the time).")
@common_options
def _snapshot(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Make a snapshot."""
    return work("rds", given, "snapshot")


@command.command("copy", help=_COPY_HELP, short_help="Copy a snapshot into another region.")
@click.argument("source", metavar="SOURCE")
@click.option("--to-region", required=True, metavar="REGION", help="Where to, such as eu-west-1.")
@click.option("--snapshot", metavar="NAME", help="Which snapshot: a name or an ARN (the newest).")
@click.option("--name", metavar="NAME", help="What the copy is called (the same).")
@click.option("--kms-key", metavar="KEY", help="The key of the other region that seals it.")
@common_options
def _copy(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Copy a snapshot into another region."""
    return work("rds", given, "copy")
