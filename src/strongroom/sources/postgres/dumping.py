"""One database into a folder: dumped from a snapshot that is held, then read back whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

from strongroom.errors import RefusedError, StrongroomError
from strongroom.postgres.catalog import Moment, Server, begin_moment
from strongroom.postgres.client import Client
from strongroom.postgres.names import RECORD
from strongroom.postgres.record import VERSION, Record, Table, encoded

_TABLE_DATA: Final = re.compile(rb"^([0-9]+); [0-9]+ ([0-9]+) TABLE DATA ", re.MULTILINE)
_END: Final = b"\\.\n\n\n"  # of the rows of a table, as COPY has it
_PIECE: Final = 1 << 20


def dump_database(
    client: Client, server: Server, name: str, folder: Path, jobs: int, tell: Callable[[str], None]
) -> Generator[None, None, None]:
    """Dump a database into a new folder; an error unless all of it is there and can be read.

    Yields now and then until that is done. ``RefusedError`` where there is no room for it.
    """
    what = f"dumping {name!r}"
    with client.session(name) as session:
        moment = begin_moment(session)
        free = shutil.disk_usage(folder.parent).free
        tell(f"{what}: {moment.size:,} bytes in the server, {free:,} free for the dump")
        if moment.size > free:
            raise RefusedError(
                f"{name!r} has {moment.size:,} bytes, and {folder.parent} has {free:,} free",
                hint="Name a folder with more room: scratch = '/path', in the source.",
            )
        arguments = ["--format=directory", "--compress=0", f"--jobs={jobs}", "--no-sync"]
        arguments += ["--lock-wait-timeout=60s", f"--snapshot={moment.snapshot}"]
        arguments += [f"--file={folder}", *client.connected(name)]
        yield from client.working("pg_dump", arguments, what)
        session.finish()
    # all that a restore would read: a list of contents alone proves nothing
    reading = ["--file=/dev/null", str(folder)]
    yield from client.working("pg_restore", reading, f"{what}: reading it back")
    tables = _counted(client, folder, moment, what)
    record = Record(
        version=VERSION,
        database=name,
        server=server.version,
        client=client.programs.version,
        major=client.programs.major,
        time=moment.time,
        lsn=moment.lsn,
        owner=moment.owner,
        locale=moment.locale,
        extensions=moment.extensions,
        tables=tables,
    )
    (folder / RECORD).write_bytes(encoded(record))


def dump_globals(client: Client, file: Path, *, with_passwords: bool) -> None:
    """Write roles and tablespaces as SQL; an error unless all of it came."""
    arguments = ["--globals-only", f"--file={file}", *client.connected()]
    if not with_passwords:
        arguments.append("--no-role-passwords")
    client.work("pg_dumpall", arguments, "dumping roles and tablespaces")
    if not file.stat().st_size:
        raise StrongroomError("dumping roles and tablespaces: pg_dumpall wrote nothing")


def _counted(client: Client, folder: Path, moment: Moment, what: str) -> tuple[Table, ...]:
    """Count the rows of each table that has any in the dump."""
    with client.attended("pg_restore", ["--list", str(folder)]) as child:
        child.end_input()
        contents = b"".join(iter(child.line, b""))
        client.check("pg_restore", child, f"{what}: listing it")
    tables = []
    for match in _TABLE_DATA.finditer(contents):
        file, oid = f"{match[1].decode()}.dat", int(match[2])
        schema, name = moment.tables.get(oid, ("", ""))
        rows = _rows(folder / file, what)
        if name:
            tables.append(Table(schema, name, file, rows))
    return tuple(sorted(tables, key=lambda table: (table.schema, table.name)))


def _rows(path: Path, what: str) -> int:
    """Count rows: a line each, since line ends in values are escaped; the end must be there."""
    lines, tail = 0, b""
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                lines += piece.count(b"\n")
                tail = (tail + piece)[-len(_END) :]
    except FileNotFoundError:
        raise StrongroomError(f"{what}: {path.name} is missing in the dump") from None
    if tail != _END:
        raise StrongroomError(f"{what}: {path.name} is cut short")
    return lines - _END.count(b"\n")
