"""``strongroom dump``."""

from __future__ import annotations

import sys
from typing import Literal

import click

from strongroom.app.dumps import DumpRequest, dump_custom, dump_directory, dump_sql
from strongroom.app.listing import dump
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.common import common
from strongroom.cli.job import job
from strongroom.cli.quantities import size


def run(  # noqa: PLR0913 - one for each option
    snapshot: str,
    path: str | None,
    *,
    database: str | None,
    form: Literal["sql", "custom", "directory"] | None,
    to: str | None,
    source: str | None,
    show_secrets: bool,
) -> int:
    """Print the bytes of a file, or give the dump of a database."""
    name, inner = snapshot_and_path(snapshot)
    if database:
        if inner or path:
            raise click.UsageError("give a path or --database, not both")
        request = DumpRequest(snapshot=name, database=database, source=source or "")
        return _dump_database(request, form or "sql", to)
    if form or to or source:
        raise click.UsageError("--format, --to and --source are for --database")
    if bool(inner) == bool(path):
        raise click.UsageError("give one path: strongroom dump latest /etc/hosts")
    _refuse_json()
    with job(stream=True) as one:
        write = sys.stdout.buffer.write
        dump(one.run, name, path or inner, write, show_secrets=show_secrets)
        sys.stdout.buffer.flush()
    return 0


def _refuse_json() -> None:
    if common().json:
        raise click.UsageError("dump prints the bytes of a file, which --json cannot hold")


def _dump_database(request: DumpRequest, form: str, to: str | None) -> int:
    if form != "directory":
        if to:
            raise click.UsageError(f"{form} is printed; --to is for --format directory")
        _refuse_json()
        give = dump_sql if form == "sql" else dump_custom
        with job(stream=True) as one:
            give(one.run, request, sys.stdout.buffer.write)
            sys.stdout.buffer.flush()
        return 0
    if not to:
        raise click.UsageError("--format directory needs --to FOLDER")
    with job(progress=True) as one:
        with one.progress:
            found = dump_directory(one.run, request, to)
        one.output.record(
            "summary",
            snapshot_id=found.listed.id,
            database=request.database,
            target=to,
            bytes_restored=found.size,
        )
        one.output.line(f"wrote the dump of {request.database!r}, {size(found.size)}, into {to}")
        one.output.line(f"next: pg_restore --list {to}")
    return 0
