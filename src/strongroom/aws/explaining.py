"""What is different between two records, in lines for a person, without a value that may be one.

A value of a parameter, a secret or an output is only said to have changed. Pure.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from strongroom.aws.records import Record

_VALUES: Final = frozenset(
    {"Value", "SecretString", "SecretBinary", "ParameterValue", "OutputValue"}
)
_IDENTITIES: Final = ("VersionStages", "Version", "VersionId", "Name", "Key", "Region")
_LONGEST: Final = 60

Leaves = dict[tuple[str, ...], object]


def differences(before: Record, after: Record) -> list[str]:
    """Return a line for each field that is different, in the order of their names."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    gone, come = _alone(old, new), _alone(new, old)
    found: dict[tuple[str, ...], str] = {}
    for top in gone:
        found[top] = f"{_shown(top)} removed"
    for top in come:
        found[top] = f"{_shown(top)} added"
    for key in old.keys() & new.keys():
        if old[key] != new[key]:
            found[key] = f"{_shown(key)}{_change(key, old[key], new[key])}"
    return [line for _, line in sorted(found.items())]


def _alone(one: Leaves, other: Leaves) -> set[tuple[str, ...]]:
    """Return the tops of what only one side has."""
    there = {key[:end] for key in other for end in range(len(key) + 1)}
    return {
        next(key[:end] for end in range(1, len(key) + 1) if key[:end] not in there)
        for key in one
        if key not in there
    }


def _change(key: tuple[str, ...], old: object, new: object) -> str:
    if key[-1] in _VALUES or any(part in _VALUES for part in key):
        return " changed"
    texts = [json.dumps(one, ensure_ascii=False) for one in (old, new)]
    if any(len(text) > _LONGEST for text in texts):
        return " changed"
    return f": {texts[0]} -> {texts[1]}"


def _shown(key: tuple[str, ...]) -> str:
    return ".".join(key)


def _leaves(value: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:  # noqa: ANN401 - JSON
    named = _named(value) if isinstance(value, list) else value
    if isinstance(named, dict) and named:
        for name, one in named.items():
            yield from _leaves(one, (*key, str(name)))
    else:
        yield key, value


def _named(items: list[Any]) -> Any:  # noqa: ANN401 - JSON
    """Return a list of objects by what each is known by; as it is if they are known by nothing."""
    for identity in _IDENTITIES:
        if items and all(isinstance(one, dict) and identity in one for one in items):
            return {_text(one[identity]): one for one in items}
    return items


def _text(name: Any) -> str:  # noqa: ANN401 - JSON
    return "/".join(map(str, name)) if isinstance(name, list) else str(name)


def text_differences(before: bytes, after: bytes) -> list[str]:
    """Return how many lines of a text, such as a template, are new and how many are gone."""
    old, new = before.decode("utf-8", "replace"), after.decode("utf-8", "replace")
    lines = Counter(old.splitlines()), Counter(new.splitlines())
    come, gone = (lines[1] - lines[0]).total(), (lines[0] - lines[1]).total()
    if not (come or gone):
        return ["its lines are the same, in another order or with other ends"]
    return [f"lines: {come} new, {gone} gone"]
