"""The options of a second repository: ``--to`` and its key, ``--from`` and its key."""

from __future__ import annotations

from collections.abc import Callable

import click

from strongroom.cli.common import F
from strongroom.cli.completing import files, repositories


def other_options(name: str, text: str, *, required: bool) -> Callable[[F], F]:
    """Add ``--NAME`` and what opens that repository; ``text`` says what it is for."""

    def add(function: F) -> F:
        for option in (
            click.option(
                f"--{name}-key-file",
                f"{name}_key_file",
                metavar="FILE",
                shell_complete=files,
                help="Open it with a key file.",
            ),
            click.option(
                f"--{name}-passphrase-command",
                f"{name}_passphrase_command",
                metavar="COMMAND",
                help="Read its passphrase from a command.",
            ),
            click.option(
                f"--{name}-passphrase-file",
                f"{name}_passphrase_file",
                metavar="FILE",
                shell_complete=files,
                help="Read its passphrase from a file.",
            ),
            click.option(
                f"--{name}",
                f"{name}_url",
                metavar="FOLDER",
                required=required,
                shell_complete=repositories,
                help=text,
            ),
        ):
            function = option(function)
        return function

    return add
