"""Names in the file: of repositories, sources and environments, and those that mean none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from strongroom.repository import layout

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_WHERE_NAMES_STAND: Final = ("repositories", "sources", "environments")
_TAKEN: Final = frozenset(
    prefix.rstrip("/")
    for prefix in (layout.CONFIG, *layout.PREFIXES, layout.PROBES, layout.RESERVED)
)
"""What stands at the top of a repository, where the manifests of an environment stand beside it."""

Wrong = tuple[tuple[str, ...], str]
"""A key, and what is wrong with it."""


def bad_names(read: Mapping[str, Any]) -> Iterator[Wrong]:
    """Yield the names that are none."""
    for table in _WHERE_NAMES_STAND:
        names = read.get(table)
        for name in names if isinstance(names, dict) else ():
            if not _NAME.fullmatch(name):
                yield (table, name), "a name has up to 64 small letters, digits and hyphens"
            elif table == "environments" and name in _TAKEN:
                yield (table, name), "a repository has a folder of this name; choose another"


def unknown_names(read: Mapping[str, Any]) -> Iterator[Wrong]:
    """Yield what names a repository, a source or an environment that is not described."""
    repositories, sources, environments = (_table(read, name) for name in _WHERE_NAMES_STAND)
    yield from _listed(_table(read, "defaults"), ("defaults",), "repositories", repositories)
    for name, table in environments.items():
        top = ("environments", name)
        if not isinstance(table, dict):
            continue
        yield from _listed(table, top, "repositories", repositories)
        yield from _listed(table, top, "only", sources)
        yield from _listed(table, top, "restore_from", environments)
        for source, override in _table(table, "sources").items():
            key = (*top, "sources", source)
            if source not in sources:
                yield key, f"no source is called so{_nearest(source, sources)}"
            elif isinstance(override, dict) and "type" in override:
                yield (*key, "type"), "the type of a source is the same in every environment"


def _listed(
    table: Mapping[str, Any], top: tuple[str, ...], key: str, known: Collection[str]
) -> Iterator[Wrong]:
    names = table.get(key)
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str) and name not in known:
            what = {"repositories": "repository", "only": "source"}.get(key, "environment")
            yield (*top, key), f"no {what} is called '{name}'{_nearest(name, known)}"


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f" (known: {', '.join(known) or 'none'})"


def _table(read: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = read.get(name)
    return found if isinstance(found, dict) else {}
