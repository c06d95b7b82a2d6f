"""Single tables and schemas of a dump, and the roles and tablespaces beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from strongroom.errors import DamageError, NotFoundError, UsageError
from strongroom.postgres.choosing import Name, choose, table_name
from strongroom.postgres.globals import plan_globals
from strongroom.postgres.properties import renamed
from strongroom.postgres.statements import statements
from strongroom.postgres.toc import Packed, Toc, TocEntry
from tests.cli.harness import Program
from tests.postgres.kit import configure, only
from tests.support.compare_databases import described, differences
from tests.support.odd_database import ODD_NAME, make_odd_database
from tests.support.other_user import NOBODY
from tests.support.postgres import PostgresServer

SHOP = """
CREATE SCHEMA "Sales"; CREATE TYPE "Sales".state AS ENUM ('new', 'paid');
CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE customers (id serial PRIMARY KEY, name text);
INSERT INTO customers (name) SELECT 'c' || g FROM generate_series(1, 50) g;
CREATE TABLE "Sales".orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer int REFERENCES customers, state "Sales".state DEFAULT 'new', note text);
INSERT INTO "Sales".orders (customer, note) SELECT g, 'n' || g FROM generate_series(1, 40) g;
CREATE INDEX by_note ON "Sales".orders (note); COMMENT ON COLUMN "Sales".orders.note IS 'said';
CREATE TRIGGER stamped BEFORE INSERT ON "Sales".orders FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE TABLE "Sales".items ("order" int REFERENCES "Sales".orders, what text);
INSERT INTO "Sales".items SELECT g, 'i' FROM generate_series(1, 30) g;
CREATE VIEW "Sales".paid AS SELECT o.id, c.name FROM "Sales".orders o JOIN customers c ON
  c.id = customer;
