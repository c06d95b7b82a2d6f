"""What of a project an archive holds. Pure.

Without being told, an archive holds what the backup procedures guide names: scripts, libraries,
configuration, documentation, tests, and the files of the project itself. Every other folder at the
top is named in the output and in the metadata, since nobody expects what is not said.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from strongroom.errors import UsageError

BY_DEFAULT: Final = (
    *("scripts", "bin"),
    *("lib", "libs", "src", "app"),
    *("config", "configs", "conf", "deploy", "deployment", "environments"),
    *("docs", "doc"),
    *("tests", "test"),
)
_SEPARATORS: Final = ",:"  # as well as blanks


class Scope(NamedTuple):
    """Paths relative to the project, as a person would write them, and what stays outside."""

    paths: tuple[str, ...]
    outside: tuple[str, ...] = ()


def read_scope(text: str) -> list[str]:
    """Split ``BACKUP_SCOPE``: names between blanks, commas, colons or new lines.

    What bash makes of an array, ``(scripts/ lib/)``, is read as well; quotes and backslashes hold a
    name together as they do in a shell. ``UsageError`` for a quote that is not closed.
    """
    inner = text.strip()
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1]
    try:
        words = shlex.shlex(inner, posix=True)
        words.whitespace += _SEPARATORS
        words.whitespace_split = True
        words.commenters = ""
        return list(words)
    except ValueError as error:
        raise UsageError(
            f"the scope {text!r} cannot be read: {str(error).lower()}",
            hint="Write names with blanks between them, such as BACKUP_SCOPE='scripts lib'.",
        ) from error


def checked_scope(names: Sequence[str]) -> tuple[str, ...]:
    """Return names, each once; ``UsageError`` for one that leads out of the project."""
    found: dict[str, None] = {}
    for name in names:
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise UsageError(
                f"the scope {name!r} is not in the project",
                hint="Name paths below the project folder, such as scripts/ or config/app.toml.",
            )
        found["/".join(parts) or "."] = None
    if not found:
        raise UsageError(
            "the scope names nothing", hint="Name at least one path, such as scripts/."
        )
    return (".",) if "." in found else tuple(found)


def default_scope(top: Mapping[str, bool], leave_out: Sequence[str]) -> Scope:
    """Choose from what is at the top of a project: each name, and whether it is a folder.

    ``leave_out``: names that are never meant, such as the folder of the archives.
    """
    names = [name for name in sorted(top) if name not in leave_out]
    chosen = [name for name in names if not top[name] or name in BY_DEFAULT]
    outside = [name for name in names if top[name] and name not in BY_DEFAULT]
    return Scope(tuple(chosen), tuple(f"{name}/" for name in outside))


def shown_scope(paths: Sequence[str], folders: Mapping[str, bool]) -> tuple[str, ...]:
    """Return paths as the guide writes them: a folder ends in a slash."""
    return tuple(f"{path}/" if folders.get(path) and path != "." else path for path in paths)
