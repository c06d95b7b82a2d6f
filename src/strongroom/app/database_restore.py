"""Restore a database, or a part of one: plan, decide, fill beside, count, put in place."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strongroom.app.database_feed import Feed, Pipes, Way, feed_of, pipes_of
from strongroom.app.database_fill import Filled, Filling, role_hint
from strongroom.app.database_swap import (
    Survey,
    leftovers,
    put_in_place,
    refuse_to_rename,
    settings_of,
    survey,
    warn_of_replication,
)
from strongroom.app.databases import client_of, found_programs, scratch_of
from strongroom.app.dumps import (
    Dump,
    DumpRequest,
    contents_of,
    find_dump,
)
from strongroom.app.environments import admitted, target_server
from strongroom.app.machine import Run
from strongroom.app.opening import Opened, opened_repository
from strongroom.config.environments import environment_of
from strongroom.errors import (
    InterruptError,
    RefusedError,
    RestoreError,
    RolledBackError,
    StrongroomError,
)
from strongroom.model.events import PhaseBegan
from strongroom.policy.landing import NOWHERE, Landing
from strongroom.postgres.catalog import relations_of, schemas_of
from strongroom.postgres.choosing import Choice, choose, table_name
from strongroom.postgres.client import Client
from strongroom.postgres.counting import count_as_dumped
from strongroom.postgres.programs import choose_sound
from strongroom.postgres.record import Table
from strongroom.postgres.standing import Part, beside, free_stamp
from strongroom.repository.reader import Reader

_NEVER_LEFT_OUT: Final = frozenset({"toc.dat", "backup.json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseRequest:
    """What the command line says; ``server``: a source, if another server than it came from.

    ``environment``: instead of that, the environment whose server it is. ``name``: the database it
    becomes. ``replace``: that one may exist, and is kept under another name. ``tables`` and
    ``schemas``: only these; then the database may exist, and they may not.
    """

    dump: DumpRequest
    name: str
    server: str = ""
    environment: str = ""
    no_owner: bool = False
    replace: bool = False
    tables: Sequence[str] = ()
    schemas: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class DatabasePlan:
    """What a restore would do; ``bytes`` are read. ``choice``: the part of the dump, if not all.

    ``into``: the environment that the server is in.
    """

    dump: Dump
    name: str
    place: str
    look: Survey
    client: str
    choice: Choice | None
    tables: Sequence[Table]
    bytes: int
    into: Landing = NOWHERE

    @property
    def changes(self) -> bool:
        """Whether a database that exists is changed or replaced."""
        return self.look.ground.exists


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What a restore came to: every table has as many rows as its dump.

    ``before``: what the database that was replaced is called now.
    """

    plan: DatabasePlan
    filled: Filled
    before: str
    seconds: float


def restore_database(
    run: Run, request: DatabaseRequest, decide: Callable[[DatabasePlan], bool]
) -> DatabaseReport | None:
    """Plan, let ``decide`` see the plan, and restore if it says so; None if it does not.

    ``RefusedError`` if the database exists and may not be replaced, or its dump has no room. A
    failure removes what was made (``RolledBackError``).
    """
    began = run.machine.clock.elapsed()
    with opened_repository(run) as opened, _planned(run, opened, request) as work:
        if not decide(work.plan):
            return None
        filled, before = work.carry_out()
        return DatabaseReport(work.plan, filled, before, run.machine.clock.elapsed() - began)


@contextmanager
def _planned(run: Run, opened: Opened, request: DatabaseRequest) -> Iterator[_Work]:
    reader = opened.repository.reader()
    dump = find_dump(opened, reader, request.dump)
    server = target_server(run.settings, request.server, request.environment, dump.source)
    settings = settings_of(run, server)
    into = admitted(run.settings, environment_of(server), dump.listed)
    with scratch_of(run, settings) as scratch:
        what = f"the dump of {dump.record.database!r}"
        programs = choose_sound(found_programs(run, settings), dump.record.major, what)
        client = client_of(run, settings, programs, scratch)
        look = survey(client, request.name)
        partial = bool(request.tables or request.schemas)
        if partial:
            choice = _choice(opened, client, request, dump, look)
        else:
            choice = None
            _refuse_existing(client, request, dump, look)
        wanted = None if choice is None else choice.files
        size = dump.size if wanted is None else dump.size_of(wanted | _NEVER_LEFT_OUT)
        tables = [one for one in dump.record.tables if wanted is None or one.file in wanted]
        place = client.connection.shown
        version = programs.version
        plan = DatabasePlan(dump, request.name, place, look, version, choice, tables, size, into)
        yield _Work(run, opened, reader, client, request, settings.jobs, scratch, plan)


