"""A restored database takes the place of the old one, which is kept, and gets it back."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.cli.harness import Program
from tests.postgres.kit import beside, configure, databases, only
from tests.support.compare_databases import described, differences
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("C4")

REPLACE = ("restore", "latest", "--database", "app", "--replace")
UNDO = ("restore", "--database", "app", "--undo")
ITSELF = """
SELECT json_build_object('settings', (SELECT json_agg(x) FROM (
    SELECT coalesce(r.rolname, '') AS role, setconfig FROM pg_db_role_setting s
    LEFT JOIN pg_roles r ON r.oid = setrole WHERE setdatabase = d.oid ORDER BY 1) x),
  'comment', shobj_description(d.oid, 'pg_database'), 'limit', datconnlimit,
  'template', datistemplate, 'open', datallowconn, 'owner', pg_get_userbyid(datdba),
  'rights', datacl::text)
FROM pg_database d WHERE datname = current_database()"""


def make_with_settings(server: PostgresServer) -> None:
    """Make ``app`` with all that a database can have as a whole."""
    server.make_app()
    server.sql('CREATE ROLE "the owner"; CREATE ROLE database; CREATE ROLE "in"')
    server.sql(
        """\
ALTER DATABASE app OWNER TO "the owner"; ALTER DATABASE app CONNECTION LIMIT 17;
ALTER DATABASE app SET search_path TO public, "odd; -- schema"; ALTER DATABASE app SET
work_mem TO '5MB'; ALTER ROLE database IN DATABASE app SET application_name TO 'it''s; \\ "x"';
ALTER ROLE "in" IN DATABASE app SET statement_timeout TO 0;
REVOKE ALL ON DATABASE app FROM PUBLIC; GRANT CONNECT, TEMPORARY ON DATABASE app TO database
WITH GRANT OPTION; SET ROLE database; GRANT CONNECT ON DATABASE app TO "in"; RESET ROLE;
COMMENT ON DATABASE app IS E'line one;\\n\\\\connect postgres\\n-- '' "app" \\\\ é'""",
        "app",
    )


def drop_settings(server: PostgresServer) -> None:
    """Take from ``app`` what ``make_with_settings`` gave it."""
    server.sql(
        """\
