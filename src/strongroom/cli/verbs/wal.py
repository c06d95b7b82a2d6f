"""What ``strongroom wal`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.arguments import SIZE, SPAN
from strongroom.cli.common import as_of_option, common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Archive PostgreSQL's write-ahead log (WAL), and hand it out for a recovery.

\b
Examples:
  strongroom wal push --source db pg_wal/000000010000000000000001
  strongroom wal status

In postgresql.conf:

\b
  archive_mode = on
  archive_command = 'strongroom wal push --source db %p'
  restore_command = 'strongroom wal fetch "%f" "%p"'
"""
_PUSH_HELP: Final = """\
Archive one WAL file; PostgreSQL calls it as its archive_command.

\b
Examples:
  archive_command = 'strongroom wal push --source db %p'
  strongroom wal push --source db pg_wal/000000010000000000000001

The exit code is 0 if the file is in the repository and durable, else 1. A file
that is there already is compared: the same is done, another one is refused and
never overwritten. --source names the cluster; another cluster is refused.
"""
_FETCH_HELP: Final = """\
Hand out one WAL file; PostgreSQL calls it as its restore_command.

\b
Examples:
  restore_command = 'strongroom wal fetch "%f" "%p"'
  strongroom wal fetch 000000010000000000000001 /tmp/segment --system-id 7449...

The exit code is 0 if the file is there, verified and written; 1 only if it is
proven that there is no such file and none that comes after it; and 200, at
which PostgreSQL stops, for everything else. So no recovery ends early because
something was unreachable, damaged or missing in the middle.

With --ahead the 16 segments that follow are fetched as well, verified in the same
way; a command that finds the file that it is asked for in that folder moves it.
"""


@click.group("wal", help=_HELP, short_help="Archive and hand out write-ahead log.")
@common_options
def command() -> None:
    """Work on write-ahead log."""


