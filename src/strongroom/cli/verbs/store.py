"""What ``strongroom store`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.arguments import SPAN
from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Look at the store that a repository lies in.

\b
Examples:
  strongroom store validate s3://backups/app
  strongroom store protect --for 30d --at-least 20d
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

The key may be one that only reads. The exit code is 3 if some could not be extended,
and 4 if something is damaged: then everything counts as needed.
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
