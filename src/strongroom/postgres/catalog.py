"""What a server says of itself: each query gives one JSON value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from strongroom.postgres.client import Client, Session
from strongroom.postgres.leftout import LEFT_OUT
from strongroom.postgres.names import identifier, literal

_A_MAJOR: Final = 10_000
_WITH_PROVIDERS: Final = 15
_BROKEN: Final = -2  # datconnlimit of a database whose removal was cut short

_SERVER: Final = """\
SELECT json_build_object(
  'number', current_setting('server_version_num')::int,
  'version', current_setting('server_version'),
  'superuser', (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
  'reads_roles', has_table_privilege('pg_catalog.pg_authid', 'SELECT'))"""

_DATABASES: Final = """\
SELECT coalesce(json_agg(json_build_array(
  datname, datistemplate, datallowconn, datconnlimit) ORDER BY datname), '[]')
FROM pg_database"""

_MOMENT: Final = f"""\
SELECT json_build_object(
  'snapshot', pg_export_snapshot(),
  'time', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
  'lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
         ELSE pg_current_wal_lsn() END::text,
  'size', pg_database_size(current_database()),
  'database', (SELECT json_build_object(
      'encoding', pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype,
      'owner', pg_get_userbyid(datdba), 'all', to_jsonb(d) - 'datacl')
    FROM pg_database d WHERE datname = current_database()),
  'extensions', (SELECT coalesce(json_object_agg(extname, extversion), '{{}}') FROM pg_extension),
  'large_objects', (SELECT count(*) FROM pg_largeobject_metadata),
  'left_out', {LEFT_OUT},
  'tables', (SELECT coalesce(json_agg(json_build_array(c.oid::bigint, nspname, relname)), '[]')
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r'
      AND relpersistence <> 't' AND nspname NOT IN ('pg_catalog', 'information_schema')))"""  # noqa: S608 - of constants

_OF_EXTENSIONS: Final = """\
SELECT coalesce(json_agg(objid::bigint), '[]') FROM pg_depend
WHERE classid = 'pg_class'::regclass AND deptype = 'e'"""

_COUNT: Final = "({}, {}, (SELECT count(*) FROM ONLY {}.{}))"
_COUNTS: Final = """\
SELECT coalesce(json_agg(json_build_array(s, t, n)) FILTER (WHERE s IS NOT NULL), '[]')
FROM (VALUES {}) AS counts (s, t, n);
"""


_RELATIONS: Final = """\
SELECT coalesce(json_agg(json_build_array(nspname, relname)), '[]')
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE (nspname::text, relname::text) IN (VALUES {})"""

_SUBSCRIPTIONS: Final = """\
SELECT coalesce(json_agg(subname), '[]') FROM pg_subscription s
JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database()"""


class Server(NamedTuple):
    """A server: ``version`` in its own words."""

    major: int
    version: str
    superuser: bool
    reads_roles: bool


class Database(NamedTuple):
    """A database of a server; ``open`` if it can be connected to."""

    name: str
    template: bool
    open: bool


class Locale(msgspec.Struct, frozen=True):
    """What a new database must have in common with the old one; ``provider`` as in pg_database."""

    encoding: str
    collate: str
    ctype: str
    provider: str = "c"
    locale: str = ""
    rules: str = ""


class Moment(NamedTuple):
    """What a dump corresponds to; ``tables`` by object id: schema and name.

    ``size`` is that of the whole database in the server, in bytes: sizes of tables wait for locks.
    ``subscriptions`` are those that ``pg_dump`` leaves out, since we are no superuser; ``mappings``
    (user, foreign server) those whose options, if they have any, it cannot see.
    """

    snapshot: str
    time: str
    lsn: str
    size: int
    owner: str
    locale: Locale
    extensions: dict[str, str]
    tables: dict[int, tuple[str, str]]
    large_objects: int
    subscriptions: Sequence[str]
    mappings: Sequence[tuple[str, str]]


class Asked(Protocol):
    """What a query can be put to: a session, or a client that opens one for it."""

    def query(self, sql: str) -> Any:  # noqa: ANN401 - what the server says
        """Return the one JSON value that a query gives."""
        ...


def server_of(asked: Asked) -> Server:
    """Ask a server what it is."""
    said = asked.query(_SERVER)
    return Server(
        said["number"] // _A_MAJOR, said["version"], bool(said["superuser"]), said["reads_roles"]
    )


def databases_of(asked: Asked) -> list[Database]:
    """Return all databases of a server."""
    return [
        Database(name, template, allowed and limit != _BROKEN)
        for name, template, allowed, limit in asked.query(_DATABASES)
    ]


def begin_moment(session: Session) -> Moment:
    """Hold a snapshot of the database for as long as the session lasts, and say what it is."""
    session.tell("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;\n")
    said = session.ask(_MOMENT)
    database = said["database"]
    return Moment(
        snapshot=said["snapshot"],
        time=said["time"],
        lsn=said["lsn"],
        size=said["size"],
        owner=database["owner"],
        locale=_locale(database),
        extensions=said["extensions"],
        tables={oid: (schema, name) for oid, schema, name in said["tables"]},
        large_objects=said["large_objects"],
        subscriptions=said["left_out"]["subscriptions"],
        mappings=[(user, to) for user, to in said["left_out"]["mappings"]],
    )


def begin_counting(session: Session, moment: Moment) -> None:
    """Have the rows of each table counted in the snapshot that is held, but for extensions' own.

    Rows that row-level security would hide are an error.
    """
    own = session.ask(_OF_EXTENSIONS)
    session.tell("SET row_security = off;\n")
    counts = [
        _COUNT.format(literal(schema), literal(name), identifier(schema), identifier(name))
        for oid, (schema, name) in moment.tables.items()
        if oid not in own
    ]
    session.tell(_COUNTS.format(",\n".join(["(NULL, NULL, 0)", *counts])))


def counted(session: Session) -> dict[tuple[str, str], int]:
    """Wait for what ``begin_counting`` asked for: the rows of each table."""
    return {(schema, name): rows for schema, name, rows in session.answer()}


def _locale(database: dict[str, Any]) -> Locale:
    """Columns came with versions: a provider with 15, its locale was renamed by 17."""
    columns = database["all"]
    return Locale(
        encoding=database["encoding"],
        collate=database["collate"],
        ctype=database["ctype"],
        provider=columns.get("datlocprovider") or "c",
        locale=columns.get("datlocale") or columns.get("daticulocale") or "",
        rules=columns.get("daticurules") or "",
    )


def has_role(session: Session, name: str) -> bool:
    """Whether there is a role of that name."""
    sql = "SELECT to_json(EXISTS (SELECT FROM pg_roles WHERE rolname = {}))"
    return bool(session.ask(sql.format(literal(name))))


def has_tablespace(session: Session, name: str) -> bool:
    """Whether there is a tablespace of that name."""
    sql = "SELECT to_json(EXISTS (SELECT FROM pg_tablespace WHERE spcname = {}))"
    return bool(session.ask(sql.format(literal(name))))


def extensions_of(session: Session) -> dict[str, str]:
    """Return the extensions of a database, with their versions."""
    found: dict[str, str] = session.ask(
        "SELECT coalesce(json_object_agg(extname, extversion), '{}') FROM pg_extension"
    )
    return found


def schemas_of(session: Session) -> list[str]:
    """Return the names of the schemas of a database."""
    found: list[str] = session.ask("SELECT json_agg(nspname) FROM pg_namespace")
    return found


def relations_of(session: Session, names: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return which of these a database has, by schema and name."""
    if not names:
        return []
    rows = ", ".join(f"({literal(schema)}, {literal(name)})" for schema, name in names)
    return [(schema, name) for schema, name in session.ask(_RELATIONS.format(rows))]


def create_database(
    session: Session, name: str, locale: Locale, owner: str, major: int, tablespace: str = ""
) -> None:
    """Make an empty database with this locale; returns when it is there. No owner: it is ours.

    ``major`` is the version of the server: a provider can be named since 15.
    """
    options = [
        "TEMPLATE template0",
        f"ENCODING {literal(locale.encoding)}",
        f"LC_COLLATE {literal(locale.collate)}",
        f"LC_CTYPE {literal(locale.ctype)}",
    ]
    if locale.provider == "i":
        options += ["LOCALE_PROVIDER icu", f"ICU_LOCALE {literal(locale.locale)}"]
        options += [f"ICU_RULES {literal(locale.rules)}"] if locale.rules else []
    elif locale.provider == "b":
        options += ["LOCALE_PROVIDER builtin", f"BUILTIN_LOCALE {literal(locale.locale)}"]
    elif major >= _WITH_PROVIDERS:
        options.append("LOCALE_PROVIDER libc")
    options += [f"OWNER {identifier(owner)}"] if owner else []
    options += [f"TABLESPACE {identifier(tablespace)}"] if tablespace else []
    session.tell(f"CREATE DATABASE {identifier(name)} {' '.join(options)};\n")
    session.ask("SELECT 1")


def drop_database(client: Client, at: str, name: str) -> None:
    """Remove a database that a restore made, and whoever is connected; ``at``: another database.

    No server removes one with a subscription. What a dump makes is never connected, so that only
    its name is given up.
    """
    with client.session(name) as session:
        for subscription in session.ask(_SUBSCRIPTIONS):
            quoted = identifier(subscription)
            session.tell(f"ALTER SUBSCRIPTION {quoted} SET (slot_name = NONE);\n")
            session.tell(f"DROP SUBSCRIPTION {quoted};\n")
        session.finish()
    with client.session(at) as session:
        session.tell(f"DROP DATABASE {identifier(name)} WITH (FORCE);\n")
        session.finish()