def _refuse_existing(client: Client, request: DatabaseRequest, dump: Dump, look: Survey) -> None:
    name, database = request.name, dump.record.database
    if look.ground.exists and not request.replace:
        command = f"strongroom restore {dump.listed.short_id} --database {_word(database)}"
        server = f" --source {_word(request.dump.source)}" if request.dump.source else ""
        server += f" --server {_word(request.server)}" if request.server else ""
        to = f" --to-database {_word(name)}" if name != database else ""
        raise RefusedError(
            f"database {name!r} exists on {client.connection.shown}",
            hint=f"To put the restored one in its place, and keep it under another name: {command}"
            f"{to}{server} --replace; to restore beside it: {command} --to-database "
            f"{_word(name + '_restored')}{server}",
        )
    refuse_to_rename(name, look.ground)


def _word(name: str) -> str:
    return shlex.quote(name)


def _choice(
    opened: Opened, client: Client, request: DatabaseRequest, dump: Dump, look: Survey
) -> Choice:
    here: Sequence[str] = ()
    if look.ground.exists:
        with client.session(request.name) as session:
            here = schemas_of(session)
    names = [table_name(text) for text in request.tables]
    choice = choose(contents_of(opened, dump), names, request.schemas, here)
    if look.ground.exists:
        with client.session(request.name) as session:
            there = relations_of(session, choice.relations)
        if there:
            shown = ", ".join(f"{schema}.{name}" for schema, name in there)
            raise RefusedError(
                f"database {request.name!r} has {shown} already, and nothing that exists is "
                "replaced",
                hint="Restore into a new database: --to-database NEW; or rename what is there.",
            )
    else:
        refuse_to_rename(request.name, look.ground)
    return choice


@dataclass(frozen=True, slots=True)
class _Work:
    """A restore that was planned."""

    run: Run
    opened: Opened
    reader: Reader
    client: Client
    request: DatabaseRequest
    jobs: int
    scratch: Path
    plan: DatabasePlan

    def carry_out(self) -> tuple[Filled, str]:
        """Return what was restored, and the new name of what was replaced."""
        plan, look = self.plan, self.plan.look
        for sentence in leftovers(look, plan.name):
            self.run.warn(sentence)
        chosen = None if plan.choice is None else plan.choice.numbers
        way = Way(self.client, self.scratch, self.jobs, chosen)
        if chosen is not None and look.ground.exists:
            return self._add(pipes_of(self.run, self.reader, plan.dump, way)), ""
        return self._make(feed_of(self.run, self.opened, self.reader, plan.dump, way))

    def _make(self, feed: Feed) -> tuple[Filled, str]:
        plan, look, name = self.plan, self.plan.look, self.plan.name
        stamp = free_stamp(look.names, name, self.run.machine.clock.now_ns())
        filling = Filling(
            run=self.run,
            client=self.client,
            at=look.at,
            dump=plan.dump,
            target=name,
            place=beside(name, Part.FILLING, stamp),
            jobs=self.jobs,
            major=look.server.major,
            owners=not self.request.no_owner,
            whole=plan.choice is None,
            size=plan.bytes,
            tables=plan.tables,
        )
        filled = filling.fill(feed, beside(name, Part.READY, stamp))
        if self.request.replace:
            warn_of_replication(self.run, name, look.ground)
        before = put_in_place(
            self.run, self.client, look.at, name, stamp, replaces=self.request.replace
        )
        return filled, before

    def _add(self, feed: Pipes) -> Filled:
        """Restore into a database that exists: all of it in one transaction, or nothing."""
        name = self.plan.name
        self.run.sink(PhaseBegan("fill", 0, self.plan.bytes))
        clock = self.run.machine.clock
        began = clock.elapsed()
        arguments = ["--exit-on-error"]
        if self.request.no_owner:
            arguments += ["--no-owner", "--no-privileges"]
        try:
            feed.pour_as_one(name, arguments, f"restoring into {name!r}")
        except InterruptError:
            raise
        except StrongroomError as error:
            raise RolledBackError(
                f"{error.message}; nothing in {name!r} was changed", hint=role_hint(error)
            ) from error
        self.run.sink(PhaseBegan("count"))
        full = clock.elapsed()
        try:
            rows = count_as_dumped(self.client, name, self.plan.tables, self.jobs)
        except InterruptError:
            raise
        except StrongroomError as error:
            raise RestoreError(
                f"{error.message}; what was restored is in {name!r}",
                hint="If nobody wrote to it meanwhile, restore into a new database and compare.",
            ) from error
        return Filled(rows, full - began, clock.elapsed() - full)
