"""Databases of a snapshot as plain files, and back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.postgres.custom import FolderFiles, custom_pieces
from strongroom.postgres.names import file_name
from tests.cli.harness import Program
from tests.postgres.conftest import ServerOf
from tests.postgres.kit import configure, only
from tests.support.compare_databases import described, differences
from tests.support.odd_database import ODD_NAME, make_odd_database
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.spec("B9", "C1")


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
    server.sql(sql.read_bytes().decode(), "by_sql")  # line ends as they are
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
    said = program.good("archive", "verify", "--folder", "out").out
    assert f"{dump.name}: read whole by pg_restore {server.major}." in said


def test_on_a_new_server(server: PostgresServer, program: Program) -> None:
    """As the documentation says: pg_restore makes the database again, with what belongs to it."""
    server.sql("CREATE ROLE kept_role")
    server.sql("CREATE DATABASE whole ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0")
    server.sql(
        "ALTER DATABASE whole SET work_mem TO '7MB'; GRANT ALL ON DATABASE whole TO kept_role"
    )
    server.sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS a", "whole")
    configure(program, server, more=only("whole"))
    program.good("backup", "db")
    before = described(server, "whole")
    rights = "SELECT datacl FROM pg_database WHERE datname = 'whole'"
    said = server.sql(rights)
    made = exported(program)
    server.sql("DROP DATABASE whole")
    words = ["--create", "--exit-on-error", "--jobs=2", "-h", str(server.folder), "-U", "postgres"]
    command = [str(server.programs / "pg_restore"), *words, "-d", "postgres", made / "whole.dump"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    assert differences(before, described(server, "whole")) == []
    assert server.sql("SHOW work_mem", "whole") == "7MB"
    assert server.sql(rights) == said
    assert "CREATE ROLE kept_role" in (made / "globals.sql").read_text()


def test_files_of_any_size(server: PostgresServer, program: Program) -> None:
    """Tables of some megabytes between small ones: the dump that is made of the repository is the
    one that is made of a folder, byte for byte, and no scratch is needed for it.
    """
    server.sql("CREATE DATABASE mixed")
    rows = "CREATE TABLE {} AS SELECT g, md5(g::text) FROM generate_series(1, {}) g;"
    sizes = {"a": 3, "b": 60_000, "c": 0, "d": 900, "e": 90_000, "f": 1}
    server.sql("".join(rows.format(name, count) for name, count in sizes.items()), "mixed")
    server.sql("SELECT lo_from_bytea(0, repeat('x', 2000000)::bytea)", "mixed")
    configure(program, server, more=f"{only('mixed')}\njobs = 1")
    program.good("backup", "db")
    shutil.rmtree(program.cache / "scratch")
    raw = program.good("dump", "latest", "--database", "mixed", "--format", "custom").raw
    made = exported(program, "--format", "none")
    assert not (program.cache / "scratch").exists()
    assert (made / "mixed.dump").read_bytes() == raw
    folder = program.folder / "folder"
    where = ("--format", "directory", "--to", folder)
    program.good("dump", "latest", "--database", "mixed", *where)
    assert b"".join(custom_pieces(FolderFiles(folder))) == raw
    server.sql("CREATE DATABASE back")
    server.restore(made / "mixed.dump", "back", "2")
    assert differences(described(server, "mixed"), described(server, "back")) == []


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


def sealed_export(server: PostgresServer, program: Program, how: str) -> tuple[Path, list[str]]:
    """Export the database ``app`` sealed; the folder, and the options that open it again."""
    server.make_app()
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    made = subprocess.run(["age-keygen"], check=True, capture_output=True).stdout
    (program.folder / "age.key").write_bytes(made)
    (program.folder / "age.key").chmod(0o600)
    key = {
        "recipient": ["--recipient", made.split(b"public key: ")[1].split()[0].decode()],
        "identity": ["--archive-key-file", "age.key"],
        "passphrase": ["--archive-passphrase-file", "passphrase"],
    }[how]
    folder = exported(program, "--databases", "both", *key)
    return folder, key if how == "passphrase" else ["--archive-key-file", "age.key"]


@pytest.mark.parametrize(
    "how",
    ["recipient", "identity", pytest.param("passphrase", marks=pytest.mark.slow)],
)
def test_a_sealed_export(server: PostgresServer, program: Program, how: str) -> None:
    """Every file of a database is sealed, says what read it, and is verified with the key."""
    folder, opening = sealed_export(server, program, how)
    check_sums(folder)
    assert {"app.dump.age", "app.sql.age", "globals.sql.age"} < set(names(folder))
    for name in names(folder):
        if name.endswith(".age"):
            assert (folder / name).read_bytes().startswith(b"age-encryption.org/v1\n")
    said = {one["file"]: one["verification"] for one in metadata_of(folder)["plain_files"]}
    wanted = "checksum" if how == "recipient" else "pg_restore"
    assert said["app.dump.age"].startswith(wanted)
    where = ("archive", "verify", "--folder", "out")
    assert program.run(*where).code == 3
    program.good(*where, opening[0].replace("archive-", ""), opening[1])
    (program.folder / "wrong.key").write_bytes(
        subprocess.run(["age-keygen"], check=True, capture_output=True).stdout
    )
    assert program.run(*where, "--key-file", "wrong.key").code == 3
    data = bytearray((folder / "app.dump.age").read_bytes())
    data[-20] ^= 1
    (folder / "app.dump.age").write_bytes(data)
    assert program.run(*where).code == 4


@pytest.mark.parametrize("how", ["recipient", pytest.param("passphrase", marks=pytest.mark.slow)])
def test_a_sealed_export_comes_back(server: PostgresServer, program: Program, how: str) -> None:
    """By age and pg_restore; and by import, of all of it or of one sealed dump, with the key."""
    folder, opening = sealed_export(server, program, how)
    if how == "recipient":
        key, sealed = str(program.folder / "age.key"), str(folder / "app.dump.age")
        opened = subprocess.run(["age", "-d", "-i", key, sealed], check=True, capture_output=True)
        (program.folder / "opened").write_bytes(opened.stdout)
        server.sql("CREATE DATABASE opened")
        server.restore(program.folder / "opened", "opened", "1")
        assert server.sql("SELECT count(*) FROM t", "opened") == "2000"
    other = other_repository(program)
    for what, named in ((folder, []), (folder / "app.dump.age", ["--name", "db"])):
        assert program.run("import", what, *named, env=other).code == 12
        program.good("import", what, *named, *opening, env=other)
        program.good("restore", "latest", "--database", "app", "--to-database", "back", env=other)
        assert server.sql("SELECT count(*) FROM t", "back") == "2000"
        server.sql("DROP DATABASE back")


def names(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return sorted(one.name for one in folder.iterdir())


def test_the_forms(server: PostgresServer, program: Program) -> None:
    """What lies beside the tar by --databases; SQL is compressed where --format was given."""
    server.make_app()
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    for options, wanted in {
        (): {"app.dump", "globals.sql"},
        ("--databases", "sql"): {"app.sql", "globals.sql"},
        ("--databases", "sql", "--format", "gzip"): {"app.sql.gz", "globals.sql"},
        ("--databases", "both", "--format", "zstd"): {"app.dump", "app.sql.zst", "globals.sql"},
        ("--databases", "files"): set(),
        ("--databases", "both", "--exclude", "*.dat"): {"globals.sql"},  # and a warning
        ("--exclude", "globals.sql"): {"app.dump"},
    }.items():
        made = exported(program, *options, to="-".join(["out", *options]))
        check_sums(made)
        found = {name for name in names(made) if not name.startswith("backup-")}
        assert found == wanted, options
        program.good("archive", "verify", "--folder", made.parent)
    (packed,) = program.folder.glob("out*gzip/*/app.sql.gz")
    sql = subprocess.run(["gzip", "-dc", packed], check=True, capture_output=True)
    (made,) = (one.parent for one in program.folder.glob("out---databases-sql/*/app.sql"))
    lines = [
        [one for one in text.splitlines() if not one.startswith((b"\\restrict", b"\\unrestrict"))]
        for text in (sql.stdout, (made / "app.sql").read_bytes())
    ]
    assert lines[0] == lines[1]
    part = program.good("export", "latest", "--to", "part", "--exclude", "*.dat")
    assert "not all files of the dump of 'app'" in part.err
    refused = program.run("export", "latest", "--to", "-", "--databases", "dump")
    assert (refused.code, refused.raw) == (2, b"")
    assert "strongroom dump --database" in refused.err


def test_a_stream_holds_what_pg_restore_reads(server: PostgresServer, program: Program) -> None:
    """A tar on standard output has the directory that pg_dump made."""
    server.make_app()
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    tar = program.good("export", "latest", "--to", "-").raw
    subprocess.run(["tar", "-x"], input=tar, cwd=program.folder, check=True)
    command = [str(server.programs / "pg_restore"), "--file=-", "postgres/db/app"]
    done = subprocess.run(command, cwd=program.folder, check=True, capture_output=True)
    assert b"COPY public.t" in done.stdout


@pytest.mark.parametrize("path", ["/postgres", "/postgres/db", "/postgres/db/app"])
def test_only_the_databases(server: PostgresServer, program: Program, path: str) -> None:
    """An export of their folder is imported to the place that it is from, and restored; one of
    them alone is not all of the source, exit code 3.
    """
    server.make_app()
    program.make_files(a="1")
    more = f'{only("app")}\n[sources.documents]\ntype = "files"\npaths = ["documents"]'
    configure(program, server, more=more)
    program.good("backup")
    program.good("export", f"latest:{path}", "--to", "out")
    (made,) = (program.folder / "out").iterdir()
    assert (made / "app.dump").exists()
    assert (made / "globals.sql").exists() == (path != "/postgres/db/app")
    other = other_repository(program)
    refused = program.run("import", made, "--name", "x", env=other)
    assert refused.code == 2
    assert "known by their folder" in refused.err
    code = 3 if path == "/postgres/db/app" else 0
    assert program.run("import", made, env=other).code == code
    program.good("restore", "latest", "--database", "app", "--to-database", "back", env=other)
    assert server.sql("SELECT count(*) FROM t", "back") == "2000"


def test_what_a_backup_of_databases_lacks(server: PostgresServer, program: Program) -> None:
    """It is lacking in the export and in the import as well, exit code 3, of its source alone."""
    server.make_app()
    server.sql("CREATE ROLE limited LOGIN")
    server.sql("GRANT SELECT ON t TO limited", "app")
    program.make_files(a="1")
    more = f'{only("app")}\n[sources.documents]\ntype = "files"\npaths = ["documents"]'
    configure(program, server, connection=server.connection(user="limited"), more=more)
    assert program.run("backup").code == 3
    assert program.run("export", "latest", "--to", "out").code == 3
    assert program.run("export", "latest:/postgres/db", "--to", "part").code == 3
    other = other_repository(program)
    for folder in ("out", "part"):
        (made,) = (program.folder / folder).iterdir()
        done = program.run("import", made, env=other)
        assert done.code == 3
        assert "postgres/db/globals.sql: the passwords of roles" in done.err
    again = program.run("export", "latest~1:/postgres", "--to", "again", env=other)
    assert again.code == 3
    whole = program.folder / "documents"
    program.good("export", f"latest~1:{whole}", "--to", "files", env=other)


def test_several_servers(server_of: ServerOf, program: Program) -> None:
    """Databases of one name have files of their own, and stay apart when they come back."""
    servers = server_of(15), server_of(18)
    for server in servers:
        server.make_app()
    servers[0].sql("DELETE FROM t WHERE g > 5", "app")
    configure(program, servers[0], more=only("app"))
    with (program.folder / "strongroom.toml").open("a") as file:
        file.write(
            f'[sources.second]\ntype = "postgres"\nconnection = {{ {servers[1].connection()} }}\n'
            f'programs = ["{servers[1].programs}"]\ndatabases = ["app"]\n'
        )
    program.good("backup")
    made = exported(program)
    assert {"app@db.dump", "app@second.dump", "globals@db.sql", "globals@second.sql"} < set(
        names(made)
    )
    other = other_repository(program)
    program.good("import", made, env=other)
    words = ("restore", "latest", "--database", "app", "--to-database", "back")
    for source, server, rows in (("db", servers[0], "5"), ("second", servers[1], "2000")):
        program.good(*words, "--source", source, env=other)
        assert server.sql("SELECT count(*) FROM t", "back") == rows
        server.clear()


def test_archive_verbs_keep_the_plain_files(server: PostgresServer, program: Program) -> None:
    """A recompressed archive has them still, named in its checksums; it can be restored."""
    server.make_app()
    configure(program, server, more=only("app"))
    program.good("backup", "db")
    made = exported(program, "--level", "1")
    dump = (made / "app.dump").read_bytes()
    recompress = ("archive", "recompress", made.name, "--format", "zstd", "--level", "19")
    program.good(*recompress, "--folder", "out")
    assert list(made.glob("*.tar.zst"))
    assert (made / "app.dump").read_bytes() == dump
    check_sums(made)
    assert "app.dump" in (made / "backup-checksum.sha256").read_text()
    program.good("archive", "verify", "--folder", "out")
    (program.folder / "project").mkdir()
    where = ("--folder", program.folder / "out", "--project", "project", "--no-confirm")
    program.good("archive", "restore", "latest", *where)
    assert (program.folder / "project/postgres/db/app/toc.dat").exists()


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=63)


@given(NAMES, NAMES)
def test_names_of_plain_files(one: str, other: str) -> None:
    """Two databases never share a file, and none has the name of another file of an archive."""
    first, second = file_name(one), file_name(other)
    assert (first == second) == (one == other)
    assert first.isascii()
    assert not set(first) & set(' /\\@:*?"<>|\n')
    assert not first.startswith((".", "-", "backup-", "pre-restore-"))
    assert first != "globals"


def test_names_that_are_taken() -> None:
    """They are written otherwise, and can be told from each other."""
    for name in ("globals", "backup-20240101_000000.tar", "pre-restore-x", ".hidden", "-r"):
        assert file_name(name).startswith("%")
    assert file_name("app_2-x.y") == "app_2-x.y"
