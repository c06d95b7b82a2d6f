"""Back up what is named into the repository that the settings name."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from strongroom import __version__
from strongroom.app.awsconfig import source_of as configuration_of
from strongroom.app.clusters import cluster_sources
from strongroom.app.databases import opened_databases
from strongroom.app.documents import Ahead, opened_documents
from strongroom.app.environments import FILES, series_of
from strongroom.app.folders import state_of, sweep_folders, walks_of
from strongroom.app.machine import Run
from strongroom.app.naming import named_sources
from strongroom.app.opening import opened_repository
from strongroom.app.rds import records_of
from strongroom.app.retention import apply_configured
from strongroom.app.sources import Excludes, NamedSource, opened_sources
from strongroom.app.stores import opened_store
from strongroom.app.streams import StreamRequest, stream_source
from strongroom.app.unlocking import known_config
from strongroom.errors import StoreError, StrongroomError, UsageError
from strongroom.model.events import PhaseBegan, ignore
from strongroom.model.snapshot import ListedSnapshot
from strongroom.model.source import Item, Problem
from strongroom.operations.anomalies import Anomaly
from strongroom.operations.backup import (
    BackupResult,
    Circumstances,
    Planned,
    PlannedArrivals,
    PlannedSource,
    back_up,
)
from strongroom.operations.estimate import estimate
from strongroom.operations.manifests import write_manifest
from strongroom.repository.repository import Repository
from strongroom.storage.local import LocalStore


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """What the command line says; ``host`` is empty for this machine's name.

    With a ``stream``, that alone is saved, and ``names`` and ``excludes`` are not looked at.
    ``environment`` and ``type``: what the snapshot says it is of, as ``meant_by`` read the words.
    ``allow_vanished``: a bucket may have lost as much as it will.
    """

    names: Sequence[str] = ()
    tags: Sequence[str] = ()
    excludes: Excludes = field(default_factory=Excludes)
    host: str = ""
    stream: StreamRequest | None = None
    compression_level: int | None = None
    environment: str = ""
    type: str = ""
    allow_vanished: bool = False


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup came to; sizes in bytes.

    ``data_added`` is the plaintext that was new, ``data_added_packed`` what it takes in the store;
    ``changed`` entries are those that the last backup knew as something else; without its memory
    all are ``new``. ``reads``: whether the same key can restore it. ``forgotten`` snapshots are
    those that the configured policy did not keep.
    """

    snapshot: ListedSnapshot
    files: int
    directories: int
    entries: int
    bytes: int
    new: int
    changed: int
    unchanged: int
    anomalies: Sequence[Anomaly]
    bytes_read: int
    chunks_added: int
    data_added: int
    data_added_packed: int
    problems: Sequence[Problem]
    seconds: float
    requests: int
    reads: bool
    forgotten: int


@dataclass(frozen=True, slots=True)
class BackupEstimate:
    """What a backup would do; sizes in bytes."""

    entries: int
    bytes: int
    new: int
    changed: int
    unchanged: int
    bytes_to_read: int
    problems: Sequence[Problem]


def backup(run: Run, request: BackupRequest, *, totals: bool) -> BackupReport:
    """Back up, then forget what the configuration does not keep.

    With ``totals`` a second walk runs ahead, so that progress knows its end.
    """
    run.settings.retention.policy()  # what makes no sense is said before anything is done
    kind = request.type or FILES
    ahead = Ahead(run, [] if request.stream else named_sources(run, request.names).documents)
    with opened_repository(run) as opened:
        repository = opened.repository
        folder = opened.store.folder
        inside = folder.url if folder is not None else None
        if folder is not None:
            _sweep(run, folder)
        with (
            _planned(run, request, inside, repository, ahead) as planned,
            _totals(run, request, inside, wanted=totals and request.stream is None),
        ):
            result = back_up(
                repository,
                planned,
                Circumstances(
                    host=request.host or run.machine.host,
                    user=run.machine.user,
                    program=f"strongroom {__version__}",
                    tags=request.tags,
                    environment=request.environment,
                    type=kind,
                    level=request.compression_level,
                    series=series_of(run.settings, request.environment, kind),
                ),
                walks_of(run, repository.id),
            )
        sweep_folders(run)
        if request.environment and run.settings.environments[request.environment].manifests:
            _tell_people(run, repository, request.environment, result)
        forgotten = _forgotten(run, repository, result.snapshot)
        tallies, written = result.tallies, result.written
        return BackupReport(
            snapshot=result.snapshot,
            files=sum(t.files for t in tallies),
            directories=sum(t.directories for t in tallies),
            entries=sum(t.entries for t in tallies),
            bytes=sum(t.bytes for t in tallies),
            new=max(sum(t.new for t in tallies) - result.changed, 0),
            changed=result.changed,
            unchanged=sum(t.unchanged for t in tallies),
            anomalies=result.anomalies,
            bytes_read=sum(t.bytes_read for t in tallies),
            chunks_added=written.chunks,
            data_added=written.plain_bytes,
            data_added_packed=written.stored_bytes,
            problems=result.problems,
            seconds=result.seconds,
            requests=opened.store.traffic().requests,
            reads=repository.keyring.only_domain is None,
            forgotten=forgotten,
        )


