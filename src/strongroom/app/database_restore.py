"""Restore a database into a new one: plan, decide, make, fill, count; or leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from strongroom.app.databases import client_of, found_programs, scratch_of
from strongroom.app.dumps import Dump, DumpRequest, find_dump, refuse_without_room, write_out
from strongroom.app.environments import admitted, target_server
from strongroom.app.machine import Run
from strongroom.app.opening import opened_repository
from strongroom.config.environments import environment_of
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import (
    InterruptError,
    RefusedError,
    RestoreError,
    RolledBackError,
    StrongroomError,
    UsageError,
)
from strongroom.model.events import PhaseBegan
from strongroom.policy.landing import NOWHERE, Landing
from strongroom.postgres.catalog import (
    Server,
    count_rows,
    create_database,
    databases_of,
    extensions_of,
    has_role,
    server_of,
)
from strongroom.postgres.client import Client
from strongroom.postgres.names import identifier
from strongroom.postgres.programs import choose


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseRequest:
    """What the command line says; ``server``: a source, if another server than it came from.

    ``environment``: instead of that, the environment whose server it is.
    """

    dump: DumpRequest
    name: str
    server: str = ""
    environment: str = ""
    no_owner: bool = False


@dataclass(frozen=True, slots=True)
class DatabasePlan:
    """What a restore would do; ``into``: the environment that the server is in."""

    dump: Dump
    name: str
    place: str
    server: Server
    client: str
    into: Landing = NOWHERE


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What a restore came to: every table has as many rows as its dump."""

    plan: DatabasePlan
    tables: int
    rows: int
    seconds: float


def restore_database(
    run: Run, request: DatabaseRequest, decide: Callable[[DatabasePlan], bool]
) -> DatabaseReport | None:
    """Plan, let ``decide`` see the plan, and restore if it says so; None if it does not.

    ``RefusedError`` if the database exists, or its dump has no room. A failure removes what was
    made (``RolledBackError``).
    """
    clock = run.machine.clock
    began = clock.elapsed()
    with opened_repository(run) as opened:
        reader = opened.repository.reader()
        dump = find_dump(opened, reader, request.dump)
        server_name = target_server(run.settings, request, dump.source)
        into = admitted(run.settings, environment_of(server_name), dump.listed)
        settings = _settings(run, server_name)
        with scratch_of(run, settings) as scratch:
            what = f"the dump of {dump.record.database!r}"
            programs = choose(found_programs(run, settings), dump.record.major, what)
            client = client_of(run, settings, programs, scratch)
            server = server_of(client)
            _refuse(client, request, scratch, dump)
            place = client.connection.shown
            plan = DatabasePlan(dump, request.name, place, server, programs.version, into)
            if not decide(plan):
                return None
            folder = scratch / "dump"
            write_out(run, opened, reader, dump, folder)
            filling = _Filling(run, client, request, dump, settings.jobs)
            rows = filling.run(folder, server.major)
    return DatabaseReport(plan, len(dump.record.tables), rows, clock.elapsed() - began)


def _settings(run: Run, name: str) -> PostgresSettings:
    known = run.settings.databases
    if name not in known:
        raise UsageError(
            f"no source of databases is called '{name}' (known: {', '.join(known) or 'none'})",
            hint="Say which server to restore to: --server NAME, a source in strongroom.toml.",
        )
    return known[name]


def _refuse(client: Client, request: DatabaseRequest, scratch: Path, dump: Dump) -> None:
    if request.name in {one.name for one in databases_of(client)}:
        other = f"{request.name}_restored"
        raise RefusedError(
            f"database {request.name!r} exists on {client.connection.shown}, and a restore makes "
            "a new one",
            hint=f"Give another name: strongroom restore {dump.listed.short_id} --database "
            f"{dump.record.database} --to-database {other}",
        )
    refuse_without_room(scratch, dump)


@dataclass(frozen=True, slots=True)
class _Filling:
    """Makes a database and fills it."""

    run_of: Run
    client: Client
    request: DatabaseRequest
    dump: Dump
    jobs: int

    def run(self, folder: Path, major: int) -> int:
        """Return the number of rows; whatever goes wrong, the database is gone again."""
        name = self.request.name
        self.run_of.sink(PhaseBegan("fill"))
        with self.client.session() as session:
            owner = self.dump.record.owner
            keeps = not self.request.no_owner and has_role(session, owner)
            locale = self.dump.record.locale
            create_database(session, name, locale, owner if keeps else "", major)
            session.finish()
        try:
            self._fill(folder)
            return self._counted()
        except BaseException as error:
            self._drop(error)
            if isinstance(error, InterruptError) or not isinstance(error, StrongroomError):
                raise
            raise RolledBackError(
                f"{error.message}; the new database {name!r} was removed again", hint=_hint(error)
            ) from error

    def _fill(self, folder: Path) -> None:
        arguments = ["--exit-on-error", f"--jobs={self.jobs}"]
        if self.request.no_owner:
            arguments += ["--no-owner", "--no-privileges"]
        arguments += [*self.client.connected(self.request.name), str(folder)]
        self.client.work("pg_restore", arguments, f"restoring {self.request.name!r}")

    def _counted(self) -> int:
        tables = self.dump.record.tables
        with self.client.session(self.request.name) as session:
            session.tell("ANALYZE;\n")
            counts = count_rows(session, [(one.schema, one.name) for one in tables])
            here = extensions_of(session)
            session.finish()
        for table, count in zip(tables, counts, strict=True):
            if count != table.rows:
                raise StrongroomError(
                    f"{table.schema}.{table.name} has {count:,} rows, and its dump {table.rows:,}"
                )
        for extension, version in self.dump.record.extensions.items():
            if here.get(extension) != version:
                self.run_of.warn(
                    f"extension {extension} is {here.get(extension)} here, and was {version}"
                )
        return sum(counts)

    def _drop(self, cause: BaseException) -> None:
        statement = f"DROP DATABASE {identifier(self.request.name)} WITH (FORCE)"
        try:
            with self.client.session() as session:
                session.tell(f"{statement};\n")
                session.finish()
        except StrongroomError as error:
            raise RestoreError(
                f"restoring {self.request.name!r} failed ({cause}), and what was made of it stays: "
                f"{error.message}",
                hint=f"Remove it: {statement};",
            ) from cause


def _hint(error: StrongroomError) -> str:
    if "role " in error.message and "does not exist" in error.message:
        return (
            "Make the roles first: they are in globals.sql of the same snapshot (strongroom dump "
            "SNAP PATH); or restore with --no-owner."
        )
    return error.hint
