"""Dumps of databases in a snapshot: found, written out again, and given as SQL or files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from strongroom.app.databases import found_programs, scratch_of
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.app.owners import owners_of
from strongroom.app.restorers import client_without_server
from strongroom.app.targets import examine_target, refuse_in_use
from strongroom.errors import (
    DamageError,
    NotFoundError,
    RefusedError,
    StrongroomError,
    UsageError,
)
from strongroom.model.entry import Entry
from strongroom.model.events import PhaseBegan
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.source import Problem
from strongroom.operations import listing
from strongroom.operations.restore import restore as bring_back
from strongroom.operations.restore import selected_entries
from strongroom.operations.stored_dump import StoredFiles
from strongroom.postgres.client import Client
from strongroom.postgres.custom import custom_pieces
from strongroom.postgres.names import RECORD, folder_name, source_path
from strongroom.postgres.programs import choose_sound
from strongroom.postgres.record import Record, decoded
from strongroom.postgres.toc import Toc, toc_of
from strongroom.repository.reader import Reader
from strongroom.repository.repository import Repository
from strongroom.restore.files.begin import TargetOptions, begin

_KIND: Final = b"postgres"
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpRequest:
    """Which dump is meant; ``source`` where several sources have a database of that name."""

    snapshot: str
    database: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Dump:
    """A dump in a snapshot; ``size`` in bytes, ``files`` by name, where they were looked for."""

    listed: ListedSnapshot
    source: str
    path: bytes
    record: Record
    size: int
    files: Mapping[str, Entry] = field(default_factory=dict)

    def size_of(self, files: Collection[str]) -> int:
        """Return how many bytes some of its files have."""
        return sum(entry.size for name, entry in self.files.items() if name in files)


def find_dump(opened: Opened, reader: Reader, request: DumpRequest) -> Dump:
    """Return the dump that is meant; ``NotFoundError``, ``UsageError`` if it may be several."""
    repository = opened.repository
    listed = listing.snapshot_to_restore(repository, request.snapshot).listed
    sources = [one for one in _sources(listed) if request.source in {"", one}]
    found: list[tuple[str, bytes, Record]] = []
    for source in sources:
        path = os.fsencode(f"{source_path(source)}/{folder_name(request.database)}")
        with suppress(NotFoundError):
            found.append((source, path, record_of(repository, listed, path)))
    if not found:
        raise NotFoundError(
            f"snapshot {listed.short_id} holds no dump of a database {request.database!r}",
            hint=f"See what it holds with 'strongroom ls {listed.short_id}:/postgres'.",
        )
    if len(found) > 1:
        raise UsageError(
            f"several sources have a database {request.database!r}: "
            f"{', '.join(source for source, _, _ in found)}",
            hint="Say which one with --source.",
        )
    source, path, record = found[0]
    files = {
        os.fsdecode(entry.path): entry
        for batch in selected_entries(reader, listed, path, None)
        for entry in batch
    }
    size = sum(entry.size for entry in files.values())
    return Dump(listed, source, path, record, size, files)


def only_source(listed: ListedSnapshot, name: str, what: str) -> str:
    """Return the source of databases that is meant; ``NotFoundError``, ``UsageError``."""
    sources = [one for one in _sources(listed) if name in {"", one}]
    if not sources:
        raise NotFoundError(f"snapshot {listed.short_id} holds no {what} of such a source")
    if len(sources) > 1:
        raise UsageError(
            f"several sources have {what}: {', '.join(sources)}", hint="Say which with --source."
        )
    return sources[0]


def _sources(listed: ListedSnapshot) -> list[str]:
    return [
        one.name.decode("utf-8", "surrogateescape")
        for one in listed.snapshot.sources
        if one.kind == _KIND
    ]


def record_of(repository: Repository, listed: ListedSnapshot, path: bytes) -> Record:
    """Return the record of the dump at this path; ``NotFoundError``, ``DamageError``."""
    return decoded(read_file(repository, listed, path + b"/" + RECORD.encode()))


def contents_of(opened: Opened, dump: Dump) -> Toc:
    """Read the table of contents of a dump."""
    return toc_of(read_file(opened.repository, dump.listed, dump.path + b"/toc.dat"))


def read_file(repository: Repository, listed: ListedSnapshot, path: bytes) -> bytes:
    """Return a small file of a snapshot; ``NotFoundError``, ``DamageError``."""
    data = bytearray()
    listing.dump(repository, listed, path, data.extend)
    return bytes(data)


def write_out(  # noqa: PLR0913 - from where, what, where to
    run: Run,
    opened: Opened,
    reader: Reader,
    dump: Dump,
    folder: Path,
    files: Collection[str] | None = None,
    *,
    durable: bool = False,
) -> None:
    """Write the files of a dump into a new folder; ``DamageError`` unless all are whole.

    ``files``: their names, if not all are wanted. ``durable``: they must survive a power cut.
    """
    problems: list[Problem] = []
    machine = run.machine
    owners = owners_of("skip", (), (), run.settings.folder)
    options = TargetOptions(None, owners, durable=durable)
    run.sink(PhaseBegan("restore", 0, dump.size if files is None else dump.size_of(files)))
    path = os.fsencode(folder)

    def wanted(entry: Entry) -> bool:
        return files is None or os.fsdecode(entry.path).rpartition("/")[2] in files

    with closing(begin(machine.fs, path, problems.append, machine.randomness, options)) as target:
        result = bring_back(
            opened.repository, dump.listed, target, dump.path, wanted, reader=reader
        )
    for problem in result.damaged:
        raise DamageError(
            f"the dump of {dump.record.database!r} is not whole: {_shown(problem)}",
            hint="See what else is damaged with 'strongroom verify --read-data'.",
        )
    for problem in problems:
        raise StrongroomError(f"the dump cannot be written to {folder}: {_shown(problem)}")


def _shown(problem: Problem) -> str:
    return f"{problem.path.decode('utf-8', 'backslashreplace')}: {problem.cause}"


def refuse_without_room(folder: Path, size: int) -> None:
    """``RefusedError`` if the folder that dumps are written into has no room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise RefusedError(
            f"{folder} has {free:,} bytes free, and the dump needs {size:,}",
            hint="Name a folder with more room: scratch = '/path', in the source.",
        )


