"""What ``strongroom key`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
List, add, rotate and remove the keys of a repository; make and revoke agents;
make recovery kits.

\b
Examples:
  strongroom -r /backup/app key list
  strongroom -r /backup/app key add --new-key-file ~/.restore-key --role reader

A full key does everything; a reader key lists, restores and verifies, from a
read-only store as well; an agent backs up and reads nothing.
"""
_LIST_HELP: Final = """\
List the keys, which of them opened the repository now, and the agents.

\b
Examples:
  strongroom -r /backup/app key list
  strongroom key list --json
"""
_ADD_HELP: Final = """\
Add a key: a passphrase, a key file, a key of AWS KMS or a recovery key.

\b
Examples:
  strongroom -r /backup/app key add --new-key-file ~/.restore-key --role reader
  strongroom key add --kms arn:aws:kms:eu-west-1:111122223333:key/1234abcd-…

The repository is opened as always; what begins with --new is the key to add. A
key file that does not exist is made. With --kms whoever may use that key of AWS
KMS opens the repository; an alias is looked up once, and the key it names then
is what counts. Without any of them the passphrase is asked for at the terminal.
"""
_ROTATE_HELP: Final = """\
Begin a new reader key: what is stored from now on only the keys that are there
now can read. Or put another key of AWS KMS in the place of one.

\b
Examples:
  strongroom -r /backup/app key remove 3f9a1c52 && strongroom key rotate
  strongroom key rotate --kms-slot 5b6a0011 --kms alias/backup-2

What was stored before stays as it is, and every key reads it as before. Rotate
after a reader key was removed: who still has it cannot read what comes later.
Who has had a full key can still sign; after such a theft back up into a new
repository. A host goes over with its next command; a resident WAL agent when it
starts again.

With --kms-slot the new key of KMS is tried before the old one is removed.
"""
_REVOKE_HELP: Final = """\
Revoke an agent, named by its name or the first digits of its id.

\b
Examples:
  strongroom -r /backup/app key list
  strongroom -r /backup/app key revoke web1

Its snapshots up to now stay. What is committed with its key from then on does
not count: it is listed with the forgotten ones, and the next 'prune' after the
grace removes it; 'undelete' takes a single one back in. Its sessions that are
open are given up. Write-ahead log that it pushes is not told apart by this:
take the access to the store away as well.
"""
_REMOVE_HELP: Final = """\
Remove a key, named by the first digits of its id.

\b
Examples:
  strongroom -r /backup/app key list
  strongroom -r /backup/app key remove 3f9a1c52

The key that opened the repository cannot be removed, nor the last full one. Who
copied the repository before and has the secret can go on reading, what comes
later too until 'key rotate'. If it was a full key and is in wrong hands, back up
into a new repository.
"""
_EXPORT_HELP: Final = """\
Make an agent: a key that backs up and reads nothing.

\b
Examples:
  strongroom -r /backup/app key export-agent --name web1 --to web1.agent
  strongroom -r /backup/app --key-file web1.agent backup /srv   (on that host)

The file is the key; keep it secret. With it a host backs up, skips what did not
change, and stores nothing twice; it cannot list, restore or verify anything.
Agents with the same --domain store nothing twice among each other.
"""
_KIT_HELP: Final = """\
Make a recovery kit, one page to print: where the repository is, the recovery
key, and the commands that restore on a fresh machine.

\b
Examples:
  strongroom -r /backup/app key kit --new-recovery-key --to kit.txt
  strongroom key kit --verify kit.txt

The recovery key is not stored: it is asked for at the terminal, or the one that
opens the repository (--key-file FILE), or a new one. --verify opens the
repository with the kit alone and says what it found; an address given with -r
or STRONGROOM_REPOSITORY counts instead of the one in the kit.
"""


@click.group("key", help=_HELP, short_help="List, add and remove keys.")
@common_options
def command() -> None:
    """Work on keys."""


@command.command("list", help=_LIST_HELP, short_help="List the keys.")
@common_options
def _list(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """List the keys and agents."""
    return work("key", given, "list_all")


@command.command("add", help=_ADD_HELP, short_help="Add a key.")
@click.option("--new-passphrase-file", metavar="FILE", help="Add the passphrase in a file.")
@click.option("--new-key-file", metavar="FILE", help="Add a key file; it is made if missing.")
@click.option("--kms", metavar="KEY", help="Add a key of AWS KMS: an ARN or alias/NAME.")
@click.option("--recovery", is_flag=True, help="Add a recovery key, and show it once.")
@click.option(
    "--role",
    type=click.Choice(["full", "reader"]),
    default="full",
    show_default=True,
    help="What it opens the repository for: everything, or reading.",
)
@common_options
def _add(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Add a key."""
    return work("key", given, "add")


@command.command("rotate", help=_ROTATE_HELP, short_help="Begin a new reader key.")
@click.option("--kms-slot", metavar="ID", help="Replace this key, which is one of AWS KMS.")
@click.option("--kms", metavar="KEY", help="By this one: an ARN or alias/NAME.")
@common_options
def _rotate(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Begin an epoch, or replace a key of KMS."""
    return work("key", given, "rotate")


@command.command("revoke", help=_REVOKE_HELP, short_help="Revoke an agent.")
@click.argument("agent", metavar="AGENT")
@common_options
def _revoke(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Revoke an agent."""
    return work("key", given, "revoke")


@command.command("remove", help=_REMOVE_HELP, short_help="Remove a key.")
@click.argument("key_id", metavar="ID")
@common_options
def _remove(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Remove a key."""
    return work("key", given, "remove")


@command.command("export-agent", help=_EXPORT_HELP, short_help="Make an agent.")
@click.option("--name", required=True, metavar="NAME", help="What the agent is called.")
@click.option("--to", required=True, metavar="FILE", help="Where its key is written.")
@click.option("--domain", metavar="NAME", help="Share what is stored with agents of this domain.")
@common_options
def _export(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Make an agent."""
    return work("key", given, "export")


@command.command("kit", help=_KIT_HELP, short_help="Make or verify a recovery kit.")
@click.option("--to", metavar="FILE", help="Write it to a new file, and not to the output.")
@click.option("--new-recovery-key", is_flag=True, help="Add a recovery key for this kit.")
@click.option("--verify", "kit_file", metavar="FILE", help="Prove that a kit opens its repository.")
@common_options
def _kit(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Make a kit, or verify one."""
    return work("keykit", given)