CREATE TABLE days (day int, n int) PARTITION BY LIST (day);
CREATE TABLE days_1 PARTITION OF days FOR VALUES IN (1);
CREATE TABLE days_2 PARTITION OF days FOR VALUES IN (2);
CREATE INDEX ON days (n); INSERT INTO days SELECT g % 2 + 1, g FROM generate_series(1, 20) g;
"""
ORDERS = 'SELECT count(*), max(id), min(state::text) FROM "Sales".orders'

QUICK = 18


def make_shop(server: PostgresServer, program: Program) -> None:
    """Make a database whose tables depend on each other, and save it."""
    server.sql("CREATE DATABASE shop")
    server.sql(SHOP, "shop")
    configure(program, server, more=only("shop"))
    program.good("backup", "db")


@pytest.mark.trial(22)
@pytest.mark.spec("C4")
def test_one_table_into_a_new_database(each_server: PostgresServer, program: Program) -> None:
    """With its rows, indexes, sequence, trigger and type; what leads elsewhere is told, and only
    its files are read.
    """
    server = each_server
    make_shop(server, program)
    words = ("restore", "latest", "--database", "shop", "--to-database", "part")
    done = program.good(*words, "--table", "Sales.orders")
    assert server.sql(ORDERS, "part") == server.sql(ORDERS, "shop")
    assert (
        "left out, because it leads to what is not restored: foreign key Sales.orders" in done.out
    )
    before, after = described(server, "shop"), described(server, "part")
    for kind in ("indexes", "triggers"):
        assert [one for one in before[kind] if "orders" in one] == after[kind]
    assert [one for one in before["columns"] if '"orders"' in one] == [
        one for one in after["columns"] if '"orders"' in one
    ]
    assert server.sql('INSERT INTO "Sales".orders (note) VALUES (1) RETURNING id', "part") == "41"
    assert "public" not in server.sql("SELECT schemaname FROM pg_stat_user_tables", "part")
    plan = program.good(*words[:-1], "x", "--table", "Sales.orders", "--dry-run", "--json")
    whole = program.good(*words[:-1], "x", "--dry-run", "--json")
    assert plan.record("plan")["bytes"] < whole.record("plan")["bytes"]
    assert plan.record("plan")["tables"] == 1


@pytest.mark.spec("C4")
def test_a_table_that_was_dropped_comes_back(server: PostgresServer, program: Program) -> None:
    """Into the database that it is from, with what it joins there; what exists is not touched."""
    make_shop(server, program)
    before = described(server, "shop")
    server.sql('DROP TABLE "Sales".orders CASCADE; DELETE FROM customers WHERE id > 45', "shop")
    words = ("restore", "latest", "--database", "shop", "--table", "Sales.orders")
    assert program.run(*words).code == 6
    program.good(*words, "--no-confirm")
    after = described(server, "shop")
    assert [one for one in before["indexes"] if "orders" in one] == [
        one for one in after["indexes"] if "orders" in one
    ]
    assert server.sql("SELECT count(*) FROM customers", "shop") == "45"
    refused = program.run(*words, "--no-confirm")
    assert refused.code == 6
    assert "has Sales.orders" in refused.err
    assert "already" in refused.err
    missing = program.run(*words[:-1], "Sales.none", "--no-confirm")
    assert missing.code == 15
    assert "Sales.orders" in missing.err


@pytest.mark.spec("C4")
def test_a_table_that_cannot_come_back_changes_nothing(
    server: PostgresServer, program: Program
) -> None:
    """Its type is gone: exit code 21, and the database is as it was, though part was made."""
    make_shop(server, program)
    server.sql('DROP SCHEMA "Sales" CASCADE', "shop")
    before = described(server, "shop")
    words = ("restore", "latest", "--database", "shop", "--no-confirm")
    failed = program.run(*words, "--table", "days", "--table", "Sales.orders")
    assert failed.code == 6, failed
    server.sql("DROP TABLE days CASCADE", "shop")
    before = described(server, "shop")
    failed = program.run(*words, "--table", "days", "--table", "Sales.orders")
    assert failed.code == 21, failed
    assert "nothing in 'shop' was changed" in failed.err
    assert differences(before, described(server, "shop")) == []


@pytest.mark.spec("C4")
def test_a_schema_comes_back(each_server: PostgresServer, program: Program) -> None:
    """All that is in it; into a new database what it needs of others comes too, without rows."""
    server = each_server
    make_shop(server, program)
    before = described(server, "shop")
    words = ("restore", "latest", "--database", "shop", "--schema", "Sales")
    done = program.good(*words, "--to-database", "part")
    assert "made without rows, because others need it: public.customers" in done.out
    assert server.sql(ORDERS, "part") == server.sql(ORDERS, "shop")
    assert server.sql("SELECT count(*) FROM customers", "part") == "0"
    assert server.sql('SELECT count(*) FROM "Sales".items', "part") == "30"
    server.sql('DROP SCHEMA "Sales" CASCADE', "shop")
    program.good(*words, "--no-confirm")
    told = [
        one
        for one in differences(before, described(server, "shop"))
        if "customer_fkey" not in one and not one.startswith("internal triggers:")  # those of it
    ]
    assert told == []


@pytest.mark.spec("C4")
def test_a_partitioned_table_comes_with_its_partitions(
    server: PostgresServer, program: Program
) -> None:
    """A partition alone is a table of its own, which is told."""
    make_shop(server, program)
    words = ("restore", "latest", "--database", "shop", "--to-database")
    program.good(*words, "whole", "--table", "public.days")
    assert server.sql("SELECT count(*) FROM days", "whole") == "20"
    assert server.sql("SELECT count(*) FROM pg_inherits", "whole") == "4"
    done = program.good(*words, "alone", "--table", "days_1")
    assert "being a partition: public.days_1" in done.out
    assert server.sql("SELECT count(*) FROM days_1", "alone") == "10"


@pytest.mark.spec("C4")
@pytest.mark.parametrize(
    "each_server",
    [pytest.param(15, marks=pytest.mark.slow), pytest.param(16, marks=pytest.mark.slow), QUICK],
    indirect=True,
)
def test_each_table_of_an_odd_database_comes_alone(
    each_server: PostgresServer, program: Program
) -> None:
    """Whatever its name, kind, type and owner: with as many rows as it had. In the quick form every
    fourth of them.
    """
    server, step = each_server, 4 if each_server.major == QUICK else 1
    make_odd_database(server)
    configure(program, server, more=only(ODD_NAME))
    program.good("backup", "db")
    told = program.good("dump", "latest", f"/postgres/db/{_folder(program)}/backup.json").out
    tables = json.loads(told)["tables"]
    assert len(tables) > 10
    for number, table in enumerate(tables[::step]):
        schema, name = table["schema"].replace('"', '""'), table["name"].replace('"', '""')
        to = f"one_{number}"
        words = ("--database", ODD_NAME, "--to-database", to, "--table", f'"{schema}"."{name}"')
        program.good("restore", "latest", *words)
        count = server.sql(f'SELECT count(*) FROM ONLY "{schema}"."{name}"', to)
        assert count == str(table["rows"])
        server.sql(f"DROP DATABASE {to}")


def _folder(program: Program) -> str:
    paths = [one["path"] for one in program.good("ls", "latest", "--json").records if "path" in one]
    (found,) = {path.split("/")[3] for path in paths if path.endswith("toc.dat")}
    return str(found)


@pytest.mark.spec("C4")
def test_roles_and_tablespaces_of_another_server(
    server_of: Callable[[int], PostgresServer], program: Program
) -> None:
    """What is missing is made, with passwords, settings and memberships; what is there stays."""
    old, new = server_of(16), server_of(18)
    old.sql(
        """\
