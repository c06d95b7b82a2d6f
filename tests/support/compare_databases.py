"""Whether two databases are the same: catalogue and content, asked of the servers themselves.

It knows nothing of dumps and nothing of strongroom: whatever ``pg_dump`` or the program forgot
shows as a difference. Numbers of objects, sizes and what servers only remember for speed are left
out; names, definitions, rights, owners, comments and every value count. What ``pg_dump`` writes in
another way without another meaning is left out too: NO INHERIT of a primary key, the encoding of a
collation that was copied from one for all encodings, and the order of options. As a program::

    python compare_databases.py PSQL CONNECTION CONNECTION

prints what only one of the two has, and ends with 1 if that is anything. For databases on servers
of the same version: others describe themselves in other words.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final, Protocol

_USER: Final = "nspname !~ '^pg_' AND nspname <> 'information_schema'"
_OF_SCHEMAS: Final = _USER.replace("nspname", "schemaname")
_NO_SYSTEM: Final = "{}.oid >= 16384"
_OF_EXTENSION: Final = (
    "NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {}.oid AND d.deptype = 'e')"
)


def _rights(acl: str, kind: str, owner: str) -> str:
    """Rights in an order that does not depend on when each was given; none said: the usual ones."""
    everything = f"unnest(coalesce({acl}, acldefault('{kind}', {owner})))"
    return f"ARRAY(SELECT a::text FROM {everything} a ORDER BY 1)"


def _without(row: str, *names: str) -> str:
    """All columns of a row but these, whatever columns this version has."""
    return f"to_jsonb({row}) - '{{oid,{','.join(names)}}}'::text[]"


# of a column; from 15.20 on the server keeps a mark of its own among them, which no dump has
_OPTIONS: Final = """(SELECT array_agg(o ORDER BY place)
        FROM unnest(attoptions) WITH ORDINALITY AS x(o, place) WHERE o NOT LIKE 'pg\\_attver=%')"""
_NUMBERS_OF_RELATIONS: Final = (
    *("relnamespace", "reltype", "reloftype", "relowner", "relam", "relfilenode", "reltablespace"),
    *("relpages", "reltuples", "relallvisible", "relallfrozen", "reltoastrelid", "relfrozenxid"),
    *("relminmxid", "relrewrite", "relpartbound", "relacl", "relhasindex", "relhastriggers"),
    *("relhassubclass", "relhasrules", "relnatts", "relchecks"),
)

CATALOGUE: Final = {
    "database": f"""SELECT pg_get_userbyid(datdba), {_rights("datacl", "d", "datdba")},
        shobj_description(d.oid, 'pg_database'), spcname, {
        _without(
            "d",
            *("datname", "datfrozenxid", "datminmxid", "datdba", "datacl", "dattablespace"),
            *("datlastsysoid", "datcollversion"),
        )
    } FROM pg_database d JOIN pg_tablespace s ON s.oid = dattablespace
        WHERE datname = current_database()""",
    "settings": """SELECT CASE WHEN setrole <> 0 THEN setrole::regrole::text END, setconfig
        FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase
        WHERE datname = current_database()""",
    "schemas": f"""SELECT nspname, pg_get_userbyid(nspowner), {_rights("nspacl", "n", "nspowner")}
        FROM pg_namespace WHERE {_USER}""",
    "relations": f"""SELECT nspname, pg_get_userbyid(relowner), amname, spcname,
        {_rights("relacl", "r", "relowner")}, reloftype::regtype,
        pg_get_expr(relpartbound, c.oid), pg_get_partkeydef(c.oid),
        {_without("c", *_NUMBERS_OF_RELATIONS)},
        (SELECT reloptions FROM pg_class t WHERE t.oid = c.reltoastrelid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        LEFT JOIN pg_am a ON a.oid = relam LEFT JOIN pg_tablespace s ON s.oid = reltablespace
        WHERE {_USER} AND relkind NOT IN ('i', 'I', 'S')""",
    "inheritance": """SELECT inhrelid::regclass, inhparent::regclass, inhseqno FROM pg_inherits""",
    "columns": f"""SELECT nspname, relname, attname, format_type(atttypid, atttypmod),
        (SELECT count(*) FROM pg_attribute b WHERE b.attrelid = a.attrelid AND NOT b.attisdropped
          AND b.attnum BETWEEN 1 AND a.attnum) AS place,
        attnotnull, attidentity, attgenerated, attstorage, attcompression, attislocal, attinhcount,
        attstattarget, {_OPTIONS}, attfdwoptions, l.collname, pg_get_expr(adbin, adrelid),
        ARRAY(SELECT x::text FROM unnest(attacl) x ORDER BY 1)
        FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
        JOIN pg_namespace n ON n.oid = relnamespace
        LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum
        LEFT JOIN pg_collation l ON l.oid = attcollation
        WHERE {_USER} AND attnum > 0 AND NOT attisdropped AND relkind NOT IN ('i', 'I')""",
    "constraints": f"""SELECT nspname, conname, contype, convalidated, condeferrable, condeferred,
        conislocal, coninhcount, connoinherit AND contype IN ('c', 'n'), to_jsonb(o)->'conenforced',
        pg_get_constraintdef(o.oid), conrelid::regclass, contypid::regtype,
        (SELECT p.conname FROM pg_constraint p WHERE p.oid = o.conparentid)
        FROM pg_constraint o JOIN pg_namespace n ON n.oid = connamespace WHERE {_USER}""",
    "indexes": f"""SELECT indrelid::regclass, relname, pg_get_indexdef(i.indexrelid), indisvalid,
        indisclustered, indisreplident, indisready, reloptions, spcname, relkind,
        ARRAY(SELECT attstattarget FROM pg_attribute WHERE attrelid = c.oid ORDER BY attnum)
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = relnamespace
        LEFT JOIN pg_tablespace s ON s.oid = reltablespace WHERE {_USER}""",
    "views": f"SELECT schemaname, viewname, definition FROM pg_views WHERE {_OF_SCHEMAS}",
    "materialised": "SELECT schemaname, matviewname, ispopulated, definition FROM pg_matviews",
    "functions": f"""SELECT nspname, proname, pg_get_functiondef(p.oid), pg_get_userbyid(proowner),
        {_rights("proacl", "f", "proowner")} FROM pg_proc p
        JOIN pg_namespace n ON n.oid = pronamespace
        WHERE {_USER} AND prokind <> 'a' AND {_OF_EXTENSION.format("p")}""",
    "aggregates": f"""SELECT p.oid::regprocedure, pg_get_userbyid(proowner), aggtransfn,
        aggfinalfn, aggcombinefn, aggserialfn, aggdeserialfn, aggmtransfn, aggminvtransfn,
        aggmfinalfn, aggfinalextra, aggkind, aggnumdirectargs, aggtranstype::regtype, agginitval,
        aggminitval, aggsortop::regoper, {_rights("proacl", "f", "proowner")}, proparallel
        FROM pg_aggregate a JOIN pg_proc p ON p.oid = aggfnoid
        JOIN pg_namespace n ON n.oid = pronamespace
        WHERE {_USER} AND {_OF_EXTENSION.format("p")}""",
    "triggers": """SELECT tgrelid::regclass, tgname, tgenabled, pg_get_triggerdef(oid),
        (SELECT p.tgname FROM pg_trigger p WHERE p.oid = t.tgparentid)
        FROM pg_trigger t WHERE NOT tgisinternal""",
    "internal triggers": """SELECT tgrelid::regclass, tgconstrrelid::regclass, tgfoid::regproc,
        tgenabled, count(*) FROM pg_trigger WHERE tgisinternal GROUP BY 1, 2, 3, 4""",
    "event triggers": """SELECT evtname, evtevent, evtenabled, evtfoid::regproc, evttags,
        pg_get_userbyid(evtowner) FROM pg_event_trigger""",
    "rules": f"""SELECT n.nspname, c.relname, rulename, ev_type, ev_enabled, is_instead,
        pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class
        JOIN pg_namespace n ON n.oid = relnamespace WHERE {_USER}""",
    "policies": "SELECT * FROM pg_policies",
    "publications": f"""SELECT pg_get_userbyid(pubowner), {_without("p", "pubowner")}
        FROM pg_publication p""",
    "published": "SELECT * FROM pg_publication_tables",
    "published as": """SELECT pubname, prrelid::regclass, pg_get_expr(prqual, prrelid),
        prattrs IS NULL FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid""",
    "published schemas": """SELECT pubname, pnnspid::regnamespace FROM pg_publication_namespace
        JOIN pg_publication p ON p.oid = pnpubid""",
    "subscriptions": f"""SELECT pg_get_userbyid(subowner), {
        _without("s", "subdbid", "subowner", "subenabled", "subskiplsn")
    } FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid
        WHERE datname = current_database()""",
    "extensions": """SELECT extname, extversion, nspname, pg_get_userbyid(extowner), extcondition
        FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace""",
    "depends on extensions": """SELECT extname, deptype,
        (pg_identify_object(d.classid, d.objid, d.objsubid)).identity
        FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        AND d.refclassid = 'pg_extension'::regclass WHERE deptype IN ('e', 'x')
        AND (pg_identify_object(d.classid, d.objid, d.objsubid)).type <> 'type'""",
    "enums": """SELECT enumtypid::regtype, enumlabel, row_number() OVER (
        PARTITION BY enumtypid ORDER BY enumsortorder) FROM pg_enum""",
    "types": f"""SELECT nspname, typname, typtype, typcategory, typispreferred, typisdefined,
        format_type(typbasetype, typtypmod), typnotnull, typndims, typdefault, typlen, typbyval,
        typalign, typstorage, typdelim, typinput, typoutput, typreceive, typsend, typsubscript,
        typcollation::regcollation, pg_get_userbyid(typowner),
        {_rights("typacl", "T", "typowner")}
        FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
        WHERE {_USER} AND typelem = 0 AND {_OF_EXTENSION.format("t")}""",
    "ranges": """SELECT rngtypid::regtype, rngsubtype::regtype, rngmultitypid::regtype,
        rngcollation::regcollation, opcname, rngcanonical, rngsubdiff
        FROM pg_range JOIN pg_opclass o ON o.oid = rngsubopc WHERE rngtypid >= 16384""",
    "collations": f"""SELECT nspname, pg_get_userbyid(collowner),
        {_without("c", "collnamespace", "collowner", "collversion", "collencoding")}
        FROM pg_collation c JOIN pg_namespace n ON n.oid = collnamespace WHERE {_USER}""",
    "sequences": """SELECT schemaname, sequencename, sequenceowner, data_type, start_value,
        increment_by, min_value, max_value, cache_size, cycle, last_value FROM pg_sequences""",
    "sequences as objects": f"""SELECT nspname, relname, relpersistence,
        {_rights("relacl", "s", "relowner")},
        (SELECT ARRAY[d.deptype::text, d.refobjid::regclass::text, d.refobjsubid::text]
          FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass
          AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE {_USER} AND relkind = 'S'""",
    "statistics": """SELECT stxnamespace::regnamespace, stxname, stxstattarget,
        pg_get_userbyid(stxowner), pg_get_statisticsobjdef(oid) FROM pg_statistic_ext""",
    "default rights": """SELECT pg_get_userbyid(defaclrole), defaclobjtype,
        nullif(defaclnamespace, 0)::regnamespace,
        ARRAY(SELECT x::text FROM unnest(defaclacl) x ORDER BY 1) FROM pg_default_acl""",
    "operators": f"""SELECT o.oid::regoperator, oprkind, oprcanmerge, oprcanhash, oprcode,
        oprcom::regoperator, oprnegate::regoperator, oprrest, oprjoin, pg_get_userbyid(oprowner)
        FROM pg_operator o JOIN pg_namespace n ON n.oid = oprnamespace
        WHERE {_USER} AND {_OF_EXTENSION.format("o")}""",
    "operator classes": f"""SELECT opcname, amname, opcintype::regtype, opckeytype::regtype,
        opcdefault, opfname, pg_get_userbyid(opcowner) FROM pg_opclass o
        JOIN pg_am a ON a.oid = opcmethod JOIN pg_opfamily f ON f.oid = opcfamily
        WHERE {_NO_SYSTEM.format("o")}""",
    "operator families": """SELECT (pg_identify_object('pg_amop'::regclass, oid, 0)).identity
        FROM pg_amop WHERE oid >= 16384 UNION ALL
        SELECT (pg_identify_object('pg_amproc'::regclass, oid, 0)).identity || ' ' || amproc
        FROM pg_amproc WHERE oid >= 16384""",
    "casts": """SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure,
        castcontext, castmethod FROM pg_cast WHERE oid >= 16384""",
    "conversions": """SELECT nspname, conname, pg_encoding_to_char(conforencoding),
        pg_encoding_to_char(contoencoding), conproc, condefault FROM pg_conversion c
        JOIN pg_namespace n ON n.oid = connamespace WHERE c.oid >= 16384""",
    "languages": f"""SELECT lanname, lanpltrusted, pg_get_userbyid(lanowner),
        lanplcallfoid::regprocedure, {_rights("lanacl", "l", "lanowner")} FROM pg_language""",
    "access methods": "SELECT amname, amhandler, amtype FROM pg_am WHERE oid >= 16384",
    "text search": """SELECT cfgname, nspname, prsname, pg_get_userbyid(cfgowner),
        ARRAY(SELECT maptokentype || ':' || mapseqno || ':' || mapdict::regdictionary
          FROM pg_ts_config_map WHERE mapcfg = c.oid ORDER BY maptokentype, mapseqno)
        FROM pg_ts_config c JOIN pg_namespace n ON n.oid = cfgnamespace
        JOIN pg_ts_parser p ON p.oid = cfgparser WHERE c.oid >= 16384""",
    "text search dictionaries": """SELECT dictname, tmplname, dictinitoption,
        pg_get_userbyid(dictowner) FROM pg_ts_dict d
        JOIN pg_ts_template t ON t.oid = dicttemplate WHERE d.oid >= 16384""",
    "foreign data wrappers": f"""SELECT fdwname, pg_get_userbyid(fdwowner), fdwhandler::regproc,
        fdwvalidator::regproc, fdwoptions, {_rights("fdwacl", "F", "fdwowner")}
        FROM pg_foreign_data_wrapper""",
    "foreign servers": f"""SELECT srvname, fdwname, pg_get_userbyid(srvowner), srvtype, srvversion,
        srvoptions, {_rights("srvacl", "S", "srvowner")}
        FROM pg_foreign_server JOIN pg_foreign_data_wrapper f ON f.oid = srvfdw""",
    "user mappings": """SELECT srvname, usename,
        ARRAY(SELECT x FROM unnest(umoptions) x ORDER BY 1) FROM pg_user_mappings""",
    "foreign tables": """SELECT ftrelid::regclass, srvname, ftoptions FROM pg_foreign_table
        JOIN pg_foreign_server s ON s.oid = ftserver""",
    "comments": """SELECT (pg_identify_object(classoid, objoid, objsubid)).type,
        (pg_identify_object(classoid, objoid, objsubid)).identity, description
        FROM pg_description WHERE objoid >= 16384 OR classoid = 'pg_largeobject'::regclass
        OR (classoid = 'pg_namespace'::regclass AND objoid = 'public'::regnamespace)""",
    "security labels": "SELECT objtype, objnamespace::regnamespace, objname, provider, label "
    "FROM pg_seclabels",
    "large objects": """SELECT oid, pg_get_userbyid(lomowner),
        ARRAY(SELECT x::text FROM unnest(lomacl) x ORDER BY 1), md5(lo_get(oid)),
        length(lo_get(oid)) FROM pg_largeobject_metadata""",
}

_TABLES: Final = f"""
SELECT coalesce(json_agg(json_build_array(n.nspname, c.relname,
  format('SELECT count(*) || '' '' || coalesce(md5(string_agg(t::text, chr(10) ORDER BY '
    || 't::text COLLATE "C")), '''') FROM ONLY %I.%I t', n.nspname, c.relname))
  ORDER BY n.nspname, c.relname), '[]')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_USER} AND c.relkind IN ('r', 'm') AND c.relispopulated"""

_SETTINGS: Final = "SET row_security = off; SET extra_float_digits = 3;\n"


class Server(Protocol):
    """Something that runs SQL and gives what it prints, unaligned."""

    def sql(self, text: str, database: str) -> str:
        """Run statements in a database; an error ends the comparison."""
        ...


def described(server: Server, database: str) -> dict[str, list[str]]:
    """Return all that is compared, sorted: for each part of the catalogue, and for the rows."""
    queries = [_as_json(sql) for sql in CATALOGUE.values()]
    said = server.sql(_SETTINGS + ";\n".join(queries), database)
    found = {part: sorted(rows) for part, rows in zip(CATALOGUE, _values(said), strict=True)}
    found["rows"] = []
    tables = json.loads(server.sql(_TABLES, database))
    if tables:
        rows = server.sql(_SETTINGS + ";\n".join(sql for _, _, sql in tables), database)
        lines = rows.splitlines()
        assert len(lines) == len(tables)
        found["rows"] += [
            f"{schema}.{name}: {line}"
            for (schema, name, _), line in zip(tables, lines, strict=True)
        ]
    return found


def _as_json(sql: str) -> str:
    """A query that gives the rows of another as one list of texts."""
    return f"SELECT coalesce(json_agg(x::text), '[]') FROM ({' '.join(sql.split())}) x"


def _values(text: str) -> list[list[str]]:
    """Read what several queries gave, one list after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        while text[at : at + 1].isspace():
            at += 1
    return found


def differences(one: dict[str, list[str]], other: dict[str, list[str]]) -> list[str]:
    """Return what only one of the two has, or has more often."""
    found = []
    for part, first in one.items():
        second = other[part]
        for sign, mine, others in (("-", first, second), ("+", second, first)):
            left = list(others)
            for line in mine:
                if line in left:
                    left.remove(line)
                else:
                    found.append(f"{part}: {sign} {line}")
    return found


class _Psql:
    """A server by the connection string of one of its databases."""

    def __init__(self, psql: str, connection: str) -> None:
        self._command = [psql, "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", connection]

    def sql(self, text: str, database: str) -> str:
        """See ``Server``; the database is that of the connection."""
        del database
        done = subprocess.run(self._command, input=text.encode(), capture_output=True, check=False)
        if done.returncode:
            sys.exit(done.stderr.decode("utf-8", "replace"))
        return done.stdout.decode().rstrip("\n")


def main(psql: str, one: str, other: str) -> int:
    """Compare two databases and print what differs; the exit code."""
    found = differences(*(described(_Psql(psql, connection), "") for connection in (one, other)))
    sys.stdout.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
