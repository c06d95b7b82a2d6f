"""What ``strongroom.toml`` may hold. pydantic checks it where ``plainly`` does not take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final, Literal

VERSION: Final = 1

# read by pydantic: unknown keys are errors, and nothing is converted
_STRICT: Final[Mapping[str, Any]] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, slots=True)
class AwsTable:
    """``[aws]``, and ``aws`` of a repository or an environment; all of it names, no secret."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    region: str = ""
    profile: str = ""
    role: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class SecretTable:
    """``passphrase`` of a repository: a parameter of SSM, or a secret and a field of it."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    ssm: str | None = None
    secret: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class RepositoryTable:
    """``[repositories.NAME]``."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    url: str
    passphrase: SecretTable | None = None
    passphrase_file: str | None = None
    passphrase_command: str | None = None
    key_file: str | None = None
    kms_key: str | None = None
    aws: AwsTable | None = None


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
class PasswordTable(SecretTable):
    """``password`` of a connection: one of these, or of those of a passphrase."""

    file: str | None = None
    env: str | None = None
    command: str | None = None
    rds_iam: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionTable:
    """``connection`` of a source of databases; ``name`` is a database.

    ``ssm``: the path above the parameters that say what the rest does not.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    host: str = ""
    port: int | None = None
    name: str = ""
    user: str = ""
    service: str = ""
    sslmode: str = ""
    password: PasswordTable | None = None
    ssm: str = ""


@dataclass(frozen=True, slots=True)
class PhysicalTable:
    """``physical`` of a source of databases, where ``true`` does not say enough."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    wal: Literal["included", "archive"] = "included"
    wait: str = "10m"


@dataclass(frozen=True, slots=True)
class CnameTable:
    """``cname`` of a swap: a record of Route 53, and that of the readers of a cluster."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    zone: str
    name: str
    reader: str = ""


@dataclass(frozen=True, slots=True)
class SwapTable:
    """``swap`` of an instance of RDS: what clients find it by."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    ssm: str = ""
    ssm_reader: str = ""
    cname: CnameTable | None = None


@dataclass(frozen=True, slots=True)
class RdsTable:
    """``rds`` of a source of databases: one of ``instance`` and ``cluster``."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    instance: str = ""
    cluster: str = ""
    swap: SwapTable | None = None


@dataclass(frozen=True, slots=True)
class PostgresTable:
    """``[sources.NAME]`` with ``type = "postgres"``."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    type: Literal["postgres"]
    connection: ConnectionTable = field(default_factory=ConnectionTable)
    logical: bool | None = None
    physical: bool | PhysicalTable = False
    databases: tuple[str, ...] = ()
    role_passwords: bool | None = None
    jobs: int = 2
    row_counts: bool = False
    subscriptions: bool = True
    programs: tuple[str, ...] = ()
    scratch: str | None = None
    rds: RdsTable | None = None


@dataclass(frozen=True, slots=True)
class S3Table:
    """``[sources.NAME]`` with ``type = "s3"``; ``most_vanished`` in percent."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    type: Literal["s3"]
    bucket: str
    prefix: str = ""
    versions: Literal["latest"] = "latest"
    tags: bool = True
    configuration: bool = True
    most_vanished: int = 50


@dataclass(frozen=True, slots=True)
class AwsConfigTable:
    """``[sources.NAME]`` with ``type = "aws-config"``."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    type: Literal["aws-config"]
    ssm_parameters: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    cloudformation: tuple[str, ...] = ()


