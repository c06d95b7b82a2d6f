"""From what the configuration says of databases to a source: password, programs, scratch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from strongroom.app.iam_token import IAM, FreshToken, iam_token
from strongroom.app.machine import Run
from strongroom.app.named_files import read_named
from strongroom.config.environment import read_environment
from strongroom.config.postgres import PasswordSetting, PostgresSettings
from strongroom.errors import UsageError
from strongroom.postgres.catalog import server_of
from strongroom.postgres.client import Client
from strongroom.postgres.connection import Connection, client_environment
from strongroom.postgres.programs import Programs, choose, find_programs
from strongroom.sources.postgres.scratch import scratch_folder
from strongroom.sources.postgres.source import PostgresOptions, PostgresSource
from strongroom.system.causes import cause_of

_LONGEST: Final = 4096
_COMMAND_SECONDS: Final = 300.0
_OTHERS: Final = 0o077
OF_RDS: Final = ("rdsadmin",)  # AWS's own database, which it lets nobody into
_FIRST: Final = "postgres"  # the database that every server has, to ask what others there are


def split_names(run: Run, names: Sequence[str]) -> tuple[list[str], list[PostgresSettings]]:
    """Return what names mean: paths and sources of files, and sources of databases.

    Without names, every source of the configuration; ``UsageError`` if it has none.
    """
    settings = run.settings
    if not names and not settings.sources and not settings.databases:
        raise UsageError(
            "nothing to back up is named",
            hint="Name paths, such as ./documents, or describe sources in strongroom.toml.",
        )
    if not names:
        return list(settings.sources), list(settings.databases.values())
    wanted = dict.fromkeys(names)
    databases = [settings.databases[name] for name in wanted if name in settings.databases]
    return [name for name in wanted if name not in settings.databases], databases


@contextmanager
def opened_databases(
    run: Run, wanted: Sequence[PostgresSettings]
) -> Iterator[list[PostgresSource]]:
    """Make the sources; each server is asked what it is. ``SourceError`` if one does not answer."""
    with ExitStack() as stack:
        yield [stack.enter_context(_opened(run, settings)) for settings in wanted]


@contextmanager
def _opened(run: Run, settings: PostgresSettings) -> Iterator[PostgresSource]:
    with scratch_of(run, settings) as scratch:
        found = found_programs(run, settings)
        client = client_of(run, settings, newest(found), scratch)
        server = server_of(client)
        programs = choose(found, server.major, f"the server of '{settings.name}'")
        yield PostgresSource(
            settings.name,
            replace(client, programs=programs),
            server,
            PostgresOptions(
                databases=settings.databases or tuple(filter(None, [settings.database])),
                role_passwords=settings.role_passwords,
                jobs=settings.jobs,
                row_counts=settings.row_counts,
                subscriptions=settings.subscriptions,
                without=OF_RDS if settings.rds is not None else (),
            ),
            scratch=scratch,
            fs=run.machine.fs,
            clock=run.machine.clock,
            tell=run.tell,
        )


@contextmanager
def scratch_of(run: Run, settings: PostgresSettings | None) -> Iterator[Path]:
    """Lend a private folder for dumps."""
    stated = settings.scratch if settings is not None else None
    parent = stated or run.settings.cache_dir / "scratch"
    with scratch_folder(run.machine.fs, run.machine.randomness, parent) as folder:
        yield folder


def found_programs(run: Run, settings: PostgresSettings | None) -> list[Programs]:
    """Return the client programs that are there, or that the configuration names."""
    named = settings.programs if settings is not None else ()
    ours = read_environment().variables()
    sees = client_environment(ours, None)  # no password that a variable holds
    found = find_programs(run.machine.spawn, named, ours.get("PATH", ""), sees)
    if not found:
        places = ", ".join(map(str, named)) or "PATH and the usual folders"
        raise UsageError(
            f"no client programs of PostgreSQL are in {places}",
            hint="Install them: apt-get install postgresql-client.",
        )
    return found


def newest(found: Sequence[Programs]) -> Programs:
    """Return the newest of them, which speaks with every server."""
    return found[-1]


def client_of(run: Run, settings: PostgresSettings, programs: Programs, scratch: Path) -> Client:
    """Return what runs programs against the server of a source."""
    connection = connection_of(run, settings)
    environment = read_environment()
    ours = environment.variables()
    file = _password_file(connection, scratch)
    lasts = settings.password is None or settings.password.kind != IAM
    fresh = None if lasts or file is None else FreshToken(run, settings, Path(file))
    return Client(run.machine.spawn, connection, programs, client_environment(ours, file), fresh)


def connection_of(run: Run, settings: PostgresSettings) -> Connection:
    """Return how the server of a source is reached; its password is read now."""
    for warning in settings.warnings:
        run.warn(warning)
    return Connection(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        database=settings.database or ("" if settings.service else _FIRST),
        service=settings.service,
        sslmode=settings.sslmode,
        password=_password_of(run, settings),
    )


def _password_of(run: Run, settings: PostgresSettings) -> str | None:
    if settings.password is None:
        return None
    if settings.password.kind == IAM:
        return iam_token(run, settings)
    return _password(run, settings.password)


def _password_file(connection: Connection, scratch: Path) -> str | None:
    data = connection.password_file()
    if data is None:
        return None
    path = scratch / "password"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    return str(path)


def _password(run: Run, setting: PasswordSetting) -> str:
    where, text = setting.setting.origin, setting.setting.value
    if setting.kind == "file":
        path = Path(text)
        data = read_named(path, f"the password file {text} ({where})", _LONGEST)
        if path.is_file() and path.stat().st_mode & _OTHERS:
            run.warn(f"other users can read the password file: chmod 600 {shlex.quote(text)}")
    elif setting.kind == "command":
        data = _printed(run, text, where)
    else:
        data = (read_environment().get(text) or "").encode("utf-8", "surrogateescape")
    password = data.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
    if not password:
        raise UsageError(f"the database password of {where} is empty, or not set")
    return password


def _printed(run: Run, text: str, where: str) -> bytes:
    try:
        done = run.machine.spawn.run(shlex.split(text), seconds=_COMMAND_SECONDS)
    except (ValueError, IndexError) as error:
        raise UsageError(f"the command in {where} cannot be read") from error
    except OSError as error:
        raise UsageError(f"the command in {where} failed: {cause_of(error)}") from error
    if done.code != 0:
        raise UsageError(f"the command in {where} ended with {done.code}")
    return done.output
