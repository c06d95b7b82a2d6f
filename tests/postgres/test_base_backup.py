"""A base backup of a real server is whole, costs what changed, and starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import cast

import pytest

from strongroom.postgres.basebackup import HAS_LZ4, stream_of
from strongroom.postgres.basetar import BaseTar
from strongroom.postgres.connection import Connection
from strongroom.postgres.wire import Wire, connected
from tests.cli.harness import Program
from tests.postgres.cluster_kit import (
    backed_up,
    begun,
    cluster_of,
    configure,
    everything,
    port_of,
    record_of,
    records,
    sql_at,
    stop_all,
)
from tests.postgres.conftest import ServerOf
from tests.postgres.kit import configure as configure_dumps
from tests.support.postgres import IN_TURN
from tests.support.wal_server import Place, Server, as_nobody, wait_for

pytestmark = pytest.mark.spec("C5")

SIDE = 5599
_BALANCED = """\
SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(tbalance) FROM pgbench_tellers)
  AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(bbalance) FROM pgbench_branches)
  AND (SELECT coalesce(sum(delta), 0) FROM pgbench_history)
    = (SELECT sum(bbalance) FROM pgbench_branches)"""


def _beside(place: Place, *words: str) -> Path:
    """Recover the latest base backup beside the cluster; where its socket is."""
    folder = place.top / "side"
    place.good("recover", "db", "--latest", "--into", folder, "--port", str(SIDE), *words)
    return folder


@pytest.mark.trial(2)
@pytest.mark.parametrize("major", IN_TURN)
def test_a_backup_under_load_starts_and_is_consistent(major: int) -> None:
    """While pgbench runs nothing is locked, and what comes back is one moment of it."""
    with cluster_of(major) as (place, server):
        server.pgbench("-i", "-s", "2", "-q")
        words = ["-h", str(place.top), "-p", str(port_of(server)), "-U", "postgres"]
        load = subprocess.Popen(
            [str(place.programs / "pgbench"), *words, "-T", "30", "-c", "2", "postgres"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **as_nobody(place.top),
        )
        try:
            time.sleep(0.5)
            summary = backed_up(place)
            assert load.poll() is None
        finally:
            load.kill()
            load.wait()
        assert summary["status"] == "complete"
        side = _beside(place)
        assert sql_at(place, side, SIDE, _BALANCED) == "t"
        assert int(sql_at(place, side, SIDE, "SELECT count(*) FROM pgbench_history")) > 0
        assert sql_at(place, side, SIDE, "SHOW archive_mode") == "off"
        assert sql_at(place, side, SIDE, "SHOW listen_addresses") == ""


class _Counted:
    """A connection of which is known how much was copied."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.version = wire.version
        self.bytes = 0

    def copied(self) -> memoryview | None:
        """See ``Wire``."""
        message = self._wire.copied()
        self.bytes += len(message or b"")
        return message

    def __getattr__(self, name: str) -> object:
        return getattr(self._wire, name)


def _read(place: Place, server: Server, *, lz4: bool) -> tuple[dict[bytes, bytes], int]:
    """Return what files of databases a base backup has, and how many bytes came."""
    connection = Connection(host=str(place.top), port=port_of(server), user="postgres")
    files: dict[bytes, bytes] = {}
    with connected(connection, replication=True) as wire:
        counted = _Counted(wire)
        stream = stream_of(cast("Wire", counted))
        stream.begin("compared", with_wal=False, lz4=lz4)
        for part in stream.parts():
            if part.is_manifest:
                assert json.loads(b"".join(iter(stream.read, b"")))["Files"]
                continue
            tar = BaseTar(stream.read)
            for member in tar.members():
                data = b"".join(iter(tar.piece, b""))
                assert len(data) == member.size
                if member.name.startswith(b"base/"):
                    files[member.name] = data
        stream.end()
    return files, counted.bytes


@pytest.mark.parametrize("major", IN_TURN)
def test_what_a_server_compresses_is_the_same(major: int) -> None:
    """One that was built with LZ4 says so and sends less; a backup of another one comes as it is.

    Debian's 15 was, and those of the wheels were not.
    """
    with cluster_of(major) as (place, server):
        server.pgbench("-i", "-s", "2", "-q")
        backed_up(place)
        can = server.sql(HAS_LZ4) == "t"
        assert can or major != 15
        plain, much = _read(place, server, lz4=False)
        packed, little = _read(place, server, lz4=can)
        assert packed == plain
        assert len(plain) > 500
        assert (little < much / 5) == can