ALTER DATABASE app OWNER TO postgres; ALTER DATABASE app CONNECTION LIMIT -1; ALTER DATABASE app
RESET ALL; ALTER ROLE database IN DATABASE app RESET ALL; ALTER ROLE "in" IN DATABASE app RESET
ALL; REVOKE ALL ON DATABASE app FROM database CASCADE; GRANT CONNECT, TEMPORARY ON DATABASE app TO
PUBLIC; COMMENT ON DATABASE app IS NULL"""
    )


def test_a_database_is_replaced_and_kept_and_put_back(
    each_server: PostgresServer, program: Program
) -> None:
    """The restored one has all that the old one had in the snapshot, rows, settings, rights and
    comment; the old one is kept as it was; undo gives it its name back and keeps the other.
    """
    server = each_server
    make_with_settings(server)
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    saved, saved_itself = described(server, "app"), server.sql(ITSELF, "app")
    drop_settings(server)
    server.sql("DELETE FROM t WHERE g > 7; CREATE TABLE later AS SELECT 1 AS a", "app")
    late, late_itself = described(server, "app"), server.sql(ITSELF, "app")
    assert late_itself != saved_itself

    done = program.good(*REPLACE, "--no-confirm")
    (before,) = beside(server, "app", "before")
    assert differences(saved, described(server, "app")) == []
    assert server.sql(ITSELF, "app") == saved_itself
    assert differences(late, described(server, before)) == []
    assert server.sql(ITSELF, before) == late_itself
    assert databases(server) == ["app", before]
    assert f"kept as {before!r}" in done.out
    assert f'DROP DATABASE "{before}"' in done.out

    (command,) = re.findall(r"^to undo: strongroom (.*)$", done.out, re.MULTILINE)
    told = program.good(*shlex.split(command), "--confirm", "app")
    (undone,) = beside(server, "app", "undone")
    assert databases(server) == ["app", undone]
    assert differences(late, described(server, "app")) == []
    assert server.sql(ITSELF, "app") == late_itself
    assert differences(saved, described(server, undone)) == []
    assert undone in told.out
    assert program.run(*UNDO, "--no-confirm").code == 15


def test_settings_come_to_another_name(server: PostgresServer, program: Program) -> None:
    """The settings of the dump go to the new database, never to the one that has the old name."""
    make_with_settings(server)
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    saved = server.sql(ITSELF, "app")
    drop_settings(server)
    late = server.sql(ITSELF, "app")
    odd = 'a "b"; \\ DROP'
    program.good("restore", "latest", "--database", "app", "--to-database", odd)
    assert server.sql(ITSELF, odd) == saved
    assert server.sql(ITSELF, "app") == late
    program.good("restore", "latest", "--database", "app", "--to-database", "ours", "--no-owner")
    ours = server.sql(ITSELF, "ours")
    assert "5MB" in ours
    assert "the owner" not in ours
    assert '"rights" : null' in ours


def test_a_setting_that_cannot_be_made_is_known_at_once(
    server: PostgresServer, program: Program
) -> None:
    """A role of a setting is not there: exit code 21 before anything is filled, and what to do."""
    make_with_settings(server)
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    drop_settings(server)
    server.sql('DROP ROLE "in"')
    result = program.run("restore", "latest", "--database", "app", "--to-database", "new")
    assert result.code == 21, result
    assert 'role "in" does not exist' in result.err
    assert "--globals" in result.err
    assert databases(server) == ["app"]
    server.sql('DROP ROLE "the owner"')
    result = program.run("restore", "latest", "--database", "app", "--to-database", "new")
    assert result.code == 21, result
    assert 'role "the owner" does not exist' in result.err


def test_nothing_is_replaced_without_consent(server: PostgresServer, program: Program) -> None:
    """Without a terminal it takes --no-confirm or the name; --dry-run changes nothing."""
    server.make_app()
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    server.sql("INSERT INTO t VALUES (0)", "app")
    for words in ((), ("--confirm", "other"), ("--confirm", "")):
        refused = program.run(*REPLACE, *words)
        assert refused.code == 6, refused
    assert "--confirm app" in program.run(*REPLACE).err
    told = program.good(*REPLACE, "--dry-run")
    assert "kept under another name" in told.out
    assert databases(server) == ["app"]
    assert server.sql("SELECT count(*) FROM t", "app") == "2001"
    program.good(*REPLACE, "--confirm", "app")
    assert server.sql("SELECT count(*) FROM t", "app") == "2000"
    assert program.run(*UNDO).code == 6
    program.good(*UNDO, "--dry-run")
    assert server.sql("SELECT count(*) FROM t", "app") == "2000"


def test_the_refusal_names_the_command_that_replaces(
    server: PostgresServer, program: Program
) -> None:
    """A database that exists is refused with exit code 6; both commands of the hint work."""
    server.make_app()
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    refused = program.run("restore", "latest", "--database", "app")
    assert refused.code == 6
    commands = re.findall(r"strongroom (restore [^;\n]*)(?:;|\n)", refused.err)
    assert len(commands) == 2
    for command in commands:
        program.good(*shlex.split(command.removesuffix(".")), "--no-confirm")
    assert len(databases(server)) == 3
    assert "app_restored" in databases(server)


def test_a_database_that_is_gone_comes_back_by_its_name(
    server: PostgresServer, program: Program
) -> None:
    """With and without --replace; nothing is asked, and nothing is kept."""
    server.sql("CREATE DATABASE gone")
    server.sql("CREATE TABLE t AS SELECT 1 AS a", "gone")
    configure(program, server, more=only("gone"))
    program.good("backup", "db")
    for more in ((), ("--replace",)):
        server.sql("DROP DATABASE gone")
        program.good("restore", "latest", "--database", "gone", *more)
        assert databases(server) in (["app", "gone"], ["gone"])
        assert server.sql("SELECT a FROM t", "gone") == "1"


def test_swaps_are_undone_one_after_the_other(server: PostgresServer, program: Program) -> None:
    """Two restores, two undos: the newest first; also where the database is gone meanwhile."""
    server.make_app()
    configure(program, server, connection=server.connection(name="app"))
    program.good("backup", "db")
    server.sql("UPDATE t SET md5 = 'first'", "app")
    program.good(*REPLACE, "--no-confirm")
    server.sql("UPDATE t SET md5 = 'second'", "app")
    program.good(*REPLACE, "--no-confirm")
    assert len(beside(server, "app", "before")) == 2
    program.good(*UNDO, "--no-confirm")
    assert server.sql("SELECT DISTINCT md5 FROM t", "app") == "second"
    server.sql("DROP DATABASE app")
    program.good(*UNDO, "--server", "db")
    assert server.sql("SELECT DISTINCT md5 FROM t", "app") == "first"
    assert program.run(*UNDO, "--no-confirm").code == 15
    assert program.run(*UNDO, "--server", "none").code == 2


def test_a_long_name_has_names_beside_it(server: PostgresServer, program: Program) -> None:
    """Names of 63 bytes: what stands beside two that begin alike is told apart."""
    names = ["é" * 30 + "one", "é" * 30 + "two"]
    for name in names:
        server.sql(f'CREATE DATABASE "{name}"')
        server.sql("CREATE TABLE t AS SELECT 1 AS a", name)
    configure(program, server, more=only(*names))
    program.good("backup", "db")
    for name in names:
        server.sql("UPDATE t SET a = 2", name)
        program.good("restore", "latest", "--database", name, "--replace", "--no-confirm")
    assert [server.sql("SELECT a FROM t", name) for name in names] == ["1", "1"]
    program.good("restore", "--database", names[0], "--undo", "--no-confirm")
    assert [server.sql("SELECT a FROM t", name) for name in names] == ["2", "1"]


@pytest.mark.parametrize(
    "words",
    [
        ("restore", "latest", "--database", "app", "--undo"),
        ("restore", "--undo"),
        ("restore", "--database", "app"),
        ("restore", "--database", "app", "--undo", "--resume"),
        ("restore", "latest", "--globals", "--database", "app"),
        ("restore", "latest", "--replace", "--database", "app", "--table", "t"),
        ("restore", "latest", "--replace"),
        ("restore", "latest", "--database", "app", "--replace", "--overwrite", "always"),
        ("restore", "latest", "--database", "app", "--replace", "--dry-run", "--no-confirm"),
        ("restore", "latest:/x", "--database", "app"),
    ],
)
def test_what_makes_no_sense_is_refused(program: Program, words: tuple[str, ...]) -> None:
    """Exit code 2, before anything is opened."""
    assert program.run(*words).code == 2
