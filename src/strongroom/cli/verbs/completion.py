"""What ``strongroom completion`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Print what makes a shell complete verbs, options, sources and snapshots.

\b
Examples:
  strongroom completion bash >> ~/.bashrc
  strongroom completion fish > ~/.config/fish/completions/strongroom.fish

With zsh, append to ~/.zshrc. For one terminal: eval "$(strongroom completion bash)"

Snapshots are those that a command of this machine has seen. The repository is
not opened for it, and no key is asked for.
"""


@click.command("completion", help=_HELP, short_help="Print a script for completion in a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common_options
def command(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Print a script."""
    return work("completion", given)
