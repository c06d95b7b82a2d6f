"""What ``strongroom diff`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.completing import snapshots, snapshots_or_files
from strongroom.cli.loading import work

_HELP: Final = """\
Say what is different between two snapshots, or between one and what is there now.

\b
Examples:
  strongroom -r /backup/app diff latest~1 latest /etc
  strongroom diff latest --disk ./documents

\b
+  added
-  removed
M  content changed
U  only metadata changed: type, mode, owner, times, xattrs or hard links

With --disk the files of this machine are walked as a backup of the same source
would walk them: excludes of strongroom.toml and .strongroomignore are obeyed,
others have to be given again. A file with the size and time that it had is not
read, unless --content says so.

With --live the parameters, secrets and stacks of a source of AWS configuration are
compared with the account as it is. Of a value only that it changed is said.

The exit code is 0 whether or not something is different; 3 if something on the
disk or in the account could not be looked at, 4 if a part of a snapshot is damaged.
"""


@click.command("diff", help=_HELP, short_help="Compare two snapshots, or one with the disk.")
@click.argument("snapshot", metavar="SNAP", shell_complete=snapshots)
@click.argument(
    "others",
    nargs=-1,
    metavar="SNAP [PATH] | --disk [PATH]… | --live",
    shell_complete=snapshots_or_files,
)
@click.option("--disk", is_flag=True, help="Compare with the files on the disk.")
@click.option("--live", is_flag=True, help="Compare AWS configuration with the account.")
@click.option("--source", metavar="NAME", help="With --live: only this source.")
@click.option("--content", is_flag=True, help="With --disk: read every file and compare it.")
@click.option("-e", "--exclude", multiple=True, metavar="PATTERN", help="With --disk: leave out.")
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Compare."""
    return work("diff", given)
