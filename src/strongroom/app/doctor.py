"""Say whether databases and clusters can be backed up and restored, before anybody needs it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from strongroom.app.databases import client_of, completed, found_programs, newest, scratch_of
from strongroom.app.doctor_cluster import check_cluster
from strongroom.app.machine import Run
from strongroom.config.environment import Environment, read_environment
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import SourceError, StrongroomError, UsageError
from strongroom.postgres.catalog import server_of
from strongroom.postgres.checkup import ServerFacts, database_facts, server_facts
from strongroom.postgres.client import Client
from strongroom.postgres.findings import (
    FAILS,
    UNREACHABLE,
    Finding,
    Level,
    exit_code,
    of_connections,
    of_database,
    of_databases,
    of_left_out,
    of_owners,
    of_prepared,
    of_programs,
    of_role,
    of_room,
    ok,
    problem,
    warning,
)
from strongroom.postgres.programs import Programs, choose
from strongroom.sources.postgres.room import LEAST_FREE

__all__ = ["Finding", "Level", "check_databases", "exit_code", "sources_to_check"]

_OTHERS: Final = 0o077


def sources_to_check(run: Run, name: str | None) -> list[PostgresSettings]:
    """Return the source of databases of this name, or all; ``UsageError`` if there is none."""
    known = run.settings.databases
    if name is not None and name in run.settings.environments:
        within = [one for key, one in known.items() if key.rpartition(".")[0] == name]
        if within:
            return within
    if name is None and known:
        return list(known.values())
    if name is not None and name in known:
        return [known[name]]
    if name is not None and name in run.settings.sources:
        raise UsageError(f"the source '{name}' is not of type postgres")
    if name is not None:
        run.settings.source(name)
    raise UsageError(
        "no source of databases is described",
        hint='Describe one in strongroom.toml: [sources.db], type = "postgres"; or set DB_HOST, '
        "DB_NAME and DB_USER.",
    )


def check_databases(run: Run, stated: PostgresSettings) -> Iterator[Finding]:
    """Yield what is found, one after the other; nothing is changed on the server."""
    yield from _password_files(stated, read_environment())
    if stated.logical:
        yield from _dumps(run, stated)
    if stated.physical is not None:
        yield from check_cluster(run, stated)


def _dumps(run: Run, stated: PostgresSettings) -> Iterator[Finding]:
    try:
        found = found_programs(run, stated)
    except UsageError as error:
        yield problem("programs", error.message, error.hint, UNREACHABLE)
        return
    with scratch_of(run, stated) as scratch:
        try:
            settings = completed(run, stated)
            client = client_of(run, settings, newest(found), scratch)
            server = server_of(client)
            facts = server_facts(client)
        except (SourceError, UsageError) as error:
            yield problem("connection", error.message, error.hint, error.code)
            return
        yield ok(
            "connection",
            f"{client.connection.shown} as {facts.name}, PostgreSQL {server.version}",
        )
        yield from _of_server(settings, found, facts, server.major)
        named = settings.databases or tuple(filter(None, [settings.database]))
        looked, closed = of_databases(facts, named, settings.jobs)
        yield from closed
        for one in looked:
            yield from _of_database(client, one.name, settings, facts, server.major)
        free = shutil.disk_usage(scratch).free
        yield of_room(free, LEAST_FREE, looked, str(scratch.parent))


def _of_server(
    settings: PostgresSettings, found: list[Programs], facts: ServerFacts, major: int
) -> Iterator[Finding]:
    try:
        yield of_programs(choose(found, major, "the server"), major)
    except SourceError as error:
        yield problem("programs", error.message, error.hint, UNREACHABLE)
    yield from of_role(facts, settings.role_passwords)
    yield of_connections(facts, settings.jobs)
    yield from of_prepared(facts.prepared)


def _of_database(
    client: Client, name: str, settings: PostgresSettings, server: ServerFacts, major: int
) -> Iterator[Finding]:
    try:
        facts = database_facts(client, name)
    except StrongroomError as error:
        code = UNREACHABLE if isinstance(error, SourceError) else FAILS
        yield problem("databases", error.message, error.hint, code, name)
        return
    yield from of_database(name, facts, server, major)
    yield from of_left_out(name, facts, server, subscriptions=settings.subscriptions)
    yield from of_owners(name, facts, server)


def _password_files(settings: PostgresSettings, environment: Environment) -> Iterator[Finding]:
    """Judge who may read the password; libpq passes by a file of its own that others may read."""
    password = settings.password
    if password is not None and password.kind == "file":
        yield from _private(Path(password.setting.value), "it holds the password")
    elif password is not None and password.setting.value == "DB_PASSWORD":
        yield warning(
            "password",
            "it comes from DB_PASSWORD, which other programs started here can see",
            "password = { file = '/path' }, in the connection of the source",
        )
    elif password is None and settings.ssm is None:
        with suppress(UsageError):  # without a home there is no such file
            given = environment.get("PGPASSFILE")
            path = Path(given) if given is not None else environment.home() / ".pgpass"
            yield from _private(path, "clients pass it by")


def _private(path: Path, why: str) -> Iterator[Finding]:
    with suppress(OSError):  # that it is not there is said by whoever needs it
        if os.stat(path).st_mode & _OTHERS:  # noqa: PTH116 - it may be anything
            yield warning(
                "password", f"other users can read {path}, and {why}", f"chmod 600 {path}"
            )
        else:
            yield ok("password", f"only its owner can read {path}")
