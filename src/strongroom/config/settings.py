"""Everything that was decided before a command begins."""

from __future__ import annotations

import difflib
import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from strongroom.config.archives import ArchiveSettings, archive_settings
from strongroom.config.environment import (
    BACKUP_SCOPE,
    CACHE_DIR,
    COMPRESSION_LEVEL,
    KEY_FILE,
    PARALLEL_JOBS,
    PASSPHRASE_COMMAND,
    PASSPHRASE_FILE,
    REPOSITORY,
    RETENTION_DAYS,
    STATE_DIR,
    TZ,
    Environment,
)
from strongroom.config.file import ConfigurationFile, find_file, read_file
from strongroom.config.postgres import PostgresSettings, postgres_settings
from strongroom.config.quantities import parse_rate, parse_size
from strongroom.config.retention import RetentionSettings, retention_settings
from strongroom.config.schema import FilesTable, RepositoryTable
from strongroom.config.values import Level, Value, first
from strongroom.errors import UsageError

DEFAULT_REPOSITORY: Final = "main"


class SecretKind(enum.Enum):
    """The ways to give a secret."""

    PASSPHRASE_FILE = "passphrase file"  # noqa: S105 - a kind of secret
    PASSPHRASE_COMMAND = "passphrase command"  # noqa: S105 - as above
    KEY_FILE = "key file"


@dataclass(frozen=True, slots=True)
class SecretSetting:
    """Where a secret is to be had: the path of a file, or a command."""

    kind: SecretKind
    setting: Value[str]

    @property
    def is_file(self) -> bool:
        """Whether the setting is the path of a file."""
        return self.kind is not SecretKind.PASSPHRASE_COMMAND


