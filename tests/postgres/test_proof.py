"""Nothing is lost: odd databases after a backup and a restore, on other versions too."""

from __future__ import annotations

import re

import pytest

from tests.cli.harness import Program
from tests.postgres.conftest import ServerOf
from tests.postgres.kit import configure, only
from tests.support.compare_databases import described, differences
from tests.support.odd_database import make_odd_database, make_owned_database
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("C1", "C4", "C9")
CARRIED = "odd"


def carry(program: Program, server: PostgresServer, name: str, new: str, to: str = "db") -> None:
    """Back up one database of a server, and restore it into a new one of another server."""
    configure(program, server, more=only(name) + _others(program))
    program.good("backup", "db")
    program.good("restore", "latest", "--database", name, "--to-database", new, "--server", to)


def _others(program: Program) -> str:
    path = program.folder / "others.toml"
    return f"\n{path.read_text()}" if path.exists() else ""


def also_there(program: Program, **servers: PostgresServer) -> None:
    """Describe servers as sources, so that a restore can go to them."""
    (program.folder / "others.toml").write_text(
        "".join(
            f'[sources.{name}]\ntype = "postgres"\nconnection = {{ {one.connection()} }}\n'
            f'programs = ["{one.programs}"]\n'
            for name, one in servers.items()
        )
    )


@pytest.mark.trial(23)
def test_from_version_to_version(server_of: ServerOf, program: Program) -> None:
    """15, 16, 18: each restored one is what the same statements make on that very version."""
    old, middle, new = (server_of(major) for major in (15, 16, 18))
    try:
        for server in (old, middle, new):
            make_odd_database(server, CARRIED, anywhere=True)
        # clients must be as new as the newer of both servers, so those of 18 do all of it
        also_there(program, middle=middle, new=new)
        carry(program, old, CARRIED, "carried", "middle")
        natively = described(middle, CARRIED)
        assert differences(natively, described(middle, "carried")) == []
        carry(program, middle, "carried", "carried", "new")
        found = differences(*(_unnamed(described(new, name)) for name in (CARRIED, "carried")))
        assert found == []
    finally:
        for server in (old, middle, new):
            server.clear()


