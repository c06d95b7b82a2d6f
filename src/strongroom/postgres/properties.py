"""What belongs to a database as a whole: settings, rights, comment, limit; from its dump, as SQL.

The table of contents has it in entries of its own (``pg_dump.c``, ``dumpDatabase``): ``DATABASE
PROPERTIES``, and ``ACL``, ``COMMENT`` and ``SECURITY LABEL`` of ``DATABASE name``. ``pg_restore``
runs them with ``--create`` only, for the name that the database had.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from strongroom.errors import DamageError
from strongroom.postgres.names import identifier
from strongroom.postgres.statements import Statement, statements, unquoted
from strongroom.postgres.toc import Toc, TocEntry

_KINDS: Final = frozenset({"DATABASE", "DATABASE PROPERTIES"})
_SAID: Final = frozenset({"ACL", "COMMENT", "SECURITY LABEL"})
_SETS_UP: Final = ("SET", "SELECT", "CREATE", "RESET")
_PLACES: Final = {
    ("ALTER", "DATABASE"): ("ALTER", "DATABASE"),
    ("ALTER", "ROLE"): ("IN", "DATABASE"),
    ("COMMENT", "ON"): ("ON", "DATABASE"),
    ("SECURITY", "LABEL"): ("ON", "DATABASE"),
    ("GRANT",): ("ON", "DATABASE"),
    ("REVOKE",): ("ON", "DATABASE"),
}


@dataclass(frozen=True, slots=True)
class Properties:
    """Statements for a database that may be called otherwise; ``tablespace`` if not the usual."""

    sql: tuple[str, ...] = ()
    tablespace: str = ""


def properties_of(contents: Toc, old: str, new: str, *, owners: bool) -> Properties:
    """Return what a dump says of its database ``old``, for one that is called ``new``.

    Without ``owners`` whatever names a role is left out. ``DamageError`` if it says anything else.
    """
    said = [one.definition for one in contents.entries if _is_about_the_database(one)]
    return renamed("".join(said), old, new, owners=owners)


def _is_about_the_database(entry: TocEntry) -> bool:
    said = entry.kind in _SAID and not entry.schema and entry.tag.startswith("DATABASE ")
    return entry.kind in _KINDS or said


def renamed(text: str, old: str, new: str, *, owners: bool) -> Properties:
    """Return the statements of a text that are about the database ``old``, for ``new``."""
    found: list[str] = []
    tablespace = ""
    for statement in statements(text):
        if statement.begins("CREATE", "DATABASE"):
            place = statement.at("TABLESPACE", "=")
            tablespace = unquoted(statement.words[place]) if place else ""
        elif owners or not _names_a_role(statement):
            found += _renamed(statement, old, new)
    return Properties(tuple(found), tablespace)


def _names_a_role(statement: Statement) -> bool:
    return any(
        statement.begins(*words)
        for words in (("GRANT",), ("REVOKE",), ("ALTER", "ROLE"), ("SET", "SESSION"))
    )


def _renamed(statement: Statement, old: str, new: str) -> Iterator[str]:
    if statement.begins("SET", "SESSION", "AUTHORIZATION") or statement.begins("RESET", "SESSION"):
        yield statement.text
        return
    if statement.words[0].upper() in _SETS_UP:
        return
    place = 0
    for words, before in _PLACES.items():
        if statement.begins(*words):
            place = statement.at(*before)
            break
    if not 0 < place < len(statement.words) or unquoted(statement.words[place]) != old:
        raise DamageError(f"the settings of {old!r} in the dump have a statement that is not known")
    if statement.words[place + 1 : place + 2] != ["OWNER"]:  # it is made with its owner
        yield statement.with_word(place, identifier(new)).text