def dump_sql(run: Run, request: DumpRequest, write: Callable[[memoryview], object]) -> None:
    """Give a dump to ``write`` as SQL that ``psql`` reads."""
    with _written(run, request) as (dump, folder):
        write_sql(restorer_for(run, dump), dump, folder, write)


def restorer_for(run: Run, dump: Dump) -> Client:
    """Return what runs the ``pg_restore`` for a dump; ``UsageError``, ``SourceError`` for none."""
    found = found_programs(run, run.settings.databases.get(dump.source))
    return client_without_server(run, choose_sound(found, dump.record.major, _named(dump)))


def write_sql(
    client: Client, dump: Dump, folder: Path, write: Callable[[memoryview], object]
) -> None:
    """Give the files of a dump to ``write`` as SQL that ``psql`` reads."""
    buffer = memoryview(bytearray(_PIECE))
    with client.attended("pg_restore", ["--file=-", str(folder)]) as child:
        child.end_input()
        while count := child.readinto(buffer):
            write(buffer[:count])
        client.check("pg_restore", child, f"writing {_named(dump)} as SQL")


def dump_custom(run: Run, request: DumpRequest, write: Callable[[bytes], object]) -> None:
    """Give a dump to ``write`` in pg_dump's custom format, which ``pg_restore`` reads."""
    with opened_repository(run) as opened:
        reader = opened.repository.reader()
        dump = find_dump(opened, reader, request)
        for piece in custom_pieces(StoredFiles(reader, dump.listed, dump.path, run.sink)):
            write(piece)


def dump_directory(run: Run, request: DumpRequest, to: str) -> Dump:
    """Write a dump into a new or empty folder, as ``pg_dump`` made it; which one it was."""
    with opened_repository(run) as opened:
        folder = opened.store.folder
        target = examine_target(
            to, str(run.settings.folder), folder.url if folder is not None else None
        )
        refuse_in_use(target)
        reader = opened.repository.reader()
        dump = find_dump(opened, reader, request)
        if dump.size > target.free_bytes:
            raise RefusedError(
                f"{target.path} has {target.free_bytes:,} bytes free, and the dump needs "
                f"{dump.size:,}"
            )
        write_out(run, opened, reader, dump, Path(target.path), durable=True)
        return dump


@contextmanager
def _written(run: Run, request: DumpRequest) -> Iterator[tuple[Dump, Path]]:
    with opened_repository(run) as opened:
        reader = opened.repository.reader()
        dump = find_dump(opened, reader, request)
        with scratch_of(run, run.settings.databases.get(dump.source)) as scratch:
            refuse_without_room(scratch, dump.size)
            folder = scratch / "dump"
            write_out(run, opened, reader, dump, folder)
            yield dump, folder


def _named(dump: Dump) -> str:
    return f"the dump of {dump.record.database!r}"
