"""The comparison of databases finds every kind of difference, and needs nothing of strongroom."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support import compare_databases
from tests.support.compare_databases import CATALOGUE, described, differences
from tests.support.odd_database import make_odd_database
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("C1", "C4")

# part: (what is done to it, what the line that differs must hold)
PLANTED: Final = {
    "database": ("ALTER DATABASE odd CONNECTION LIMIT 7", "datconnlimit"),
    "settings": ("ALTER DATABASE odd SET work_mem = '3MB'", "work_mem"),
    "schemas": ("GRANT USAGE ON SCHEMA public TO reader", "reader=U"),
    "relations": ("ALTER TABLE toasted SET (fillfactor = 71)", "fillfactor=71"),
    "inheritance": ("ALTER TABLE heirs NO INHERIT changed", "heirs,changed"),
    "columns": ("ALTER TABLE typed ALTER big SET DEFAULT 'planted'", "planted"),
    "constraints": ("ALTER TABLE constrained VALIDATE CONSTRAINT later", "later"),
    "indexes": ("ALTER INDEX by_expression ALTER COLUMN 2 SET STATISTICS 78", "78"),
    "views": ("CREATE OR REPLACE VIEW seen AS SELECT a, b FROM generated WHERE a > 4", "(a > 4)"),
    "materialised": ("REFRESH MATERIALIZED VIEW not_kept", "not_kept,t"),
    "functions": ("ALTER FUNCTION atomic COST 8", "COST 8"),
    "aggregates": ("ALTER AGGREGATE joined(text) OWNER TO reader", 'joined(text)",reader'),
    "triggers": ("ALTER TABLE parted_1 ENABLE TRIGGER each_part", "parted_1,each_part,O"),
    "internal triggers": ("ALTER TABLE cycle_a DISABLE TRIGGER ALL", "cycle_a"),
    "event triggers": ("ALTER EVENT TRIGGER tell ENABLE", "tell"),
    "rules": ("ALTER TABLE empty ENABLE RULE turned", "turned"),
    "policies": ("ALTER POLICY own_rows ON secured USING (false)", "false"),
    "publications": ("ALTER PUBLICATION by_rows SET (publish = 'insert')", "by_rows"),
    "published": ("ALTER PUBLICATION published DROP TABLE typed", "published,public,typed"),
    "published as": ("ALTER PUBLICATION by_rows SET TABLE hostile WHERE (n > 4)", "(n > 4)"),
    "published schemas": (
        "ALTER PUBLICATION schemas DROP TABLES IN SCHEMA public",
        "schemas,public",
    ),
    "subscriptions": ('ALTER SUBSCRIPTION "sub "" s" SET (binary = false)', "false"),
    "extensions": ('ALTER EXTENSION vector SET SCHEMA "$HOME `x` \\ .. ; DROP"', "vector"),
    "depends on extensions": ("ALTER EXTENSION vector ADD TABLE no_columns", "no_columns"),
    "enums": ("ALTER TYPE mood ADD VALUE 'after'", "after"),
    "types": ("ALTER DOMAIN code SET DEFAULT 'y'", "'y'"),
    "ranges": ("CREATE TYPE planted AS RANGE (SUBTYPE = text)", "planted"),
    "collations": ("ALTER COLLATION posix OWNER TO reader", "reader"),
    "sequences": ("SELECT nextval('counted')", "counted"),
    "sequences as objects": ("ALTER SEQUENCE called OWNED BY changed.b", "changed"),
    "statistics": ('ALTER STATISTICS "many "" of" SET STATISTICS 13', "13"),
    "default rights": ("ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO reader", "reader=UC"),
    "operators": ("ALTER OPERATOR !!! (NONE, text) OWNER TO reader", "reader"),
    "operator classes": ("ALTER OPERATOR CLASS text_ops_2 USING btree RENAME TO other", "other"),
    "operator families": (
        "ALTER OPERATOR FAMILY pairs USING btree ADD OPERATOR 1 <<< (pair, pair)",
        "pairs",
    ),
    "casts": ("DROP CAST (pair AS int)", "pair,integer"),
    "conversions": ('ALTER CONVERSION "to ""latin" RENAME TO latin', "latin,"),
    "languages": ("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC", "plpgsql"),
    "access methods": ("CREATE ACCESS METHOD h TYPE TABLE HANDLER heap_tableam_handler", "(h,"),
    "text search": (
        "ALTER TEXT SEARCH CONFIGURATION mine DROP MAPPING FOR word",
        "mine",
    ),
    "text search dictionaries": (
        "ALTER TEXT SEARCH DICTIONARY plain (ACCEPT = true)",
        "accept = 'true'",
    ),
    "foreign data wrappers": ("ALTER FOREIGN DATA WRAPPER dummy OPTIONS (ADD x 'y')", "x=y"),
    "foreign servers": ('ALTER SERVER "far ""away" VERSION \'2\'', "t,2"),
    "user mappings": (
        'ALTER USER MAPPING FOR reader SERVER "far ""away" OPTIONS (SET user \'v\')',
        "user=v",
    ),
    "foreign tables": ("ALTER FOREIGN TABLE distant OPTIONS (SET path '/y')", "path=/y"),
    "comments": ("COMMENT ON COLUMN pair.a IS 'planted'", "planted"),
    "large objects": ("SELECT lo_put(4242, 0, 'x')", "4242"),
    "rows": ("UPDATE hostile SET t = E'\\\\N ' WHERE n = 3", "hostile"),
}
CANNOT_BE_PLANTED: Final = {"security labels"}  # no server here has a provider of them


def test_every_kind_of_difference_is_found(server: PostgresServer) -> None:
    """One change in each part of what is compared: each is said, in its part."""
    make_odd_database(server, "odd")
    before = described(server, "odd")
    assert differences(before, described(server, "odd")) == []
    for statement, _ in PLANTED.values():
        server.sql(f"SET session_replication_role = replica; {statement}", "odd")
    found = differences(before, described(server, "odd"))
    assert PLANTED.keys() | CANNOT_BE_PLANTED == CATALOGUE.keys() | {"rows"}
    for part, (statement, said) in PLANTED.items():
        lines = [line for line in found if line.startswith(f"{part}: ")]
        assert any(said in line for line in lines), (statement, lines)


def test_one_value_in_one_row_is_a_difference(server: PostgresServer) -> None:
    """Null is not empty, a trailing space counts, and so does a row that comes twice."""
    server.sql("CREATE DATABASE odd")
    server.sql("CREATE TABLE t AS SELECT g, NULL::text AS t FROM generate_series(1, 100) g", "odd")
    before = described(server, "odd")
    for change in (
        "UPDATE t SET t = '' WHERE g = 50",
        "UPDATE t SET t = ' ' WHERE g = 50",
        "INSERT INTO t VALUES (1, NULL)",
        "DELETE FROM t WHERE g = 100",
    ):
        server.sql(change, "odd")
        after = described(server, "odd")
        assert {line.partition(":")[0] for line in differences(before, after)} == {"rows"}
        before = after


def test_it_is_a_program_of_its_own(server: PostgresServer, tmp_path: Path) -> None:
    """Copied away, without strongroom and these tests, it compares two databases by itself."""
    server.make_app()
    server.sql("CREATE DATABASE other TEMPLATE app")
    text = Path(compare_databases.__file__).read_text()
    script = tmp_path / "compare.py"
    script.write_text(text)
    psql = server.programs / "psql"
    names = [f"host={server.folder} user=postgres dbname={name}" for name in ("app", "other")]
    command = [sys.executable, "-I", "-S", str(script), str(psql), *names]
    same = subprocess.run(command, capture_output=True, check=False, text=True)
    assert (same.returncode, same.stdout) == (0, ""), same.stderr
    server.sql("DELETE FROM t WHERE g = 1", "other")
    differ = subprocess.run(command, capture_output=True, check=False, text=True)
    assert differ.returncode == 1
    assert differ.stdout.startswith("rows: - public.t: 2000 ")
