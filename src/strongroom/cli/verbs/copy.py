"""What ``strongroom copy`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.choice import choice_options
from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.completing import snapshots
from strongroom.cli.loading import work
from strongroom.cli.other import other_options

_HELP: Final = """\
Copy snapshots into another repository.

\b
Examples:
  strongroom -r /backup/app copy --to /mnt/second --to-key-file second.key
  strongroom copy latest --host web1 --to second

Name snapshots, or choose them with --tag, --host and --path; without a choice all
are copied. What is there already is not copied again, also if it was forgotten
there. A copy keeps its times, tags and host, and is sealed to the keys of its new
repository: whoever opens one of the two cannot open the other.

Stopped at any point, run it again: it goes on. It needs a full key of the
repository it copies to; a reader key is enough for the one it copies from. The
exit code is 4 if a snapshot is damaged and was not copied.
"""


@click.command("copy", help=_HELP, short_help="Copy snapshots into another repository.")
@click.argument("names", nargs=-1, metavar="[SNAP]…", shell_complete=snapshots)
@other_options("to", "The repository to copy to: a folder or a name.", required=True)
@choice_options
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be copied.")
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Copy snapshots."""
    return work("copy", given)