@pytest.mark.trial(5, 18)
def test_all_of_a_quiet_cluster_comes_back() -> None:
    """Roles, databases, every row: pg_dumpall of both is the same; with tablespaces, too, which a
    side instance has beside it and not where the cluster has them.
    """
    with cluster_of(15) as (place, server):
        for name in ("one", "two with a space"):
            folder = place.top / name
            folder.mkdir()
            os.chown(folder, server.data.stat().st_uid, server.data.stat().st_gid)
        server.sql(f"CREATE TABLESPACE one LOCATION '{place.top}/one'")
        server.sql(f"CREATE TABLESPACE two LOCATION '{place.top}/two with a space'")
        server.sql("CREATE ROLE app LOGIN PASSWORD 'x'; CREATE TABLE a (n int) TABLESPACE one")
        server.sql("INSERT INTO a SELECT generate_series(1, 50000); CREATE TABLE b (t text)")
        server.sql("CREATE INDEX ON a (n) TABLESPACE two; INSERT INTO b VALUES ('b')")
        server.sql("CREATE UNLOGGED TABLE u (n text); INSERT INTO u VALUES ('unlogged')")
        before = everything(place, place.top, port_of(server))
        backed_up(place)
        record = record_of(place)
        assert {one["location"] for one in record["tablespaces"]} == {
            f"{place.top}/one",
            f"{place.top}/two with a space",
        }
        side = _beside(place)
        after = everything(place, side, SIDE)
        assert after.replace(f"{side}.tablespaces", "") != after
        empty = "COPY public.u (n) FROM stdin;\n"
        assert after.partition(empty)[2].startswith("\\.")  # as after a crash: it has no WAL
        kept = [line for line in before.splitlines() if "TABLESPACE" not in line]
        came = [line for line in after.splitlines() if "TABLESPACE" not in line]
        kept.remove("unlogged")
        assert came == kept
        assert server.sql("SELECT count(*) FROM a") == "50000"


@pytest.mark.trial(3)
def test_the_next_backup_costs_what_changed() -> None:
    """The second one at once stores next to nothing; after few changes little more."""
    with cluster_of(18) as (place, server):
        server.pgbench("-i", "-s", "10", "-q")
        server.sql("VACUUM FREEZE; CHECKPOINT")
        first = backed_up(place)
        again = backed_up(place)
        assert again["data_added"] < first["data_added"] / 20
        server.sql("UPDATE pgbench_accounts SET abalance = 1 WHERE aid BETWEEN 5000 AND 6000")
        later = backed_up(place)
        # the pages of a thousand rows, those they moved to, the index, and the WAL of all that
        assert later["data_added"] < 12 << 20


def _spoil(server: Server, table: str) -> str:
    """Change a byte in the third page of a table on the disk; its file."""
    path = server.sql(f"SELECT pg_relation_filepath('{table}')")
    with (server.data / path).open("r+b") as file:
        file.seek(2 * 8192 + 5000)
        file.write(b"\xff\x00\xff\x00")
    return path


@pytest.mark.trial(19)
def test_a_damaged_page_makes_a_backup_incomplete_and_does_not_lose_it() -> None:
    """Exit code 3, and the server's word with file and block; all else comes back."""
    with cluster_of(18) as (place, server):
        server.sql("CREATE TABLE good AS SELECT generate_series(1, 9000) n")
        server.sql("CREATE TABLE bad AS SELECT generate_series(1, 9000) n")
        server.sql("CHECKPOINT")
        path = _spoil(server, "bad")
        done = place.run("backup", "db")
        assert done.returncode == 3, done
        assert f"cluster/db/data/{path}" in done.stderr
        assert "block 2" in done.stderr
        assert any("block 2" in one for one in record_of(place)["checksum_failures"])
        folder = place.top / "side"
        text = place.run("recover", "db", "--latest", "--into", folder, "--port", str(SIDE))
        assert text.returncode == 0, text
        assert "block 2" in text.stderr
        assert sql_at(place, folder, SIDE, "SELECT count(*) FROM good") == "9000"


def test_a_standby_is_backed_up_too() -> None:
    """It says so, and what comes back has what the standby had."""
    with cluster_of(16) as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) n")
        copy = server.base_backup("standby")
        (copy.data / "standby.signal").touch()
        copy.configure(
            f"primary_conninfo = 'host={place.top} port={port_of(server)} user=postgres'\n"
        )
        copy.start()
        assert wait_for(lambda: copy.sql("SELECT pg_is_in_recovery()") == "t")
        configure(place, copy)
        server.sql("INSERT INTO t VALUES (0)")
        wanted = server.sql("SELECT pg_current_wal_flush_lsn()")
        assert wait_for(lambda: copy.sql(f"SELECT pg_last_wal_replay_lsn() >= '{wanted}'") == "t")
        copy.sql("CHECKPOINT")
        backed_up(place)
        assert record_of(place)["standby"]
        side = _beside(place)
        assert sql_at(place, side, SIDE, "SELECT count(*) FROM t") == "1001"


