"""Databases of a snapshot as plain files, and back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.harness import Program
from tests.postgres.kit import configure, only
from tests.support.compare_databases import described, differences
from tests.support.odd_database import ODD_NAME, make_odd_database
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("B9")


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
