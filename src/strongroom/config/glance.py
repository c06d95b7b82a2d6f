"""A quick look at the configuration: for completion, which has no time to check it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from strongroom.config.environment import Environment
from strongroom.config.file import ConfigurationFile, TomlFile, find_file
from strongroom.config.places import Flags, Place, folders, place_of
from strongroom.config.schema import VERSION, RepositoryTable, Tables
from strongroom.errors import UsageError


class Glance(NamedTuple):
    """Names that the file has, and where this host keeps what it knows; nothing is checked."""

    place: Place | None
    cache_dir: Path
    state_dir: Path
    repositories: tuple[str, ...]
    sources: tuple[str, ...]
    """What ``backup`` takes: sources, or environments and the sources in them."""


def glance(flags: Flags, environment: Environment) -> Glance:
    """Look; what cannot be read is as if it were not there. UsageError without a home folder."""
    cache, state = folders(flags, environment)
    file = None
    with suppress(UsageError, OSError, ValueError):
        path = find_file(flags.config, environment)
        file = _unchecked(path) if path is not None else None
    place = None
    with suppress(UsageError):
        place, _ = place_of(flags, environment, file)
    sources = tuple(_sources(file)) if file is not None else ()
    names = tuple(file.tables.repositories) if file is not None else ()
    return Glance(place, cache, state, names, sources)


def _unchecked(path: Path) -> ConfigurationFile:
    text = path.read_text(encoding="utf-8-sig")
    read = tomllib.loads(text)
    named = TomlFile(path, text, read).named("repositories")
    urls = {name: table.get("url") for name, table in named.items()}
    tables = {name: RepositoryTable(url) for name, url in urls.items() if isinstance(url, str)}
    return ConfigurationFile(path, text, read, Tables(VERSION, repositories=tables))


def _sources(file: ConfigurationFile) -> Iterator[str]:
    environments, sources = file.named("environments"), file.named("sources")
    yield from environments or sources
    yield from (f"{one}.{source}" for one in environments for source in sources)
