"""What ``strongroom.toml`` may hold. pydantic, which checks it, is imported for a file only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final, Literal

VERSION: Final = 1

# read by pydantic: unknown keys are errors, and nothing is converted
_STRICT: Final[Mapping[str, Any]] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, slots=True)
class RepositoryTable:
    """``[repositories.NAME]``."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    url: str
    passphrase_file: str | None = None
    passphrase_command: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True)
class FilesTable:
    """``[sources.NAME]`` with ``type = "files"``."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    type: Literal["files"]
    paths: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    exclude_file: str | None = None
    exclude_caches: bool = False
    exclude_larger_than: str | None = None
    one_file_system: bool = False


@dataclass(frozen=True, slots=True)
class PasswordTable:
    """``password`` of a connection: one of the three."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    file: str | None = None
    env: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionTable:
    """``connection`` of a source of databases; ``name`` is a database."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    host: str = ""
    port: int | None = None
    name: str = ""
    user: str = ""
    service: str = ""
    sslmode: str = ""
    password: PasswordTable | None = None


@dataclass(frozen=True, slots=True)
class PostgresTable:
    """``[sources.NAME]`` with ``type = "postgres"``."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    type: Literal["postgres"]
    connection: ConnectionTable = field(default_factory=ConnectionTable)
    databases: tuple[str, ...] = ()
    role_passwords: bool | None = None
    jobs: int = 2
    row_counts: bool = False
    programs: tuple[str, ...] = ()
    scratch: str | None = None


SourceTable = FilesTable | PostgresTable
SOURCE_TYPES: Final[Mapping[str, type[SourceTable]]] = {
    "files": FilesTable,
    "postgres": PostgresTable,
}


@dataclass(frozen=True, slots=True)
class RetentionTable:
    """``[retention]``; what its values mean is for ``strongroom.config.retention`` to say."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    last: object = None
    hourly: object = None
    daily: object = None
    weekly: object = None
    monthly: object = None
    quarterly: object = None
    yearly: object = None
    within: object = None
    within_hourly: object = None
    within_daily: object = None
    within_weekly: object = None
    within_monthly: object = None
    within_quarterly: object = None
    within_yearly: object = None
    days: object = None
    tags: object = None
    minimum: object = None
    timezone: object = None


@dataclass(frozen=True, slots=True)
class ArchivesTable:
    """``[archives]``; what its values mean is for ``strongroom.config.archives`` to say."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    folder: str = "backup"
    scope: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    format: str = "gzip"
    level: int | None = None
    owner: str | None = None
    group: str | None = None
    folder_mode: str = "0750"
    file_mode: str = "0640"


@dataclass(frozen=True, slots=True)
class Tables:
    """The whole file."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    version: Literal[1]
    repositories: dict[str, RepositoryTable] = field(default_factory=dict)
    sources: dict[str, SourceTable] = field(default_factory=dict)
    retention: RetentionTable = field(default_factory=RetentionTable)
    archives: ArchivesTable = field(default_factory=ArchivesTable)


def source_table(kind: object) -> type[SourceTable]:
    """Return the table of a type of source; that of files for one that is not known."""
    return SOURCE_TYPES.get(kind, FilesTable) if isinstance(kind, str) else FilesTable


def known_keys(path: tuple[str, ...], kind: object = None) -> list[str]:
    """Return the names that may stand in the table at ``path``; ``kind`` is a source's type."""
    match path:
        case ():
            table: type[Any] = Tables
        case ("repositories", _):
            table = RepositoryTable
        case ("sources", _):
            table = source_table(kind)
        case ("sources", _, "connection"):
            table = ConnectionTable
        case ("sources", _, "connection", "password"):
            table = PasswordTable
        case ("retention",):
            table = RetentionTable
        case ("archives",):
            table = ArchivesTable
        case _:
            return []
    return [one.name for one in fields(table)]
