"""What ``strongroom dump`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.completing import folders, snapshots
from strongroom.cli.loading import work

_HELP: Final = """\
Print one file of a snapshot on standard output, or the dump of a database.

\b
Examples:
  strongroom -r /backup/app dump latest /etc/hosts
  strongroom dump latest --database app | psql -X -v ON_ERROR_STOP=1 -d new

A dump of a database is printed as SQL for psql, or with --format custom for
pg_restore; --format directory writes it into a new folder as pg_dump made it.

If a part of the file is damaged, what comes before it is printed and the exit
code is 4.
"""


@click.command("dump", help=_HELP, short_help="Print one file of a snapshot.")
@click.argument("snapshot", metavar="SNAP", shell_complete=snapshots)
@click.argument("path", required=False, metavar="PATH")
@click.option("--database", metavar="NAME", help="The dump of this database.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["sql", "custom", "directory"]),
    help="What the dump of a database is written as (sql).",
)
@click.option("--to", metavar="FOLDER", shell_complete=folders, help="Where a directory goes.")
@click.option(
    "--show-secrets", is_flag=True, help="What is secret in a record of AWS configuration, too."
)
@click.option("--source", metavar="NAME", help="The source, if several have such a database.")
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Print the bytes of a file."""
    return work("dump", given)
