"""Everything that was decided before a command begins."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from strongroom.aws.account import ANY_ACCOUNT, Account
from strongroom.config.archives import ArchiveSettings, archive_settings
from strongroom.config.aws import account_of
from strongroom.config.awsconfig import AwsConfigSettings, awsconfig_settings
from strongroom.config.documents import DocumentsSettings
from strongroom.config.environment import (
    BACKUP_BUCKET,
    BACKUP_SCOPE,
    COMPRESSION_LEVEL,
    PARALLEL_JOBS,
    REPOSITORY,
    RETENTION_DAYS,
    TZ,
    Environment,
)
from strongroom.config.environments import EnvironmentSettings, environment_settings
from strongroom.config.file import ConfigurationFile, Described, find_file
from strongroom.config.places import Flags, Place, SecretSetting, folders, place_of, secrets_of
from strongroom.config.postgres import PostgresSettings, postgres_settings
from strongroom.config.quantities import parse_rate, parse_size
from strongroom.config.reading import read_file
from strongroom.config.retention import RetentionSettings, retention_settings
from strongroom.config.schema import FilesTable, S3Table
from strongroom.config.values import Level, Value
from strongroom.errors import UsageError


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
    configurations: dict[str, AwsConfigSettings] = field(default_factory=dict)
    environments: dict[str, EnvironmentSettings] = field(default_factory=dict)
    account: Account = ANY_ACCOUNT
    documents: dict[str, DocumentsSettings] = field(default_factory=dict)

    def account_in(self, environment: str) -> Account:
        """Return who we are to AWS in an environment; an empty name is where there is none."""
        stated = self.environments.get(environment)
        return self.account if stated is None else stated.account

    def within(self, environment: str) -> list[Settings]:
        """Return the settings of an environment: for each of its repositories those that count."""
        one = self.environments[environment]
        return [
            replace(self, place=place, secrets=secrets, retention=one.retention)
            for place, secrets in one.places
        ]

    def require_place(self) -> Place:
        """Return where the repository is; UsageError if nobody said so."""
        if self.place is None:
            raise UsageError(
                "no repository is named",
                hint=f"Give one with -r FOLDER, or set {REPOSITORY} (or {BACKUP_BUCKET}), "
                "or write url below [repositories.main] in strongroom.toml.",
            )
        return self.place

    def source(self, name: str) -> SourceSettings:
        """Return a source of the configuration by its name; UsageError."""
        if name in self.sources:
            return self.sources[name]
        others = [*self.databases, *self.documents, *self.configurations]
        all_of_them = [*self.sources, *others]
        near = difflib.get_close_matches(name, all_of_them, n=1)
        known = ", ".join(all_of_them) or "none"
        where = f"in {self.config_file}" if self.config_file else "and there is no strongroom.toml"
        guess = f"Did you mean '{near[0]}'? " if near else ""
        environments = ", ".join(self.environments)
        named = f"An environment is backed up by its name: {environments}. " if environments else ""
        raise UsageError(
            f"no source is called '{name}' {where} (known: {known})",
            hint=f"{guess}{named}A path has a slash in it: './{name}'.",
        )


def load_settings(flags: Flags, environment: Environment) -> Settings:
    """Put flags, environment and file together; UsageError for what does not hold."""
    path = find_file(flags.config, environment)
    file = read_file(path) if path is not None else None
    place, table = place_of(flags, environment, file)
    cache, state = folders(flags, environment)
    days, zone = environment.value(RETENTION_DAYS), environment.value(TZ)
    retention = retention_settings(file.retention() if file is not None else {}, days, zone)
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
        retention=retention,
        archives=_archives(file, environment),
        databases=postgres_settings(file, environment),
        configurations=awsconfig_settings(file),
        environments=environment_settings(flags, environment, file, days, zone),
        account=account_of(environment, file.tables.aws if file is not None else None),
        documents=_documents(file) if file is not None else {},
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


def _sources(file: ConfigurationFile, environment: Environment) -> dict[str, SourceSettings]:
    return {
        one.name: _source(one, one.table, file, environment)
        for one in file.sources()
        if isinstance(one.table, FilesTable)
    }


def _documents(file: ConfigurationFile) -> dict[str, DocumentsSettings]:
    return {
        one.name: DocumentsSettings(
            name=one.name,
            environment=one.environment,
            bucket=one.table.bucket,
            prefix=one.table.prefix,
            tags=one.table.tags,
            configuration=one.table.configuration,
            most_vanished=one.table.most_vanished,
        )
        for one in file.sources()
        if isinstance(one.table, S3Table)
    }


def _source(
    one: Described, table: FilesTable, file: ConfigurationFile, environment: Environment
) -> SourceSettings:
    size = table.exclude_larger_than
    listed = table.exclude_file
    return SourceSettings(
        name=one.name,
        paths=tuple(environment.expanded(path, file.folder) for path in table.paths),
        exclude=table.exclude,
        exclude_file=environment.expanded(listed, file.folder) if listed is not None else None,
        exclude_caches=table.exclude_caches,
        exclude_larger_than=None if size is None else parse_size(size, "exclude_larger_than"),
        one_file_system=table.one_file_system,
        origin=file.origin_of(one, "exclude"),
    )
