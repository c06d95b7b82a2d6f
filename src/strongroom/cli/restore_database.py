"""``strongroom restore --database``."""

from __future__ import annotations

import click

from strongroom.app.database_restore import (
    DatabasePlan,
    DatabaseReport,
    DatabaseRequest,
    restore_database,
)
from strongroom.app.dumps import DumpRequest
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.confirming import confirm_landing
from strongroom.cli.job import Job, job
from strongroom.cli.quantities import counted, duration, size


def refuse_others(given: bool) -> None:  # noqa: FBT001 - whether there are any
    """Refuse options that are for files."""
    if given:
        raise click.UsageError(
            "a database takes --to-database, --source, --server, --environment, --confirm, "
            "--no-owner and --dry-run"
        )


def run_database(  # noqa: PLR0913 - one for each option
    snapshot: str,
    *,
    database: str | None,
    to_database: str | None,
    source: str | None,
    server: str | None,
    environment: str | None,
    confirm: str | None,
    dry_run: bool,
    no_owner: bool,
) -> int:
    """Restore a database into a new one, or say what that would do."""
    name, path = snapshot_and_path(snapshot)
    if path or not database or not to_database:
        raise click.UsageError(
            "say both: strongroom restore SNAP --database NAME --to-database NEW"
        )
    if server and environment:
        raise click.UsageError("give --environment or --server, not both")
    request = DatabaseRequest(
        dump=DumpRequest(snapshot=name, database=database, source=source or ""),
        name=to_database,
        server=server or "",
        environment=environment or "",
        no_owner=no_owner,
    )
    with job(progress=True) as one:

        def decide(plan: DatabasePlan) -> bool:
            with one.progress.pause():
                _tell_plan(one, plan, dry_run=dry_run)
                if not dry_run:
                    confirm_landing(one, plan.into, confirm)
            return not dry_run

        with one.progress:
            report = restore_database(one.run, request, decide)
        if report is None:
            one.output.line("dry run: nothing was written")
        else:
            _tell(one, report)
    return 0


def _tell_plan(one: Job, plan: DatabasePlan, *, dry_run: bool) -> None:
    record = plan.dump.record
    one.output.record(
        "plan",
        dry_run=dry_run,
        snapshot_id=plan.dump.listed.id,
        database=record.database,
        to_database=plan.name,
        server=plan.place,
        environment=plan.into.name or None,
        server_version=plan.server.version,
        bytes=plan.dump.size,
        tables=len(record.tables),
        lsn=record.lsn,
        time=record.time,
    )
    one.output.line(
        f"snapshot {plan.dump.listed.short_id}: {record.database!r} as of {record.time} "
        f"(LSN {record.lsn}), from PostgreSQL {record.server}"
    )
    one.output.line(
        f"restores {counted(len(record.tables), 'table')}, {size(plan.dump.size)}, into the new "
        f"database {plan.name!r} on {plan.place} (PostgreSQL {plan.server.version}), "
        f"by pg_restore {plan.client}"
    )


def _tell(one: Job, report: DatabaseReport) -> None:
    plan = report.plan
    one.output.record(
        "summary",
        snapshot_id=plan.dump.listed.id,
        database=plan.dump.record.database,
        to_database=plan.name,
        tables=report.tables,
        rows=report.rows,
        total_duration=round(report.seconds, 6),
    )
    one.output.line(
        f"restored {plan.name!r} in {duration(report.seconds)}: {counted(report.tables, 'table')}, "
        f"{counted(report.rows, 'row')}, as many in each as in its dump"
    )
