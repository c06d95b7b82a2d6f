"""Where a restore may write: looked at before anything is written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from strongroom.errors import RefusedError, UsageError
from strongroom.system.causes import cause_of

_NOT_CONTENT: Final = "lost+found"


@dataclass(frozen=True, slots=True)
class TargetFolder:
    """A folder to restore into, absolute, without links. ``free_bytes`` on its file system."""

    path: str
    exists: bool
    in_use: bool
    free_bytes: int


def examine_target(text: str, folder: str, repository: str | None) -> TargetFolder:
    """Look at a folder that may not exist; ``RefusedError`` if no restore may write there."""
    if not text or "\0" in text:
        raise UsageError(f"--to {text!r} is not a folder")
    path = os.path.realpath(os.path.join(folder, text))  # noqa: PTH118 - links are followed
    if path == "/":
        raise RefusedError(
            "a restore into / could replace the running system",
            hint="Restore into a new folder, and move from there what you need.",
        )
    if repository is not None:
        inside = os.path.realpath(repository)
        if path == inside or path.startswith(inside + "/"):
            raise RefusedError(
                f"{path} is in the repository itself", hint="Restore into another folder."
            )
    exists = os.path.lexists(path)
    if exists and not os.path.isdir(path):  # noqa: PTH112 - as above
        raise RefusedError(
            f"{path} is a file, and a restore needs a folder", hint="Give a folder with --to."
        )
    try:
        names = set(os.listdir(path)) if exists else set()  # noqa: PTH208 - only names
        space = os.statvfs(_existing(path))
    except OSError as error:
        raise RefusedError(f"cannot look into {path}: {cause_of(error)}") from error
    return TargetFolder(
        path=path,
        exists=exists,
        in_use=bool(names - {_NOT_CONTENT}),
        free_bytes=space.f_bavail * space.f_frsize,
    )


def refuse_in_use(target: TargetFolder) -> None:
    """``RefusedError`` if something is in the folder, with the way out."""
    if target.in_use:
        raise RefusedError(
            f"{target.path} is not empty",
            hint="Give a new folder, or say what happens to what is there: --overwrite always, "
            "if-changed or never (--into-existing is the same as always). "
            "There is no undo yet.",
        )


def kept_in(target: TargetFolder, places: Sequence[str]) -> frozenset[bytes]:
    """Return what no restore removes, relative to the target: what is needed to restore again."""
    above = target.path + "/"
    kept = {os.path.realpath(place) for place in places}
    below = {os.fsencode(path[len(above) :]) for path in kept if path.startswith(above)}
    return frozenset(below | {os.fsencode(_NOT_CONTENT)})


def _existing(path: str) -> str:
    while not os.path.isdir(path) and path != "/":  # noqa: PTH112 - as above
        path = os.path.dirname(path)  # noqa: PTH120 - as above
    return path
