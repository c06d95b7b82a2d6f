"""``strongroom dump``."""

from __future__ import annotations

import sys

import click

from strongroom.app.listing import dump
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.common import common
from strongroom.cli.job import job


def run(snapshot: str, path: str | None) -> int:
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
