"""The configuration as it takes effect: every setting, and where it came from; no secret."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Final, NamedTuple

from strongroom.config.aws import region_of
from strongroom.config.environment import BACKUP_BUCKET, CONFIG, RETENTION_DAYS, Environment
from strongroom.config.file import ConfigurationFile, Described, find_file
from strongroom.config.places import Flags, SecretKind, folder_values
from strongroom.config.reading import read_file
from strongroom.config.references import reference_of
from strongroom.config.schema import (
    ArchivesTable,
    AwsTable,
    CnameTable,
    ConnectionTable,
    RdsTable,
    RepositoryTable,
    RetentionTable,
    SecretTable,
    SourceTable,
    SwapTable,
)
from strongroom.config.settings import Settings, load_settings
from strongroom.config.values import Value

HIDDEN: Final = "(not shown: it may hold a secret)"
_DEFAULT: Final = "default"
_AWS: Final = "aws"
_SECRET_KEYS: Final = frozenset({"passphrase_command"})

Shown = str | bool | int | tuple[str, ...] | None


class Effective(NamedTuple):
    """One setting: ``origin`` is a flag, a variable, FILE:LINE, or ``default``."""

    key: str
    value: Shown
    origin: str


def effective(flags: Flags, environment: Environment) -> list[Effective]:
    """Return every setting; UsageError if the configuration does not hold."""
    settings = load_settings(flags, environment)
    path = find_file(flags.config, environment)
    file = read_file(path) if path is not None else None
    found = list(_repository(settings))
    cache, state = folder_values(flags, environment)
    found += _region(settings, environment, file)
    found.append(Effective("cache folder", str(cache.value), cache.origin))
    found.append(Effective("state folder", str(state.value), state.origin))
    found.append(Effective("file", str(path) if path else None, _how_found(flags, environment)))
    found += _retention(settings, file)
    found += _archives(settings, file)
    if file is not None:
        found += _general(file)
        found += _tables(file)
        for name in file.tables.environments:
            found += _environment(file, name)
    return found


def _how_found(flags: Flags, environment: Environment) -> str:
    if flags.config is not None:
        return "--config"
    return CONFIG if environment.get(CONFIG) is not None else _DEFAULT


def _repository(settings: Settings) -> Iterator[Effective]:
    place = settings.place
    yield Effective("repository", place.url if place else None, place.origin if place else _DEFAULT)
    for secret in settings.secrets:
        hidden = secret.kind is SecretKind.PASSPHRASE_COMMAND
        value = HIDDEN if hidden else secret.setting.value
        yield Effective(secret.kind.value, value, secret.setting.origin)
    if not settings.secrets:
        yield Effective("passphrase", "asked for at the terminal", _DEFAULT)


def _region(
    settings: Settings, environment: Environment, file: ConfigurationFile | None
) -> Iterator[Effective]:
    """Yield the region of a repository in a bucket, which several places may name."""
    place = settings.place
    if place is None or not place.url.startswith("s3://"):
        return
    region = place.account.region
    named = region_of(environment)
    own = ("repositories", place.name, _AWS, "region")
    key = "repository region"
    if not region:
        yield Effective(key, "asked of the bucket", _DEFAULT)
    elif file is not None and place.origin != BACKUP_BUCKET and place.name and file.states(*own):
        yield Effective(key, region, file.origin(*own))
    elif named is not None:
        yield Effective(key, region, named.origin)
    elif file is not None:
        yield Effective(key, region, file.origin(_AWS, "region"))


def _retention(settings: Settings, file: ConfigurationFile | None) -> Iterator[Effective]:
    if settings.retention.policy().is_empty:
        yield Effective("retention", "everything is kept", _DEFAULT)
        return
    settings.retention.zone()  # a zone that is not known does not hold either
    stated = file.retention() if file is not None else {}
    top: tuple[str, ...] = ("retention",)
    if file is not None and file.states("defaults", "retention"):
        top = ("defaults", "retention")
    for field in fields(RetentionTable):
        value, origin = stated.get(field.name), _DEFAULT
        if file is not None and field.name in stated:
            origin = file.origin(*top, field.name)
        if field.name == "days" and settings.retention.days is not None:
            value, origin = settings.retention.days.value, RETENTION_DAYS
        shown = tuple(value) if isinstance(value, list) else value
        yield Effective(f"retention.{field.name}", shown, origin)


def _archives(settings: Settings, file: ConfigurationFile | None) -> Iterator[Effective]:
    """Nothing unless something is said: most people have no archives."""
    stated = file.table("archives") if file is not None else {}
    given = {
        name: value
        for name, value in (
            ("scope", settings.archives.scope),
            ("level", settings.archives.level),
            ("jobs", settings.archives.jobs),
        )
        if isinstance(value, Value)
    }
    for name in dict.fromkeys([*(one.name for one in fields(ArchivesTable)), *given]):
        if name in given:
            yield Effective(f"archives.{name}", given[name].value, given[name].origin)
        elif file is not None and name in stated:
            value = stated[name]
            shown = tuple(value) if isinstance(value, list) else value
            yield Effective(f"archives.{name}", shown, file.origin("archives", name))


def _tables(file: ConfigurationFile) -> Iterator[Effective]:
    tables: dict[str, dict[str, RepositoryTable] | dict[str, SourceTable]] = {
        "repositories": file.tables.repositories,
        "sources": file.tables.sources,
    }
    for kind, named in tables.items():
        for name, table in named.items():
            for field in fields(table):
                stated = file.states(kind, name, field.name)
                said = getattr(table, field.name)
                place = (kind, name, field.name)
                if isinstance(said, ConnectionTable):
                    yield from _connection(file, f"{kind}.{name}", said, place)
                    continue
                if field.name == _AWS:
                    yield from _aws(file, said, place)
                    continue
                if isinstance(said, SecretTable):
                    said = str(reference_of(said))
                if isinstance(said, RdsTable):
                    yield from _nested(file, said, place)
                    continue
                value: Shown = HIDDEN if stated and field.name in _SECRET_KEYS else said
                origin = file.origin(kind, name, field.name) if stated else _DEFAULT
                yield Effective(f"{kind}.{name}.{field.name}", value, origin)


def _aws(
    file: ConfigurationFile, said: AwsTable | None, place: tuple[str, ...]
) -> Iterator[Effective]:
    for field in fields(AwsTable) if said is not None else ():
        if file.states(*place, field.name):
            origin = file.origin(*place, field.name)
            yield Effective(f"{'.'.join(place)}.{field.name}", getattr(said, field.name), origin)


def _nested(
    file: ConfigurationFile,
    table: RdsTable | SwapTable | CnameTable,
    place: tuple[str, ...],
    title: str = "",
) -> Iterator[Effective]:
    """Yield what a table says, and the tables in it; ``title`` if it is called otherwise."""
    for field in fields(table):
        key, said = (*place, field.name), getattr(table, field.name)
        called = f"{title or '.'.join(place)}.{field.name}"
        if isinstance(said, SwapTable | CnameTable):
            yield from _nested(file, said, key, called)
        elif file.states(*key):
            yield Effective(called, said, file.origin(*key))


def _general(file: ConfigurationFile) -> Iterator[Effective]:
    yield from _aws(file, file.tables.aws, (_AWS,))
    if file.states("project"):
        yield Effective("project", file.tables.project, file.origin("project"))
    if file.states("defaults", "repositories"):
        origin = file.origin("defaults", "repositories")
        yield Effective("defaults.repositories", file.tables.defaults.repositories, origin)
    if file.states("defaults", "manifests"):
        origin = file.origin("defaults", "manifests")
        yield Effective("defaults.manifests", file.tables.defaults.manifests, origin)


def _environment(file: ConfigurationFile, name: str) -> Iterator[Effective]:
    """Yield what an environment decides, and its sources as far as anything is said of them."""
    table, top = file.tables.environments[name], ("environments", name)
    title = ".".join(top)
    for key in ("repositories", "only", "protected", "restore_from", "manifests"):
        place: tuple[str, ...] = (*top, key)
        if key in {"repositories", "manifests"} and not file.states(*place):
            place = ("defaults", key)
        if file.states(*place):
            value = file.at(*place[:-1])[key]
            shown = tuple(value) if isinstance(value, list) else value
            yield Effective(f"{title}.{key}", shown, file.origin(*place))
        elif key == "protected":
            yield Effective(f"{title}.{key}", table.protected, _DEFAULT)
        elif key == "manifests":
            yield Effective(f"{title}.{key}", file.tables.defaults.manifests, _DEFAULT)
    yield from _aws(file, table.aws, (*top, _AWS))
    for rule, said in file.at(*top, "retention").items():
        shown = tuple(said) if isinstance(said, list) else said
        origin = file.origin(*top, "retention", rule)
        yield Effective(f"{title}.retention.{rule}", shown, origin)
    for one in file.sources():
        if one.environment == name:
            yield from _in_environment(file, one)


def _in_environment(file: ConfigurationFile, one: Described) -> Iterator[Effective]:
    title = ".".join(one.place)
    for field in fields(one.table):
        place = file.key_of(one, field.name)
        said = getattr(one.table, field.name)
        if isinstance(said, ConnectionTable):
            yield from _connection(file, title, said, place)
        elif isinstance(said, RdsTable):
            yield from _nested(file, said, place, f"{title}.rds")
        elif file.states(*place) and field.name != "type":
            yield Effective(f"{title}.{field.name}", said, file.origin(*place))


def _connection(
    file: ConfigurationFile, title: str, table: ConnectionTable, place: tuple[str, ...]
) -> Iterator[Effective]:
    """Yield what is said of a connection at ``place``; where its password is, may be secret."""
    for field in fields(table):
        key = (*place, field.name)
        value: Shown = getattr(table, field.name)
        if table.password is not None and field.name == "password":
            value = HIDDEN
        if file.states(*key):
            yield Effective(f"{title}.connection.{field.name}", value, file.origin(*key))
