"""Databases of a snapshot as plain files, and back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from strongroom.postgres.names import folder_name
from tests.cli.harness import Program
from tests.postgres.kit import configure, only
from tests.postgres.test_formats import dump
from tests.support.compare_databases import described, differences
from tests.support.odd_database import ODD_NAME, make_odd_database
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("B9")

FOLDER: Final = folder_name(ODD_NAME)


def exported(program: Program, *options: str | Path, to: str = "out") -> Path:
    """Export the latest snapshot; the folder of the archive."""
    program.good("export", "latest", "--to", to, *options)
    (made,) = (program.folder / to).iterdir()
    return made


def metadata_of(made: Path) -> dict[str, Any]:
    """Read the metadata of an archive."""
    read: dict[str, Any] = json.loads((made / "backup-metadata.json").read_text())
    return read


def check_sums(made: Path) -> None:
    """Let sha256sum check all files that are named beside an archive."""
    command = ["sha256sum", "--strict", "-c", "backup-checksum.sha256"]
    subprocess.run(command, cwd=made, check=True, capture_output=True)


@pytest.mark.parametrize("each_server", [15, 18], indirect=True)
def test_a_database_as_plain_files(each_server: PostgresServer, program: Program) -> None:
    """PostgreSQL's own programs make the same database of the dump, and of the SQL."""
    server = each_server
    make_odd_database(server)
    configure(program, server, more=only(ODD_NAME))
    program.good("backup", "db")
    before = described(server, ODD_NAME)
    made = exported(program, "--databases", "both")
    check_sums(made)
    (dump,) = made.glob("*.dump")
    (sql,) = (one for one in made.glob("*.sql") if one.name != "globals.sql")
    assert dump.name == f"{sql.stem}.dump"
    for name, jobs in (("by_dump", "3"), ("by_pipe", "1")):
        server.sql(f"CREATE DATABASE {name} OWNER reader TEMPLATE template0")
        server.restore(dump, name, jobs)
        assert differences(before, described(server, name)) == []
    server.sql("CREATE DATABASE by_sql OWNER reader TEMPLATE template0")
    server.sql(sql.read_text(), "by_sql")
    assert differences(before, described(server, "by_sql")) == []
    assert "CREATE ROLE reader" in (made / "globals.sql").read_text()
    assert not list((program.cache / "scratch").iterdir())

    record = json.loads(
        program.good(
            "dump", "latest", metadata_of(made)["plain_files"][0]["of"] + "/backup.json"
        ).out
    )
    custom, plain_sql, globals_sql = metadata_of(made)["plain_files"]
    assert (custom["file"], plain_sql["file"]) == (dump.name, sql.name)
    assert globals_sql["form"] == "globals"
    assert custom["verification"].startswith("pg_restore")
    for one in (custom, plain_sql):
        assert one["database"] == ODD_NAME
        for key in ("lsn", "time", "server", "client"):
            assert one[key] == record[key] != ""
    assert custom["size"] == dump.stat().st_size
    assert custom["rows"] >= sum(table["rows"] for table in record["tables"]) > 0
    program.good("archive", "verify", "--folder", "out")


def other_repository(program: Program) -> dict[str, str | None]:
    """Make a second repository; the environment that means it."""
    other: dict[str, str | None] = {"STRONGROOM_REPOSITORY": str(program.folder / "other")}
    program.good("init", env=other)
    return other


@pytest.mark.parametrize("each_server", [15, 18], indirect=True)
def test_there_and_back(each_server: PostgresServer, program: Program) -> None:
    """Export, import into another repository, restore: no difference in the database; files and
    databases stay sources of their own.
    """
    server = each_server
    make_odd_database(server)
    program.make_files(a="1", b="2" * 2_000_000)
    more = f'{only(ODD_NAME)}\n[sources.documents]\ntype = "files"\npaths = ["documents"]'
    configure(program, server, more=more)
    program.good("backup")
    before = described(server, ODD_NAME)
    listed = program.good("ls", "latest").out
    made = exported(program)
    other = other_repository(program)
    program.good("import", made, env=other)
    (was,) = program.good("snapshots", "--json").records[:-1]
    (came,) = program.good("snapshots", "--json", env=other).records[:-1]
    assert sorted(came["sources"]) == sorted(was["sources"])
    assert (came["time"], came["hostname"]) == (was["time"], was["hostname"])
    assert program.good("ls", "latest", env=other).out == listed
    words = ("restore", "latest", "--database", ODD_NAME, "--to-database", "back")
    program.good(*words, env=other)
    assert differences(before, described(server, "back")) == []
    custom = ("dump", "latest", "--database", ODD_NAME, "--format", "custom")
    assert program.good(*custom, env=other).raw == program.good(*custom).raw
    program.good("verify", "--read-data", env=other)


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
    assert "no pg_restore" not in said.err
    program.good("restore", "latest", "--database", ODD_NAME, "--to-database", "back")
    assert differences(before, described(server, "back")) == []
    record = json.loads(program.good("dump", "latest", f"/postgres/db/{FOLDER}/backup.json").out)
    assert record["lsn"] == "unknown"
    assert record["server"].startswith(f"{server.major}.")
    assert sum(table["rows"] for table in record["tables"]) > 15
    assert not list((program.cache / "scratch").iterdir())