def _unnamed(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Without the names of NOT NULL: those of partitions are made up by 18, and had none before."""
    named = re.compile(r"\(([^,]*),[^,]*_not_null,n,")
    return {part: [named.sub(r"(\1,n,", line) for line in lines] for part, lines in found.items()}


def test_by_an_owner_who_is_no_superuser(each_server: PostgresServer, program: Program) -> None:
    """Whoever may only make databases backs up and restores what is theirs, all of it."""
    server = each_server
    server.sql("CREATE ROLE shop LOGIN CREATEDB")
    make_owned_database(server, "shop", "shop")
    connection = server.connection(user="shop")
    more = f"{only('shop')}\nrole_passwords = false"
    configure(program, server, connection=connection, more=more)
    program.good("backup", "db")
    program.good("restore", "latest", "--database", "shop", "--to-database", "again")
    assert differences(described(server, "shop"), described(server, "again")) == []


def test_a_second_generation(server: PostgresServer, program: Program) -> None:
    """What was restored is backed up and restored again, and is still the same."""
    make_odd_database(server, CARRIED)
    carry(program, server, CARRIED, "second")
    carry(program, server, "second", "third")
    assert differences(described(server, CARRIED), described(server, "third")) == []


def test_what_no_dump_carries(server: PostgresServer, program: Program) -> None:
    """docs/postgres.md names these: a view that is filled anew, and what is an extension's."""
    server.sql("CREATE DATABASE lost")
    server.sql(
        "CREATE TABLE t AS SELECT 1 AS a; CREATE MATERIALIZED VIEW stale AS SELECT a FROM t; "
        "INSERT INTO t VALUES (2); CREATE EXTENSION vector; CREATE TABLE given (a int); "
        "ALTER EXTENSION vector ADD TABLE given",
        "lost",
    )
    carry(program, server, "lost", "found")
    found = differences(described(server, "lost"), described(server, "found"))
    rows = [line.rpartition(":")[0] for line in found if line.startswith("rows")]
    lost = ["rows: - public.given", "rows: - public.stale", "rows: + public.stale"]
    assert rows == lost
    assert all("given" in line or "stale" in line for line in found)


def test_what_only_a_superuser_dumps(server: PostgresServer, program: Program) -> None:
    """Subscriptions, and the options of user mappings: without them a backup is incomplete.

    docs/postgres.md names both. ``subscriptions = false`` does without the former.
    """
    server.sql("CREATE ROLE saver LOGIN; GRANT pg_read_all_data TO saver; CREATE DATABASE lost")
    server.sql(
        "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false, "
        "slot_name = NONE); CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; "
        "CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'u')",
        "lost",
    )
    more = f"{only('lost')}\nrole_passwords = false"
    configure(program, server, connection=server.connection(user="saver"), more=more)
    said = program.run("backup", "db")
    assert said.code == 3
    assert "subscription 's'" in said.err
    assert "user mapping of public for 's'" in said.err
    more = f"{only('lost')}\nrole_passwords = false\nsubscriptions = false"
    configure(program, server, connection=server.connection(user="saver"), more=more)
    also_there(program, other=server)
    with (program.folder / "strongroom.toml").open("a") as file:
        file.write(_others(program))
    said = program.run("backup", "db")
    assert said.code == 3
    assert "subscription" not in said.err
    words = ("--database", "lost", "--to-database", "found", "--server", "other")
    program.good("restore", "latest", *words)
    found = differences(described(server, "lost"), described(server, "found"))
    assert {line.partition(":")[0] for line in found} == {"subscriptions", "user mappings"}


def test_a_function_that_needs_a_search_path(server: PostgresServer, program: Program) -> None:
    """docs/postgres.md names it: pg_restore sets none, so its rows are refused; nothing is left."""
    server.sql("CREATE DATABASE lost")
    server.sql(
        "CREATE TABLE other (a int); CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS "
        "'SELECT count(*)::int FROM other'; CREATE TABLE t (a int CHECK (f(a) = 0)); "
        "INSERT INTO t VALUES (1)",
        "lost",
    )
    configure(program, server, more=only("lost"))
    program.good("backup", "db")
    failed = program.run("restore", "latest", "--database", "lost", "--to-database", "found")
    assert failed.code == 21
    assert 'relation "other" does not exist' in failed.err
    server.sql("ALTER FUNCTION f SET search_path = public", "lost")
    program.good("backup", "db")
    program.good("restore", "latest", "--database", "lost", "--to-database", "found")
    assert differences(described(server, "lost"), described(server, "found")) == []


def test_a_failed_restore_leaves_no_subscription(server: PostgresServer, program: Program) -> None:
    """No server drops a database that has one; the restore gives it up, and leaves nothing."""
    server.sql("CREATE ROLE passing; CREATE DATABASE replicated")
    server.sql(
        'CREATE SUBSCRIPTION "s""1" CONNECTION \'dbname=x\' PUBLICATION p '
        "WITH (connect = false, slot_name = 'kept_there'); "
        "CREATE MATERIALIZED VIEW refused AS SELECT count(*) FROM pg_authid; "
        "ALTER MATERIALIZED VIEW refused OWNER TO passing",
        "replicated",
    )
    configure(program, server, more=only("replicated"))
    program.good("backup", "db")
    failed = program.run("restore", "latest", "--database", "replicated", "--to-database", "new")
    assert failed.code == 21, failed
    assert "permission denied" in failed.err
    names = server.sql("SELECT datname FROM pg_database").splitlines()
    assert [name for name in names if name.startswith("new")] == []
    assert server.sql("SELECT count(*) FROM pg_subscription") == "1"
