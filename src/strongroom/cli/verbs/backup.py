"""What ``strongroom backup`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli import completing
from strongroom.cli.arguments import SIZE, checked_text, checked_texts
from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Save files into a new snapshot.

\b
Examples:
  strongroom -r /backup/app backup ./documents /etc --exclude '*.tmp'
  strongroom backup                    (all sources of strongroom.toml)

An argument with a slash is a path, and so are . and ..; a bare word is the name
of a source in strongroom.toml. What did not change since the last backup is not
read again.

Where strongroom.toml describes environments, the first word is one of them, and
the second, if there is one, a type (full, database, files, documents):
  backup production database

With --stdin-from-command what a command prints is saved as one file, and only if
it ends with exit code 0:
  backup --stdin-from-command --stdin-filename db.sql -- pg_dump app

Patterns are those of .gitignore; a folder's .strongroomignore is obeyed too.
The exit code is 3 if the snapshot was made and something could not be saved.
"""


@click.command("backup", help=_HELP, short_help="Save files into a new snapshot.")
@click.argument(
    "sources", nargs=-1, metavar="[PATH|SOURCE]… | ENV [TYPE]", shell_complete=completing.sources
)
@click.option("--tag", "tags", multiple=True, metavar="T", callback=checked_texts, help="Tag it.")
@click.option("-e", "--exclude", multiple=True, metavar="PATTERN", help="Leave out what matches.")
@click.option(
    "--exclude-file",
    multiple=True,
    metavar="FILE",
    shell_complete=completing.files,
    help="Read patterns from a file.",
)
@click.option("--exclude-caches", is_flag=True, help="Leave out folders with a CACHEDIR.TAG.")
@click.option(
    "--exclude-larger-than", type=SIZE, metavar="SIZE", help="Leave out larger files (100M, 1.5G)."
)
@click.option("-x", "--one-file-system", is_flag=True, help="Stay on the file system of each path.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Save standard input as one file.")
@click.option("--stdin-filename", metavar="NAME", help="The name of that file (stdin).")
@click.option(
    "--stdin-from-command", is_flag=True, help="Save what the command after -- prints as one file."
)
@click.option(
    "--compression-level",
    type=click.IntRange(1, 19),
    metavar="1-19",
    help="How hard to compress (3, databases 1); what does not get smaller is stored as it is.",
)
@click.option("--host", metavar="NAME", callback=checked_text, help="Say it is from this host.")
@click.option(
    "--allow-vanished", is_flag=True, help="Save a bucket that is empty, or lost most objects."
)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be read.")
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Back up, or say what a backup would read."""
    return work("backup", given)