@command.command("push", help=_PUSH_HELP, short_help="Archive one file.")
@click.argument("path", metavar="PATH")
@click.option("--source", metavar="NAME", help="Which source of the configuration it is.")
@click.option(
    "--timeout", type=SPAN, default=60, metavar="TIME", help="Give up after so long (60s)."
)
@common_options
def _push(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Archive one file."""
    return work("wal", given, "push")


@command.command("fetch", help=_FETCH_HELP, short_help="Hand out one file.")
@click.argument("name", metavar="NAME")
@click.argument("destination", metavar="DESTINATION")
@click.option(
    "--system-id",
    type=click.IntRange(1, (1 << 64) - 1),
    metavar="N",
    help="Of which cluster; that of the data folder if not given.",
)
@click.option("--writer", metavar="NAME", help="Only what this agent archived, or 'main'.")
@click.option("--standby", is_flag=True, help="For a standby, which asks again: 1 for 200.")
@click.option("--past-holes", is_flag=True, help="Take a hole for the end of the archive.")
@click.option(
    "--absent-code",
    type=click.IntRange(1, 125),
    default=1,
    metavar="N",
    help="The code that says that there is no such file (1).",
)
@click.option("--ahead", metavar="FOLDER", help="Put the segments that follow into this folder.")
@click.option(
    "--timeout", type=SPAN, default=300, metavar="TIME", help="Give up after so long (5m)."
)
@as_of_option
@common_options
def _fetch(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Hand out one file."""
    return work("wal", given, "fetch")


_STATUS_HELP: Final = """\
Say what there is of each cluster's WAL: timelines, gaps, what can be reached.

\b
Examples:
  strongroom wal status
  strongroom wal status db --json
  strongroom wal status db --record-gaps
  strongroom wal status --servers

A gap on record is one for every recovery, also where nothing follows it, and
no damage any more for 'wal verify' once a base backup began after it. If the
segment is archived all the same, it counts. The agent and 'wal receive' put
gaps on record themselves, where the server has the segments no more.

With --servers the servers of the configuration are asked as well: how far the
archive is behind, what waits, what failed, and what their slots keep. The exit code
is 3 if one of them cannot be asked.
"""
_VERIFY_HELP: Final = """\
Read WAL as a recovery would, and name what is damaged or missing.

\b
Examples:
  strongroom wal verify db
  strongroom wal verify db --from 000000010000000000000010

The exit code is 4 if something is damaged, or missing in the middle; 3 if what
is missing is on record as a gap, and no base backup began after it.
"""
_ACCEPT_HELP: Final = """\
Say that a source is another cluster from now on, as after pg_upgrade.

\b
Examples:
  strongroom wal accept --source db 7449812345678901234
  strongroom wal accept --source db 7449812345678901234 --segment-size 64M

Of the cluster that it was before everything stays, and can be recovered.
"""


@command.command("status", help=_STATUS_HELP, short_help="Say what there is.")
@click.argument("source", metavar="[SOURCE]", required=False)
@click.option(
    "--record-gaps", is_flag=True, help="Put on record that what is missing now never comes."
)
@click.option("--servers", is_flag=True, help="Ask the servers of the configuration as well.")
@as_of_option
@common_options
def _status(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Say what there is."""
    return work("walstatus", given, "status")


@command.command("verify", help=_VERIFY_HELP, short_help="Read it, and name what is damaged.")
@click.argument("source", metavar="[SOURCE]", required=False)
@click.option("--from", "first", metavar="SEGMENT", help="The first file to read.")
@click.option("--to", "last", metavar="SEGMENT", help="The last one.")
@as_of_option
@common_options
def _verify(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Read everything, or a range."""
    return work("walstatus", given, "verify")


@command.command("accept", help=_ACCEPT_HELP, short_help="Say that a source is a new cluster.")
@click.argument("system_id", metavar="SYSTEM_ID", type=click.IntRange(1, (1 << 64) - 1))
@click.option("--source", metavar="NAME", help="Which source.")
@click.option(
    "--segment-size", type=SIZE, default=16 << 20, metavar="SIZE", help="Of its segments (16M)."
)
@common_options
def _accept(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Say that a source is another cluster."""
    return work("walstatus", given, "accept")


_AGENT_HELP: Final = """\
Stay at work, and archive what the script of 'wal shims' asks for.

\b
Examples:
  strongroom wal agent --source db
  strongroom wal shims --source db --to /usr/local/bin

It keeps the repository open, and archives the files that wait behind the one that
the server asks for at the same time. It listens on a socket in the state folder
that only its own user can use. Run it as the server's user, as a service; without
it the script does the work by itself. SIGTERM ends it.
"""
_SHIMS_HELP: Final = """\
Write the scripts that PostgreSQL calls, and print the lines for postgresql.conf.

\b
Examples:
  strongroom wal shims --source db --to /usr/local/bin
  strongroom --config /etc/strongroom.toml wal shims --source db --to /opt/bin

strongroom-wal-push asks the agent, and does the work itself where there is none;
strongroom-wal-fetch is for recoveries. What this command was told of repository
and key is in them, but no passphrase.
"""


@command.command("agent", help=_AGENT_HELP, short_help="Archive as a service.")
@click.option("--source", metavar="NAME", help="Which source of the configuration it is.")
@common_options
def _agent(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Archive as a service."""
    return work("walagent", given, "agent")


@command.command("shims", help=_SHIMS_HELP, short_help="Write the scripts for PostgreSQL.")
@click.option("--source", metavar="NAME", help="Which source of the configuration it is.")
@click.option("--to", required=True, metavar="FOLDER", help="Where the scripts are written.")
@common_options
def _shims(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Write the scripts for PostgreSQL."""
    return work("walagent", given, "shims")


_RECEIVE_HELP: Final = """\
Receive WAL as a stream from a server, and archive each segment.

\b
Examples:
  strongroom wal receive --source db
  strongroom wal receive --source db --slot backup --partial-every 60s

Nothing has to be set up on the server's machine but a role with REPLICATION. A
replication slot, made when it is missing, keeps what is not archived yet: a
receiver that stays away fills the server's disk, unless max_slot_wal_keep_size
bounds it. SIGTERM ends it, and archives what there is of the last segment.
"""


@command.command("receive", help=_RECEIVE_HELP, short_help="Receive it as a stream.")
@click.option("--source", metavar="NAME", help="Which source of the configuration it is.")
@click.option("--slot", default="strongroom", metavar="NAME", help="The slot (strongroom).")
@click.option(
    "--partial-every",
    type=SPAN,
    metavar="TIME",
    help="Archive the segment that comes each time as well; nothing removes that later.",
)
@common_options
def _receive(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Receive it as a stream."""
    return work("walreceive", given)
