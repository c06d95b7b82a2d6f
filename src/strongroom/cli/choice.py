"""The options that choose among snapshots."""

from __future__ import annotations

from typing import Final

import click

from strongroom.cli.common import F

_OPTIONS: Final = (
    click.option("--tag", "tags", multiple=True, metavar="T", help="Only those with this tag."),
    click.option("--host", "hosts", multiple=True, metavar="H", help="Only those of this host."),
    click.option(
        "--path", "paths", multiple=True, metavar="P", help="Only those that saved this path."
    ),
)


def choice_options(function: F) -> F:
    """Add ``--tag``, ``--host`` and ``--path``; one of several values of an option is enough."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