def _tell_people(run: Run, repository: Repository, environment: str, result: BackupResult) -> None:
    """Put manifest and list; the backup is done, and fails by nothing any more."""
    if not repository.keyring.is_full:
        return
    try:
        write_manifest(repository, result)
    except StrongroomError as error:
        off = f"manifests = false in [environments.{environment}] does without"
        run.warn(f"the backup is done, but not its manifests ({off}): {error.message}")


def _forgotten(run: Run, repository: Repository, made: ListedSnapshot) -> int:
    """Apply the configured retention; the backup is done, and fails by nothing any more."""
    try:
        return apply_configured(run, repository, made)
    except StrongroomError as error:
        run.warn(f"nothing was forgotten: {error.message}")
        return 0


def estimate_backup(
    run: Run, request: BackupRequest, tell: Callable[[Item], None] | None = None
) -> BackupEstimate:
    """Walk and compare with what this host remembers; needs no key and writes nothing."""
    with opened_store(run) as store:
        config = known_config(store.store, state_of(run))
        folder = store.folder.url if store.folder is not None else None
        walks = walks_of(run, config.repository_id)
        run.sink(PhaseBegan("look"))
        named = named_sources(run, request.names)
        if named.databases:
            raise UsageError(
                f"a dry run cannot say what a backup of '{named.databases[0].name}' will be",
                hint="Name the other sources: strongroom backup NAME --dry-run.",
            )
        ahead = Ahead(run, named.documents)
        with (
            opened_sources(run, named.files, request.excludes, folder) as sources,
            opened_documents(run, named.documents, ahead, allow_vanished=True) as documents,
        ):
            found = [estimate(one.source, walks, tell) for one in sources]
            found += [estimate(one.source, walks, tell, one.order) for one in documents]
            found += [
                estimate(configuration_of(run, one), walks, tell) for one in named.configurations
            ]
    return BackupEstimate(
        entries=sum(one.entries for one in found),
        bytes=sum(one.bytes for one in found),
        new=sum(one.new for one in found),
        changed=sum(one.changed for one in found),
        unchanged=sum(one.unchanged for one in found),
        bytes_to_read=sum(one.bytes_to_read for one in found),
        problems=[problem for one in found for problem in one.problems],
    )


@contextmanager
def _planned(
    run: Run, request: BackupRequest, folder: str | None, repository: Repository, ahead: Ahead
) -> Iterator[list[Planned]]:
    if request.stream is not None:
        yield [stream_source(run, request.stream)]
        return
    named = named_sources(run, request.names)
    with (
        opened_sources(run, named.files, request.excludes, folder) as sources,
        opened_databases(run, [one for one in named.databases if one.logical]) as servers,
        opened_documents(
            run, named.documents, ahead, allow_vanished=request.allow_vanished
        ) as documents,
    ):
        physical = [one for one in named.databases if one.physical]
        clusters = cluster_sources(run, physical, repository) if physical else []
        configurations = [configuration_of(run, one) for one in named.configurations]
        yield [
            *(PlannedSource(one.source, one.paths) for one in sources),
            *(PlannedArrivals(one, [b"/" + one.top]) for one in servers),
            *(
                PlannedArrivals(
                    one.source, [b"/" + one.source.top], one.source.position, one.begins
                )
                for one in clusters
            ),
            *documents,
            *(PlannedSource(one, [b"/" + one.top]) for one in configurations),
            *records_of(run, named.databases),
        ]


@contextmanager
def _totals(
    run: Run, request: BackupRequest, folder: str | None, *, wanted: bool
) -> Iterator[None]:
    """Count in a thread what there is to do, and tell it once it is known."""
    if not wanted:
        yield
        return
    named = named_sources(run, request.names)
    if named.databases or named.documents or named.configurations:
        # nobody knows, or a listing would have to be paid twice
        yield
        return
    quiet = Run(run.settings, run.machine, ignore)
    ended = threading.Event()

    def count() -> None:
        with (
            contextlib.suppress(StrongroomError, OSError),
            opened_sources(quiet, named.files, request.excludes, folder) as sources,
        ):
            entries, size = 0, 0
            for items in _walked(sources):
                if ended.is_set():
                    return
                entries += len(items)
                size += sum(item.size for item in items)
            run.sink(PhaseBegan("backup", entries, size))

    thread = threading.Thread(target=count, name="totals")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _walked(sources: Sequence[NamedSource]) -> Iterator[Sequence[Item]]:
    for one in sources:
        yield from one.source.walk(lambda _problem: None)


def _sweep(run: Run, folder: LocalStore) -> None:
    """Remove what killed runs left behind; a backup does not depend on it."""
    try:
        folder.sweep()
    except StoreError as error:
        run.warn(f"temporary files of killed runs stay: {error.message}")
