"""What ``strongroom import`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.arguments import checked_text, checked_texts
from strongroom.cli.common import common_options
from strongroom.cli.completing import files
from strongroom.cli.loading import work

_HELP: Final = """\
Make a snapshot of a portable archive.

\b
Examples:
  strongroom -r /backup/app import /mnt/disk/20241219_143022
  strongroom import old-server.tar.gz --host web1 --tag moved

An archive of 'strongroom export' or 'strongroom archive' is named by its folder
(or FOLDER/latest): all of it is compared with its manifest and checksum, and an
incremental one takes what it needs from those before it. Any other tar is named by
its file, or is piped in (ssh host 'tar -cz /srv' | strongroom import -); it may be
compressed with gzip or zstd, and sealed with age.

So is a dump of a database that 'pg_dump -Fc' wrote, or 'pg_dump -Fd' by its folder: it
becomes one of the source that --name says (imported), as a backup would have made it.
Databases, base backups, documents and configuration in an archive keep the source that
they are from. What a URL names (s3://my-bucket/exports/latest) is brought into the cache
first.

Host, time and tags are those that the archive states. If anything is damaged no
snapshot is made, and the exit code is 4. It is 3 if the archive itself says that
something is missing in it.
"""


@click.command("import", help=_HELP, short_help="Make a snapshot of a portable archive.")
@click.argument("what", metavar="FOLDER/ID|FILE|URL|-", shell_complete=files)
@click.option("--tag", "tags", multiple=True, metavar="T", callback=checked_texts, help="Tag it.")
@click.option("--host", metavar="NAME", callback=checked_text, help="Say it is from this host.")
@click.option(
    "--name", metavar="NAME", callback=checked_text, help="Say it is from the source of this name."
)
@click.option(
    "--archive-key-file",
    metavar="FILE",
    shell_complete=files,
    help="Open the archive with this key file, or age identity.",
)
@click.option(
    "--archive-passphrase-file",
    metavar="FILE",
    shell_complete=files,
    help="Open the archive with the passphrase in this file.",
)
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Import an archive."""
    return work("import_", given)
