"""What the servers of the configuration say of their WAL, beside what the repository has of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.app.databases import connection_of
from strongroom.app.machine import Run
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import StrongroomError
from strongroom.operations.wal.lag import Lag, lag_of
from strongroom.operations.wal.survey import ClusterWal
from strongroom.postgres.clusterfacts import ClusterFacts, cluster_facts
from strongroom.postgres.wire import connected

__all__ = ["ClusterFacts", "Lag", "ServerWal", "ask_servers"]

_NOTHING: Final = Lag(None, None)


@dataclass(frozen=True, slots=True)
class ServerWal:
    """A server; ``error`` says why nothing is known of it."""

    source: str
    facts: ClusterFacts | None
    lag: Lag = _NOTHING
    error: str = ""


def ask_servers(
    run: Run, source: str | None, found: Sequence[ClusterWal], now_ns: int
) -> list[ServerWal]:
    """Ask the server of each source whose WAL is saved, or that has base backups."""
    known = {name for one in found for name in one.sources}
    return [
        _ask(run, settings, found, now_ns)
        for name, settings in run.settings.databases.items()
        if source in {None, name} and (name in known or settings.physical is not None)
    ]


def _ask(
    run: Run, settings: PostgresSettings, found: Sequence[ClusterWal], now_ns: int
) -> ServerWal:
    try:
        with connected(connection_of(run, settings)) as wire:
            facts = cluster_facts(wire)
    except StrongroomError as error:
        return ServerWal(settings.name, None, error=error.message)
    for one in found:
        if one.cluster.system_id == facts.system:
            return ServerWal(settings.name, facts, lag_of(one, facts.timeline, facts.lsn, now_ns))
    return ServerWal(settings.name, facts)
