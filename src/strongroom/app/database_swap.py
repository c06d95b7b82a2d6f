"""A database takes the place of another one by its name, and gives it back: swap, undo, resume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from strongroom.app.databases import client_of, found_programs, newest, scratch_of
from strongroom.app.environments import landing_on
from strongroom.app.machine import Run
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import (
    InterruptError,
    NotFoundError,
    RefusedError,
    RolledBackError,
    StrongroomError,
    UsageError,
)
from strongroom.model.events import PhaseBegan
from strongroom.policy.landing import Landing
from strongroom.postgres.catalog import Server, databases_of, server_of
from strongroom.postgres.client import Client
from strongroom.postgres.names import identifier
from strongroom.postgres.standing import Part, Standing, beside, standing
from strongroom.postgres.swapping import (
    Ground,
    ground_of,
    other_database,
    rename_together,
    somewhere,
)

_UNFINISHED: Final = frozenset({Part.FILLING, Part.READY})


class Survey(NamedTuple):
    """What stands on a server around a database; ``at`` is where to work from."""

    server: Server
    names: Sequence[str]
    at: str
    ground: Ground
    beside: Sequence[Standing]


def survey(client: Client, database: str) -> Survey:
    """Look at a server; ``RefusedError`` if there is no other database to work from."""
    with somewhere(client) as (session, asked):
        server = server_of(session)
        known = databases_of(session)
        ground = ground_of(session, database)
    names = [one.name for one in known]
    found = standing(names, database)
    at = other_database(known, asked, database, *(one.name for one in found))
    return Survey(server, names, at, ground, found)


def refuse_to_rename(database: str, ground: Ground) -> None:
    """``RefusedError`` if the server would not let us put another in the place of a database."""
    if not ground.may_create:
        raise RefusedError(
            f"the user {ground.role!r} may neither make nor rename databases",
            hint=f"ALTER ROLE {identifier(ground.role)} CREATEDB;",
        )
    if ground.exists and not ground.owns:
        raise RefusedError(
            f"database {database!r} belongs to {ground.owner!r}, so {ground.role!r} may not "
            "rename it",
            hint=f"GRANT {identifier(ground.owner)} TO {identifier(ground.role)};",
        )
    if ground.prepared:
        raise RefusedError(
            f"database {database!r} has prepared transactions ({ground.prepared:,}), and no "
            "server renames such a one",
            hint="See SELECT * FROM pg_prepared_xacts: COMMIT PREPARED or ROLLBACK PREPARED each.",
        )


def warn_of_replication(run: Run, database: str, ground: Ground) -> None:
    """Say what of logical replication stays with the database that is put aside."""
    if ground.slots:
        run.warn(
            f"replication slots of {database!r} stay with the database that is put aside: "
            f"{', '.join(ground.slots)}"
        )
    if ground.subscriptions:
        run.warn(
            f"subscriptions of {database!r} stay with the database that is put aside, and go on "
            f"there: {', '.join(ground.subscriptions)}"
        )


def put_in_place(
    run: Run, client: Client, at: str, database: str, stamp: str, *, replaces: bool
) -> str:
    """Rename what is ready into the place of a database; what that is called now, empty if none.

    Unless it ``replaces`` one there must be none.

    ``RolledBackError`` if it fails: all is as before, and what is ready stays.
    """
    ready = beside(database, Part.READY, stamp)
    exists = False
    if replaces:
        with client.session(at) as session:
            exists = database in {one.name for one in databases_of(session)}
    before = beside(database, Part.BEFORE, stamp) if exists else ""
    renames = [(database, before)] if before else []
    hint = (
        f"{ready!r} is whole and was counted: 'strongroom restore --database {database} --resume' "
        f"puts it in place; or remove it: DROP DATABASE {identifier(ready)};"
    )
    _rename(run, client, at, [*renames, (ready, database)], hint)
    return before


def _rename(
    run: Run, client: Client, at: str, renames: Sequence[tuple[str, str]], hint: str
) -> None:
    run.sink(PhaseBegan("swap"))
    try:
        rename_together(client, at, renames, run.machine.clock)
    except StrongroomError as error:
        done = _renamed(client, at, renames)
        if isinstance(error, InterruptError):
            run.warn(f"{renames[-1][1]!r} was put in place" if done else hint)
            raise
        if done:
            return  # the answer was lost, not the work
        names = ", ".join(repr(old) for old, _ in renames)
        raise RolledBackError(
            f"{error.message}; nothing was renamed: {names} are as before",
            hint=f"{error.hint} {hint}".strip(),
        ) from error


def _renamed(client: Client, at: str, renames: Sequence[tuple[str, str]]) -> bool:
    """Whether a server has the new names, all of which come at once."""
    try:
        with client.session(at) as session:
            names = {one.name for one in databases_of(session)}
    except StrongroomError:
        return False
    return renames[-1][0] not in names and renames[-1][1] in names


@dataclass(frozen=True, slots=True)
class SwapPlan:
    """What an undo, or the end of a restore that was cut short, would do.

    ``comes`` takes the name ``database``; what has it now gets the name ``goes``, empty if none is.
    """

    database: str
    place: str
    comes: Standing
    goes: str
    ground: Ground
    into: Landing


def undo(
    run: Run, database: str, server: str, decide: Callable[[SwapPlan], bool]
) -> SwapPlan | None:
    """Give the database that the last restore put aside its name back; the other one stays.

    None if ``decide`` says no. ``NotFoundError`` if there is none; ``RefusedError`` if a restore
    was cut short since, which changed nothing that could be undone.
    """
    with _at_work(run, server) as (client, found):
        look = found(database)
        last = [one for one in look.beside if one.part is not Part.UNDONE]
        if last and last[-1].part in _UNFINISHED:
            left = last[-1].name
            raise RefusedError(
                f"the last restore of {database!r} did not come to its swap, so there is nothing "
                f"to undo: {left!r} is what it left",
                hint=_what_to_do(database, last[-1]),
            )
        if not last:
            raise NotFoundError(
                f"nothing of {database!r} was put aside on {client.connection.shown}",
                hint=f"A restore with --replace keeps it as {beside(database, Part.BEFORE, '…')}.",
            )
        goes = beside(database, Part.UNDONE, last[-1].stamp) if look.ground.exists else ""
        plan = SwapPlan(
            database, client.connection.shown, last[-1], goes, look.ground, _landing(run, server)
        )
        return _carry_out(run, client, look, plan, decide)


def resume(
    run: Run, database: str, server: str, decide: Callable[[SwapPlan], bool]
) -> SwapPlan | None:
    """Put in place what a restore made and counted before it was cut short.

    None if ``decide`` says no. ``NotFoundError`` if there is none.
    """
    with _at_work(run, server) as (client, found):
        look = found(database)
        ready = [one for one in look.beside if one.part is Part.READY]
        if not ready:
            unfinished = [one for one in look.beside if one.part is Part.FILLING]
            raise NotFoundError(
                f"no restore of {database!r} is ready on {client.connection.shown}",
                hint=_what_to_do(database, unfinished[-1]) if unfinished else "Restore it again.",
            )
        goes = beside(database, Part.BEFORE, ready[-1].stamp) if look.ground.exists else ""
        plan = SwapPlan(
            database, client.connection.shown, ready[-1], goes, look.ground, _landing(run, server)
        )
        return _carry_out(run, client, look, plan, decide)


def _what_to_do(database: str, left: Standing) -> str:
    remove = f"remove it: DROP DATABASE {identifier(left.name)};"
    if left.part is Part.READY:
        return f"Put it in place: strongroom restore --database {database} --resume; or {remove}"
    return f"It is not whole. If no restore is at work, {remove}"


def _carry_out(
    run: Run, client: Client, look: Survey, plan: SwapPlan, decide: Callable[[SwapPlan], bool]
) -> SwapPlan | None:
    refuse_to_rename(plan.database, look.ground)
    if not decide(plan):
        return None
    warn_of_replication(run, plan.database, look.ground)
    renames = [(plan.database, plan.goes)] if plan.goes else []
    names = [*renames, (plan.comes.name, plan.database)]
    _rename(run, client, look.at, names, "Nothing was changed; run it again.")
    return plan


def _landing(run: Run, server: str) -> Landing:
    return landing_on(run.settings, settings_of(run, server).name)


@contextmanager
def _at_work(run: Run, server: str) -> Iterator[tuple[Client, Callable[[str], Survey]]]:
    settings = settings_of(run, server)
    with scratch_of(run, settings) as scratch:
        client = client_of(run, settings, newest(found_programs(run, settings)), scratch)
        yield client, lambda database: survey(client, database)


def settings_of(run: Run, server: str) -> PostgresSettings:
    """Return the source whose server is meant, without a name the only one; ``UsageError``."""
    known = run.settings.databases
    if not server and len(known) == 1:
        return next(iter(known.values()))
    if server not in known:
        raise UsageError(
            f"no source of databases is called {server!r}" if server else "which server is meant?",
            hint=f"Give --server NAME, a source in strongroom.toml: {', '.join(known) or 'none'}.",
        )
    return known[server]


def leftovers(look: Survey, database: str) -> list[str]:
    """Return a sentence for each restore that was cut short."""
    return [
        f"{one.name!r} was left by a restore of {database!r}. {_what_to_do(database, one)}"
        for one in look.beside
        if one.part in _UNFINISHED
    ]
