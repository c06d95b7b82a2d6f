"""From what the configuration says of RDS to its status, snapshots, copies, and its record."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from strongroom.app.machine import Run
from strongroom.aws.clients import Clients
from strongroom.aws.rds.record import KIND, Record, settings_path
from strongroom.aws.rds.service import Rds
from strongroom.aws.rds.window import Window
from strongroom.config.environments import environment_of
from strongroom.config.postgres import PostgresSettings
from strongroom.config.rds import RdsSettings
from strongroom.errors import NotFoundError, UsageError
from strongroom.operations.backup import PlannedArrivals
from strongroom.operations.rds.snapshots import (
    CopyPlan,
    Snapshots,
    Taken,
    copy_plan,
    default_name,
    is_manual,
    name_of,
    refuse_name,
)
from strongroom.operations.rds.status import Finding, Status, findings
from strongroom.sources.rds.source import RecordsSource

__all__ = [
    "CopyPlan",
    "CopyRequest",
    "Finding",
    "Status",
    "Taken",
    "Window",
    "copy_snapshot",
    "is_manual",
    "name_of",
    "rds_status",
    "take_snapshot",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """Which snapshot goes where; empty: the newest, under the same name, without a key."""

    region: str
    snapshot: str = ""
    name: str = ""
    kms_key: str = ""


def rds_source(run: Run, name: str) -> tuple[PostgresSettings, RdsSettings]:
    """Return a source that is of RDS; ``UsageError`` if there is none of this name."""
    known = {one.name: one for one in run.settings.databases.values() if one.rds is not None}
    found = known.get(name)
    if found is None or found.rds is None:
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"Did you mean '{near[0]}'? " if near else ""
        raise UsageError(
            f"no source of RDS is called '{name}' (known: {', '.join(known) or 'none'})",
            hint=f'{guess}Say in the source which it is: rds = {{ instance = "NAME" }}.',
        )
    return found, found.rds


def clients_of(run: Run, source: str) -> Clients:
    """Return the clients of the account that a source belongs to."""
    return Clients(run.settings.account_in(environment_of(source)))


def rds_status(run: Run, name: str) -> Status:
    """Look at the instance or cluster of a source; ``NotFoundError`` if there is nothing left."""
    _, settings = rds_source(run, name)
    rds = Rds(clients_of(run, name))
    kind, identifier = settings.kind, settings.identifier
    record = rds.record(kind, identifier)
    windows = rds.windows(kind, identifier)
    snapshots = rds.snapshots(kind, identifier)
    if record is None:
        raise _gone(settings, windows, snapshots)
    maintenance = rds.maintenance(record.arn)
    now_ns = run.machine.clock.now_ns()
    found = findings(record, windows, snapshots, maintenance, now_ns)
    return Status(record, windows, snapshots, maintenance, found)


def take_snapshot(run: Run, source: str, name: str) -> Taken:
    """Make a snapshot and wait for it; an empty name is one with the time in it."""
    _, settings = rds_source(run, source)
    called = name or default_name(settings.identifier, run.machine.clock.now_ns())
    refuse_name(called)
    rds = Rds(clients_of(run, source))
    record = rds.record(settings.kind, settings.identifier)
    if record is None:
        raise _gone(settings, rds.windows(settings.kind, settings.identifier), ())
    return Snapshots(rds, run.machine.clock, run.tell, source).take(record, called)


def copy_snapshot(run: Run, source: str, request: CopyRequest) -> tuple[CopyPlan, Taken]:
    """Copy a snapshot into another region, wait for it, and compare it."""
    _, settings = rds_source(run, source)
    if request.name:
        refuse_name(request.name)
    clients = clients_of(run, source)
    rds = Rds(clients)
    if rds.region == request.region:
        raise UsageError(
            f"the snapshots of '{source}' are in {request.region} already",
            hint="Name another region with --to-region.",
        )
    plan = copy_plan(
        rds.snapshots(settings.kind, settings.identifier),
        settings.kind,
        request.snapshot,
        region=request.region,
        name=request.name,
        kms_key=request.kms_key,
    )
    copier = Snapshots(rds, run.machine.clock, run.tell, source)
    return plan, copier.copy(plan, Rds(clients, request.region))


def records_of(run: Run, wanted: Sequence[PostgresSettings]) -> list[PlannedArrivals]:
    """Return what a backup saves of the settings in AWS of these sources."""
    return [_planned(run, one, one.rds) for one in wanted if one.rds is not None]


def _planned(run: Run, settings: PostgresSettings, of: RdsSettings) -> PlannedArrivals:
    path = settings_path(settings.name)

    def files() -> Mapping[str, bytes]:
        return {path: known_record(run, settings.name, of).encoded()}

    source = RecordsSource(
        KIND, settings.name, files, run.machine.clock, needed=not settings.logical
    )
    return PlannedArrivals(source, [f"/{KIND}/{settings.name}".encode()])


def known_record(run: Run, source: str, of: RdsSettings) -> Record:
    """Return the record of what is there now; ``NotFoundError`` if there is nothing."""
    record = Rds(clients_of(run, source)).record(of.kind, of.identifier)
    if record is None:
        raise _gone(of, (), ())
    return record


def _gone(
    settings: RdsSettings, windows: Sequence[Window], snapshots: Sequence[Mapping[str, object]]
) -> NotFoundError:
    left = [f"{len(snapshots)} snapshot(s)"] if snapshots else []
    left += ["automated backups"] if windows else []
    there = f"Of an earlier one there are {' and '.join(left)}. " if left else ""
    return NotFoundError(
        f"there is no {settings.kind} {settings.identifier}",
        hint=f"{there}Look at its name, the account and the region.",
    )
