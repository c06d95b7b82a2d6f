"""What ``strongroom prune`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.arguments import PART, SIZE, SPAN
from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Free the room that no snapshot needs.

\b
Examples:
  strongroom -r /backup/app prune
  strongroom prune --max-unused 10% --max-repack-size 20G --max-time 1h

Backups, restores and other collectors may be at work meanwhile. What may go is
written down first; then every session that was at work by then is waited for,
and only what nothing needs after that is removed. If a session does not end in
time, the exit code is 11: nothing is lost, and the next prune goes on.

Forgotten snapshots stay for the time of --grace. Packs that hold little of use
are written anew, until what is unused is within --max-unused.

WAL goes that comes before all that base backups need: the oldest one that stays
keeps everything after it. With --wal-keep every moment of the last so long can
be reached, and older base backups keep what makes them whole.

A full key is needed. Nothing is ever asked.
"""


@click.command("prune", help=_HELP, short_help="Free the room that no snapshot needs.")
@click.option(
    "--grace",
    type=SPAN,
    default="7d",
    metavar="TIME",
    help="Keep forgotten ones so long (7d).",
)
@click.option(
    "--wait", type=SPAN, default="10m", metavar="TIME", help="Wait so long for others (10m)."
)
@click.option(
    "--max-unused", type=PART, default="5%", metavar="N%", help="Let so much stay unused (5%)."
)
@click.option(
    "--max-repack-size", type=SIZE, metavar="SIZE", help="Write at most so much anew (500M, 20G)."
)
@click.option(
    "--max-time", type=SPAN, metavar="TIME", help="Begin no more packs after so long (1h)."
)
@click.option(
    "--fence-after",
    type=SPAN,
    default="24h",
    metavar="TIME",
    help="Give up a backup that is silent for so long (24h).",
)
@click.option(
    "--wal-keep",
    type=SPAN,
    metavar="TIME",
    help="Keep WAL between base backups that are older than this no longer (30d).",
)
@click.option(
    "--dead",
    multiple=True,
    metavar="SESSION",
    help="Give up this session, which you know is dead; its first digits will do.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be removed.")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Collect."""
    return work("prune", given)
