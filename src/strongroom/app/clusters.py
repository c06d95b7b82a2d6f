"""From what the configuration says of a cluster to a source of base backups."""

from __future__ import annotations

from collections.abc import Sequence

from strongroom.app.databases import connection_of
from strongroom.app.machine import Run
from strongroom.config.postgres import PostgresSettings
from strongroom.operations.clusters import base_backups
from strongroom.repository.repository import Repository
from strongroom.sources.postgres.cluster import ClusterOptions, ClusterSource


def cluster_sources(
    run: Run, wanted: Sequence[PostgresSettings], repository: Repository
) -> list[ClusterSource]:
    """Make the sources; each knows which cluster it saved before."""
    return [_source(run, settings, repository) for settings in wanted]


def _source(run: Run, settings: PostgresSettings, repository: Repository) -> ClusterSource:
    return ClusterSource(
        settings.name,
        connection_of(run, settings),
        ClusterOptions(system=known_system(repository, settings.name)),
        run.machine.clock,
        run.tell,
    )


def known_system(repository: Repository, name: str) -> int | None:
    """Return the cluster that a source saved last; None if it saved none, or we cannot read it."""
    if repository.keyring.only_domain is not None:  # an agent reads no snapshots
        return None
    earlier = base_backups(repository.list_snapshots().found, name)
    return earlier[-1].position.system if earlier else None
