"""What ``strongroom wal`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.arguments import SPAN
from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Archive PostgreSQL's write-ahead log (WAL), and hand it out for a recovery.

\b
Examples (postgresql.conf):
  archive_command = 'strongroom wal push --source db %p'
  restore_command = 'strongroom wal fetch "%f" "%p"'
"""
_PUSH_HELP: Final = """\
Archive one WAL file; PostgreSQL calls it as its archive_command.

\b
Examples:
  archive_command = 'strongroom wal push --source db %p'
  strongroom wal push --source db pg_wal/000000010000000000000001

The exit code is 0 if the file is in the repository and durable, else 1. A file
that is there already is compared: the same is done, another one is refused and
never overwritten. --source names the cluster; another cluster is refused.
"""
_FETCH_HELP: Final = """\
Hand out one WAL file; PostgreSQL calls it as its restore_command.

\b
Examples:
  restore_command = 'strongroom wal fetch "%f" "%p"'
  strongroom wal fetch 000000010000000000000001 /tmp/segment --system-id 7449...

The exit code is 0 if the file is there, verified and written; 1 only if it is
proven that there is no such file and none that comes after it; and 200, at
which PostgreSQL stops, for everything else. So no recovery ends early because
something was unreachable, damaged or missing in the middle.
"""


@click.group("wal", help=_HELP, short_help="Archive and hand out write-ahead log.")
@common_options
def command() -> None:
    """Work on write-ahead log."""


@command.command("push", help=_PUSH_HELP, short_help="Archive one file.")
@click.argument("path", metavar="PATH")
@click.option("--source", metavar="NAME", help="Which source of the configuration it is.")
@click.option(
    "--timeout", type=SPAN, default=60, metavar="TIME", help="Give up after so long (60s)."
)
@common_options
def _push(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Archive one file."""
    return work("wal", given, "push")


@command.command("fetch", help=_FETCH_HELP, short_help="Hand out one file.")
@click.argument("name", metavar="NAME")
@click.argument("destination", metavar="DESTINATION")
@click.option(
    "--system-id",
    type=click.IntRange(1, (1 << 64) - 1),
    metavar="N",
    help="Of which cluster; that of the data folder if not given.",
)
@click.option("--writer", metavar="NAME", help="Only what this agent archived, or 'main'.")
@click.option("--standby", is_flag=True, help="For a standby, which asks again: 1 for 200.")
@click.option("--past-holes", is_flag=True, help="Take a hole for the end of the archive.")
@click.option(
    "--absent-code",
    type=click.IntRange(1, 125),
    default=1,
    metavar="N",
    help="The code that says that there is no such file (1).",
)
@click.option(
    "--timeout", type=SPAN, default=300, metavar="TIME", help="Give up after so long (5m)."
)
@common_options
def _fetch(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Hand out one file."""
    return work("wal", given, "fetch")
