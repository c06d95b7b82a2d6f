"""From what the configuration says of a cluster to a source of base backups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from strongroom.app.databases import connection_of
from strongroom.app.machine import Run
from strongroom.config.postgres import PostgresSettings
from strongroom.model.events import PhaseBegan
from strongroom.operations.clusters import WalInSession
from strongroom.postgres.wal.pages import Cluster
from strongroom.repository.repository import Repository
from strongroom.repository.session import BackupSession
from strongroom.repository.wal import archive_of
from strongroom.repository.walsources import WalSources
from strongroom.sources.postgres.cluster import ClusterOptions, ClusterSource


class ClusterInSession(NamedTuple):
    """A source, and what is to be told of the session that it is saved into."""

    source: ClusterSource
    begins: Callable[[BackupSession], None]


def cluster_sources(
    run: Run, wanted: Sequence[PostgresSettings], repository: Repository
) -> list[ClusterInSession]:
    """Make the sources; each is one cluster for ever, which the repository knows."""
    return [_source(run, settings, repository) for settings in wanted]


def _source(run: Run, settings: PostgresSettings, repository: Repository) -> ClusterInSession:
    physical = settings.physical
    wal = WalInSession(archive_of(repository), run.machine.clock)

    def accept(system: int, segment_size: int) -> None:
        WalSources(repository).register(settings.name, Cluster(system, segment_size))

    waits = physical is not None and not physical.with_wal
    seconds = physical.wait if physical is not None else 0
    source = ClusterSource(
        settings.name,
        connection_of(run, settings),
        ClusterOptions(
            accept=accept,
            expect=lambda size: run.sink(PhaseBegan("backup", 0, size)),
            began=wal.began,
            await_wal=(lambda position: wal.wait(position, seconds)) if waits else None,
        ),
        run.machine.clock,
        run.tell,
    )
    return ClusterInSession(source, wal.begins)