# -- what goes wrong


def _refused(place: Place, code: int, *words: str) -> str:
    done = place.run("backup", "db")
    assert done.returncode == code, done
    for word in words:
        assert word in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not [one for one in records(place.good("snapshots", "--json")) if "id" in one]
    return done.stderr


def test_a_role_without_replication_is_told_what_to_grant() -> None:
    """Exit code 14, and the exact statement; after it the backup works, without more rights."""
    with cluster_of(18) as (place, server):
        server.sql("CREATE ROLE backup LOGIN")
        configure(place, server)
        file = place.top / "strongroom.toml"
        file.write_text(file.read_text().replace('"postgres" }', '"backup" }'))
        said = _refused(place, 14, "REPLICATION")
        statement = said.partition("ALTER ROLE")[2].partition(";")[0]
        server.sql(f"ALTER ROLE{statement}")
        done = place.run("backup", "db")
        assert done.returncode == 0, done
        assert "pg_read_all_settings" in done.stderr
        server.sql("GRANT pg_read_all_settings TO backup")
        assert "pg_read_all_settings" not in place.run("backup", "db").stderr
        assert record_of(place)["data_directory"] == str(server.data)


def test_a_wrong_password_and_no_way_in() -> None:
    """Exit code 14, the server's word, what to write into pg_hba.conf, and never the password."""
    with cluster_of(15) as (place, server):
        server.sql("CREATE ROLE backup LOGIN REPLICATION PASSWORD 'the secret'")
        hba = server.data / "pg_hba.conf"
        hba.write_text("local all,replication backup scram-sha-256\nlocal all all trust\n")
        server.sql("SELECT pg_reload_conf()")
        secret = place.top / "secret"
        secret.write_text("not the secret\n")
        os.chown(secret, server.data.stat().st_uid, server.data.stat().st_gid)
        secret.chmod(0o600)
        configure(place, server)
        file = place.top / "strongroom.toml"
        text = file.read_text()
        changed = f'"backup", password = {{ file = "{secret}" }} }}'
        file.write_text(text.replace('"postgres" }', changed))
        said = _refused(place, 14, "password authentication failed")
        assert "not the secret" not in said
        secret.write_text("the secret\n")
        place.good("backup", "db")
        file.write_text(text)
        done = place.run("backup", "db")
        assert done.returncode == 14
        assert "no pg_hba.conf entry" in done.stderr
        assert "replication postgres" in done.stderr


@pytest.mark.trial(16)
def test_another_cluster_of_the_same_name_is_refused() -> None:
    """Exit code 6, with both ids: two clusters never share a past."""
    with cluster_of(16) as (place, server):
        backed_up(place)
        other = place.make("other", "true").start()
        configure(place, other)
        done = place.run("backup", "db")
        assert done.returncode == 6, done
        assert record_of(place)["system_id"] in done.stderr
        configure(place, server)
        backed_up(place)


def _stopped_in_the_middle(place: Place, server: Server) -> subprocess.Popen[str]:
    """Start a backup, and hold it while files come over the wire."""
    backup = begun(place, "backup", "db")
    streaming = "SELECT count(*) FROM pg_stat_progress_basebackup WHERE backup_streamed > 20000000"
    assert wait_for(lambda: server.sql(streaming) == "1" or backup.poll() is not None)
    assert backup.poll() is None, backup.communicate()
    os.killpg(backup.pid, signal.SIGSTOP)
    return backup


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGINT])
def test_a_server_that_stops_in_the_middle(how: signal.Signals) -> None:
    """Exit code 14, and nothing is listed; when it runs again, so does the backup."""
    with cluster_of(15) as (place, server):
        server.pgbench("-i", "-s", "10", "-q")
        backup = _stopped_in_the_middle(place, server)
        assert server.process is not None
        server.process.send_signal(how)
        if how == signal.SIGQUIT:
            server.process.wait(30)
        os.killpg(backup.pid, signal.SIGCONT)
        _, said = backup.communicate(timeout=60)
        if how == signal.SIGQUIT:
            assert backup.returncode in {1, 14}, said
        else:  # in order: the server lets us end, or ends us
            assert backup.returncode in {0, 1, 14}, said
        assert "Traceback" not in said
        server.process.wait(30)
        listed = [one for one in records(place.good("snapshots", "--json")) if "id" in one]
        assert len(listed) == (backup.returncode == 0)
        server.start()
        backed_up(place)


