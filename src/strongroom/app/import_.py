"""From an archive, wherever it is from, to a snapshot."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from strongroom import __version__
from strongroom.app.archives.away import brought, is_away
from strongroom.app.archives.keys import GivenKeys, given_keys
from strongroom.app.archives.place import access_of, shelf_at
from strongroom.app.foreign_dumps import dump_folder, dump_stream, is_dump, is_dump_folder
from strongroom.app.import_parts import ARCHIVE, ROOT, cluster_of, parts_of
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.app.sources import absolute
from strongroom.archive.detecting import tar_in, unsealed
from strongroom.archive.files import Files
from strongroom.archive.metadata import ExportedSnapshot, Metadata
from strongroom.archive.naming import archive_id
from strongroom.archive.shelf import Shelf, Shelved, State
from strongroom.archive.tarinput import Readable
from strongroom.errors import DamageError, KeyRefusedError, NotFoundError, SourceError, UsageError
from strongroom.model.fs import Fs
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.source import Problem
from strongroom.operations.archives.contents import Unseal
from strongroom.operations.archives.incoming import deliver, deliver_tar
from strongroom.operations.backup import Circumstances
from strongroom.operations.import_ import Arrival, Part, import_archive
from strongroom.repository.walsources import WalSources
from strongroom.system.causes import cause_of

STANDARD_INPUT: Final = "-"
_LATEST: Final = "latest"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What the command line says. ``what``: a folder of an archive, a file, or ``-``.

    ``host`` and ``name`` are empty where the archive says them; ``tags`` are added to its own.
    """

    what: str
    tags: Sequence[str] = ()
    host: str = ""
    name: str = ""
    keys: GivenKeys = field(default_factory=GivenKeys)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import came to; sizes in bytes, see ``BackupReport``. ``archives`` were read."""

    snapshot: ListedSnapshot
    entries: int
    files: int
    directories: int
    bytes: int
    bytes_read: int
    data_added: int
    data_added_packed: int
    problems: Sequence[Problem]
    verified: bool
    read_by: str
    seconds: float
    requests: int


class _Coming(NamedTuple):
    """An archive that can be read, and what it says of itself.

    ``verified``: whether what it should hold is known from elsewhere than its own bytes;
    ``read_by``: the program that read all of it.
    """

    arrival: Arrival
    host: str = ""
    user: str = ""
    tags: Sequence[str] = ()
    when: tuple[int, int] | None = None
    verified: bool = False
    read_by: str = ""


def import_one(run: Run, request: ImportRequest) -> ImportReport:
    """Make a snapshot of an archive; nothing is committed unless it is all that it must be."""
    unseal = given_keys(run, request.keys).unseal
    with _coming(run, request, unseal) as coming, opened_repository(run) as opened:
        machine = run.machine
        circumstances = Circumstances(
            host=request.host or coming.host or machine.host,
            user=coming.user or machine.user,
            program=f"strongroom {__version__}",
            tags=tuple(dict.fromkeys([*coming.tags, *request.tags])),
            when=coming.when,
        )
        sources = WalSources(opened.repository)
        clusters = [(part.name, cluster_of(part)) for part in coming.arrival.parts]
        for name, cluster in clusters:  # 'recover' would take it for the one that has the name
            if cluster is not None:
                sources.refuse_other(name, cluster)
        result = import_archive(opened.repository, coming.arrival, circumstances)
        for name, cluster in clusters:
            if cluster is not None:
                sources.register(name, cluster)
        tallies = result.tallies
        return ImportReport(
            snapshot=result.snapshot,
            entries=sum(tally.entries for tally in tallies),
            files=sum(tally.files for tally in tallies),
            directories=sum(tally.directories for tally in tallies),
            bytes=sum(tally.bytes for tally in tallies),
            bytes_read=sum(tally.bytes_read for tally in tallies),
            data_added=result.written.plain_bytes,
            data_added_packed=result.written.stored_bytes,
            problems=result.problems,
            verified=coming.verified,
            read_by=coming.read_by,
            seconds=result.seconds,
            requests=opened.store.traffic().requests,
        )


@contextmanager
def _coming(run: Run, request: ImportRequest, unseal: Unseal | None) -> Iterator[_Coming]:
    """Find what is to be imported, and hold it open."""
    if request.what == STANDARD_INPUT:
        stream = _StandardInput(run.machine.fs)
        with _of_anybody(run, stream, request, unseal, ("standard input", "stdin")) as coming:
            yield coming
        return
    if is_away(request.what):
        with brought(run, request.what) as here, _coming_from(run, here, request, unseal) as coming:
            yield coming
        return
    path = Path(os.path.normpath(absolute(run.settings.folder, request.what)))
    with _coming_from(run, path, request, unseal) as coming:
        yield coming


@contextmanager
def _coming_from(
    run: Run, path: Path, request: ImportRequest, unseal: Unseal | None
) -> Iterator[_Coming]:
    if is_dump_folder(path):
        with dump_folder(run, path, request.name) as dump:
            yield _Coming(dump.arrival, when=dump.when, read_by=dump.read_by)
        return
    found = _shelved(run, path)
    if found is not None:
        yield _of_shelf(*found, request, unseal)
        return
    real = Path(os.path.realpath(path))
    if not real.is_file():
        raise UsageError(f"{path} is no file", hint="Pipe it in: strongroom import - < FILE")
    files = Files(run.machine.fs, os.fsencode(real.parent), access_of(run))
    names = str(path), path.name.partition(".")[0] or path.name
    with (
        files.reading(real.name) as file,
        _of_anybody(run, file, request, unseal, names) as coming,
    ):
        yield coming


@contextmanager
def _of_anybody(
    run: Run,
    stream: Readable,
    request: ImportRequest,
    unseal: Unseal | None,
    names: tuple[str, str],
) -> Iterator[_Coming]:
    """Find out what a stream is: a dump of a database, or else a tar; ``names``: it, its source."""
    shown, name = names
    with unsealed(stream, unseal, shown) as plain:
        if is_dump(plain.head):
            with dump_stream(run, plain.read, shown, request.name) as dump:
                yield _Coming(dump.arrival, when=dump.when, read_by=dump.read_by)
            return
        members = deliver_tar(tar_in(plain, shown))
        yield _Coming(Arrival([Part(request.name or name, ARCHIVE, ROOT)], members))


def _shelved(run: Run, path: Path) -> tuple[Shelf, Shelved] | None:
    """Return the archive that a path means, its folder or its file; None for a file of anybody."""
    if path.is_dir() or path.name == _LATEST:
        if archive_id(path.name) is None and path.name != _LATEST:
            raise UsageError(
                f"{path} is a folder, and no archive",
                hint=f"Name one that is in it: {path}/20241219_143022, or {path}/latest. What is "
                "no archive is saved by 'strongroom backup'.",
            )
        shelf = shelf_at(run, path.parent)
        return shelf, shelf.find(path.name)
    if not path.exists():
        raise NotFoundError(
            f"there is no {path}", hint="Name the folder of an archive, or an archive file."
        )
    inside = archive_id(path.parent.name)
    if inside is not None and inside.is_archive(path.name):
        shelf = shelf_at(run, path.parent.parent)
        return shelf, shelf.find(path.parent.name)
    return None


def _of_shelf(shelf: Shelf, one: Shelved, request: ImportRequest, unseal: Unseal | None) -> _Coming:
    metadata = one.metadata
    # what a verification noted may be of a plain file; all of the tar is compared here anyway
    if metadata is None or (one.state is State.DAMAGED and not one.marked):
        raise DamageError(f"the archive {one.id} is damaged: {one.why}", hint="Import another one.")
    if metadata.encrypted and unseal is None:
        raise KeyRefusedError(
            f"the archive {one.id} is encrypted, and no key was given",
            hint="Give the key file that it was made with, or an age identity: "
            "--archive-key-file FILE.",
        )
    members = deliver(shelf, one, unseal)
    problems = [Problem(_bytes(found.path), found.cause) for found in metadata.problems]
    snapshot = metadata.snapshot
    exported = snapshot if isinstance(snapshot, ExportedSnapshot) else None
    if exported is None:
        name = request.name or metadata.project_root or str(one.id)
        parts, below = [Part(name, ARCHIVE, ROOT)], b""
    else:
        parts, below = parts_of(exported, metadata.backup_scope, request.name)
    return _Coming(
        Arrival(parts, members, problems, metadata.entries, metadata.original_size, below),
        host=exported.host if exported is not None else metadata.system_info.hostname,
        user=exported.user if exported is not None else metadata.system_info.user,
        tags=exported.tags if exported is not None else (),
        when=_when(one, metadata, exported),
        verified=metadata.is_ours or bool(metadata.sha256),
    )


def _when(
    one: Shelved, metadata: Metadata, snapshot: ExportedSnapshot | None
) -> tuple[int, int] | None:
    """Return when it was captured, in nanoseconds since 1970; None where nobody says."""
    texts = (snapshot.started, snapshot.ended) if snapshot is not None else (metadata.created,) * 2
    if not all(texts):
        return None
    try:
        times = [datetime.fromisoformat(text) - _EPOCH for text in texts]
        began, ended = (time // timedelta(microseconds=1) * 1000 for time in times)
    except (ValueError, TypeError, OverflowError) as error:
        raise DamageError(f"the metadata of {one.id} states no time: {error}") from error
    return max(began, 0), max(ended, 0)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


class _StandardInput:
    """What is piped into this process, as a ``Readable``."""

    def __init__(self, fs: Fs) -> None:
        self._fs = fs

    def read(self, size: int, /) -> bytes:
        """See ``Readable``."""
        try:
            return self._fs.read(0, size)
        except OSError as error:
            raise SourceError(f"cannot read standard input: {cause_of(error)}") from error
