"""``strongroom restore --database``."""

from __future__ import annotations

import shlex
from typing import Final

import click

from strongroom.app.database_globals import GlobalsRequest
from strongroom.app.database_restore import (
    DatabasePlan,
    DatabaseReport,
    DatabaseRequest,
    restore_database,
)
from strongroom.app.dumps import DumpRequest
from strongroom.cli.arguments import snapshot_and_path
from strongroom.cli.consent import Consent, agreed, landed
from strongroom.cli.job import Job, job
from strongroom.cli.quantities import counted, duration, size
from strongroom.cli.restore_globals import run_globals
from strongroom.cli.restore_options import Database
from strongroom.cli.restore_undo import Where, run_swap
from strongroom.errors import RefusedError

_MOST_SHOWN: Final = 20


def run_database(snapshot: str | None, said: Database) -> int:
    """Restore a database, a part of one, or roles; or undo that; or say what would be done."""
    _refuse_together(snapshot, said)
    if said.undo or said.resume:
        where = Where(said.source or "", said.server or "", said.environment or "")
        return run_swap(
            said.database or "", where, said.consent, back=said.undo, dry_run=said.dry_run
        )
    name, path = snapshot_and_path(snapshot or "")
    if said.globals_ and not path:
        request = GlobalsRequest(
            snapshot=name,
            source=said.source or "",
            server=said.server or "",
            environment=said.environment or "",
        )
        return run_globals(request, said.consent, dry_run=said.dry_run)
    if path or not name or not said.database:
        raise click.UsageError("say both: strongroom restore SNAP --database NAME")
    return _restore(name, said.database, said)


def _refuse_together(snapshot: str | None, said: Database) -> None:
    """Refuse what makes no sense together."""
    alone = [
        name
        for name, given in (
            ("--undo", said.undo),
            ("--resume", said.resume),
            ("--globals", said.globals_),
            ("--replace", said.replace),
            ("--table and --schema", said.partial),
        )
        if given
    ]
    if len(alone) > 1:
        raise click.UsageError(f"{alone[0]} does not go with {alone[1]}")
    if said.server and said.environment:
        raise click.UsageError("give --environment or --server, not both")
    swaps = said.undo or said.resume
    if swaps and (snapshot or said.to_database or said.no_owner or not said.database):
        raise click.UsageError(
            f"{alone[0]} takes no snapshot: strongroom restore --database NAME {alone[0]} "
            "[--server SOURCE]"
        )
    if said.globals_ and (said.database or said.to_database or said.no_owner):
        raise click.UsageError("--globals is for roles and tablespaces, and takes no database")


def _restore(snapshot: str, database: str, said: Database) -> int:
    request = DatabaseRequest(
        dump=DumpRequest(snapshot=snapshot, database=database, source=said.source or ""),
        name=said.to_database or database,
        server=said.server or "",
        environment=said.environment or "",
        no_owner=said.no_owner,
        replace=said.replace,
        tables=said.tables,
        schemas=said.schemas,
    )
    with job(progress=True) as one:

        def decide(plan: DatabasePlan) -> bool:
            with one.progress.pause():
                _tell_plan(one, plan, dry_run=said.dry_run)
                if said.dry_run:
                    return False
                return _may_go_on(one, plan, landed(one, plan.into, said.consent))

        with one.progress:
            report = restore_database(one.run, request, decide)
        if report is not None:
            _tell(one, report, request)
        elif said.dry_run:
            one.output.line("dry run: nothing was written")
        else:
            raise RefusedError("nothing was restored: it was not confirmed")
    return 0


def _may_go_on(one: Job, plan: DatabasePlan, consent: Consent) -> bool:
    """Whether to restore; a new database is never asked about."""
    if not plan.changes:
        return True
    name = plan.name
    why = f"database {name!r} exists on {plan.place}"
    if plan.choice is not None:
        return agreed(one, consent, name, why, f"Add to the database {name!r} on {plan.place}?")
    question = f"Replace the database {name!r} on {plan.place}, and disconnect who uses it?"
    return agreed(one, consent, name, why, question)


