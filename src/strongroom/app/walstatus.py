"""Look at the WAL of the repository that the settings name, as a person or a monitor does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.app.wal import source_of
from strongroom.errors import UsageError
from strongroom.operations.retention import store_time_ns
from strongroom.operations.wal.survey import Checked, ClusterWal, check, survey
from strongroom.postgres.wal.names import is_segment_size
from strongroom.postgres.wal.pages import Cluster
from strongroom.repository.wal import archive_of
from strongroom.repository.walsources import WalSource, WalSources

__all__ = ["Checked", "ClusterWal", "StatusReport", "VerifyReport"]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The clusters, and what time it is by the store's clock."""

    clusters: Sequence[ClusterWal]
    now_ns: int


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was read of each cluster."""

    checked: Sequence[tuple[ClusterWal, Checked]]
    seconds: float


def wal_status(run: Run, source: str | None) -> StatusReport:
    """Look at the WAL of all clusters, or of one source."""
    with opened_repository(run) as opened:
        repository = opened.repository
        found = survey(archive_of(repository), WalSources(repository), source)
        return StatusReport(found, store_time_ns(repository))


def wal_verify(run: Run, source: str | None, first: str | None, last: str | None) -> VerifyReport:
    """Read the WAL of all clusters, or of one source, or of it what lies between two names."""
    if (first or last) and source is None:
        raise UsageError(
            "--from and --to are of one source", hint="Name it: wal verify db --from …"
        )
    began = run.machine.clock.elapsed()
    with opened_repository(run) as opened:
        repository = opened.repository
        repository.keyring.require_reader()
        found = survey(archive_of(repository), WalSources(repository), source)
        checked = [(one, check(repository, one, first, last)) for one in found]
    return VerifyReport(checked, run.machine.clock.elapsed() - began)


def accept_cluster(run: Run, source: str | None, system_id: int, segment_size: int) -> WalSource:
    """Say that a source is another cluster from now on."""
    if not is_segment_size(segment_size):
        raise UsageError(
            f"segments have no {segment_size} bytes",
            hint="'SHOW wal_segment_size' says how many: a power of two from 1M to 1G.",
        )
    name = source_of(run, source)
    with opened_repository(run) as opened:
        return WalSources(opened.repository).replace(name, Cluster(system_id, segment_size))
