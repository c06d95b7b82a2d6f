"""``strongroom completion``, and what the script it prints asks for."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import ShellComplete, get_completion_class, shell_complete

from strongroom.cli.common import common
from strongroom.cli.output import Output

VARIABLE: Final = "_STRONGROOM_COMPLETE"
_PROGRAM: Final = "strongroom"


def run(shell: str) -> int:
    """Print the script for a shell."""
    if common().json:
        raise click.UsageError("completion prints a script, which --json cannot hold")
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no shell is called '{shell}'")
    root = click.get_current_context().find_root().command
    output = Output(json_lines=False, quiet=False, stream=True)
    output.wanted(ShellComplete.source(kind(root, {}, _PROGRAM, VARIABLE)))
    output.flush()
    return 0


def complete(root: click.Command, instruction: str) -> int:
    """Print the candidates that a script asks for."""
    return shell_complete(root, {}, _PROGRAM, VARIABLE, instruction)
