"""What has to be known of a server to say whether it can be backed up: asked, and nothing changed.

Each question is one query that gives one JSON value, in a session that is read-only.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from strongroom.postgres.client import Client
from strongroom.postgres.leftout import LEFT_OUT

_READ_ONLY: Final = "SET default_transaction_read_only = on;\n"
_SHOWN: Final = 5

_ROLE: Final = """\
SELECT json_build_object(
  'name', current_user,
  'superuser', r.rolsuper,
  'creates_databases', r.rolcreatedb,
  'bypasses_rls', r.rolbypassrls,
  'limit', r.rolconnlimit,
  'reads_roles', has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
  'connected', (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user),
  'connections', (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
  'most', current_setting('max_connections')::int,
  'reserved', current_setting('superuser_reserved_connections')::int
    + coalesce(current_setting('reserved_connections', true)::int, 0),
  'databases', (SELECT coalesce(json_agg(json_build_object(
      'name', datname, 'template', datistemplate, 'allowed', datallowconn AND datconnlimit <> -2,
      'limit', datconnlimit, 'may_connect', has_database_privilege(d.oid, 'CONNECT'),
      'owner', pg_get_userbyid(datdba),
      'size', CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END)
      ORDER BY datname), '[]') FROM pg_database d),
  'prepared', (SELECT coalesce(json_agg(json_build_array(
      gid, database, extract(epoch FROM now() - prepared)::bigint) ORDER BY prepared), '[]')
    FROM pg_prepared_xacts))
FROM pg_roles r WHERE rolname = current_user"""

# extensions bring their own tables: pg_dump reads those only that they name for it
_RELATIONS: Final = """\
  SELECT c.oid, c.relkind, c.relpersistence, c.relowner,
    format('%I.%I', n.nspname, c.relname) AS name, n.oid AS schema, n.nspname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_(catalog|toast|temp)' AND n.nspname <> 'information_schema'
    AND (NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
          AND d.objid = c.oid AND d.deptype = 'e')
      OR EXISTS (SELECT FROM pg_extension e WHERE c.oid = ANY (e.extconfig)))"""

_DATABASE: Final = f"""\
WITH relations AS ({_RELATIONS}),
unreadable AS (
  SELECT name FROM relations WHERE relkind IN ('r', 'p')
    AND NOT (has_table_privilege(oid, 'SELECT') AND has_schema_privilege(schema, 'USAGE'))),
sequences AS (
  SELECT name FROM relations WHERE relkind = 'S'
    AND NOT (has_sequence_privilege(oid, 'SELECT') AND has_schema_privilege(schema, 'USAGE'))),
secured AS (SELECT name FROM relations WHERE relkind IN ('r', 'p') AND row_security_active(oid)),
unlogged AS (SELECT name FROM relations WHERE relkind = 'r' AND relpersistence = 'u'),
objects AS (
  SELECT oid::text AS name FROM pg_largeobject_metadata l
  WHERE NOT coalesce(current_setting('lo_compat_privileges')::bool, false)
    AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    AND NOT pg_has_role(lomowner, 'USAGE')
    AND NOT EXISTS (SELECT FROM aclexplode(lomacl) a WHERE privilege_type = 'SELECT'
      AND (grantee = 0 OR pg_has_role(grantee, 'USAGE')))),
locks AS (
  SELECT format('%s on %s', pid, relation::regclass) AS name, pid,
    (SELECT extract(epoch FROM now() - xact_start)::bigint FROM pg_stat_activity a
      WHERE a.pid = l.pid) AS seconds
  FROM pg_locks l JOIN relations r ON r.oid = l.relation
  WHERE l.mode = 'AccessExclusiveLock' AND l.granted AND l.pid IS NOT NULL
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())),
owners AS (
  SELECT DISTINCT pg_get_userbyid(relowner) AS name FROM relations
  WHERE NOT pg_has_role(relowner, 'MEMBER')),
absent AS (
  SELECT format('%s %s', extname, extversion) AS name FROM pg_extension
  WHERE NOT EXISTS (SELECT FROM pg_available_extension_versions v
    WHERE v.name = extname AND v.version = extversion))
SELECT json_build_object(
  'unreadable', (SELECT {{named}} FROM unreadable),
  'sequences', (SELECT {{named}} FROM sequences),
  'secured', (SELECT {{named}} FROM secured),
  'unlogged', (SELECT {{named}} FROM unlogged),
  'objects', (SELECT {{named}} FROM objects),
  'owners', (SELECT {{named}} FROM owners),
  'absent', (SELECT {{named}} FROM absent),
  'locks', (SELECT {{named}} FROM locks),
  'locked_by', (SELECT coalesce(json_agg(DISTINCT pid), '[]') FROM locks),
  'locked_for', (SELECT coalesce(max(seconds), 0) FROM locks),
  'left_out', {LEFT_OUT})"""  # noqa: S608 - of constants
_NAMED: Final = (
    "json_build_array(count(*), "
    f"coalesce((array_agg(name ORDER BY name))[1:{_SHOWN}], ARRAY[]::text[]))"
)


class Some(msgspec.Struct, frozen=True, array_like=True):
    """How many there are, and the names of the first of them."""

    count: int = 0
    names: tuple[str, ...] = ()


class KnownDatabase(msgspec.Struct, frozen=True):
    """A database as the server lists it; ``size`` is None where it may not be asked."""

    name: str
    template: bool
    allowed: bool
    limit: int
    may_connect: bool
    owner: str
    size: int | None


class Prepared(msgspec.Struct, frozen=True, array_like=True):
    """A transaction that waits for its second phase, since so many seconds."""

    id: str
    database: str
    seconds: int


class ServerFacts(msgspec.Struct, frozen=True):
    """The role that asks, and the server. Of a ``limit``, -1 is none."""

    name: str
    superuser: bool
    creates_databases: bool
    bypasses_rls: bool
    limit: int
    reads_roles: bool
    connected: int
    connections: int
    most: int
    reserved: int
    databases: tuple[KnownDatabase, ...]
    prepared: tuple[Prepared, ...]


class LeftOut(msgspec.Struct, frozen=True):
    """What ``pg_dump`` leaves out for us; a mapping is a user and a foreign server."""

    subscriptions: tuple[str, ...] = ()
    mappings: tuple[tuple[str, str], ...] = ()


class DatabaseFacts(msgspec.Struct, frozen=True):
    """What of a database stands in the way; tables are SCHEMA.NAME as SQL has it.

    ``unreadable`` tables, ``sequences`` and large ``objects``; ``secured``: tables whose policies
    apply; ``owners`` that the role is no member of; ``absent`` extensions; ``locked_for`` seconds.
    """

    unreadable: Some = Some()
    sequences: Some = Some()
    secured: Some = Some()
    unlogged: Some = Some()
    objects: Some = Some()
    owners: Some = Some()
    absent: Some = Some()
    locks: Some = Some()
    locked_by: tuple[int, ...] = ()
    locked_for: int = 0
    left_out: LeftOut = LeftOut()


def server_facts(client: Client) -> ServerFacts:
    """Ask a server about itself and about the role."""
    return msgspec.convert(_asked(client, "", _ROLE), ServerFacts)


def database_facts(client: Client, name: str) -> DatabaseFacts:
    """Ask a server about one of its databases."""
    return msgspec.convert(_asked(client, name, _DATABASE.format(named=_NAMED)), DatabaseFacts)


def _asked(client: Client, database: str, sql: str) -> Any:  # noqa: ANN401 - what the server says
    with client.session(database) as session:
        session.tell(_READ_ONLY)
        said = session.ask(sql)
        session.finish()
        return said
