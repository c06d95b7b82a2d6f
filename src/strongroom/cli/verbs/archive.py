"""What ``strongroom archive`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli import completing
from strongroom.cli.common import common_options
from strongroom.cli.loading import work
from strongroom.cli.project_options import options, project_options

_HELP: Final = """\
Portable archives of a project: a tar, its checksum and its metadata in
backup/DATE_TIME, which need no strongroom to open.

\b
Examples:
  strongroom archive create
  strongroom archive restore 20241219_143022

The project is the folder you are in, or --project; backup/ in it holds the
archives. No repository is needed. 'strongroom shims install scripts/' writes
backup-system.sh, verify-backup.sh and restore-backup.sh, which do the same.
"""
_CREATE_HELP: Final = """\
Make an archive of the project, and read all of it back.

\b
Examples:
  strongroom archive create
  strongroom archive create --scope scripts/ --scope config/ --format zstd
  strongroom archive create --key-file backup.key

Without --scope, BACKUP_SCOPE or a scope in strongroom.toml it holds scripts, lib,
config, docs, tests and the like, and every file at the top of the project; it
says which folders it leaves out. What stands in a .strongroomignore is left out.

With --recipient or --key-file the archive is encrypted, and 'age' opens it too. A
key file holds age recipients, an age identity, or any secret text, which is the
passphrase then.

The exit code is 3 if the archive was made and something could not be read.
"""
_INCREMENTAL_HELP: Final = """\
Make an archive of what changed since the last one, and of what is gone.

\b
Examples:
  strongroom archive incremental
  strongroom archive incremental --key-file backup.key

It holds the scope of the archive it builds on. Restoring it takes what is needed
from those before; cleanup keeps them as long as they are needed. Where there is
none to build on it is a whole one, and says so.
"""
_VERIFY_HELP: Final = """\
Read archives as a restore would, and compare every byte with what is stated.

\b
Examples:
  strongroom archive verify
  strongroom archive verify 20241219_143022
  strongroom archive verify --all

Without an id the latest is read. Everything that is wrong is said, and the exit
code is 4 if anything is. Of an archive that is encrypted, and that no key given
here opens, only the checksum is compared: the exit code is 3 then.
"""
_LIST_HELP: Final = """\
List the archives.

\b
Examples:
  strongroom archive list
  strongroom archive list --long
"""
_RESTORE_HELP: Final = """\
Bring back what an archive holds: into the project, or elsewhere with --to.

\b
Examples:
  strongroom archive restore 20241219_143022
  strongroom archive restore latest --to /tmp/look scripts/
  strongroom archive restore --rollback

The archive is read and unpacked beside the project first; then it says what would
change, and asks. What is replaced is kept in a new archive, pre-restore-DATE_TIME.
If anything fails the project is put back as it was; after a power cut or a kill
--rollback does that, and --resume finishes the restore instead.

What the archive does not have stays where it is; with --delete it goes, within the
scope of the archive.
"""
_CLEANUP_HELP: Final = """\
Remove archives that are older than some days; 7 if none are given.

\b
Examples:
  strongroom archive cleanup
  strongroom archive cleanup 30 --dry-run

The newest good archive always stays, and so does every one that has no newer good
one, or that an incremental one needs. What restores kept, pre-restore-..., goes
after --pre-restore-days.
"""
_RECOMPRESS_HELP: Final = """\
Write archives anew, compressed better; the old one goes when the new one was
read back.

\b
Examples:
  strongroom archive recompress --older-than 30 --format zstd --level 19
  strongroom archive recompress 20241219_143022
"""


_home = click.option("--home", metavar="FOLDER", hidden=True)
_packing = options(
    click.option(
        "--format",
        "form",
        type=click.Choice(["gzip", "zstd", "none"]),
        help="How it is compressed (gzip).",
    ),
    click.option(
        "--level", type=click.IntRange(1, 19), metavar="1-19", help="How hard to compress."
    ),
    click.option(
        "--jobs", type=click.IntRange(1, 256), metavar="N", help="Threads (one a processor)."
    ),
)
_making = options(
    click.option(
        "--recipient",
        "recipients",
        multiple=True,
        metavar="KEY",
        help="Encrypt to this age recipient or SSH key.",
    ),
    click.option(
        "--to",
        metavar="URL",
        help="Copy it there as well, and read the copy back.",
    ),
)


@click.group("archive", help=_HELP, short_help="Make and restore portable archives.")
@common_options
def command() -> None:
    """Work on archives."""


@command.command("create", help=_CREATE_HELP, short_help="Make an archive.")
@click.option("--scope", multiple=True, metavar="PATH", help="What it holds, in the project.")
@click.option("-e", "--exclude", multiple=True, metavar="PATTERN", help="Leave out what matches.")
@_packing
@_making
@project_options
@common_options
def _create(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Make an archive."""
    return work("archive", given, "create")


@command.command("incremental", help=_INCREMENTAL_HELP, short_help="Archive what changed.")
@click.option("-e", "--exclude", multiple=True, metavar="PATTERN", help="Leave out what matches.")
@_packing
@_making
@project_options
@common_options
def _incremental(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Make an archive of what changed."""
    return work("archive", given, "incremental")


@command.command("verify", help=_VERIFY_HELP, short_help="Read archives and compare.")
@click.argument("names", nargs=-1, metavar="[ID]…", shell_complete=completing.archives)
@click.option("--all", "all_of_them", is_flag=True, help="All of them.")
@_home
@project_options
@common_options
def _verify(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Verify archives."""
    return work("archive_verify", given)


@command.command("list", help=_LIST_HELP, short_help="List the archives.")
@click.option("-l", "--long", is_flag=True, help="With age, entries and what is known of each.")
@_home
@project_options
@common_options
def _list(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """List archives."""
    return work("archive_list", given)


@command.command("restore", help=_RESTORE_HELP, short_help="Bring back an archive.")
@click.argument("name", metavar="[ID]", required=False, shell_complete=completing.archives)
@click.argument("paths", nargs=-1, metavar="[PATH]…")
@click.option(
    "--to", metavar="FOLDER", shell_complete=completing.folders, help="Restore into this folder."
)
@click.option("--delete", is_flag=True, help="Remove what the archive does not have.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--no-confirm", is_flag=True, help="Do not ask.")
@click.option("--no-pre-backup", is_flag=True, help="Make no archive of what is replaced.")
@click.option("--resume", is_flag=True, help="Finish a restore that was killed.")
@click.option("--rollback", is_flag=True, help="Undo a restore that was killed.")
@_home
@project_options
@common_options
def _restore(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Restore an archive."""
    return work("archive_restore", given)


@command.command("cleanup", help=_CLEANUP_HELP, short_help="Remove old archives.")
@click.argument("days", type=click.IntRange(0, 36_500), default=7, metavar="[DAYS]")
@click.option(
    "--pre-restore-days",
    type=click.IntRange(0, 36_500),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="How long the archives that restores made stay.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would go.")
@project_options
@common_options
def _cleanup(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Remove old archives."""
    return work("archive_cleanup", given)


@command.command("recompress", help=_RECOMPRESS_HELP, short_help="Compress archives better.")
@click.argument("names", nargs=-1, metavar="[ID]…", shell_complete=completing.archives)
@click.option(
    "--older-than", type=click.IntRange(0, 36_500), metavar="DAYS", help="All that are older."
)
@_packing
@project_options
@common_options
def _recompress(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Recompress archives."""
    return work("archive_recompress", given)
