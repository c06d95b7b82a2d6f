"""Candidates for completion: from files of this host alone, without the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

from strongroom.app.completion import known_names, known_snapshots, shortest
from strongroom.archive.naming import archive_id
from strongroom.cli.common import common_of
from strongroom.cli.flags import flags_of
from strongroom.clock import as_utc
from strongroom.config.archives import FOLDER
from strongroom.config.environment import read_environment

Items = list[CompletionItem[str]]

_LATEST: Final = "latest"


def snapshots(context: click.Context, begin: str) -> Items:
    """Return ``latest``, and the latest snapshots by their ids."""
    flags = flags_of(common_of(context))
    found = known_snapshots(flags, read_environment(), begin)
    items = [CompletionItem(_LATEST, help="the newest snapshot")]
    items = [item for item in items if item.value.startswith(begin)]
    for snapshot, text in zip(found, shortest(found), strict=True):
        when = as_utc(snapshot.committed_ns).astimezone().isoformat(sep=" ", timespec="minutes")
        items.append(CompletionItem(text if len(begin) <= len(text) else snapshot.id, help=when))
    return items


def archives(context: click.Context, begin: str) -> Items:
    """Return ``latest``, and the ids of the archives of the project."""
    project = context.params.get("project") or "."
    folder = Path(context.params.get("folder") or Path(project) / FOLDER)
    names = [] if not folder.is_dir() else sorted(path.name for path in folder.iterdir())
    found = [_LATEST, *reversed([name for name in names if archive_id(name) is not None])]
    return [CompletionItem(name) for name in found if name.startswith(begin)]


def repositories(context: click.Context) -> Items:
    """Return folders, and names of repositories."""
    names, _ = known_names(flags_of(common_of(context)), read_environment())
    return [*folders(), *(CompletionItem(name, help="in strongroom.toml") for name in names)]


def sources(context: click.Context) -> Items:
    """Return files, and names of sources."""
    _, names = known_names(flags_of(common_of(context)), read_environment())
    return [*files(), *(CompletionItem(name, help="in strongroom.toml") for name in names)]


def files() -> Items:
    """Let the shell complete files."""
    return [CompletionItem("", type="file")]


def folders() -> Items:
    """Let the shell complete folders."""
    return [CompletionItem("", type="dir")]
