"""Names of databases: in SQL, and as folders of a snapshot."""

from __future__ import annotations

import string
from typing import Final

GLOBALS: Final = "globals.sql"
RECORD: Final = "backup.json"
TOP: Final = "postgres"
_ESCAPED: Final = frozenset("%/")
_SPECIAL: Final = frozenset({".", "..", GLOBALS})
_PLAIN: Final = frozenset(f"{string.ascii_letters}{string.digits}_-.")
_TAKEN: Final = (".", "-", "backup-", "pre-restore-")


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


def file_name(text: str) -> str:
    """Return a name as that of a plain file: ASCII on any disk, ``%`` and numbers for the rest.

    None is that of ``globals.sql``, or begins like what else lies beside an archive.
    """
    data = text.encode("utf-8", "surrogateescape")
    name = "".join(chr(c) if chr(c) in _PLAIN else f"%{c:02X}" for c in data)
    if name == GLOBALS.partition(".")[0] or name.startswith(_TAKEN):
        return f"%{ord(name[0]):02X}{name[1:]}"
    return name


def source_path(source: str) -> str:
    """Return the folder of a snapshot that holds what a source saved."""
    return f"{TOP}/{source}"
