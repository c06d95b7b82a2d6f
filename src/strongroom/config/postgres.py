"""What is said about databases: ``[sources.NAME]`` with ``type = "postgres"``, and ``DB_*``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from strongroom.config.databases import HIGHEST_PORT
from strongroom.config.environment import Environment
from strongroom.config.file import ConfigurationFile, Described
from strongroom.config.quantities import parse_seconds
from strongroom.config.rds import RdsSettings, rds_settings
from strongroom.config.references import SecretReference, reference_of
from strongroom.config.schema import PasswordTable, PhysicalTable, PostgresTable
from strongroom.config.values import Level, Value
from strongroom.errors import UsageError

DB_HOST: Final = "DB_HOST"
DB_PORT: Final = "DB_PORT"
DB_NAME: Final = "DB_NAME"
DB_USER: Final = "DB_USER"
DB_PASSWORD: Final = "DB_PASSWORD"  # noqa: S105 - the name of a variable
WITHOUT_FILE: Final = "db"
_VARIABLES: Final = {DB_HOST: "host", DB_PORT: "port", DB_NAME: "database", DB_USER: "user"}


@dataclass(frozen=True, slots=True)
class PasswordSetting:
    """Where a password is to be had: a file, a variable by its name, a command, AWS, or a token."""

    kind: str
    setting: Value[str]
    reference: SecretReference | None = None


@dataclass(frozen=True, slots=True)
class PhysicalSettings:
    """How base backups are made. ``with_wal``: with the WAL that they need in them.

    Else it must come into the archive, for which a backup waits so many seconds.
    """

    with_wal: bool = True
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """A source of databases; empty is what libpq or the service file says.

    ``logical``: dumps are made; ``physical``: how base backups are, if they are. ``databases``:
    those that are dumped; empty: ``database`` if that is named, else all. ``warnings``: what to
    tell whoever uses it. ``ssm``: the path above parameters that say what is empty.
    """

    name: str
    host: str = ""
    port: int | None = None
    user: str = ""
    database: str = ""
    service: str = ""
    sslmode: str = ""
    password: PasswordSetting | None = None
    logical: bool = True
    physical: PhysicalSettings | None = None
    databases: tuple[str, ...] = ()
    role_passwords: bool | None = None
    jobs: int = 2
    row_counts: bool = False
    subscriptions: bool = True
    programs: tuple[Path, ...] = ()
    scratch: Path | None = None
    rds: RdsSettings | None = None
    warnings: tuple[str, ...] = ()
    ssm: Value[str] | None = None


def postgres_settings(
    file: ConfigurationFile | None, environment: Environment
) -> dict[str, PostgresSettings]:
    """Return the sources of databases; the variables complete the only one, or make one."""
    described = list(file.sources()) if file is not None else []
    ours = [one for one in described if isinstance(one.table, PostgresTable)]
    if file is None or not ours:
        told = environment.get(DB_NAME) or environment.get(DB_HOST)
        taken = any(one.source == WITHOUT_FILE or one.environment for one in described)
        if not told or taken:
            return {}
        return {WITHOUT_FILE: _with_variables(PostgresSettings(name=WITHOUT_FILE), environment)}
    found = {one.name: _settings(one, file, environment) for one in ours}
    if len({one.source for one in ours}) == 1:
        return {name: _with_variables(one, environment) for name, one in found.items()}
    return found


def _settings(
    one: Described, file: ConfigurationFile, environment: Environment
) -> PostgresSettings:
    table = one.table
    assert isinstance(table, PostgresTable)  # noqa: S101 - whoever calls has chosen
    to = table.connection
    return PostgresSettings(
        name=one.name,
        host=to.host,
        port=to.port,
        user=to.user,
        database=to.name,
        service=to.service,
        sslmode=to.sslmode or ("require" if to.password and to.password.rds_iam else ""),
        password=_password(one, to.password, file, environment),
        logical=not table.physical if table.logical is None else table.logical,
        physical=_physical(table.physical),
        databases=table.databases,
        role_passwords=False
        if table.rds and table.role_passwords is None
        else table.role_passwords,
        jobs=table.jobs,
        row_counts=table.row_counts,
        subscriptions=table.subscriptions,
        programs=tuple(environment.expanded(text, file.folder) for text in table.programs),
        scratch=environment.expanded(table.scratch, file.folder) if table.scratch else None,
        ssm=Value(to.ssm, file.origin_of(one, "connection", "ssm"), Level.FILE) if to.ssm else None,
        rds=None if table.rds is None else rds_settings(table.rds),
    )


def _physical(said: bool | PhysicalTable) -> PhysicalSettings | None:  # noqa: FBT001 - a setting
    if isinstance(said, PhysicalTable):
        return PhysicalSettings(said.wal == "included", parse_seconds(said.wait, "wait"))
    return PhysicalSettings() if said else None


def _password(
    one: Described, table: PasswordTable | None, file: ConfigurationFile, environment: Environment
) -> PasswordSetting | None:
    if table is None:
        return None
    origin = file.origin_of(one, "connection", "password")
    if table.file is not None:
        path = str(environment.expanded(table.file, file.folder))
        return PasswordSetting("file", Value(path, origin, Level.FILE))
    reference = reference_of(table)
    if reference is not None:
        return PasswordSetting("aws", Value(str(reference), origin, Level.FILE), reference)
    if table.command is not None:
        return PasswordSetting("command", Value(table.command, origin, Level.FILE))
    if table.rds_iam:
        return PasswordSetting("rds_iam", Value("", origin, Level.FILE))
    return PasswordSetting("env", Value(table.env or "", origin, Level.FILE))


def _with_variables(stated: PostgresSettings, environment: Environment) -> PostgresSettings:
    """Take from ``DB_*`` what is left unsaid; say where they contradict what is said."""
    changes: dict[str, Any] = {}
    warnings = []
    for variable, field in _VARIABLES.items():
        text = environment.get(variable)
        if text is None:
            continue
        value: str | int = _port(text) if variable == DB_PORT else text
        said = getattr(stated, field)
        if (stated.service or stated.ssm) and not said:
            who = f"service {stated.service}" if stated.service else "connection's ssm"
            warnings.append(f"{variable} is not used: the {who} says it")
        elif not said:
            changes[field] = value
        elif said != value:
            warnings.append(f"{variable}={text} is not used: the configuration says {said}")
    if environment.get(DB_PASSWORD) is not None and stated.password is None and not stated.ssm:
        changes["password"] = PasswordSetting(
            "env", Value(DB_PASSWORD, DB_PASSWORD, Level.ENVIRONMENT)
        )
        warnings.append(
            "the database password comes from DB_PASSWORD, which other programs started here "
            "can see; better: password = { file = '/path' } in strongroom.toml"
        )
    if changes:
        names = ", ".join(
            name
            for name in (DB_HOST, DB_PORT, DB_NAME, DB_USER)
            if environment.get(name) is not None
        )
        warnings.append(f"the database is named by the environment: {names}")
    return replace(stated, **changes, warnings=tuple(warnings))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= HIGHEST_PORT):
        raise UsageError(f"{DB_PORT} {text!r} is no port", hint="Give a number from 1 to 65535.")
    return int(text)
