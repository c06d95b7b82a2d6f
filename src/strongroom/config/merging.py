"""Sources as they are in an environment: tables laid over each other, and the words filled in.

A key that an environment states takes the place of the source's as a whole, ``connection`` too: no
password of one server is ever sent to another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

_WORD: Final = re.compile(r"\{(project|environment)\}")

Tables = Mapping[str, Mapping[str, Any]]


class Laid(NamedTuple):
    """A source in an environment; ``own``: the keys that the environment states."""

    environment: str
    source: str
    table: dict[str, Any]
    own: frozenset[str]


def laid_over(sources: Tables, environments: Tables) -> Iterator[Laid]:
    """Yield each source in each environment; nothing that is no table."""
    for environment, said in environments.items():
        overrides = said.get("sources")
        of_all = overrides if isinstance(overrides, dict) else {}
        for source, table in sources.items():
            own = of_all.get(source)
            own = own if isinstance(own, dict) else {}
            yield Laid(environment, source, {**table, **own}, frozenset(own))


def words_of(read: Mapping[str, Any], environment: str = "") -> dict[str, str]:
    """Return what ``{project}`` and ``{environment}`` mean; empty where they mean nothing."""
    project = read.get("project")
    found = {"project": project} if isinstance(project, str) and project else {}
    return found | ({"environment": environment} if environment else {})


def filled(value: Any, words: Mapping[str, str]) -> Any:  # noqa: ANN401 - any value of a file
    """Return a value with the words in its texts filled in; those without a meaning stay."""
    if isinstance(value, str):
        return _WORD.sub(lambda match: words.get(match[1], match[0]), value)
    if isinstance(value, list):
        return [filled(one, words) for one in value]
    if isinstance(value, dict):
        return {key: filled(one, words) for key, one in value.items()}
    return value


def unfilled(value: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:  # noqa: ANN401 - as above
    """Yield where a word without a meaning still stands, and which."""
    if isinstance(value, str):
        for match in _WORD.finditer(value):
            yield key, match[1]
    elif isinstance(value, list):
        for one in value:
            yield from unfilled(one, key)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from unfilled(one, (*key, name))
