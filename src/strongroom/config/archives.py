"""What is said about portable archives: ``[archives]`` and the variables of the guide."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from strongroom.config.values import Value
from strongroom.errors import UsageError

FORMATS: Final = ("gzip", "zstd", "none")
FOLDER: Final = "backup"
_MODE: Final = re.compile(r"0?[0-7]{3}")
_OTHERS: Final = 0o007
_OWNER: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """``folder`` and ``scope`` are relative to the project; None where nothing was said.

    ``scope``, ``jobs`` and ``level`` may come from a variable, which a verb that does not need them
    never reads.
    """

    folder: str = FOLDER
    scope: Value[str] | tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    format: str = "gzip"
    level: Value[str] | None = None
    jobs: Value[str] | None = None
    owner: str | None = None
    group: str | None = None
    folder_mode: int = 0o750
    file_mode: int = 0o640


def archive_settings(
    table: Mapping[str, object],
    scope: Value[str] | None,
    level: Value[str] | None,
    jobs: Value[str] | None,
) -> ArchiveSettings:
    """Return the settings of a table that has nothing wrong in it, and of the variables."""
    stated = table.get("scope")
    listed = tuple(map(str, stated)) if isinstance(stated, list) else None
    exclude = table.get("exclude")
    return ArchiveSettings(
        folder=str(table.get("folder", FOLDER)),
        scope=scope if scope is not None else listed,
        exclude=tuple(map(str, exclude)) if isinstance(exclude, list) else (),
        format=str(table.get("format", "gzip")),
        level=level,
        jobs=jobs,
        owner=_text(table.get("owner")),
        group=_text(table.get("group")),
        folder_mode=parse_mode(str(table.get("folder_mode", "0750"))),
        file_mode=parse_mode(str(table.get("file_mode", "0640"))),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def parse_mode(text: str) -> int:
    """Read ``0750``; ``UsageError`` if it is no mode, or lets everybody in."""
    mode = int(text, 8) if _MODE.fullmatch(text) else 0
    if mode & _OWNER != _OWNER or mode & _OTHERS:
        raise UsageError(
            f"{text!r} is no mode for a backup",
            hint="Write it as chmod has it, for owner and group alone: 0750 for folders, 0640 for "
            "files.",
        )
    return mode


def parse_number(value: Value[str], what: str, least: int, most: int) -> int:
    """Read a whole number within bounds; ``UsageError``."""
    text = value.value.strip()
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise UsageError(
            f"{value.origin} {text!r} is no {what}",
            hint=f"Give a number from {least} to {most}.",
        )
    return int(text)


def wrong_in(table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the keys of ``[archives]`` whose values mean nothing, and what is wrong with each."""
    for key in ("folder_mode", "file_mode"):
        value = table.get(key)
        if isinstance(value, str):
            try:
                parse_mode(value)
            except UsageError as error:
                yield key, f"{error.message}. {error.hint}"
    form = table.get("format")
    if isinstance(form, str) and form not in FORMATS:
        yield "format", f"{form!r} is none of {', '.join(FORMATS)}"
    if table.get("folder") == "":
        yield "folder", "it is empty"
    scope = table.get("scope")
    if isinstance(scope, list) and (not scope or "" in scope):
        yield "scope", "at least one path, and none that is empty"
