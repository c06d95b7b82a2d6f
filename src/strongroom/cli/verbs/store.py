"""What ``strongroom store`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.arguments import SPAN
from strongroom.cli.common import common_options
from strongroom.cli.loading import work
from strongroom.cli.other import other_options

_HELP: Final = """\
Look at the store that a repository lies in.

\b
Examples:
  strongroom store validate s3://backups/app
  strongroom store replica s3://replica/app --max-lag 1h
"""
_REPLICA_HELP: Final = """\
Say how far a replica is behind: what of it can be restored whole.

\b
Examples:
  strongroom store replica s3://replica/app --max-age 26h
  strongroom -r replica store replica --source main --max-lag 1h --json

S3 replicates in any order, so a snapshot may be there before its data. For each
source this finds the newest snapshot of which everything is there, and says what
newer ones lack. Nothing is written. URL, -r or the configuration name the replica;
--source the repository that it is filled from, also by 'copy', so that what has
not begun to arrive is seen too.

The exit code is 0 if nothing is waited for, or within --max-lag not for longer; 5
if that, or --max-age, is missed; 3 if something cannot be told; 4 for damage.
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
_PROTECT_HELP: Final = """\
Let nobody remove what snapshots need, for a time, in a bucket with Object Lock.

\b
Examples:
  strongroom -r s3://backups/app store protect --for 30d --at-least 20d --dry-run
  strongroom store protect --for 30d --at-least 20d
  strongroom store protect --for 90d --mode compliance --confirm backups

What a collector may not take is looked for, and the retention of each such object that
ends within --at-least is extended to --for from now; none is ever made shorter. Run it
more often than that: what is stored after it is held by the bucket's default retention,
if there is one, and by the next run.

In governance mode whoever has s3:BypassGovernanceRetention can end it; in compliance
mode nobody can. Without --mode it is the mode of the bucket's default, or governance.

All versions of such an object are held, also where somebody put another object over it or
a delete marker hides it; both are told as damage.

The key may be one that only reads. The exit code is 3 if some could not be extended,
and 4 if something is damaged: where that decides what is needed, everything counts as it.
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


@command.command(
    "protect", help=_PROTECT_HELP, short_help="Extend the retention of what is needed."
)
@click.option(
    "--for", "span", type=SPAN, required=True, metavar="TIME", help="Hold it so long from now."
)
@click.option(
    "--at-least",
    type=SPAN,
    metavar="TIME",
    help="Leave alone what is held so long anyway (as --for).",
)
@click.option(
    "--mode",
    type=click.Choice(["governance", "compliance"]),
    help="Whether somebody may end it, or nobody.",
)
@click.option(
    "--grace",
    type=SPAN,
    default="7d",
    metavar="TIME",
    help="Forgotten snapshots are needed so long (7d).",
)
@click.option("--confirm", metavar="BUCKET", help="Ask nothing if it is this bucket.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be extended.")
@common_options
def _protect(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Extend retention."""
    return work("protect", given)


@command.command("replica", help=_REPLICA_HELP, short_help="Say how far a replica is behind.")
@click.argument("url", required=False, metavar="[URL]")
@other_options("source", "What it is a replica of: a folder, an address or a name.", required=False)
@click.option(
    "--max-lag", type=SPAN, metavar="TIME", help="How long a snapshot may be waited for (15m)."
)
@click.option(
    "--max-age", type=SPAN, metavar="TIME", help="How old the newest whole one may be (26h)."
)
@click.option("--all", "every", is_flag=True, help="Look at older snapshots too.")
@common_options
def _replica(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Look at a replica."""
    return work("replica", given)
