"""The databases of a snapshot as plain files beside its archive: dumps, SQL, roles."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from strongroom.app.databases import scratch_of
from strongroom.app.dumps import (
    Dump,
    record_of,
    refuse_without_room,
    restorer_for,
    write_out,
    write_sql,
)
from strongroom.app.machine import Run
from strongroom.app.opening import Opened
from strongroom.app.restorers import restorers_of
from strongroom.archive.codecs import Codec
from strongroom.archive.files import Files
from strongroom.archive.metadata import PlainFile
from strongroom.errors import DamageError
from strongroom.model.entry import Entry
from strongroom.model.events import PhaseBegan, Sink
from strongroom.model.snapshot import ListedSnapshot
from strongroom.operations import listing
from strongroom.operations.archives.contents import Seal, Unseal
from strongroom.operations.archives.making import Packing
from strongroom.operations.archives.plainfiles import (
    CUSTOM,
    GLOBALS,
    SQL,
    UNKNOWN,
    PlainWriter,
    ReadPlain,
    Wrapping,
    read_plain,
    writing,
)
from strongroom.operations.restore import Wanted, tree_of
from strongroom.operations.stored_dump import StoredFiles
from strongroom.postgres import names
from strongroom.postgres.custom import DumpFiles, FolderFiles, custom_pieces
from strongroom.repository.reader import Reader
from strongroom.repository.tree import is_below

_KIND: Final = b"postgres"
_CONTENTS: Final = b"toc.dat"
_LEVEL: Final = 4
_MOST_LEVEL: Final = 9  # of zlib, which is what is in a dump


class DatabaseForm(enum.Enum):
    """What is made of a database, beside the files of its dump in the archive."""

    DUMP = "dump"
    SQL = "sql"
    BOTH = "both"
    FILES = "files"

    @property
    def has_dump(self) -> bool:
        """Whether there is a file for ``pg_restore``."""
        return self in {DatabaseForm.DUMP, DatabaseForm.BOTH}

    @property
    def has_sql(self) -> bool:
        """Whether there is a file for ``psql``."""
        return self in {DatabaseForm.SQL, DatabaseForm.BOTH}


@dataclass(frozen=True, slots=True)
class Globals:
    """The roles and tablespaces of a source, by their path in a snapshot."""

    listed: ListedSnapshot
    source: str
    path: bytes


@dataclass(slots=True)
class Databases:
    """What of a snapshot is databases that are exported whole; ``parts``: folders that are not."""

    dumps: list[Dump] = field(default_factory=list)
    globals: list[Globals] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Folder:
    """What was seen of the folder of a database, or of a file beside those; size in bytes."""

    files: set[bytes] = field(default_factory=set)
    count: int = 0
    chosen: int = 0
    size: int = 0

    def note(self, file: bytes, entry: Entry, *, is_chosen: bool) -> None:
        """Note an entry; ``file`` is empty where the folder itself is a file."""
        self.files.add(file)
        self.count += 1
        self.chosen += is_chosen
        self.size += entry.size


def chosen_databases(
    opened: Opened,
    reader: Reader,
    listed: ListedSnapshot,
    top: bytes,
    wanted: Callable[[], Wanted | None],
) -> Databases:
    """Return the databases of which all is at or below ``top``, and wanted; likewise the globals.

    ``wanted`` makes what decides anew, for it is asked in the order of a tree.
    """
    found = Databases()
    for source in listed.snapshot.sources:
        if source.kind != _KIND:
            continue
        name = source.name.decode("utf-8", "surrogateescape")
        place = os.fsencode(names.source_path(name))
        folders: dict[bytes, _Folder] = {}
        decide = wanted()
        for batch in tree_of(reader, listed, source).entries(place):
            for entry in batch:
                folder, _, file = entry.path[len(place) + 1 :].partition(b"/")
                is_chosen = is_below(entry.path, top) and (decide is None or decide(entry))
                folders.setdefault(folder, _Folder()).note(file, entry, is_chosen=is_chosen)
        for folder, seen in folders.items():
            path = place + b"/" + folder
            if seen.chosen < seen.count:
                if seen.chosen:
                    found.parts.append(os.fsdecode(folder))
            elif seen.files == {b""}:
                found.globals.append(Globals(listed, name, path))
            elif {names.RECORD.encode(), _CONTENTS} <= seen.files:
                record = record_of(opened.repository, listed, path)
                found.dumps.append(Dump(listed, name, path, record, seen.size))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is made, and with what around it. ``stated``: a person said how to compress."""

    form: DatabaseForm
    packing: Packing
    stated: bool
    seal: Seal | None
    unseal: Unseal | None

    @property
    def level(self) -> int:
        """How hard data in a dump is compressed: not at all where nothing is to be."""
        if self.packing.codec is Codec.NONE:
            return 0
        if self.packing.codec is Codec.GZIP:
            return min(self.packing.level, _MOST_LEVEL)
        return _LEVEL

    def around(self, *, is_sql: bool = False) -> Wrapping:
        """Return what is around a file: SQL is compressed only where that was asked for."""
        packing = self.packing
        if is_sql and self.stated:
            return Wrapping(self.seal, packing.codec, packing.level, packing.jobs)
        return Wrapping(self.seal)


