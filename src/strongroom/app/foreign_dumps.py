"""A dump that anybody made with ``pg_dump``, as a backup would have it: its files, and a record.

It is unpacked into scratch, read whole by ``pg_restore`` where there is one, and then saved like
the dumps of a backup, so that all that works with those works with it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from strongroom.app.databases import scratch_of
from strongroom.app.machine import Run
from strongroom.app.restorers import restorers_of
from strongroom.clock import rfc3339
from strongroom.errors import DamageError, InterruptError, SourceError, StrongroomError
from strongroom.model.entry import Entry
from strongroom.model.events import PhaseBegan
from strongroom.operations.archives.incoming import Delivered
from strongroom.operations.import_ import Arrival, Part
from strongroom.postgres.catalog import Locale
from strongroom.postgres.names import RECORD, folder_name, source_path
from strongroom.postgres.record import VERSION, Record, Table
from strongroom.postgres.recordtext import encoded
from strongroom.postgres.toc import CONTENTS, MAGIC, Form, Read, Toc
from strongroom.postgres.unpacking import (
    Receive,
    Unpacked,
    Write,
    unpack_custom,
    unpack_directory,
)
from strongroom.sources.made import made_file
from strongroom.system.causes import cause_of

SOURCE: Final = "imported"
UNKNOWN: Final = "unknown"  # what no dump says of its moment
_KIND: Final = "postgres"
_FORM_AT: Final = 10
_PIECE: Final = 1 << 20
_FROM_YEAR: Final = 1900
_SECOND: Final = 1_000_000_000
_PROVIDERS: Final = {"libc": "c", "icu": "i", "builtin": "b"}
_OPTIONS: Final = " WITH TEMPLATE = "  # behind the name, which may be anything
_OPTION: Final = re.compile(r"([A-Z_]+) = (?:'((?:[^']|'')*)'|([A-Za-z0-9_]+))")
_ENCODING: Final = re.compile(r"client_encoding = '([^']+)'")


class Brought(NamedTuple):
    """A dump that can be saved, and when it was made: nanoseconds since 1970, twice.

    ``read_by``: the program that read it whole; empty where none is here.
    """

    arrival: Arrival
    when: tuple[int, int]
    read_by: str


def is_dump(head: bytes) -> bool:
    """Whether a file begins like a dump in the custom format."""
    return head.startswith(MAGIC) and head[_FORM_AT : _FORM_AT + 1] == bytes([Form.CUSTOM])


def is_dump_folder(path: Path) -> bool:
    """Whether a folder is a dump in the directory format."""
    return (path / CONTENTS).is_file()


@contextmanager
def dump_stream(run: Run, read: Read, shown: str, name: str) -> Iterator[Brought]:
    """Unpack a dump in the custom format; ``name``: of its source, empty for none."""
    with _unpacked(run, lambda receive: unpack_custom(read, receive), shown, name) as brought:
        yield brought


@contextmanager
def dump_folder(run: Run, folder: Path, name: str) -> Iterator[Brought]:
    """Unpack a dump in the directory format; see ``dump_stream``."""
    shown = str(folder)
    with _unpacked(run, lambda receive: unpack_directory(folder, receive), shown, name) as brought:
        yield brought


@contextmanager
def _unpacked(
    run: Run, unpack: Callable[[Receive], Unpacked], shown: str, name: str
) -> Iterator[Brought]:
    source = name or SOURCE
    run.sink(PhaseBegan("unpack"))
    with scratch_of(run, run.settings.databases.get(source)) as scratch:
        folder = scratch / "dump"
        try:
            folder.mkdir()
            found = unpack(_into(folder))
            read_by = _read_whole(run, found.toc, folder)
            made_ns = _made_ns(found.toc)
            (folder / RECORD).write_bytes(encoded(_record(found, made_ns)))
            arrival = _arrival(found.toc, folder, source, made_ns)
        except DamageError as error:
            raise DamageError(f"{shown}: {error.message}", hint=error.hint) from error
        except OSError as error:
            raise SourceError(
                f"{shown} cannot be unpacked into {scratch}: {cause_of(error)}",
                hint="Name a folder with more room for dumps: scratch = '/path', in a source, and "
                "that source with --name.",
            ) from error
        yield Brought(arrival, (made_ns, made_ns), read_by)


def _into(folder: Path) -> Receive:
    @contextmanager
    def receive(name: str) -> Iterator[Write]:
        try:
            file = (folder / name).open("xb")
        except FileExistsError as error:
            raise DamageError(f"the dump has two files {name}") from error
        with file:
            yield file.write

    return receive


def _read_whole(run: Run, toc: Toc, folder: Path) -> str:
    """Return what read it; ``DamageError`` if it cannot, a warning and nothing where none is."""
    client = restorers_of(run)(toc.major)
    if client is None:
        run.warn(
            f"no pg_restore of version {toc.major} or newer is here: that the dump can be restored "
            "was not tried"
        )
        return ""
    try:
        client.work("pg_restore", ["--file=/dev/null", str(folder)], "reading it")
    except (InterruptError, SourceError):
        raise
    except StrongroomError as error:
        raise DamageError(error.message) from error
    return f"pg_restore {client.programs.version}"


def _arrival(toc: Toc, folder: Path, source: str, made_ns: int) -> Arrival:
    place = source_path(source)
    below = os.fsencode(f"{place}/{folder_name(toc.database)}")
    files = sorted(folder.iterdir())
    return Arrival(
        parts=[Part(source, _KIND, (b"/" + os.fsencode(place),), os.fsencode(place))],
        members=(Delivered(_File(path, made_ns)) for path in files),
        entries=len(files),
        size=sum(path.stat().st_size for path in files),
        below=below,
    )


class _File:
    """A file of a dump on its way into the repository; an ``Incoming``."""

    def __init__(self, path: Path, made_ns: int) -> None:
        self._path = path
        size = path.stat().st_size
        self._entry = made_file(os.fsencode(path.name), size, made_ns)

    @property
    def entry(self) -> Entry:
        """See ``Incoming``."""
        return self._entry

    def extents(self) -> Iterator[tuple[int, int, bool]]:
        """See ``Incoming``."""
        yield 0, self._entry.size, True

    def pieces(self) -> Iterator[tuple[int, memoryview]]:
        """See ``Incoming``."""
        offset = 0
        with _told(self._path), self._path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield offset, memoryview(piece)
                offset += len(piece)

    def read(self) -> bytes:
        """See ``Incoming``."""
        with _told(self._path):
            return self._path.read_bytes()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(f"the dump {path} cannot be read: {cause_of(error)}") from error


# -- what a dump says of itself


def _record(found: Unpacked, made_ns: int) -> Record:
    toc = found.toc
    database = next((one for one in toc.entries if one.kind == "DATABASE"), None)
    tables = [
        Table(one.schema, one.tag, one.file, found.rows[one.number])
        for one in toc.entries
        if one.kind == "TABLE DATA" and one.number in found.rows
    ]
    return Record(
        version=VERSION,
        database=toc.database,
        server=toc.server,
        client=toc.client,
        major=toc.major,
        time=rfc3339(made_ns),
        lsn=UNKNOWN,
        owner=database.owner if database is not None else "",
        locale=_locale(toc, database.definition if database is not None else ""),
        extensions={},
        tables=tuple(sorted(tables, key=lambda table: (table.schema, table.name))),
    )


def _made_ns(toc: Toc) -> int:
    """Return when pg_dump began, if its clock was in the time zone of this machine."""
    second, minute, hour, day, month, year = toc.when[:6]
    try:
        made = datetime(_FROM_YEAR + year, month + 1, day, hour, minute, min(second, 59))  # noqa: DTZ001
        return max(int(made.astimezone().timestamp()), 0) * _SECOND
    except (ValueError, OverflowError) as error:
        raise DamageError(f"the dump states no time: {error}") from error


def _locale(toc: Toc, definition: str) -> Locale:
    """Return encoding and locale by the statement that makes the database; C if it has none."""
    said = {
        match[1]: match[3] if match[2] is None else match[2].replace("''", "'")
        for match in _OPTION.finditer(definition.rpartition(_OPTIONS)[2])
    }
    encoding = said.get("ENCODING")
    if encoding is None:
        texts = (one.definition for one in toc.entries if one.kind == "ENCODING")
        stated = next((match[1] for match in map(_ENCODING.search, texts) if match), "UTF8")
        encoding = stated
    both = said.get("LOCALE", "C")
    return Locale(
        encoding=encoding,
        collate=said.get("LC_COLLATE", both),
        ctype=said.get("LC_CTYPE", both),
        provider=_PROVIDERS.get(said.get("LOCALE_PROVIDER", "libc").lower(), "c"),
        locale=said.get("ICU_LOCALE") or said.get("BUILTIN_LOCALE", ""),
        rules=said.get("ICU_RULES", ""),
    )
