"""In which line of a TOML file a key stands: ``tomllib`` does not say."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

_HEADER: Final = re.compile(r"\s*\[\[?(.+?)\]?\]\s*(?:#.*)?")
_KEY: Final = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'|\s*\.\s*)+?)\s*=""")
_PART: Final = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")

Path = tuple[str, ...]


def key_lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every table and key of a file that ``tomllib`` can read.

    A key in an inline table is not listed; ``line_of`` finds the line of what it stands in.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    begun = ""  # a value that goes on in the next line
    for number, line in enumerate(text.splitlines(), 1):
        if begun:
            begun = _unfinished(f"{begun}\n{line}")
            continue
        if header := _HEADER.fullmatch(line):
            table = _parts(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, *_parts(key[1])), number)
            begun = _unfinished(f"x = {line[key.end() :]}")
    return found


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """Return the line of a key, or of the nearest thing around it."""
    for end in range(len(path), 0, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return None


def _parts(text: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(text))


def _unfinished(statement: str) -> str:
    """Return a statement that needs another line, else nothing."""
    try:
        _read: dict[str, Any] = tomllib.loads(statement)
    except tomllib.TOMLDecodeError:
        return statement
    return ""
