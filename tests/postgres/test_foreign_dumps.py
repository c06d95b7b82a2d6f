"""Dumps that anybody made with ``pg_dump``, imported and restored."""

from __future__ import annotations

import json
import subprocess
from typing import Final

import pytest

from strongroom.postgres.names import folder_name
from tests.cli.harness import COMMAND, Program
from tests.postgres.kit import configure
from tests.postgres.test_formats import dump
from tests.support.compare_databases import described, differences
from tests.support.odd_database import ODD_NAME, make_odd_database
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("B9")

FOLDER: Final = folder_name(ODD_NAME)


@pytest.mark.parametrize("each_server", [15, 18], indirect=True)
@pytest.mark.parametrize("options", ["-Fc", "-Fc -Z0", "-Fd", "-Fd -Z0 -j2"])
def test_a_dump_of_anybody(each_server: PostgresServer, program: Program, options: str) -> None:
    """What pg_dump made is imported, and restored without a difference, with its locale."""
    server = each_server
    make_odd_database(server)
    before = described(server, ODD_NAME)
    made = dump(server, ODD_NAME, program.folder / "theirs", *options.split())
    configure(program, server)
    said = program.good("import", made, "--name", "db")
    assert f"read whole by pg_restore {server.major}." in said.out
    program.good("restore", "latest", "--database", ODD_NAME, "--to-database", "back")
    assert differences(before, described(server, "back")) == []
    record = json.loads(program.good("dump", "latest", f"/postgres/db/{FOLDER}/backup.json").out)
    assert record["lsn"] == "unknown"
    assert record["server"].startswith(f"{server.major}.")
    assert sum(table["rows"] for table in record["tables"]) > 15
    assert not list((program.cache / "scratch").iterdir())


def test_a_dump_from_a_pipe(server: PostgresServer, program: Program) -> None:
    """As pg_dump writes it; without --name its source is called imported, which has no server."""
    server.make_app()
    configure(program, server)
    made = dump(server, "app", program.folder / "theirs", "-Fc")
    with made.open("rb") as file:
        done = subprocess.run(
            [*COMMAND, "import", "-"],
            cwd=program.folder,
            env=program._environment(None),
            stdin=file,
            capture_output=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    words = ("restore", "latest", "--database", "app", "--to-database", "back")
    refused = program.run(*words)
    assert refused.code == 2
    assert "--server" in refused.err
    program.good(*words, "--server", "db")
    assert server.sql("SELECT count(*) FROM t", "back") == "2000"


@pytest.mark.parametrize("options", ["--inserts", "--schema-only", "--data-only --inserts"])
def test_other_dumps_of_anybody(server: PostgresServer, program: Program, options: str) -> None:
    """What is no COPY is not counted, and restored all the same, as far as it goes."""
    server.make_app()
    configure(program, server)
    made = dump(server, "app", program.folder / "theirs", "-Fc", *options.split())
    program.good("import", made, "--name", "db")
    words = ("restore", "latest", "--database", "app", "--to-database", "back")
    if "data" in options:
        assert program.run(*words).code == 21  # it makes no tables
        return
    program.good(*words)
    rows = "0" if "schema" in options else "2000"
    assert server.sql("SELECT count(*) FROM t", "back") == rows


@pytest.mark.parametrize("each_server", [15, 18], indirect=True)
def test_the_locale_of_a_dump(each_server: PostgresServer, program: Program) -> None:
    """Encoding, locale and its provider are those that the dump says its database has."""
    server = each_server
    kinds = ["ENCODING 'LATIN1' LOCALE 'C'", "ENCODING 'SQL_ASCII' LOCALE 'C'"]
    kinds.append("ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'")
    if server.major == 15:
        kinds.append("ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'")
    else:
        kinds.append("ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'")
    configure(program, server)
    for number, kind in enumerate(kinds):
        name = f"ENCODING = 'EUC_JP' {number}"  # what stands in a name is no option
        server.sql(f'CREATE DATABASE "{name}" TEMPLATE template0 {kind}')
        server.sql("CREATE TABLE t AS SELECT 'é' AS a", name)
        made = dump(server, name, program.folder / str(number), "-Fc")
        program.good("import", made, "--name", "db")
        program.good("restore", "latest", "--database", name, "--to-database", f"back{number}")
        assert differences(described(server, name), described(server, f"back{number}")) == []
