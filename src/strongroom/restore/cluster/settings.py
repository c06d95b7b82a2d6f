"""The settings of a recovery, as text: ``postgresql.auto.conf``, the map of tablespaces. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

_BEGIN: Final = "# by strongroom recover:"
_OLD: Final = "# before strongroom recover: "
_SETTING: Final = re.compile(r"^\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(?:=|\s)", re.MULTILINE)
OF_RECOVERY: Final = (
    "recovery_target",
    "restore_command",
    "archive_cleanup_command",
    "recovery_end_command",
    "primary_conninfo",
    "primary_slot_name",
    "promote_trigger_file",
)
"""What an earlier recovery or a standby left; a name stands for all that begin with it."""


def without(text: str, names: Iterable[str]) -> str:
    """Return a configuration in which the settings that begin with ``names`` are comments."""
    starts = tuple(names)
    lines = []
    for line in text.splitlines():
        found = _SETTING.match(line)
        is_meant = found is not None and found[1].lower().startswith(starts)
        lines.append(f"{_OLD}{line}" if is_meant else line)
    return "".join(f"{line}\n" for line in lines)


def with_settings(text: str, settings: Mapping[str, str]) -> str:
    """Return a configuration that ends with these settings; others of a name are comments."""
    kept = without(text, OF_RECOVERY)
    kept = "".join(
        f"{_OLD}{line}\n" if _name_of(line) in settings else f"{line}\n"
        for line in kept.splitlines()
    )
    added = "".join(f"{name} = {quoted(value)}\n" for name, value in settings.items())
    return f"{kept}{_BEGIN}\n{added}"


def after_recovery(text: str) -> str:
    """Return the configuration of a cluster that was recovered: nothing of that is left in it."""
    lines = [
        line
        for line in text.splitlines()
        if line != _BEGIN and not (_name_of(line) or "").startswith(OF_RECOVERY)
    ]
    return "".join(f"{line}\n" for line in lines)


def quoted(value: str) -> str:
    """Return a value as a configuration has it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def tablespace_map(places: Mapping[int, str]) -> bytes:
    """Return the file that tells a server in recovery where its tablespaces are.

    A line ``OID PATH`` each, a backslash before backslashes and line ends (``xlog.c``).
    """
    lines = (
        f"{oid} " + re.sub(r"([\\\n\r])", r"\\\1", place) + "\n"
        for oid, place in sorted(places.items())
    )
    return "".join(lines).encode("utf-8", "surrogateescape")


def _name_of(line: str) -> str | None:
    found = _SETTING.match(line)
    return found[1].lower() if found is not None else None
