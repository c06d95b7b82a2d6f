"""From what the configuration says of databases to a source: password, programs, scratch."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from strongroom.app.iam_token import IAM, FreshToken, iam_token
from strongroom.app.machine import Run
from strongroom.app.named_files import read_named
from strongroom.aws.account import Account
from strongroom.config.databases import HIGHEST_PORT
from strongroom.config.environment import read_environment
from strongroom.config.environments import environment_of
from strongroom.config.postgres import PasswordSetting, PostgresSettings
from strongroom.config.references import SecretReference
from strongroom.config.values import Level, Value
from strongroom.errors import UsageError
from strongroom.postgres.catalog import server_of
from strongroom.postgres.client import Client
from strongroom.postgres.connection import Connection, client_environment
from strongroom.postgres.programs import Programs, choose, find_programs
from strongroom.sources.postgres.room import MOST, MOST_IN_MEMORY
from strongroom.sources.postgres.scratch import scratch_folder
from strongroom.sources.postgres.source import PostgresOptions, PostgresSource
from strongroom.system.causes import cause_of
from strongroom.system.memory import available_memory, memory_folder

_LONGEST: Final = 4096
_COMMAND_SECONDS: Final = 300.0
_OTHERS: Final = 0o077
_PLENTY: Final = 8 * MOST_IN_MEMORY  # bytes, of which a dump takes an eighth
OF_RDS: Final = ("rdsadmin",)  # AWS's own database, which it lets nobody into
_FIRST: Final = "postgres"  # the database that every server has, to ask what others there are


@contextmanager
def opened_databases(
    run: Run, wanted: Sequence[PostgresSettings]
) -> Iterator[list[PostgresSource]]:
    """Make the sources; each server is asked what it is. ``SourceError`` if one does not answer."""
    with ExitStack() as stack:
        yield [stack.enter_context(_opened(run, settings)) for settings in wanted]


@contextmanager
def _opened(run: Run, stated: PostgresSettings) -> Iterator[PostgresSource]:
    settings = completed(run, stated)
    with scratch_of(run, settings) as scratch, _for_rows(run, settings, scratch) as for_rows:
        found = found_programs(run, settings)
        client = client_of(run, settings, newest(found), scratch)
        server = server_of(client)
        programs = choose(found, server.major, f"the server of '{settings.name}'")
        if programs.is_too_new_for(server.major):
            run.warn(
                f"dumps by {programs.version} do not go back into the server of '{settings.name}', "
                f"which is of version {server.major}, only into 17 and newer; install "
                f"postgresql-client-{server.major}"
            )
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
            scratch=for_rows,
            most=MOST if for_rows == scratch else MOST_IN_MEMORY,
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


@contextmanager
def _for_rows(run: Run, settings: PostgresSettings, scratch: Path) -> Iterator[Path]:
    """Lend a folder for rows on their way: memory where there is plenty, and no other is named."""
    folder = memory_folder()
    if settings.scratch is not None or folder is None or not _is_plenty(folder):
        yield scratch
        return
    with scratch_folder(run.machine.fs, run.machine.randomness, folder) as lent:
        yield lent


def _is_plenty(folder: Path) -> bool:
    return min(available_memory(), shutil.disk_usage(folder).free) >= _PLENTY


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
    settings = completed(run, settings)
    connection = connection_of(run, settings)
    environment = read_environment()
    ours = environment.variables()
    file = _password_file(connection, scratch)
    lasts = settings.password is None or settings.password.kind != IAM
    fresh = None if lasts or file is None else FreshToken(run, settings, Path(file))
    return Client(run.machine.spawn, connection, programs, client_environment(ours, file), fresh)


def connection_of(run: Run, settings: PostgresSettings) -> Connection:
    """Return how the server of a source is reached; its password is read now."""
    settings = completed(run, settings)
    for warning in settings.warnings:
        run.warn(warning)
    return Connection(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        database=settings.database or ("" if settings.service else _FIRST),
        service=settings.service,
        sslmode=settings.sslmode,
        password=None if settings.password is None else _password(run, settings),
    )


def completed(run: Run, stated: PostgresSettings) -> PostgresSettings:
    """Return settings in which the parameters below a path say what was left unsaid.

    The password stays a reference, to the parameter that was just read.
    """
    if stated.ssm is None:
        return stated
    path, origin = stated.ssm.value.rstrip("/"), stated.ssm.origin
    found = run.aws.below(_account(run, stated.name), path)
    password = stated.password
    if password is None and "password" in found:
        reference = SecretReference("ssm", f"{path}/password")
        password = PasswordSetting("aws", Value(str(reference), origin, Level.FILE), reference)
        run.aws.know(_account(run, stated.name), reference, found["password"])
    host = stated.host or found.get("host", "")
    if not host:
        raise UsageError(
            f"below {path} ({origin}) there is no parameter 'host'",
            hint="strongroom reads host, port, name, username and password there.",
        )
    return replace(
        stated,
        ssm=None,
        host=host,
        port=stated.port or _port(found.get("port"), f"{path}/port"),
        user=stated.user or found.get("username", "") or found.get("user", ""),
        database=stated.database or found.get("name", ""),
        password=password,
    )


def _port(text: str | None, where: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= HIGHEST_PORT):
        raise UsageError(f"the SSM parameter {where} is no port: a number from 1 to 65535")
    return int(text)


def _account(run: Run, source: str) -> Account:
    return run.settings.account_in(environment_of(source))


def _password_file(connection: Connection, scratch: Path) -> str | None:
    data = connection.password_file()
    if data is None:
        return None
    path = scratch / "password"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    return str(path)


def _password(run: Run, settings: PostgresSettings) -> str:
    setting = settings.password
    assert setting is not None  # noqa: S101 - whoever calls has looked
    if setting.kind == IAM:
        return iam_token(run, settings)
    where, text = setting.setting.origin, setting.setting.value
    if setting.reference is not None:
        value = run.aws.value(_account(run, settings.name), setting.reference)
        data = value.encode("utf-8", "surrogateescape")
    elif setting.kind == "file":
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
