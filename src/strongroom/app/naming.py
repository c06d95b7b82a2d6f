"""What the words of a backup name: sources of each kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from strongroom.app.machine import Run
from strongroom.config.awsconfig import AwsConfigSettings
from strongroom.config.documents import DocumentsSettings
from strongroom.config.postgres import PostgresSettings
from strongroom.errors import UsageError


class Named(NamedTuple):
    """What is saved: paths and sources of files, and the sources of each other kind."""

    files: list[str]
    databases: list[PostgresSettings]
    documents: list[DocumentsSettings]
    configurations: list[AwsConfigSettings]


def named_sources(run: Run, names: Sequence[str]) -> Named:
    """Return what names mean, each once.

    Without names, every source of the configuration; ``UsageError`` if it has none.
    """
    settings = run.settings
    others = {**settings.databases, **settings.documents, **settings.configurations}
    if not names and not settings.sources and not others:
        raise UsageError(
            "nothing to back up is named",
            hint="Name paths, such as ./documents, or describe sources in strongroom.toml.",
        )
    wanted = dict.fromkeys(names or [*settings.sources, *others])
    return Named(
        [name for name in wanted if name not in others],
        [settings.databases[name] for name in wanted if name in settings.databases],
        [settings.documents[name] for name in wanted if name in settings.documents],
        [settings.configurations[name] for name in wanted if name in settings.configurations],
    )
