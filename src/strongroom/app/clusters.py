"""From what the configuration says of a cluster to a source of base backups."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.app.databases import connection_of
from strongroom.app.machine import Run
from strongroom.config.postgres import PostgresSettings
from strongroom.model.events import PhaseBegan
from strongroom.operations.clusters import wait_for_segments
from strongroom.postgres.cluster import Position
from strongroom.postgres.wal.pages import Cluster
from strongroom.repository.repository import Repository
from strongroom.repository.wal import archive_of
from strongroom.repository.walsources import WalSources
from strongroom.sources.postgres.cluster import ClusterOptions, ClusterSource


def cluster_sources(
    run: Run, wanted: Sequence[PostgresSettings], repository: Repository
) -> list[ClusterSource]:
    """Make the sources; each is one cluster for ever, which the repository knows."""
    return [_source(run, settings, repository) for settings in wanted]


def _source(run: Run, settings: PostgresSettings, repository: Repository) -> ClusterSource:
    physical = settings.physical

    def await_wal(position: Position) -> None:
        wait_for_segments(
            archive_of(repository), position, physical.wait if physical else 0, run.machine.clock
        )

    def accept(system: int, segment_size: int) -> None:
        WalSources(repository).register(settings.name, Cluster(system, segment_size))

    waits = physical is not None and not physical.with_wal
    return ClusterSource(
        settings.name,
        connection_of(run, settings),
        ClusterOptions(
            accept=accept,
            expect=lambda size: run.sink(PhaseBegan("backup", 0, size)),
            await_wal=await_wal if waits else None,
        ),
        run.machine.clock,
        run.tell,
    )
