"""Look at the WAL of the repository that the settings name, as a person or a monitor does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.app.wal import source_of
from strongroom.app.walservers import ServerWal, ask_servers
from strongroom.errors import StoreError, UsageError
from strongroom.operations.clusters import base_backups
from strongroom.operations.retention import store_time_ns
from strongroom.operations.wal.reach import Reach, reach_of
from strongroom.operations.wal.survey import Checked, ClusterWal, check, survey
from strongroom.postgres.wal.names import is_segment_size
from strongroom.postgres.wal.pages import Cluster
from strongroom.postgres.wal.ranges import Missing
from strongroom.repository.repository import Repository
from strongroom.repository.walgaps import GapReason, WalGaps
from strongroom.repository.walsources import WalSource, WalSources

__all__ = ["Checked", "ClusterWal", "Missing", "Reach", "ServerWal", "StatusReport", "VerifyReport"]


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The clusters, and what time it is by the store's clock.

    ``reaches``: of each system id the base backups, and how far they can be recovered; an agent
    sees none. ``servers``: what the servers of the configuration say, if they were asked.
    """

    clusters: Sequence[ClusterWal]
    now_ns: int
    reaches: Mapping[int, Sequence[Reach]]
    servers: Sequence[ServerWal] = ()


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was read of each cluster. ``open_gaps``: on record, and no base backup began after."""

    checked: Sequence[tuple[ClusterWal, Checked]]
    open_gaps: Sequence[tuple[ClusterWal, Missing]]
    seconds: float


def wal_status(
    run: Run, source: str | None, *, give_up: bool = False, servers: bool = False
) -> StatusReport:
    """Look at the WAL of all clusters, or of one source.

    With ``give_up`` what is missing in the middle now is put on record as never to come;
    ``servers``: ask these as well.
    """
    with opened_repository(run) as opened:
        repository = opened.repository
        if give_up:
            _give_up(run, repository, source)
        found = survey(repository, source, _killed(repository))
        try:
            now_ns = store_time_ns(repository)
        except StoreError:  # a store that may only be read need not tell its time
            now_ns = run.machine.clock.now_ns()
        reaches = _reaches(repository, found)
    asked = ask_servers(run, source, found, now_ns) if servers else []
    return StatusReport(found, now_ns, reaches, asked)


def _reaches(repository: Repository, found: Sequence[ClusterWal]) -> dict[int, list[Reach]]:
    if repository.keyring.only_domain is not None:
        return {}
    snapshots = repository.snapshots()
    return {
        one.cluster.system_id: [
            reach
            for name in one.sources
            for reach in reach_of(
                one.extent, base_backups(snapshots, name), one.cluster.system_id, one.stored
            )
        ]
        for one in found
    }


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
        found = survey(repository, source, _killed(repository))
        checked = [(one, check(repository, one, first, last)) for one in found]
        open_gaps = _without_backup(repository, checked)
    return VerifyReport(checked, open_gaps, run.machine.clock.elapsed() - began)


def _killed(repository: Repository) -> frozenset[str]:
    return repository.read_history().runs.absent().killed_wal


def _give_up(run: Run, repository: Repository, source: str | None) -> None:
    for one in survey(repository, source, _killed(repository)):
        for gap in one.gaps:
            if one.record_of(gap) is None:
                WalGaps(repository).record(one.cluster, gap, GapReason.GIVEN_UP)
                size = one.cluster.segment_size
                run.tell(f"on record now as a gap that stays: {gap.text(size)}")


def _without_backup(
    repository: Repository, checked: Sequence[tuple[ClusterWal, Checked]]
) -> list[tuple[ClusterWal, Missing]]:
    """Return the gaps on record after which no base backup began on their timeline yet."""
    found = []
    snapshots = repository.snapshots() if any(one.known for _, one in checked) else []
    for cluster, one in checked:
        begins = [
            backup.position
            for name in cluster.sources
            for backup in base_backups(snapshots, name)
            if backup.position.system == cluster.cluster.system_id
        ]
        found += [
            (cluster, gap)
            for gap in one.known
            if not any(
                begin.first_segment > gap.last and _leads_to(cluster, gap.timeline, begin.timeline)
                for begin in begins
            )
        ]
    return found


def _leads_to(cluster: ClusterWal, timeline: int, later: int) -> bool:
    return any(step == timeline for step, _, _ in cluster.extent.path(later))


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
