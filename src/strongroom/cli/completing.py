"""What the shell may complete an argument to; what is needed for it is loaded when it is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import click
from click.shell_completion import CompletionItem

from strongroom.cli.loading import load

Items = list[CompletionItem[str]]
Complete = Callable[[click.Context, click.Parameter, str], Items]

_CANDIDATES: Final = "strongroom.cli.candidates"


def snapshots(context: click.Context, _parameter: click.Parameter, begin: str) -> Items:
    """Snapshots that this host has seen."""
    return cast(Items, load(_CANDIDATES).snapshots(context, begin))


def snapshots_or_files(context: click.Context, parameter: click.Parameter, begin: str) -> Items:
    """Files where a comparison is with the disk; else snapshots that this host has seen."""
    if context.params.get("disk"):
        return files(context, parameter, begin)
    return snapshots(context, parameter, begin)


def repositories(context: click.Context, _parameter: click.Parameter, _begin: str) -> Items:
    """Folders, and names of repositories in the configuration."""
    return cast(Items, load(_CANDIDATES).repositories(context))


def sources(context: click.Context, _parameter: click.Parameter, _begin: str) -> Items:
    """Files, and names of sources in the configuration."""
    return cast(Items, load(_CANDIDATES).sources(context))


def archives(context: click.Context, _parameter: click.Parameter, begin: str) -> Items:
    """Archives of the project."""
    return cast(Items, load(_CANDIDATES).archives(context, begin))


def files(_context: click.Context, _parameter: click.Parameter, _begin: str) -> Items:
    """Files of this machine; the shell finds them."""
    return cast(Items, load(_CANDIDATES).files())


def folders(_context: click.Context, _parameter: click.Parameter, _begin: str) -> Items:
    """Folders of this machine; the shell finds them."""
    return cast(Items, load(_CANDIDATES).folders())