def _tell_plan(one: Job, plan: DatabasePlan, *, dry_run: bool) -> None:
    record, ground = plan.dump.record, plan.look.ground
    one.output.record(
        "plan",
        dry_run=dry_run,
        snapshot_id=plan.dump.listed.id,
        database=record.database,
        to_database=plan.name,
        exists=ground.exists,
        server=plan.place,
        environment=plan.into.name or None,
        server_version=plan.look.server.version,
        bytes=plan.bytes,
        tables=len(plan.tables),
        left_out=list(plan.choice.left_out) if plan.choice is not None else [],
        lsn=record.lsn,
        time=record.time,
    )
    one.output.line(
        f"snapshot {plan.dump.listed.short_id}: {record.database!r} as of {record.time} "
        f"(LSN {record.lsn}), from PostgreSQL {record.server}"
    )
    new = "" if ground.exists else "new "
    one.output.line(
        f"restores {counted(len(plan.tables), 'table')}, {size(plan.bytes)}, into the {new}"
        f"database {plan.name!r} on {plan.place} (PostgreSQL {plan.look.server.version}), "
        f"by pg_restore {plan.client}"
    )
    _tell_what_changes(one, plan)
    _tell_choice(one, plan)


def _tell_what_changes(one: Job, plan: DatabasePlan) -> None:
    ground = plan.look.ground
    if not ground.exists or plan.choice is not None:
        return
    has = f"has {size(ground.size)} and " if ground.size is not None else ""
    one.output.line(
        f"warning: {plan.name!r} {has}is in use by {counted(ground.sessions, 'session')}; it is "
        "kept under another name, and whoever is connected then is disconnected"
    )
    if ground.beyond:
        one.output.line(
            f"warning: connected to it and not to be disconnected by {ground.role!r}: "
            f"{', '.join(ground.beyond)}; let them leave before the swap"
        )


def _tell_choice(one: Job, plan: DatabasePlan) -> None:
    if plan.choice is None:
        return
    relations = [str(name) for name in plan.choice.relations]
    more = f" and {len(relations) - _MOST_SHOWN:,} more" if len(relations) > _MOST_SHOWN else ""
    one.output.line(f"makes {', '.join(relations[:_MOST_SHOWN])}{more}")
    for left in plan.choice.left_out:
        one.output.line(f"left out, because it leads to what is not restored: {left}")
    if plan.choice.empty:
        names = ", ".join(map(str, plan.choice.empty))
        one.output.line(f"made without rows, because others need it: {names}")


def _tell(one: Job, report: DatabaseReport, request: DatabaseRequest) -> None:
    plan, output = report.plan, one.output
    output.record(
        "summary",
        snapshot_id=plan.dump.listed.id,
        database=plan.dump.record.database,
        to_database=plan.name,
        tables=len(plan.tables),
        rows=report.filled.rows,
        kept_as=report.before or None,
        restore_duration=round(report.filled.restoring, 6),
        count_duration=round(report.filled.counting, 6),
        total_duration=round(report.seconds, 6),
    )
    into = "into " if plan.changes and not report.before else ""
    tables, rows = counted(len(plan.tables), "table"), counted(report.filled.rows, "row")
    output.line(
        f"restored {into}{plan.name!r} in {duration(report.seconds)} "
        f"(pg_restore {duration(report.filled.restoring)}, counting and statistics "
        f"{duration(report.filled.counting)}): {tables}, {rows}, as many in each as in its dump"
    )
    if report.before:
        server = request.server or plan.dump.source
        quoted = report.before.replace('"', '""')
        output.line(f"the database that was there is kept as {report.before!r}")
        output.line(
            f"to undo: strongroom restore --database {shlex.quote(plan.name)} --undo "
            f"--server {shlex.quote(server)}"
        )
        output.line(f'when it is not needed any more: DROP DATABASE "{quoted}";')
