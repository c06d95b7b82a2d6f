"""What ``strongroom tag`` is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click

from strongroom.cli.arguments import checked_texts
from strongroom.cli.choice import choice_options
from strongroom.cli.common import common_options
from strongroom.cli.completing import snapshots
from strongroom.cli.loading import work

_HELP: Final = """\
Change the tags of snapshots.

\b
Examples:
  strongroom -r /backup/app tag latest --add before-upgrade
  strongroom tag --host web1 --tag nightly --set old

Name snapshots, or choose them with --tag, --host and --path. All of them change
at once. What another host adds at the same time is kept: --remove and --set take
away the tags that there are now. --set '' takes all of them away.

A full key is needed.
"""


def _checked_or_none(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> Sequence[str]:
    """Check tags; one empty text alone stands for none."""
    return values if tuple(values) == ("",) else checked_texts(context, parameter, values)


@click.command("tag", help=_HELP, short_help="Change the tags of snapshots.")
@click.argument("names", nargs=-1, metavar="[SNAP]…", shell_complete=snapshots)
@click.option("--add", multiple=True, metavar="T", callback=checked_texts, help="Add this tag.")
@click.option("--remove", multiple=True, metavar="T", help="Remove this tag.")
@click.option(
    "--set",
    "exactly",
    multiple=True,
    metavar="T",
    callback=_checked_or_none,
    help="Give them this tag and no others.",
)
@choice_options
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would change.")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Change tags."""
    return work("tag", given)