@dataclass(frozen=True, slots=True)
class Place:
    """The repository as a person gave it, and the folder that a relative path starts from."""

    url: str
    folder: Path
    origin: str


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A source of the configuration; paths are absolute."""

    name: str
    paths: tuple[Path, ...]
    exclude: tuple[str, ...] = ()
    exclude_file: Path | None = None
    exclude_caches: bool = False
    exclude_larger_than: int | None = None
    one_file_system: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says; None where it says nothing."""

    repository: str | None = None
    passphrase_file: str | None = None
    passphrase_command: str | None = None
    key_file: str | None = None
    cache_dir: str | None = None
    config: str | None = None
    limit_upload: str | None = None
    limit_download: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The most bytes per second to and from the store; None is no limit."""

    upload: int | None = None
    download: int | None = None


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Settings:
    """The decisions; nothing in here is a secret itself."""

    place: Place | None
    secrets: tuple[SecretSetting, ...]
    cache_dir: Path
    state_dir: Path
    config_file: Path | None
    sources: dict[str, SourceSettings]
    folder: Path
    no_color: bool
    limits: Limits = NO_LIMITS
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    archives: ArchiveSettings = field(default_factory=ArchiveSettings)
    databases: dict[str, PostgresSettings] = field(default_factory=dict)

    def require_place(self) -> Place:
        """Return where the repository is; UsageError if nobody said so."""
        if self.place is None:
            raise UsageError(
                "no repository is named",
                hint=f"Give one with -r FOLDER, or set {REPOSITORY}, "
                "or write url below [repositories.main] in strongroom.toml.",
            )
        return self.place

    def source(self, name: str) -> SourceSettings:
        """Return a source of the configuration by its name; UsageError."""
        if name in self.sources:
            return self.sources[name]
        all_of_them = [*self.sources, *self.databases]
        near = difflib.get_close_matches(name, all_of_them, n=1)
        known = ", ".join(all_of_them) or "none"
        where = f"in {self.config_file}" if self.config_file else "and there is no strongroom.toml"
        guess = f"Did you mean '{near[0]}'? " if near else ""
        raise UsageError(
            f"no source is called '{name}' {where} (known: {known})",
            hint=f"{guess}A path has a slash in it: './{name}'.",
        )


def load_settings(flags: Flags, environment: Environment) -> Settings:
    """Put flags, environment and file together; UsageError for what does not hold."""
    path = find_file(flags.config, environment)
    file = read_file(path) if path is not None else None
    place, table = place_of(flags, environment, file)
    cache, state = folders(flags, environment)
    return Settings(
        place=place,
        secrets=secrets_of(flags, environment, file, table),
        cache_dir=cache,
        state_dir=state,
        config_file=path,
        sources=_sources(file, environment) if file is not None else {},
        folder=environment.folder,
        no_color=environment.get("NO_COLOR") is not None,
        limits=Limits(
            _rate(flags.limit_upload, "--limit-upload"),
            _rate(flags.limit_download, "--limit-download"),
        ),
        retention=retention_settings(
            file.table("retention") if file is not None else {},
            environment.value(RETENTION_DAYS),
            environment.value(TZ),
        ),
        archives=_archives(file, environment),
        databases=postgres_settings(file, environment),
    )


def _archives(file: ConfigurationFile | None, environment: Environment) -> ArchiveSettings:
    table = file.table("archives") if file is not None else {}
    level = environment.value(COMPRESSION_LEVEL)
    if file is not None and level is None and "level" in table:
        level = Value(str(table["level"]), file.origin("archives", "level"), Level.FILE)
    return archive_settings(
        table, environment.value(BACKUP_SCOPE), level, environment.value(PARALLEL_JOBS)
    )


def _rate(text: str | None, option: str) -> int | None:
    return None if text is None else parse_rate(text, option)


def place_of(
    flags: Flags, environment: Environment, file: ConfigurationFile | None
) -> tuple[Place | None, str | None]:
    """Return the place, and the name of its table if the configuration has it."""
    flag = None if flags.repository is None else _flag(flags.repository, "--repository")
    given = first(flag, environment.value(REPOSITORY))
    tables = file.tables.repositories if file is not None else {}
    if given is None and tables:
        name = DEFAULT_REPOSITORY if DEFAULT_REPOSITORY in tables else min(tables)
        if name != DEFAULT_REPOSITORY and len(tables) > 1:
            raise UsageError(
                f"the configuration has several repositories and none called {DEFAULT_REPOSITORY}",
                hint=f"Name one with -r: {', '.join(tables)}.",
            )
        given = Value(name, name, Level.FILE)
    if given is None:
        return None, None
    if given.value in tables and file is not None:
        origin = file.origin("repositories", given.value, "url")
        url = _expanded_url(tables[given.value].url, environment)
        return Place(url, file.folder, origin), given.value
    return Place(_expanded_url(given.value, environment), environment.folder, given.origin), None


def _expanded_url(url: str, environment: Environment) -> str:
    return str(environment.expanded(url, Path("/"))) if url.startswith("~") else url


def _flag(text: str, name: str) -> Value[str]:
    return Value(text, name, Level.FLAG)


def secrets_of(
    flags: Flags,
    environment: Environment,
    file: ConfigurationFile | None,
    table: str | None,
    option: str = "-",
) -> tuple[SecretSetting, ...]:
    """Return what was given; of flags, environment and file, the first that gives anything.

    What a flag gives, the environment may give as well: it must then be the same secret.
    ``option``: what the names of the flags begin with.
    """
    found = []
    for kind, flag, flag_name, variable in (
        (
            SecretKind.PASSPHRASE_FILE,
            flags.passphrase_file,
            f"{option}-passphrase-file",
            PASSPHRASE_FILE,
        ),
        (
            SecretKind.PASSPHRASE_COMMAND,
            flags.passphrase_command,
            f"{option}-passphrase-command",
            PASSPHRASE_COMMAND,
        ),
        (SecretKind.KEY_FILE, flags.key_file, f"{option}-key-file", KEY_FILE),
    ):
        values = [None if flag is None else _flag(flag, flag_name), environment.value(variable)]
        found += [_secret(kind, v, environment, environment.folder) for v in values if v]
    flags_give = {_is_key(one) for one in found if one.setting.level is Level.FLAG}
    if flags_give:
        found = [one for one in found if _is_key(one) in flags_give]
    if found or file is None or table is None:
        return tuple(found)
    return tuple(_secrets_of_file(file, table, environment))


def _is_key(secret: SecretSetting) -> bool:
    return secret.kind is SecretKind.KEY_FILE


def _secrets_of_file(
    file: ConfigurationFile, table: str, environment: Environment
) -> list[SecretSetting]:
    row: RepositoryTable = file.tables.repositories[table]
    found = []
    for kind, key, text in (
        (SecretKind.PASSPHRASE_FILE, "passphrase_file", row.passphrase_file),
        (SecretKind.PASSPHRASE_COMMAND, "passphrase_command", row.passphrase_command),
        (SecretKind.KEY_FILE, "key_file", row.key_file),
    ):
        if text is not None:
            value = Value(text, file.origin("repositories", table, key), Level.FILE)
            found.append(_secret(kind, value, environment, file.folder))
    return found


def _secret(
    kind: SecretKind, value: Value[str], environment: Environment, folder: Path
) -> SecretSetting:
    if kind is SecretKind.PASSPHRASE_COMMAND:
        return SecretSetting(kind, value)
    path = str(environment.expanded(value.value, folder))
    return SecretSetting(kind, Value(path, value.origin, value.level))


def folders(flags: Flags, environment: Environment) -> tuple[Path, Path]:
    """Return the folders of caches and of state."""
    cache, state = folder_values(flags, environment)
    return cache.value, state.value


def folder_values(flags: Flags, environment: Environment) -> tuple[Value[Path], Value[Path]]:
    """Return the folders of caches and of state, and where they come from."""
    flag = None if flags.cache_dir is None else _flag(flags.cache_dir, "--cache-dir")
    given = first(flag, environment.value(CACHE_DIR))
    state = environment.value(STATE_DIR)
    if given is not None:
        path = environment.expanded(given.value, environment.folder)
        cache = Value(path, given.origin, given.level)
    else:
        path = environment.base_folder("XDG_CACHE_HOME", ".cache") / "strongroom"
        cache = Value(path, "default", Level.DEFAULT)
    if state is not None:
        path = environment.expanded(state.value, environment.folder)
        return cache, Value(path, state.origin, state.level)
    if given is not None:
        return cache, Value(cache.value / "state", given.origin, given.level)
    path = environment.base_folder("XDG_STATE_HOME", ".local/state") / "strongroom"
    return cache, Value(path, "default", Level.DEFAULT)


def _sources(file: ConfigurationFile, environment: Environment) -> dict[str, SourceSettings]:
    return {
        name: _source(name, table, file, environment)
        for name, table in file.tables.sources.items()
        if isinstance(table, FilesTable)
    }


def _source(
    name: str, table: FilesTable, file: ConfigurationFile, environment: Environment
) -> SourceSettings:
    size = table.exclude_larger_than
    listed = table.exclude_file
    return SourceSettings(
        name=name,
        paths=tuple(environment.expanded(path, file.folder) for path in table.paths),
        exclude=table.exclude,
        exclude_file=environment.expanded(listed, file.folder) if listed is not None else None,
        exclude_caches=table.exclude_caches,
        exclude_larger_than=None if size is None else parse_size(size, "exclude_larger_than"),
        one_file_system=table.one_file_system,
        origin=file.origin("sources", name, "exclude"),
    )
