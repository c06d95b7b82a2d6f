"""Roles and tablespaces of ``globals.sql``: what a server lacks of them is made, the rest stays.

``pg_dumpall --globals-only`` writes for each role that it is made, what it may do and its password,
its settings, what it is a member of; then tablespaces (``pg_dumpall.c``). What is there already is
seen before, so no error has to be passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from strongroom.errors import DamageError
from strongroom.postgres.client import Session
from strongroom.postgres.names import identifier
from strongroom.postgres.statements import Statement, statements, unquoted

_KINDS: Final = ("ROLE", "TABLESPACE")
_SETS_UP: Final = ("SET", "SELECT", "RESET")
_HERE: Final = """\
SELECT json_build_object('roles', (SELECT json_agg(rolname) FROM pg_roles),
  'tablespaces', (SELECT json_agg(spcname) FROM pg_tablespace))"""
_BEGIN: Final = "SET standard_conforming_strings = on;\n"


@dataclass(slots=True)
class GlobalsPlan:
    """What is made, what stays as it is; ``role_sql`` is run as one, ``tablespace_sql`` after it.

    ``grants`` counts memberships that are given to, or of, roles that are made.
    """

    roles: list[str] = field(default_factory=list)
    roles_kept: list[str] = field(default_factory=list)
    tablespaces: list[str] = field(default_factory=list)
    tablespaces_kept: list[str] = field(default_factory=list)
    grants: int = 0
    role_sql: list[str] = field(default_factory=list, repr=False)
    tablespace_sql: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether all of it is there already."""
        return not self.roles and not self.tablespaces


def globals_here(session: Session) -> tuple[Sequence[str], Sequence[str]]:
    """Return the names of the roles and the tablespaces of a server."""
    said: dict[str, Any] = session.ask(_HERE)
    return said["roles"], said["tablespaces"]


def plan_globals(text: str, roles: Collection[str], tablespaces: Collection[str]) -> GlobalsPlan:
    """Decide what of ``globals.sql`` a server with these roles and tablespaces lacks.

    ``DamageError`` if it says anything that ``pg_dumpall`` does not.
    """
    plan = GlobalsPlan()
    for statement in statements(text):
        if statement.words[0].upper() not in _SETS_UP:
            _take(plan, statement, roles, tablespaces)
    return plan


def _take(
    plan: GlobalsPlan, statement: Statement, roles: Collection[str], tablespaces: Collection[str]
) -> None:
    name = _name(statement)
    if statement.begins("CREATE", "ROLE"):
        (plan.roles_kept if name in roles else plan.roles).append(name)
    elif statement.begins("CREATE", "TABLESPACE"):
        (plan.tablespaces_kept if name in tablespaces else plan.tablespaces).append(name)
    if _about_tablespaces(statement):
        if name not in tablespaces:
            plan.tablespace_sql.append(statement.text)
    elif _is_membership(statement):
        member = unquoted(statement.words[3])
        if name in plan.roles or member in plan.roles:
            plan.grants += 1
            plan.role_sql.append(statement.text)
    elif name not in roles:
        plan.role_sql.append(statement.text)


def _is_membership(statement: Statement) -> bool:
    return statement.begins("GRANT") and [word.upper() for word in statement.words[2:3]] == ["TO"]


def _about_tablespaces(statement: Statement) -> bool:
    return bool(
        statement.begins("CREATE", "TABLESPACE")
        or statement.begins("ALTER", "TABLESPACE")
        or statement.at("ON", "TABLESPACE")
    )


def _name(statement: Statement) -> str:
    """Return the role or the tablespace that a statement is about."""
    if _is_membership(statement):
        place = 1
    elif statement.begins("GRANT") or statement.begins("REVOKE"):
        place = statement.at("ON", "TABLESPACE")
        if not place and statement.at("ON", "PARAMETER"):
            place = max(statement.at("TO"), statement.at("FROM"))
    elif statement.words[0].upper() in {"CREATE", "ALTER"}:
        place = 2 if any(statement.begins(statement.words[0], kind) for kind in _KINDS) else 0
    else:
        place = max(statement.at("ON", kind) for kind in _KINDS)
    name = unquoted(statement.words[place]) if 0 < place < len(statement.words) else ""
    if not name:
        begin = " ".join(statement.words[:2])
        raise DamageError(f"globals.sql has a statement that is not known here: {begin} …")
    return name


def make_roles(session: Session, plan: GlobalsPlan) -> None:
    """Make the roles that a server lacks: all of them, or none."""
    sql = ";\n".join(plan.role_sql)
    session.tell(f"{_BEGIN}BEGIN;\n{sql};\nCOMMIT;\n")
    session.finish()


def make_tablespaces(session: Session, plan: GlobalsPlan) -> None:
    """Make the tablespaces that a server lacks; each by itself, as a server wants it."""
    sql = ";\n".join(plan.tablespace_sql)
    session.tell(f"{_BEGIN}{sql};\n")
    session.finish()


def unmake(session: Session, plan: GlobalsPlan) -> None:
    """Remove what was made, of which nobody can have made use yet."""
    for name in plan.tablespaces:
        session.tell(f"DROP TABLESPACE IF EXISTS {identifier(name)};\n")
    if plan.roles:
        session.tell(f"DROP ROLE {', '.join(map(identifier, plan.roles))};\n")
    session.finish()