CREATE ROLE "the; boss" SUPERUSER; CREATE ROLE app LOGIN PASSWORD 'it''s'; CREATE ROLE readers;
ALTER ROLE app SET search_path TO "odd; ''", public; GRANT readers TO app WITH ADMIN OPTION;
GRANT pg_read_all_data TO readers; COMMENT ON ROLE app IS E'a;\\n\\\\b'; CREATE ROLE shared LOGIN;
GRANT readers TO shared; GRANT SET ON PARAMETER log_statement TO readers"""
    )
    new.sql("CREATE ROLE shared NOLOGIN CREATEDB")
    old.make_app()
    configure(program, old, more=only("app"))
    with (program.folder / "strongroom.toml").open("a") as file:
        file.write(
            f"""\
[sources.second]
type = "postgres"
connection = {{ {new.connection()} }}
programs = ["{new.programs}"]
"""
        )
    program.good("backup", "db")
    words = ("restore", "latest", "--globals", "--server", "second")
    told = program.good(*words, "--dry-run")
    assert "+ role the; boss" in told.out
    assert "role shared is there and stays as it is" in told.out
    assert "SCRAM" not in told.out
    assert new.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'app'") == "0"
    assert program.run(*words).code == 6
    program.good(*words, "--confirm", "second")
    roles = """\
SELECT json_agg(x ORDER BY x::text) FROM (SELECT rolname, rolsuper, rolcanlogin, rolpassword,
  (SELECT setconfig FROM pg_db_role_setting WHERE setrole = a.oid AND setdatabase = 0) AS c,
  shobj_description(a.oid, 'pg_authid') AS d FROM pg_authid a
  WHERE rolname IN ('the; boss', 'app', 'readers')) x"""
    assert json.loads(new.sql(roles)) == json.loads(old.sql(roles))
    members = """\
SELECT json_agg(x ORDER BY x::text) FROM (SELECT roleid::regrole::text AS role,
  member::regrole::text AS member, admin_option FROM pg_auth_members
  WHERE roleid::regrole::text !~ '^pg_(m|read_all_s)') x"""
    assert json.loads(new.sql(members)) == json.loads(old.sql(members))
    assert (
        new.sql("SELECT rolcanlogin, rolcreatedb FROM pg_roles WHERE rolname = 'shared'") == "f|t"
    )
    again = program.good(*words)
    assert "made 0 roles" in again.out
    for one in (old, new):
        one.sql("REVOKE SET ON PARAMETER log_statement FROM readers")
        one.clear()


@pytest.mark.spec("C4")
def test_roles_that_cannot_be_made_leave_none(server: PostgresServer, program: Program) -> None:
    """A tablespace without its folder, or no rights: exit code 21, nothing was made, and no
    password is shown.
    """
    server.sql(
        "CREATE ROLE first LOGIN PASSWORD 'x'; CREATE ROLE second SUPERUSER; CREATE ROLE low"
    )
    place = server.folder / "space"
    place.mkdir()
    if os.geteuid() == 0:
        os.chown(place, NOBODY, NOBODY)
    server.sql(f"CREATE TABLESPACE fast OWNER first LOCATION '{place}'")
    server.make_app()
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    server.sql("DROP TABLESPACE fast; DROP ROLE first, second; ALTER ROLE low LOGIN CREATEROLE")
    words = ("restore", "latest", "--globals", "--no-confirm")
    place.rename(server.folder / "elsewhere")
    roles = "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_'"
    failed = program.run(*words)
    assert failed.code == 21, failed
    assert "no role and no tablespace was made" in failed.err
    assert server.sql(roles) == "low postgres"
    configure(program, server, connection=server.connection(user="low"))
    failed = program.run(*words)
    assert failed.code == 21, failed
    assert "SCRAM" not in failed.err
    assert server.sql(roles) == "low postgres"
    configure(program, server)
    (server.folder / "elsewhere").rename(place)
    told = program.good(*words)
    assert "made 2 roles and 1 tablespace" in told.out
    server.sql("DROP TABLESPACE fast")


def test_statements_and_their_words() -> None:
    """Names, strings and comments are told apart, whatever is in them; psql's own lines go."""
    text = """\
-- a; comment
\\restrict key
SET x = 'it''s; -- no comment'; /* ; */
COMMENT ON DATABASE "a""b;" IS E'\\\\; \\' \\n'; SELECT $t$;$t$, 1.5::int
;
"""
    found = list(statements(text))
    assert [one.words[0] for one in found] == ["SET", "COMMENT", "SELECT"]
    assert found[0].words == ["SET", "x", "=", "'it''s; -- no comment'"]
    assert found[1].words[3] == '"a""b;"'
    assert found[1].words[5] == "E'\\\\; \\' \\n'"
    assert "$t$;$t$" in found[2].words
    for bad in ("SELECT 'open", "SELECT 1", 'SELECT "', "SELECT \\connect x;"):
        with pytest.raises(DamageError):
            list(statements(bad))


