"""Names of databases: in SQL, and as folders of a snapshot."""

from __future__ import annotations

from typing import Final

GLOBALS: Final = "globals.sql"
RECORD: Final = "backup.json"
TOP: Final = "postgres"
_ESCAPED: Final = frozenset("%/")
_SPECIAL: Final = frozenset({".", "..", GLOBALS})


def identifier(name: str) -> str:
    """Return a name as SQL has it, whatever characters are in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL has it, with ``standard_conforming_strings`` on or off."""
    quoted = text.replace("'", "''")
    if "\\" in quoted:
        return " E'" + quoted.replace("\\", "\\\\") + "'"
    return f"'{quoted}'"


def folder_name(database: str) -> str:
    """Return the name of a database's folder: ``%`` and a number for what no folder may have."""
    if database in _SPECIAL:
        return database.replace(".", "%2E")
    return "".join(f"%{ord(c):02X}" if c in _ESCAPED else c for c in database)


def source_path(source: str) -> str:
    """Return the folder of a snapshot that holds what a source saved."""
    return f"{TOP}/{source}"