class PlainFiles:
    """Makes the plain files of a snapshot's databases; a ``Beside``."""

    def __init__(
        self, run: Run, opened: Opened, reader: Reader, databases: Databases, shape: Shape
    ) -> None:
        """Look for what SQL needs: ``UsageError``, ``SourceError`` without a ``pg_restore``."""
        self._run = run
        self._opened = opened
        self._reader = reader
        self._databases = databases
        self._shape = shape
        self._restorers = restorers_of(run)
        for name in databases.parts:
            run.warn(
                f"not all files of the dump of {name!r} are exported, so it is only in the tar"
            )
        if shape.form.has_sql:
            for dump in databases.dumps:
                restorer_for(run, dump)
        sources = {one.source for one in databases.globals}
        self._several = len(sources | {dump.source for dump in databases.dumps}) > 1

    def __call__(self, inside: Files, sink: Sink) -> Sequence[PlainFile]:
        """See ``Beside``; each was read back. ``DamageError`` for what is not as it was written."""
        if self._shape.form is DatabaseForm.FILES:
            return []
        if self._databases.dumps:
            sink(PhaseBegan("databases", 0, sum(dump.size for dump in self._databases.dumps)))
        made = [self._globals(inside, one, sink) for one in self._databases.globals]
        for dump in self._databases.dumps:
            made += self._dump(inside, dump, sink)
        return sorted(made, key=lambda one: one.file)

    def _name(self, text: str, source: str) -> str:
        return f"{text}@{names.file_name(source)}" if self._several else text

    def _globals(self, inside: Files, one: Globals, sink: Sink) -> PlainFile:
        stem, _, suffix = names.GLOBALS.rpartition(".")
        name = f"{self._name(stem, one.source)}.{suffix}"
        with writing(inside, name, self._shape.around()) as file:
            listing.dump(self._opened.repository, one.listed, one.path, file.write)
        made = _made(file, GLOBALS, one.path, one.source)
        return self._verified(inside, made, sink)[0]

    def _dump(self, inside: Files, dump: Dump, sink: Sink) -> Iterator[PlainFile]:
        """Make of a database all that is wanted; only ``pg_restore`` needs it in a folder."""
        stem = self._name(names.file_name(dump.record.database), dump.source)
        stored = StoredFiles(self._reader, dump.listed, dump.path, sink)
        if not self._shape.form.has_sql:
            yield self._custom(inside, dump, stored, f"{stem}.dump", sink)
            return
        with scratch_of(self._run, self._run.settings.databases.get(dump.source)) as scratch:
            refuse_without_room(scratch, dump.size)
            folder = scratch / "dump"
            write_out(self._run, self._opened, self._reader, dump, folder)
            if self._shape.form.has_dump:
                yield self._custom(inside, dump, FolderFiles(folder), f"{stem}.dump", sink)
            yield self._sql(inside, dump, folder, f"{stem}.sql", sink)

    def _custom(
        self, inside: Files, dump: Dump, files: DumpFiles, name: str, sink: Sink
    ) -> PlainFile:
        with writing(inside, name, self._shape.around()) as file:
            for piece in custom_pieces(files, self._shape.level):
                file.write(piece)
        made, read = self._verified(inside, _made_of(file, CUSTOM, dump), sink)
        if read.unpacked is None:  # only others can open it
            return made
        counted = {f"{number}.dat": rows for number, rows in read.unpacked.rows.items()}
        for table in dump.record.tables:
            rows = counted.get(table.file)
            if rows != table.rows:
                raise DamageError(
                    f"{made.file} has {rows} rows of {table.schema}.{table.name}, and the record "
                    f"of the dump says {table.rows}"
                )
        return msgspec.structs.replace(made, rows=sum(counted.values()))

    def _sql(self, inside: Files, dump: Dump, folder: Path, name: str, sink: Sink) -> PlainFile:
        with writing(inside, name, self._shape.around(is_sql=True)) as file:
            # the buffer is used again, and a compressor holds on to what it gets
            write_sql(
                restorer_for(self._run, dump), dump, folder, lambda data: file.write(bytes(data))
            )
        return self._verified(inside, _made_of(file, SQL, dump), sink)[0]

    def _verified(self, inside: Files, made: PlainFile, sink: Sink) -> tuple[PlainFile, ReadPlain]:
        read = read_plain(inside, made, self._shape.unseal, self._restorers, sink)
        if read.findings:
            raise DamageError(
                f"a new file did not read back as it was written: {read.findings[0]}",
                hint="Check the memory and the disk of this machine.",
            )
        return msgspec.structs.replace(made, verification=read.how), read


def _made(file: PlainWriter, form: str, path: bytes, source: str) -> PlainFile:
    return PlainFile(
        file=file.name,
        form=form,
        of=(b"/" + path).decode("utf-8", "backslashreplace"),
        size=file.size,
        sha256=file.sha256,
        verification="",
        source=_shown(source),
    )


def _made_of(file: PlainWriter, form: str, dump: Dump) -> PlainFile:
    record = dump.record
    return msgspec.structs.replace(
        _made(file, form, dump.path, dump.source),
        database=_shown(record.database),
        time=record.time,
        lsn=record.lsn,
        server=record.server,
        client=record.client,
        tables=len(record.tables),
        rows=UNKNOWN,
    )


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
