"""``strongroom dump``."""

from __future__ import annotations

import sys
from typing import Final

import click

from strongroom.app.listing import dump
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.common import common, common_options
from strongroom.cli.job import job

_HELP: Final = """\
Print one file of a snapshot on standard output.

\b
Examples:
  strongroom -r /backup/app dump latest /etc/hosts
  strongroom dump latest /srv/app.tar | tar -t

If a part of the file is damaged, what comes before it is printed and the exit
code is 4.
"""


@click.command("dump", help=_HELP, short_help="Print one file of a snapshot.")
@click.argument("snapshot", metavar="SNAP")
@click.argument("path", required=False, metavar="PATH")
@common_options
def command(snapshot: str, path: str | None) -> int:
    """Print the bytes of a file."""
    name, inner = snapshot_and_path(snapshot)
    if bool(inner) == bool(path):
        raise click.UsageError("give one path: strongroom dump latest /etc/hosts")
    if common().json:
        raise click.UsageError("dump prints the bytes of a file, which --json cannot hold")
    with job(stream=True) as one:
        dump(one.run, name, path or inner, sys.stdout.buffer.write)
        sys.stdout.buffer.flush()
    return 0
