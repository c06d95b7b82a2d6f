"""What ``strongroom recover`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
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
@click.option("--snapshot", metavar="SNAP", help="Begin with the base backup of this snapshot.")
@click.option(
    "--into", metavar="FOLDER", shell_complete=folders, help="Beside the cluster, in a new folder."
)
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="The port of a cluster with --into."
)
@click.option("--pause", is_flag=True, help="Stay read-only at the target, to look around.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--no-confirm", is_flag=True, help="Ask nothing.")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Recover, or say what a recovery would do."""
    return work("recover", given)