def test_settings_of_another_database_are_never_set() -> None:
    """A statement that is not known, or names another database, is damage."""
    good = "ALTER DATABASE old SET x TO 'ALTER DATABASE old';\nGRANT ALL ON DATABASE old TO old;\n"
    assert renamed(good, "old", "new", owners=True).sql == (
        "ALTER DATABASE \"new\" SET x TO 'ALTER DATABASE old'",
        'GRANT ALL ON DATABASE "new" TO old',
    )
    assert len(renamed(good, "old", "new", owners=False).sql) == 1
    space = renamed('CREATE DATABASE old TABLESPACE = "S";', "old", "new", owners=True)
    assert (space.sql, space.tablespace) == ((), "S")
    for bad in (
        "ALTER DATABASE other SET x TO 1;",
        "DROP DATABASE old;",
        "ALTER DATABASE",
        "GRANT ALL ON SCHEMA old TO x;",
        'ALTER DATABASE "Old" SET x TO 1;',
    ):
        with pytest.raises(DamageError):
            renamed(bad, "old", "new", owners=True)


def test_a_plan_for_roles() -> None:
    """Roles that are there keep their passwords and memberships; unknown statements are damage."""
    text = """\
CREATE ROLE a; ALTER ROLE a WITH PASSWORD 'p'; CREATE ROLE b; ALTER ROLE b SET x TO 'y';
GRANT a TO b; GRANT b TO c; GRANT a TO c; CREATE ROLE c;
CREATE TABLESPACE s OWNER b LOCATION '/x'; GRANT ALL ON TABLESPACE s TO b;
"""
    plan = plan_globals(text, {"a", "c"}, set())
    assert (plan.roles, plan.roles_kept, plan.tablespaces) == (["b"], ["a", "c"], ["s"])
    assert plan.role_sql == [
        "CREATE ROLE b",
        "ALTER ROLE b SET x TO 'y'",
        "GRANT a TO b",
        "GRANT b TO c",
    ]
    assert len(plan.tablespace_sql) == 2
    with pytest.raises(DamageError):
        plan_globals("DROP ROLE a;", set(), set())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("t", Name("public", "t")),
        ("s.t", Name("s", "t")),
        ("S.T.u", Name("S", "T.u")),
        ('"a.b"."c""d"', Name("a.b", 'c"d')),
        ('s."T"', Name("s", "T")),
    ],
)
def test_names_of_tables(text: str, name: Name) -> None:
    """With and without schema and quotes."""
    assert table_name(text) == name


def test_what_is_no_name_of_a_table() -> None:
    """Exit code 2; a table that is not in the dump is exit code 15."""
    for bad in ("", '"', ".", "s.", '"a"b'):
        with pytest.raises(UsageError):
            table_name(bad)
    entry = TocEntry(1, "t", "TABLE", "", copies=True, schema="s", owner="x", data=b"", file="")
    toc = Toc((1, 16), 0, Packed.NOT, (), "x", "18", "18", (entry,), b"")
    with pytest.raises(NotFoundError) as error:
        choose(toc, [Name("s", "u")], (), ())
    assert "s.t" in error.value.hint
