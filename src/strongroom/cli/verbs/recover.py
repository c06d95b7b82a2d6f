"""What ``strongroom recover`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.completing import folders
from strongroom.cli.loading import work

_HELP: Final = """\
Bring a PostgreSQL cluster to a moment, from a base backup and WAL.

\b
Examples:
  strongroom recover db --to-time '2026-11-22 14:30' --dry-run
  strongroom recover db --latest --into /srv/aside --port 5433

The plan comes first. A moment that cannot be reached is refused, with those that
can, before anything is changed; so is a data directory in which a server runs.

Everything is restored beside the old data directory, which is then renamed and
kept. The server is started on a socket of its own until it is where it should be;
if it does not get there, the old directory is put back, and the exit code is 21.

With --into the cluster is made in a new folder, on a port of its own, with archiving
off, and listens on a socket in that folder only.

A source in Amazon RDS or Aurora (rds = …) is recovered by AWS, to --latest or
--to-time, onto a new instance with all the settings of the old one, and clients are
sent to it as swap in the source says; with --into NAME they are not. --resume goes
on with a recovery that was cut short, --undo sends clients back. The old instance is
never changed.
"""


@click.command("recover", help=_HELP, short_help="Bring a PostgreSQL cluster to a moment.")
@click.argument("source", metavar="SOURCE")
@click.option("--latest", is_flag=True, help="To the end of all that there is.")
@click.option(
    "--to-time", metavar="TIME", help="To a time; without a zone it is that of this machine."
)
@click.option("--to-lsn", metavar="LSN", help="To a place in the WAL, such as 0/3000148.")
@click.option("--to-xid", metavar="XID", help="To the commit of a transaction.")
@click.option("--to-name", metavar="NAME", help="To a restore point.")
@click.option("--exclusive", is_flag=True, help="Stop just before the target.")
@click.option(
    "--timeline", type=click.IntRange(1), metavar="N", help="Follow this timeline (the newest)."
)
@click.option(
    "--snapshot",
    metavar="SNAP",
    help="Begin with the base backup, or the settings, of this snapshot.",
)
@click.option(
    "--into",
    metavar="FOLDER|NAME",
    shell_complete=folders,
    help="Beside it: in a new folder, or in RDS under this name.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="The port of a cluster with --into."
)
@click.option("--pause", is_flag=True, help="Stay read-only at the target, to look around.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--resume", is_flag=True, help="RDS: go on with a recovery that was cut short.")
@click.option("--undo", is_flag=True, help="RDS: send clients back to the old instance.")
@click.option("--delete-new", is_flag=True, help="RDS, with --undo: delete the new one too.")
@click.option("--despite-differences", is_flag=True, help="RDS: swap though settings differ.")
@click.option("--no-check", is_flag=True, help="RDS: ask the new database nothing.")
@click.option("--no-repository", is_flag=True, help="RDS: keep the journal here only.")
@click.option("--no-confirm", is_flag=True, help="Ask nothing.")
@click.option("--confirm", metavar="NAME", help="RDS: ask nothing if it is this instance.")
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Recover, or say what a recovery would do."""
    return work("recover", given)
