"""What ``strongroom restore`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.completing import folders, snapshots
from strongroom.cli.loading import work

_HELP: Final = """\
Bring back a snapshot, or a part of it, into a folder; a database; or configuration.

\b
Examples:
  strongroom -r /backup/app restore latest --to /tmp/back
  strongroom restore latest~1:/etc/ssh --to ./ssh --dry-run

What is restored keeps its path below the folder; with SNAP:PATH, what lies below
PATH is put into the folder itself. Patterns are those of .gitignore.

A restore that was cut short goes on with --overwrite if-changed: what has the
size and the time it should have is not written again. --delete removes what the
snapshot does not have below the restored paths, what a backup left out too; what
--exclude matches, or --include does not, stays. --dry-run lists it.

The exit code is 4 if something was damaged, 3 if something could not be restored
as it was or differs when read back; everything else is restored all the same.

With --database app a database is restored beside what is there; its rows are
counted, and then it gets its name, or the one of --to-database. If anything fails
it is removed again, and the exit code is 21. With --replace it takes the place of
the one that has the name, which is kept under another one: --database app --undo
gives it back. With --table or --schema only these come, also into a database that
exists. --globals makes the roles and tablespaces that a server lacks.

With --to-bucket or --in-place documents go into a bucket; what is there and is
right stays. PATH is a key then, or what lies below one, or, with a slash at its
end, what begins with it. --delete removes objects that the snapshot does not have.
In a bucket that keeps versions --to-bucket NAME --undo gives back what was there.

With --configuration, or --parameter and --secret (/app/ is all below, /app/* a pattern), parameters
and secrets in AWS become what they were: each request is shown and confirmed, what
is there is saved first (--undo brings it back), and a failure is rolled back.

An environment may refuse the data of others (restore_from), and one that is
protected is restored into only when its name is typed, or given with --confirm.
"""


@click.command("restore", help=_HELP, short_help="Bring back a snapshot, or a part of it.")
@click.argument("snapshot", metavar="[SNAP[:PATH]]", required=False, shell_complete=snapshots)
@click.option(
    "--to",
    metavar="FOLDER",
    shell_complete=folders,
    help="Where to: a new or empty folder.",
)
@click.option("-i", "--include", multiple=True, metavar="PATTERN", help="Only what matches.")
@click.option("-e", "--exclude", multiple=True, metavar="PATTERN", help="Not what matches.")
@click.option(
    "--overwrite",
    type=click.Choice(["always", "if-changed", "never"]),
    help="Allow a folder that is not empty: which files in it are replaced.",
)
@click.option("--into-existing", is_flag=True, help="The same as --overwrite always.")
@click.option("--delete", is_flag=True, help="Remove what the snapshot does not have.")
@click.option("--verify", is_flag=True, help="Read everything back from the disk and compare it.")
@click.option("--numeric-owner", is_flag=True, help="Set owners by number, not by name.")
@click.option("--no-owner", is_flag=True, help="Set no owners: all belongs to this user.")
@click.option(
    "--owner-map", multiple=True, metavar="OLD:NEW|FILE", help="Give things of a user to another."
)
@click.option("--group-map", multiple=True, metavar="OLD:NEW|FILE", help="As --owner-map.")
@click.option("--to-bucket", metavar="NAME", help="Restore documents into this bucket.")
@click.option("--in-place", is_flag=True, help="Restore documents into the bucket they are from.")
@click.option("--prefix", metavar="TEXT", help="What comes before every key in --to-bucket.")
@click.option("--at", metavar="TIME", help="Of the snapshots of documents until then the last.")
@click.option("--database", metavar="NAME", help="Restore the dump of this database.")
@click.option("--to-database", metavar="NAME", help="What it is called then (the same).")
@click.option("--replace", is_flag=True, help="Take the place of a database that exists.")
@click.option("--undo", is_flag=True, help="Give the database that was replaced its name back.")
@click.option("--resume", is_flag=True, help="Put in place what a killed restore made ready.")
@click.option("--table", "tables", multiple=True, metavar="SCHEMA.TABLE", help="Only this table.")
@click.option("--schema", "schemas", multiple=True, metavar="NAME", help="Only this schema.")
@click.option("--globals", "globals_", is_flag=True, help="Make the roles that a server lacks.")
@click.option("--configuration", is_flag=True, help="All parameters and secrets of a source.")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME", help="This parameter.")
@click.option("--secret", "secrets", multiple=True, metavar="NAME", help="This secret.")
@click.option("--stack", metavar="NAME", help="This stack, by a change set that is shown first.")
@click.option("--to-stack", metavar="NAME", help="What it is called then (the same).")
@click.option("--stack-parameters", metavar="FILE", help="JSON with values that AWS never tells.")
@click.option("--map-path", "mapped", multiple=True, metavar="OLD=NEW", help="Under other names.")
@click.option("--region", metavar="REGION", help="The region of AWS that they go into.")
@click.option("--kms-key", metavar="KEY", help="The KMS key that seals them there.")
@click.option("--no-pre-backup", is_flag=True, help="Do not save first what they replace.")
@click.option("--source", metavar="NAME", help="The source, if several are in the snapshot.")
@click.option("--server", metavar="NAME", help="The source whose server it goes to (its own).")
@click.option("--environment", metavar="ENV", help="The environment that it goes into.")
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would be restored.")
@click.option("--no-confirm", is_flag=True, help="Ask nothing.")
@click.option("--confirm", metavar="NAME", help="Ask nothing if it goes to this one.")
@as_of_option
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Restore, or say what a restore would do."""
    return work("restore", given)
