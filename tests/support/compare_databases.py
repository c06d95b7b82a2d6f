"""Whether two databases are the same: catalogue and content, asked of the servers themselves.

It knows nothing of dumps: whatever ``pg_dump`` or the program forgot shows as a difference.
"""

from __future__ import annotations

import json
from typing import Final

from tests.support.postgres import PostgresServer

_USER: Final = "nspname !~ '^pg_' AND nspname <> 'information_schema'"
_OF_EXTENSION: Final = (
    "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {}.oid AND d.deptype = 'e')"
)

CATALOGUE: Final = {
    "database": """SELECT pg_get_userbyid(datdba), to_jsonb(d)
        - '{oid,datname,datfrozenxid,datminmxid,datdba}'::text[]
        FROM pg_database d WHERE datname = current_database()""",
    "schemas": f"SELECT nspname, pg_get_userbyid(nspowner), nspacl FROM pg_namespace WHERE {_USER}",
    "relations": f"""SELECT nspname, relname, relkind, relpersistence, pg_get_userbyid(relowner),
        relacl, reloptions, relrowsecurity, relforcerowsecurity, relispartition, relreplident,
        pg_get_expr(relpartbound, c.oid), pg_get_partkeydef(c.oid), obj_description(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE {_USER} AND relkind <> 'i' AND relkind <> 'I'""",
    "columns": f"""SELECT nspname, relname, attname, format_type(atttypid, atttypmod), attnotnull,
        attidentity, attgenerated, attstorage, attstattarget, attacl, collname,
        pg_get_expr(adbin, adrelid), col_description(c.oid, attnum)
        FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
        JOIN pg_namespace n ON n.oid = relnamespace
        LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
        LEFT JOIN pg_collation l ON l.oid = attcollation
        WHERE {_USER} AND attnum > 0 AND NOT attisdropped""",
    "constraints": f"""SELECT nspname, conname, contype, convalidated, pg_get_constraintdef(o.oid),
        conrelid::regclass FROM pg_constraint o JOIN pg_namespace n ON n.oid = connamespace
        WHERE {_USER}""",
    "indexes": f"SELECT i.* FROM pg_indexes i WHERE {_USER.replace('nspname', 'schemaname')}",
    "views": f"SELECT schemaname, viewname, definition FROM pg_views v WHERE "
    f"{_USER.replace('nspname', 'schemaname')}",
    "materialised": "SELECT schemaname, matviewname, ispopulated, definition FROM pg_matviews",
    "functions": f"""SELECT nspname, proname, pg_get_functiondef(p.oid), proacl FROM pg_proc p
        JOIN pg_namespace n ON n.oid = pronamespace
        WHERE {_USER} AND prokind <> 'a' AND {_OF_EXTENSION.format("p")}""",
    "triggers": """SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
        WHERE NOT tgisinternal""",
    "event triggers": """SELECT evtname, evtevent, evtenabled, evtfoid::regproc
        FROM pg_event_trigger""",
    "policies": "SELECT * FROM pg_policies",
    "publications": "SELECT pubname, puballtables, pubinsert, pubdelete FROM pg_publication",
    "published": "SELECT * FROM pg_publication_tables",
    "extensions": """SELECT extname, extversion, nspname FROM pg_extension
        JOIN pg_namespace n ON n.oid = extnamespace""",
    "enums": """SELECT typname, enumlabel, enumsortorder FROM pg_enum
        JOIN pg_type t ON t.oid = enumtypid""",
    "types": f"""SELECT nspname, typname, typtype, format_type(typbasetype, typtypmod), typdefault
        FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
        WHERE {_USER} AND typtype IN ('d', 'e', 'r') AND {_OF_EXTENSION.format("t")}""",
    "sequences": """SELECT schemaname, sequencename, data_type, start_value, increment_by, cycle,
        last_value FROM pg_sequences""",
    "statistics": "SELECT stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext",
    "rules": f"SELECT * FROM pg_rules WHERE {_USER.replace('nspname', 'schemaname')}",
    "default rights": "SELECT pg_get_userbyid(defaclrole), defaclobjtype, defaclacl "
    "FROM pg_default_acl",
    "large objects": """SELECT oid, pg_get_userbyid(lomowner), lomacl, md5(lo_get(oid)),
        length(lo_get(oid)) FROM pg_largeobject_metadata""",
}

_TABLES: Final = f"""
SELECT coalesce(json_agg(json_build_array(n.nspname, c.relname,
  format('SELECT count(*) || '' '' || coalesce(md5(string_agg(t::text, chr(10) ORDER BY '
    || 't::text COLLATE "C")), '''') FROM ONLY %I.%I t', n.nspname, c.relname))
  ORDER BY n.nspname, c.relname), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_USER} AND c.relkind IN ('r', 'm') AND c.relispopulated"""


def described(server: PostgresServer, database: str) -> dict[str, list[str]]:
    """Return all that is compared, sorted: for each part of the catalogue, and for the rows."""
    found = {}
    for part, sql in CATALOGUE.items():
        rows = server.sql(f"SELECT coalesce(json_agg(x), '[]') FROM ({sql}) x;", database)
        found[part] = sorted(json.dumps(row, sort_keys=True) for row in json.loads(rows))
    found["rows"] = []
    for schema, name, sql in json.loads(server.sql(_TABLES, database)):
        found["rows"].append(f"{schema}.{name}: {server.sql(sql, database)}")
    return found


def differences(one: dict[str, list[str]], other: dict[str, list[str]]) -> list[str]:
    """Return what only one of the two has."""
    return [
        f"{part}: {sign} {line}"
        for part in one
        for sign, mine, others in (("-", one, other), ("+", other, one))
        for line in mine[part]
        if line not in others[part]
    ]