SourceTable = FilesTable | PostgresTable | S3Table | AwsConfigTable
SOURCE_TYPES: Final[Mapping[str, type[SourceTable]]] = {
    "files": FilesTable,
    "postgres": PostgresTable,
    "s3": S3Table,
    "aws-config": AwsConfigTable,
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
class DefaultsTable:
    """``[defaults]``: what counts wherever an environment says nothing else."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    repositories: tuple[str, ...] = ()
    manifests: bool = True
    retention: RetentionTable | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentTable:
    """``[environments.NAME]``; ``only``: which sources a backup saves, all if it is not there.

    ``sources`` as they are written; once the file was checked: every source of the file, as it is
    in this environment.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    repositories: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    protected: bool = False
    restore_from: tuple[str, ...] | None = None
    manifests: bool | None = None
    retention: RetentionTable | None = None
    aws: AwsTable | None = None
    sources: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tables:
    """The whole file."""

    __pydantic_config__: ClassVar[Mapping[str, Any]] = _STRICT

    version: Literal[1]
    project: str = ""
    repositories: dict[str, RepositoryTable] = field(default_factory=dict)
    sources: dict[str, SourceTable] = field(default_factory=dict)
    retention: RetentionTable = field(default_factory=RetentionTable)
    archives: ArchivesTable = field(default_factory=ArchivesTable)
    aws: AwsTable | None = None
    defaults: DefaultsTable = field(default_factory=DefaultsTable)
    environments: dict[str, EnvironmentTable] = field(default_factory=dict)


def source_table(kind: object) -> type[SourceTable]:
    """Return the table of a type of source; that of files for one that is not known."""
    return SOURCE_TYPES.get(kind, FilesTable) if isinstance(kind, str) else FilesTable


_TABLES: Final[Mapping[tuple[str, ...], type[Any]]] = {
    (): Tables,
    ("repositories", "*"): RepositoryTable,
    ("repositories", "*", "passphrase"): SecretTable,
    ("repositories", "*", "aws"): AwsTable,
    ("aws",): AwsTable,
    ("retention",): RetentionTable,
    ("archives",): ArchivesTable,
    ("defaults",): DefaultsTable,
    ("defaults", "retention"): RetentionTable,
    ("environments", "*"): EnvironmentTable,
    ("environments", "*", "retention"): RetentionTable,
    ("environments", "*", "aws"): AwsTable,
}
_OF_A_SOURCE: Final[Mapping[tuple[str, ...], type[Any]]] = {
    ("connection",): ConnectionTable,
    ("connection", "password"): PasswordTable,
    ("physical",): PhysicalTable,
    ("rds",): RdsTable,
    ("rds", "swap"): SwapTable,
    ("rds", "swap", "cname"): CnameTable,
}


def table_at(path: tuple[str, ...], kind: object = None) -> type[Any] | None:
    """Return what may stand in the table at ``path``; ``kind`` is the type of a source."""
    in_source = below_source(path)
    if in_source is not None:
        return _OF_A_SOURCE.get(in_source) if in_source else source_table(kind)
    for pattern, table in _TABLES.items():
        if len(pattern) == len(path) and _begins(path, pattern):
            return table
    return None


def below_source(path: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return where a key stands in the table of a source, its own or an environment's."""
    for top in (("sources", "*"), ("environments", "*", "sources", "*")):
        if _begins(path, top):
            return path[len(top) :]
    return None


def known_keys(path: tuple[str, ...], kind: object = None) -> list[str]:
    """Return the names that may stand in the table at ``path``; ``kind`` is a source's type."""
    table = table_at(path, kind)
    return [] if table is None else [one.name for one in fields(table)]


def _begins(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a path begins as a pattern says, in which ``*`` is any name."""
    start = path[: len(pattern)]
    return len(start) == len(pattern) and all(
        wanted in {"*", name} for wanted, name in zip(pattern, start, strict=True)
    )


_EITHER: Final = ("bool", PhysicalTable.__name__)  # what may be true, or a table


def meant_key(key: tuple[str, ...], given: object) -> tuple[str, ...]:
    """Return the key that an error is about; none if it is about the other way to write a value."""
    is_other = key[-1] == "bool" and isinstance(given, dict)  # a table was meant
    if is_other or key[-1] in _EITHER[1:]:  # or none: the error about true and false says enough
        return ()
    return tuple(one for one in key if one not in _EITHER)
