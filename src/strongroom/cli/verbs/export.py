"""What ``strongroom export`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.completing import files, folders, snapshots
from strongroom.cli.loading import work

_HELP: Final = """\
Write a snapshot, or a part of it, into a portable archive.

\b
Examples:
  strongroom -r /backup/app export latest --to /mnt/disk
  strongroom export latest:/etc --to - --format gzip | ssh host 'tar -xzf -'

A folder DATE_TIME, named after the time of the snapshot, holds the tar, its checksum,
its metadata and a list of all in it. No strongroom is needed to open it;
'strongroom archive verify --folder FOLDER' and 'archive restore' work on it, and
'strongroom import' makes a snapshot of it again.

In a bucket (--to s3://my-bucket/exports) the folder has the same files; it is made in
the cache first, put and read back. Documents from S3 are files whose names say their
keys; a base backup has the WAL that it needs, so that a server starts from it.

Each database lies beside the tar as well, as a file that 'pg_restore' reads: app.dump;
with --databases sql as one for 'psql', with both as both, and with files only in the
tar, as the directory that pg_dump made. globals.sql has the roles. SQL is compressed
if --format is given. Any of them alone is printed by 'strongroom dump'.

With SNAP:PATH, names are relative to PATH. Patterns are those of .gitignore. With
--to - a tar is printed, uncompressed unless --format says otherwise; one file alone
is printed by 'strongroom dump'.

With --recipient or --archive-key-file the archive is encrypted, and 'age' opens it
too. --key-file opens the repository.

The exit code is 4 if anything of it cannot be read, and then there is no archive. It
is 3 if something is missing: what the backup could not save, and sockets, which no tar
can hold.
"""


@click.command("export", help=_HELP, short_help="Write a snapshot into a portable archive.")
@click.argument("snapshot", metavar="SNAP[:PATH]", shell_complete=snapshots)
@click.option(
    "--to",
    required=True,
    metavar="FOLDER|URL|-",
    shell_complete=folders,
    help="The folder of archives, s3://BUCKET/PREFIX, or - for standard output.",
)
@click.option("-i", "--include", multiple=True, metavar="PATTERN", help="Only what matches.")
@click.option("-e", "--exclude", multiple=True, metavar="PATTERN", help="Not what matches.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["gzip", "zstd", "none"]),
    help="How it is compressed (gzip; none for -).",
)
@click.option("--level", type=click.IntRange(1, 19), metavar="1-19", help="How hard to compress.")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Threads (one a processor).")
@click.option(
    "--databases",
    type=click.Choice(["dump", "sql", "both", "files"]),
    help="What lies beside the tar of each database (dump).",
)
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="KEY",
    help="Encrypt to this age recipient or SSH key.",
)
@click.option(
    "--archive-key-file",
    metavar="FILE",
    shell_complete=files,
    help="Encrypt with this key file.",
)
@click.option(
    "--archive-passphrase-file",
    metavar="FILE",
    shell_complete=files,
    help="Encrypt with the passphrase in this file.",
)
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Export a snapshot."""
    return work("export", given)
