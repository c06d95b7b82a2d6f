"""What ``strongroom config`` is told."""

from __future__ import annotations

from typing import Any, Final

import click

from strongroom.cli.common import common_options
from strongroom.cli.loading import work

_HELP: Final = """\
Look at the configuration.

\b
Examples:
  strongroom config show
  strongroom config check
"""
_SHOW_HELP: Final = """\
Show every setting that takes effect, and where it came from.

\b
Examples:
  strongroom config show
  strongroom -r /backup/app config show --json

A setting comes from a flag, an environment variable, strongroom.toml, or is the
default; the first of these wins. Secrets are never shown, and nothing is opened.
"""
_CHECK_HELP: Final = """\
Say everything that is wrong with the configuration, each with its line.

\b
Examples:
  strongroom config check
  strongroom --config ./strongroom.toml config check --json

The exit code is 2 if there is an error, and 0 if there are only warnings. The
repository is not opened, and no key is asked for.
"""


@click.group("config", help=_HELP, short_help="Look at the configuration.")
@common_options
def command() -> None:
    """Look at the configuration."""


@command.command("show", help=_SHOW_HELP, short_help="Show every setting and its origin.")
@common_options
def show(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Show settings."""
    return work("config", given, "show")


@command.command("check", help=_CHECK_HELP, short_help="Say everything that is wrong.")
@common_options
def check(**given: Any) -> int:  # noqa: ANN401 - what the options say
    """Check the configuration."""
    return work("config", given, "check")
