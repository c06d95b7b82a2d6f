"""From a snapshot to an archive: on a shelf, or as one stream."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Final

import msgspec

from strongroom import __version__
from strongroom.app.archives.away import bucket_at, is_away, room_for_archives, send
from strongroom.app.archives.keys import GivenKeys, given_keys
from strongroom.app.archives.making import packing_of
from strongroom.app.archives.place import settle, shelf_at
from strongroom.app.awsconfig_found import warn_of_secrets
from strongroom.app.listing import path_in_snapshot
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.app.plainfiles import (
    DatabaseForm,
    Databases,
    PlainFiles,
    Shape,
    chosen_databases,
)
from strongroom.app.selection import Selection
from strongroom.app.sources import absolute
from strongroom.archive.codecs import Write, compressing
from strongroom.archive.files import TakenError
from strongroom.archive.metadata import (
    ExportedSnapshot,
    ExportedSource,
    Metadata,
    Missing,
    SystemInfo,
)
from strongroom.archive.naming import ArchiveId
from strongroom.archive.scope import checked_scope
from strongroom.archive.shelf import Shelf
from strongroom.archive.tarwriting import TarWriter
from strongroom.archive.writing import as_it_is, write_source
from strongroom.clock import as_utc, rfc3339
from strongroom.errors import RefusedError, UsageError
from strongroom.model.entry import EntryKind
from strongroom.model.events import PhaseBegan
from strongroom.model.snapshot import ListedSnapshot, SourceRecord, Status
from strongroom.model.source import InspectableSource
from strongroom.operations.archives.making import Around, Recipe, make
from strongroom.operations.export import SnapshotSource
from strongroom.operations.export_wal import NeededWal, WithWal, needed_wal, needs_wal
from strongroom.operations.listing import snapshot_to_restore
from strongroom.operations.restore import kind_of, selected_entries
from strongroom.repository.wal import archive_of

_STAMP: Final = "%Y%m%d_%H%M%S"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What the command line says; ``path`` is empty for everything.

    ``databases``: what lies beside an archive of them; nothing does beside a stream.
    """

    snapshot: str
    path: str = ""
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    form: str | None = None
    level: int | None = None
    jobs: int | None = None
    keys: GivenKeys = field(default_factory=GivenKeys)
    databases: DatabaseForm = DatabaseForm.DUMP


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export came to; sizes in bytes. ``metadata`` is None for a stream."""

    snapshot: ListedSnapshot
    path: bytes
    entries: int
    files: int
    bytes: int
    problems: Sequence[Missing]
    seconds: float
    requests: int
    id: ArchiveId | None = None
    folder: str = ""
    metadata: Metadata | None = None

    @property
    def made(self) -> ArchiveId:
        """The archive; ``ValueError`` for a stream."""
        if self.id is None:
            raise ValueError("a stream has no id")
        return self.id


def export_to_folder(run: Run, request: ExportRequest, folder: str) -> ExportReport:
    """Make an archive in a folder of archives, or a bucket, named after the time of the snapshot.

    ``RefusedError`` if there is another one of that second; ``DamageError`` if anything of it
    cannot be read, and then there is no archive.
    """
    began = run.machine.clock.elapsed()
    if not folder:
        raise UsageError("the folder to export to has an empty name")
    if not is_away(folder):
        place = Path(os.path.normpath(absolute(run.settings.folder, folder)))
        return _export(run, request, place)
    remote = bucket_at(run, folder)
    with room_for_archives(run) as room:
        report = _export(run, request, room)
        send(run, room, report.made, remote)
    return replace(report, folder=remote.url, seconds=run.machine.clock.elapsed() - began)


def _export(run: Run, request: ExportRequest, place: Path) -> ExportReport:
    clock = run.machine.clock
    began = clock.elapsed()
    keys = given_keys(run, request.keys)
    packing = packing_of(run, request.form, request.level, request.jobs)
    with opened_repository(run) as opened:
        one = _Chosen(run, opened, request)
        shape = Shape(
            form=request.databases,
            packing=packing,
            stated=request.form is not None,
            seal=keys.seal,
            unseal=keys.unseal,
        )
        beside = one.plain_files(shape)
        shelf = shelf_at(run, place)
        settle(run, shelf)
        with _begun(shelf, one.listed) as new:
            recipe = Recipe(
                told=one.told(new),
                rename=as_it_is,
                packing=packing,
                seal=keys.seal,
                unseal=keys.unseal,
                beside=beside,
            )
            metadata = make(shelf, new, recipe, one.source(), Around(clock, run.sink))
        return ExportReport(
            snapshot=one.listed,
            path=one.top,
            entries=metadata.entries,
            files=metadata.files,
            bytes=metadata.original_size,
            problems=metadata.problems,
            seconds=clock.elapsed() - began,
            requests=opened.store.traffic().requests,
            id=new,
            folder=str(place),
            metadata=metadata,
        )


def export_stream(run: Run, request: ExportRequest, write: Write) -> ExportReport:
    """Give a tar to ``write``, compressed and sealed if that was asked for.

    ``DamageError`` if anything cannot be read; what was given then has no end.
    """
    clock = run.machine.clock
    began = clock.elapsed()
    keys = given_keys(run, request.keys)
    packing = packing_of(run, request.form or "none", request.level, request.jobs)
    with opened_repository(run) as opened, ExitStack() as stack:
        one = _Chosen(run, opened, request)
        run.sink(PhaseBegan("archive"))
        out = write
        if keys.seal is not None:
            out = stack.enter_context(keys.seal(out))
        out = stack.enter_context(
            compressing(packing.codec, out, level=packing.level, jobs=packing.jobs)
        )
        tar = TarWriter(out)
        tally = write_source(one.source(), tar, sink=run.sink)
        tar.finish()
        stack.close()
        return ExportReport(
            snapshot=one.listed,
            path=one.top,
            entries=tally.entries,
            files=tally.files,
            bytes=tally.size,
            problems=[Missing(_text(found.path), found.cause) for found in tally.problems],
            seconds=clock.elapsed() - began,
            requests=opened.store.traffic().requests,
        )


@contextmanager
def _begun(shelf: Shelf, listed: ListedSnapshot) -> Iterator[ArchiveId]:
    """Hold the folder of an archive; what a run that failed left there goes."""
    stamp = as_utc(listed.snapshot.started_ns).astimezone().strftime(_STAMP)
    new = ArchiveId(stamp)
    if new.failed in shelf.files.names():
        shelf.files.remove_folder(new.failed)
    with ExitStack() as stack:
        try:
            stack.enter_context(shelf.begun(new))
        except TakenError as error:
            raise RefusedError(
                f"there is an archive {new} in {shelf.path} already, and an archive is named after "
                "the time of its snapshot",
                hint="If it is of this snapshot, it need not be made again. Else export to another "
                "folder.",
            ) from error
        yield new


class _Chosen:
    """What is exported: a snapshot, and what of it."""

    def __init__(self, run: Run, opened: Opened, request: ExportRequest) -> None:
        """Find it; ``NotFoundError``, and ``KeyRefusedError`` for a key that does not read."""
        self._run = run
        self._opened = opened
        self._request = request
        repository = opened.repository
        repository.keyring.require_reader()
        self.top = path_in_snapshot(request.path)
        meant = snapshot_to_restore(repository, request.snapshot, all_of_it=not self.top)
        self.listed, self._reader = meant
        warn_of_secrets(run, self.listed, self.top)
        self._is_directory = (
            not self.top or kind_of(self._reader, self.listed, self.top) == EntryKind.DIRECTORY
        )
        if not self._is_directory:
            self._refuse_if_folder_too()
        self._archive = archive_of(repository)
        self._wal: list[NeededWal] = []
        if not request.include and not request.exclude:
            self._wal = needed_wal(self._reader, self.listed, self.top, self._archive)

    def _refuse_if_folder_too(self) -> None:
        """``UsageError`` for a key that is an object, and that others lie below."""
        batches = selected_entries(self._reader, self.listed, self.top, None)
        if len(list(islice(chain.from_iterable(batches), 2))) > 1:
            shown = "/" + os.fsdecode(self.top)
            raise UsageError(
                f"{_printable(shown)} is an object, and there are others below it",
                hint=f"Export these with '{_printable(shown)}/', or all with what it is below.",
            )

    def source(self) -> InspectableSource:
        """Return what takes it from the repository; to be walked once."""
        files = SnapshotSource(self._reader, self.listed, self.top, self._wanted())
        return WithWal(files, self._archive, self._wal) if self._wal else files

    def plain_files(self, shape: Shape) -> PlainFiles:
        """Return what makes the plain files of the databases in it."""
        reader = self._reader
        found = Databases()
        if shape.form is not DatabaseForm.FILES:
            found = chosen_databases(self._opened, reader, self.listed, self.top, self._wanted)
        return PlainFiles(self._run, self._opened, reader, found, shape)

    def _wanted(self) -> Selection | None:
        """Return what decides about entries, in the order of a tree; None for everything."""
        request = self._request
        if not request.include and not request.exclude:
            return None
        roots = [self.top] if self.top else [path.strip(b"/") for path in self._paths()]
        return Selection(roots, request.include, request.exclude)

    def _paths(self) -> list[bytes]:
        return [path for source in self.listed.snapshot.sources for path in source.paths]

    def told(self, new: ArchiveId) -> Metadata:
        """Return the metadata as far as it is known beforehand."""
        system = os.uname()
        machine = self._run.machine
        project, scope = self._scope()
        return Metadata(
            backup_timestamp=str(new),
            project_root=project,
            backup_scope=scope,
            system_info=SystemInfo(
                hostname=machine.host,
                user=machine.user,
                os=system.sysname,
                os_version=system.release,
            ),
            program=f"strongroom {__version__}",
            created=rfc3339(machine.clock.now_ns()),
            snapshot=self._snapshot(),
        )

    def _scope(self) -> tuple[str, tuple[str, ...]]:
        """Return the folder that names are relative to, and what of it the archive holds."""
        if not self.top:
            names = [os.fsdecode(path).strip("/") or "." for path in self._paths()]
            return "/", tuple(map(_printable, checked_scope(names or ["."])))
        if self._is_directory:
            return _printable("/" + os.fsdecode(self.top)), (".",)
        folder, _, name = self.top.rpartition(b"/")
        return _printable("/" + os.fsdecode(folder)), (_printable(os.fsdecode(name)),)

    def _snapshot(self) -> ExportedSnapshot:
        snapshot = self.listed.snapshot
        return ExportedSnapshot(
            id=self.listed.id,
            repository=self._opened.repository.id.hex(),
            host=_text(snapshot.host),
            user=_text(snapshot.user),
            tags=tuple(map(_text, snapshot.tags)),
            started=rfc3339(snapshot.started_ns),
            ended=rfc3339(snapshot.ended_ns),
            program=_text(snapshot.program),
            status=snapshot.status.name.lower(),
            sources=tuple(
                ExportedSource(
                    name=_text(source.name),
                    kind=_text(source.kind),
                    paths=tuple(map(_text, source.paths)),
                    status=Status(source.status).name.lower(),
                    position=b64encode(self._position(source)).decode(),
                )
                for source in snapshot.sources
            ),
            path=_text(b"/" + self.top),
            include=tuple(self._request.include),
            exclude=tuple(self._request.exclude),
        )

    def _position(self, source: SourceRecord) -> bytes:
        """Return the position; that of a base backup says whether its WAL is in the archive."""
        position = needs_wal(source)
        if position is None or not self._wal:
            return source.position
        return msgspec.structs.replace(position, standalone=True).encoded()


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _printable(text: str) -> str:
    return os.fsencode(text).decode("utf-8", "backslashreplace")
