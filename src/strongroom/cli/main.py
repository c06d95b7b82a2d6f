"""The ``strongroom`` command: a table of verbs, each loaded when it is used."""

from __future__ import annotations

import difflib
import errno
import os
import sys
from collections.abc import Sequence
from typing import Final, cast

import click
from click.shell_completion import CompletionItem

from strongroom import __version__
from strongroom.cli import failures
from strongroom.cli.common import common_options
from strongroom.cli.loading import load
from strongroom.cli.output import discard_stdout
from strongroom.cli.signals import Stopping
from strongroom.config.environment import quiet_libraries, read_environment

# verb: (module that holds ``command``, what it does); strongroom.cli.VERB does the work
VERBS: Final = {
    "init": ("strongroom.cli.verbs.init", "Make a new repository."),
    "backup": ("strongroom.cli.verbs.backup", "Save files into a new snapshot."),
    "snapshots": ("strongroom.cli.verbs.snapshots", "List the snapshots."),
    "ls": ("strongroom.cli.verbs.ls", "List what is in a snapshot."),
    "find": ("strongroom.cli.verbs.find", "Find files by name in the snapshots."),
    "diff": ("strongroom.cli.verbs.diff", "Compare two snapshots, or one with the disk."),
    "dump": ("strongroom.cli.verbs.dump", "Print one file of a snapshot."),
    "restore": ("strongroom.cli.verbs.restore", "Bring back a snapshot, or a part of it."),
    "recover": ("strongroom.cli.verbs.recover", "Bring a PostgreSQL cluster to a moment."),
    "verify": ("strongroom.cli.verbs.verify", "Check that everything can be read back."),
    "stats": ("strongroom.cli.verbs.stats", "Say how much room the snapshots take."),
    "tag": ("strongroom.cli.verbs.tag", "Change the tags of snapshots."),
    "forget": ("strongroom.cli.verbs.forget", "Drop snapshots, by name or by a policy."),
    "retention": ("strongroom.cli.verbs.retention", "Say what a policy keeps, and why."),
    "undelete": ("strongroom.cli.verbs.undelete", "Bring forgotten snapshots back."),
    "hold": ("strongroom.cli.verbs.hold", "Keep snapshots until they are released."),
    "prune": ("strongroom.cli.verbs.prune", "Free the room that no snapshot needs."),
    "copy": ("strongroom.cli.verbs.copy", "Copy snapshots into another repository."),
    "repair": ("strongroom.cli.verbs.repair", "Make good what is damaged."),
    "export": ("strongroom.cli.verbs.export", "Write a snapshot into a portable archive."),
    "import": ("strongroom.cli.verbs.import_", "Make a snapshot of a portable archive."),
    "wal": ("strongroom.cli.verbs.wal", "Archive and hand out PostgreSQL's write-ahead log."),
    "rds": ("strongroom.cli.verbs.rds", "Look at RDS and Aurora, and make snapshots."),
    "archive": ("strongroom.cli.verbs.archive", "Make and restore portable archives."),
    "shims": ("strongroom.cli.verbs.shims", "Write the scripts of the guide."),
    "guard": ("strongroom.cli.verbs.guard", "Run a command, and undo it if it fails."),
    "freshness": ("strongroom.cli.verbs.freshness", "Say whether the last backup is recent."),
    "doctor": ("strongroom.cli.verbs.doctor", "Say what would keep a backup from working."),
    "store": ("strongroom.cli.verbs.store", "Look at the store of a repository."),
    "aws": ("strongroom.cli.verbs.aws", "Say what AWS has to allow."),
    "key": (
        "strongroom.cli.verbs.key",
        "List, add and remove keys; make agents and recovery kits.",
    ),
    "config": ("strongroom.cli.verbs.config", "Look at the configuration."),
    "completion": ("strongroom.cli.verbs.completion", "Print a script for completion in a shell."),
    "demo": (
        "strongroom.cli.verbs.demo",
        "Show a backup, a loss and a restore, in a folder of its own.",
    ),
}
_ENTRY: Final = "strongroom.cli.entry"
_CRASH: Final = "strongroom.cli.crash"
_COMPLETION: Final = "strongroom.cli.completion"
_COMPLETE: Final = "_STRONGROOM_COMPLETE"  # set by what 'strongroom completion' prints

_CLOSED_PIPE: Final = 141  # 128 + SIGPIPE, as of any program whose reader went away

_HELP: Final = """\
Encrypted, deduplicating backups that prove that they come back.

\b
Examples:
  strongroom -r /backup/app init --passphrase-file ~/.backup-passphrase
  strongroom -r /backup/app backup ./documents

\b
Instead of -r and a key each time, set STRONGROOM_REPOSITORY and
STRONGROOM_PASSPHRASE_FILE, STRONGROOM_PASSPHRASE_COMMAND or
STRONGROOM_KEY_FILE, or write a strongroom.toml.
"""


class Verbs(click.Group):
    """A group whose commands are modules that are loaded by name, so that ``--help`` is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the table."""
        del ctx
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the module of a verb."""
        del ctx
        if cmd_name not in VERBS:
            return None
        return cast(click.Command, load(VERBS[cmd_name][0]).command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest verb for one that does not exist."""
        if args[0] not in VERBS and not args[0].startswith("-") and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0], VERBS, n=1)
            guess = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"there is no verb '{args[0]}'.{guess}", ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the verbs that begin so, without loading anything, and the options."""
        verbs = [
            CompletionItem(verb, help=text)
            for verb, (_, text) in VERBS.items()
            if verb.startswith(incomplete)
        ]
        return [*verbs, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without loading anything."""
        del ctx
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])


@click.group(
    cls=Verbs,
    help=_HELP,
    subcommand_metavar="VERB …",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 96},
)
@common_options
@click.version_option(__version__, prog_name="strongroom", message="%(prog)s %(version)s")
def strongroom() -> None:
    """Run a verb."""


def main(arguments: Sequence[str] | None = None, *, stopped: int | None = None) -> int:
    """Run the command line and return its exit code; never raises.

    ``stopped``: the exit code when somebody asks twice to stop; None: that of the signal.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    _open_standard_streams()
    quiet_libraries()
    stopping = Stopping(stopped)
    failure: BaseException | None = None
    code = 0
    try:
        code = _run(given)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001 - the last place where it can be told
        failure = error
    stopping.ends()
    if failure is not None:
        code = _told(failure, given)
    try:
        sys.stdout.flush()
    except OSError:
        discard_stdout()
    return code


def _run(arguments: list[str]) -> int:
    instruction = read_environment().get(_COMPLETE)
    if instruction is not None:
        return cast(int, load(_COMPLETION).complete(strongroom, instruction))
    with strongroom.make_context("strongroom", arguments.copy()) as context:
        code = strongroom.invoke(context)
        return 0 if code is None else code


def _told(error: BaseException, arguments: Sequence[str]) -> int:
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        discard_stdout()
        return _CLOSED_PIPE
    code = failures.tell(error, json_lines="--json" in arguments, debug="--debug" in arguments)
    if code is None:
        code = cast(int, load(_CRASH).tell(error, arguments))
    return code


def _open_standard_streams() -> None:
    """Open what the caller closed, so that no file of ours gets the number of a standard stream.

    A character that the terminal cannot show is printed as an escape.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        getattr(sys, name).reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(load(_ENTRY).run(lambda: main))
