"""Errors that nobody foresaw: one line for the person, the traceback in a file."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from strongroom import __version__
from strongroom.cli.failures import show
from strongroom.cli.output import say
from strongroom.clock import SystemClock, as_utc
from strongroom.config.environment import read_environment
from strongroom.config.places import Flags, folders
from strongroom.errors import StrongroomError

_FAILED: Final = 1


def tell(error: BaseException, arguments: Sequence[str]) -> int:
    """Say what ended a command and return its exit code."""
    json_lines = "--json" in arguments
    lines = traceback.format_exception(error)
    if "--debug" in arguments:
        say("".join(lines).rstrip())
    if isinstance(error, StrongroomError):
        show(error.message, error.hint, error.code, json_lines=json_lines)
        return error.code
    if isinstance(error, MemoryError):
        show("not enough memory", "", _FAILED, json_lines=json_lines)
        return _FAILED
    what = _what(error)
    hint = ""
    if "--debug" not in arguments:
        kept = None if isinstance(error, OSError) else _keep(lines)
        hint = f"The traceback is in {kept}." if kept else "See more with --debug."
    show(what, hint, _FAILED, json_lines=json_lines)
    return _FAILED


def _what(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = (
            f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        )
        return f"{where}{error.strerror.lower()}"
    return f"unexpected {type(error).__name__}: {error}"


def _keep(lines: Sequence[str]) -> Path | None:
    """Write a traceback into the state folder; None where that is not possible."""
    now = as_utc(SystemClock().now_ns()).strftime("%Y%m%d-%H%M%S")
    try:
        folder = folders(Flags(), read_environment())[1] / "crashes"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{now}-{os.getpid()}.txt"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(f"strongroom {__version__}, Python {sys.version.split()[0]}\n")
            file.writelines(lines)
    except (OSError, StrongroomError):
        return None
    return path
