"""The options that say which project is meant, and where its archives are."""

from __future__ import annotations

from collections.abc import Callable

import click

from strongroom.cli import completing
from strongroom.cli.common import F


def options(*given: Callable[[F], F]) -> Callable[[F], F]:
    """Return one decorator that adds several options, in the order given."""

    def add(function: F) -> F:
        for option in reversed(given):
            function = option(function)
        return function

    return add


project_options = options(
    click.option(
        "--project",
        metavar="FOLDER",
        default=".",
        shell_complete=completing.folders,
        help="The project (the folder you are in).",
    ),
    click.option(
        "--folder",
        metavar="FOLDER",
        shell_complete=completing.folders,
        help="Where its archives are (backup, in the project).",
    ),
)
