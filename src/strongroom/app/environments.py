"""Environments on the command line: what ``backup ENV TYPE`` means, what a restore goes into."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from strongroom.app.machine import Run
from strongroom.config.environments import environment_of, source_in
from strongroom.config.settings import Settings
from strongroom.errors import RefusedError, UsageError
from strongroom.model.snapshot import ListedSnapshot
from strongroom.policy.landing import NOWHERE, Landing, refuse_origin

FULL: Final = "full"
FILES: Final = "files"
DATABASE: Final = "database"
DOCUMENTS: Final = "documents"
CONFIG: Final = "config"
_OTHERS: Final = re.compile(r"[^a-z0-9]+")
_LONGEST: Final = 64  # of what of the project stands in names
TYPES: Final = (FULL, DATABASE, FILES, DOCUMENTS, CONFIG)


class Meant(NamedTuple):
    """What a backup saves: names of sources; environment and type are empty where none is named."""

    names: Sequence[str]
    environment: str = ""
    type: str = ""


def meant_by(settings: Settings, words: Sequence[str]) -> Meant:
    """Read the words of a backup: ``ENV [TYPE]``, or names and paths; ``UsageError``."""
    known = settings.environments
    if not known:
        return Meant(words)
    if not words:
        raise UsageError(
            "the configuration describes environments, and none is named",
            hint=f"Name one: strongroom backup {next(iter(known))} (of {', '.join(known)}).",
        )
    if words[0] not in known:
        return _named(settings, words)
    if len(words) > 2:  # noqa: PLR2004 - an environment and a type
        raise UsageError(
            f"after '{words[0]} {words[1]}' nothing more can be named, also not '{words[2]}'",
            hint="Single sources are named ENVIRONMENT.SOURCE.",
        )
    kind = words[1] if len(words) > 1 else FULL
    return Meant(_of_type(settings, words[0], kind), words[0], kind)


def _named(settings: Settings, words: Sequence[str]) -> Meant:
    """Read names of sources and paths: those of one environment, or of none."""
    named = {environment_of(word) if "/" not in word else "" for word in words}
    environments = named & settings.environments.keys()
    if not environments:
        return Meant(words)
    if len(named) > 1:
        raise UsageError(
            "one backup is of one environment, and of nothing else",
            hint="Back up what belongs to no environment, or to another one, by itself.",
        )
    return Meant(words, environments.pop(), _type_of(settings, words))


def _type_of(settings: Settings, names: Sequence[str]) -> str:
    """Return the type that names have in common; empty if they have none."""
    of_others: dict[str, Collection[str]] = {
        DATABASE: settings.databases,
        DOCUMENTS: settings.documents,
        CONFIG: settings.configurations,
    }
    types = {
        next((kind for kind, sources in of_others.items() if name in sources), FILES)
        for name in names
    }
    return types.pop() if len(types) == 1 else ""


def _of_type(settings: Settings, environment: str, kind: str) -> list[str]:
    chosen = settings.environments[environment].sources
    if not chosen:
        raise RefusedError(
            f"environment '{environment}' backs up nothing: only = [] in its table",
            hint="It is a place to restore to.",
        )
    of_kind = {
        FULL: chosen,
        FILES: [name for name in chosen if name in settings.sources],
        DATABASE: [name for name in chosen if name in settings.databases],
        DOCUMENTS: [name for name in chosen if name in settings.documents],
        CONFIG: [name for name in chosen if name in settings.configurations],
    }
    if kind not in of_kind:
        near = difflib.get_close_matches(kind, TYPES, n=1)
        raise UsageError(
            f"'{kind}' is no type of backup (known: {', '.join(TYPES)})",
            hint=f"Did you mean '{near[0]}'?" if near else "A source is named ENVIRONMENT.SOURCE.",
        )
    if not of_kind[kind]:
        raise UsageError(
            f"environment '{environment}' has no source of type '{kind}'",
            hint=f"It has: {', '.join(chosen)}.",
        )
    return list(of_kind[kind])


def series_of(settings: Settings, environment: str, kind: str) -> str:
    """Return what the backups of an environment are called, before their time; empty without one.

    ``PROJECT-ENVIRONMENT-TYPE``, in characters that a key of an object may have.
    """
    if not environment:
        return ""
    project = _OTHERS.sub("-", settings.environments[environment].project.lower()).strip("-")
    return "-".join(filter(None, (project[:_LONGEST].rstrip("-"), environment, kind)))


def runs_in(run: Run, environment: str) -> list[Run]:
    """Return a run for each repository of an environment; the same run without one."""
    if not environment:
        return [run]
    return [replace(run, settings=one) for one in run.settings.within(environment)]


def landing_of(settings: Settings, environment: str) -> Landing:
    """Return what is decided about restores into an environment; ``UsageError`` for none."""
    if not environment:
        return NOWHERE
    known = settings.environments
    if environment not in known:
        near = difflib.get_close_matches(environment, known, n=1)
        guess = f"Did you mean '{near[0]}'? " if near else ""
        raise UsageError(
            f"no environment is called '{environment}' (known: {', '.join(known) or 'none'})",
            hint=f"{guess}Environments are described in strongroom.toml: [environments.NAME].",
        )
    one = known[environment]
    return Landing(environment, one.protected, one.restore_from)


def admitted(settings: Settings, environment: str, listed: ListedSnapshot) -> Landing:
    """Return what an environment wants confirmed; ``RefusedError`` if this may not come into it."""
    into = landing_of(settings, environment)
    refuse_origin(into, listed.snapshot.environment.decode("utf-8", "replace"))
    return into


def target_server(settings: Settings, server: str, environment: str, source: str) -> str:
    """Return the source whose server is meant: the one that is named, or that of an environment.

    That is the counterpart of ``source`` there, or the only one. Nothing said: ``source``.
    ``UsageError``.
    """
    if not environment:
        return server or source
    landing_of(settings, environment)
    there = [name for name in settings.databases if environment_of(name) == environment]
    wanted = source_in(environment, source) if source or len(there) != 1 else there[0]
    if wanted not in there:
        raise UsageError(
            f"which server of environment '{environment}' is meant?",
            hint=f"Give --server NAME instead: {', '.join(there) or 'it has none'}.",
        )
    return wanted


def landing_on(settings: Settings, server: str) -> Landing:
    """Return what is decided about restores to the server of a source."""
    return landing_of(settings, environment_of(server))