@pytest.mark.parametrize("major", IN_TURN)
def test_a_file_that_the_server_cannot_read(major: int) -> None:
    """In the middle of an archive, compressed or not: why is the server's own word."""
    with cluster_of(major) as (place, server):
        server.pgbench("-i", "-s", "2", "-q")
        path = server.sql("SELECT pg_relation_filepath('pgbench_accounts')")
        server.sql("CHECKPOINT")
        (server.data / path).chmod(0)
        try:
            done = place.run("backup", "db")
        finally:
            (server.data / path).chmod(0o600)
        assert done.returncode == 1, done
        why = f"the server ended the base backup of 'db': ERROR: could not open file \"./{path}\""
        assert why in done.stderr
        assert not [one for one in records(place.good("snapshots", "--json")) if "id" in one]
        backed_up(place)


def test_without_lz4_it_is_said_what_to_install() -> None:
    """Exit code 2 and one sentence, before the server begins anything."""
    with cluster_of(15) as (place, server):
        modules = place.top / "modules"
        modules.mkdir()
        (modules / "lz4.py").write_text("raise ImportError('gone')\n")
        text = place.program.read_text()
        place.program.write_text(text.replace("PYTHONPATH=", f"PYTHONPATH={modules}:"))
        before = server.sql("SELECT checkpoints_req FROM pg_stat_bgwriter")
        done = place.run("backup", "db")
        assert done.returncode == 2, done
        assert (
            "lz4 is missing (gone). Install it: pip install 'strongroom[postgres]'" in done.stderr
        )
        assert "Traceback" not in done.stderr
        assert server.sql("SELECT checkpoints_req FROM pg_stat_bgwriter") == before


@pytest.mark.trial(15)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_backup_that_is_killed(number: signal.Signals) -> None:
    """Nothing is listed, nothing stays on the server, and the next one needs no help."""
    with cluster_of(16) as (place, server):
        server.pgbench("-i", "-s", "10", "-q")
        backup = _stopped_in_the_middle(place, server)
        os.killpg(backup.pid, number)
        os.killpg(backup.pid, signal.SIGCONT)
        _, said = backup.communicate(timeout=60)
        assert backup.returncode in {-9, 143}, said
        assert not [one for one in records(place.good("snapshots", "--json")) if "id" in one]
        assert wait_for(lambda: server.sql("SELECT count(*) FROM pg_replication_slots") == "0")
        backed_up(place)
        side = _beside(place)
        assert sql_at(place, side, SIDE, _BALANCED) == "t"


@pytest.mark.trial(13)
def test_a_full_repository() -> None:
    """The command fails loudly, nothing is listed, and the next one works when there is room."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a small file system")
    with cluster_of(15) as (place, server):
        server.sql("CREATE TABLE t AS SELECT md5(g::text) FROM generate_series(1, 600000) g")
        packs = place.repository / "packs"
        packs.mkdir(exist_ok=True)
        packs.chmod(0o777)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=6m,mode=0777", "none", packs], check=True
        )
        try:
            done = place.run("backup", "db")
            assert done.returncode == 1, done
            assert "no space left" in done.stderr.lower()
            assert "Traceback" not in done.stderr
        finally:
            subprocess.run(["umount", packs], check=True)
        assert not [one for one in records(place.good("snapshots", "--json")) if "id" in one]
        backed_up(place)
        del server


def test_dumps_and_base_backups_of_one_source() -> None:
    """``logical = true`` too: both are in one snapshot, each for itself."""
    with cluster_of(18) as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 10) n")
        configure(place, server, more='logical = true\ndatabases = ["postgres"]')
        place.good("backup", "db")
        assert "toc.dat" in place.good("ls", "latest:/postgres/db/postgres")
        assert record_of(place)["standalone"]
        assert "CREATE TABLE" in place.good("dump", "latest", "--database", "postgres")
        stop_all(place)
        assert json.loads(place.good("dump", "latest", "/cluster/db/backup.json"))


def test_without_a_free_slot_and_without_rights_to_settings() -> None:
    """It works, and what is different is said."""
    with cluster_of(15, "max_replication_slots = 0\n") as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 10) n")
        done = place.run("backup", "db")
        assert done.returncode == 0, done
        assert "no replication slot is free" in done.stderr
        assert sql_at(place, _beside(place), SIDE, "SELECT count(*) FROM t") == "10"


def test_without_psycopg_it_is_said_what_to_install(server_of: ServerOf, program: Program) -> None:
    """Exit code 2 and one sentence; everything else works without it."""
    (program.folder / "modules").mkdir()
    (program.folder / "modules/psycopg.py").write_text("raise ImportError('gone')\n")
    configure_dumps(program, server_of(18), more="physical = true")
    without = {"PYTHONPATH": str(program.folder / "modules")}
    result = program.spawn("backup", "db", env=without)
    assert result.code == 2, result
    assert "pip install 'strongroom[postgres]'" in result.err
    assert "Traceback" not in result.err
    assert program.spawn("backup", "./modules", env=without).code == 0
