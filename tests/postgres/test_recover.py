"""A cluster is recovered in its place or beside it; whatever fails, the old one is there."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
from tests.support.postgres import IN_TURN
from tests.support.wal_server import Place, Server, as_nobody, wait_for

pytestmark = pytest.mark.spec("C7")

SIDE = 5598
FAR = "2199-01-01"


def recovered(place: Place, *words: str | Path) -> dict[str, Any]:
    """Recover, which must work; its summary."""
    text = place.good("recover", "db", *words, "--json")
    (summary,) = [one for one in records(text) if one["message_type"] == "summary"]
    return summary


def refused(place: Place, code: int, *words: str | Path, says: str) -> str:
    """Recover, which must end with this code and these words; what it said."""
    done = place.run("recover", "db", *words)
    assert done.returncode == code, done
    assert says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def inside(folder: Path) -> dict[str, int]:
    """Return the files of a folder with when they were changed."""
    return {str(path.relative_to(folder)): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def in_order(place: Place) -> list[str]:
    """Return the snapshots, the oldest first."""
    found = [one for one in records(place.good("snapshots", "--json")) if "id" in one]
    return [one["short_id"] for one in sorted(found, key=lambda one: str(one["time"]))]


def left_over(place: Place) -> list[str]:
    """Return what a recovery may not leave."""
    return [path.name for path in place.top.iterdir() if ".strongroom-" in path.name]


# -- with base backups alone


@pytest.mark.trial(5)
@pytest.mark.parametrize("major", IN_TURN)
def test_in_its_place_from_a_backup_alone(major: int) -> None:
    """The data directory is gone for good, and all of the backup is back, open, on a new timeline.
    The server runs as before, with its own settings.
    """
    with cluster_of(major) as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 5000) n; CREATE ROLE app LOGIN")
        before = everything(place, place.top, port_of(server))
        backed_up(place)
        server.stop(signal.SIGQUIT)
        shutil.rmtree(server.data)
        summary = recovered(place, "--latest")
        assert summary["timeline"] == 2
        assert summary["moved_aside"] == ""
        assert everything(place, place.top, port_of(server)) == before
        server.sql("INSERT INTO t VALUES (0)")
        assert server.sql("SELECT pg_is_in_recovery()") == "f"
        auto = (server.data / "postgresql.auto.conf").read_text()
        assert "recovery_target" not in auto
        assert left_over(place) == []
        backed_up(place)


@pytest.mark.trial(9)
def test_what_was_written_after_the_backup_is_salvaged() -> None:
    """Without an archive the WAL in the old data directory is all there is, and is used: nothing
    that was committed is lost. The old directory is kept, and asked about.
    """
    with cluster_of(15) as (place, server):
        server.sql("CREATE TABLE t (n int)")
        backed_up(place)
        for n in range(5):
            server.sql(f"INSERT INTO t VALUES ({n})")
            server.sql("SELECT pg_switch_wal()")
        server.sql("INSERT INTO t VALUES (5)")
        server.stop(signal.SIGQUIT)
        (server.data / "base/1/1259").write_bytes(b"damaged")
        refused(place, 6, "--latest", says="--no-confirm")
        summary = recovered(place, "--latest", "--no-confirm")
        assert server.sql("SELECT count(*) FROM t") == "6"
        aside = Path(summary["moved_aside"])
        assert (aside / "base/1/1259").read_bytes() == b"damaged"
        assert left_over(place) == []


@pytest.mark.spec("D8")
def test_a_base_backup_that_is_not_whole_is_refused() -> None:
    """Before anything is changed, exit code 4, with what is missing; an older one that is whole is
    recovered when it is named, and the newer one as soon as all of it is there.
    """
    with cluster_of(15) as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 5000) n")
        backed_up(place)
        packs = place.repository / "packs"
        before = set(packs.rglob("*"))
        server.sql("INSERT INTO t SELECT generate_series(1, 90000)")
        backed_up(place)
        missing = next(path for path in packs.rglob("*") if path.is_file() and path not in before)
        kept = missing.rename(place.top / "kept")
        server.stop()
        state = inside(server.data)
        older, newer = in_order(place)
        for words in (("--latest",), ("--latest", "--snapshot", newer), ("--latest", "--dry-run")):
            said = refused(place, 4, *words, "--no-confirm", says=f"snapshot {newer} is not whole")
            assert missing.name in said
            assert "Name an older one" in said
            assert inside(server.data) == state
            assert left_over(place) == []
        side = place.top / "side"
        recovered(place, "--latest", "--snapshot", older, "--into", side, "--port", str(SIDE))
        stop_all(place)
        kept.rename(missing)
        recovered(place, "--latest", "--no-confirm")


@pytest.mark.trial(9)
def test_a_running_server_and_a_strange_folder_are_refused() -> None:
    """Exit code 6, and nothing is changed: a server runs; another cluster; no cluster at all."""
    with cluster_of(16) as (place, server):
        backed_up(place)
        said = refused(place, 6, "--latest", "--no-confirm", says="a server runs in")
        assert "pg_ctl" in said
        other = place.make("other", "true")
        server.stop()
        shutil.move(server.data, place.top / "kept")
        shutil.move(other.data, server.data)
        before = inside(server.data)
        refused(place, 6, "--latest", "--no-confirm", says="holds cluster")
        assert inside(server.data) == before
        shutil.rmtree(server.data / "global")
        refused(place, 6, "--latest", "--no-confirm", says="no data directory")
        side = place.top / "side"
        side.mkdir()
        (side / "file").touch()
        refused(place, 6, "--latest", "--into", side, says="is not empty")


@pytest.mark.trial(23)
def test_another_major_version_is_refused_and_dumps_are_offered() -> None:
    """Exit code 6, with what is here and what to install."""
    with cluster_of(16) as (place, server):
        backed_up(place)
        file = place.top / "strongroom.toml"
        text = file.read_text().replace(str(place.programs), "/usr/lib/postgresql/15/bin")
        file.write_text(text)
        said = refused(place, 6, "--latest", "--into", place.top / "side", says="PostgreSQL 16")
        assert "15." in said
        assert "postgresql-16" in said
        assert "strongroom restore --database" in said
        assert server.sql("SELECT 1") == "1"


@pytest.mark.trial(18)
def test_a_tablespace_and_a_pg_wal_elsewhere_come_back_to_their_places() -> None:
    """Links are made again, what was there is kept beside, and rows are where they were."""
    with cluster_of(15) as (place, server):
        user = server.data.stat()
        space, wal = place.top / "a space", place.top / "wal elsewhere"
        space.mkdir()
        os.chown(space, user.st_uid, user.st_gid)
        server.sql(f"CREATE TABLESPACE s LOCATION '{space}'")
        server.sql("CREATE TABLE t TABLESPACE s AS SELECT generate_series(1, 3000) n")
        server.stop()
        shutil.move(server.data / "pg_wal", wal)
        (server.data / "pg_wal").symlink_to(wal)
        server.start()
        backed_up(place)
        server.sql("DROP TABLE t")
        server.stop()
        shutil.rmtree(wal)
        wal.mkdir()
        os.chown(wal, user.st_uid, user.st_gid)
        recovered(place, "--latest", "--no-confirm")
        assert server.sql("SELECT count(*) FROM t") == "3000"
        assert (server.data / "pg_wal").is_symlink()
        assert (server.data / "pg_wal").resolve().parent == place.top
        asides = [one for one in space.iterdir() if "before-recover" in one.name]
        assert len(asides) == 1
        assert len(list(space.iterdir())) == 2
        assert server.sql(
            "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 's'"
        ) == str(space)


def _spoiled_programs(place: Place, name: str, text: str) -> Path:
    """Return a folder with the programs of a version, one of which does something else."""
    folder = place.top / "spoiled"
    folder.mkdir()
    for path in place.programs.iterdir():
        (folder / path.name).symlink_to(path)
    (folder / name).unlink()
    (folder / name).write_text(f"#!/bin/sh\nreal={place.programs}\n{text}\n")
    (folder / name).chmod(0o755)
    return folder


def test_a_recovery_that_fails_is_taken_back() -> None:
    """Exit code 21: what does not start is gone, the old directory is as it was, byte for byte."""
    with cluster_of(15) as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 100) n")
        backed_up(place)
        server.sql("INSERT INTO t VALUES (0)")
        server.stop()
        before = inside(server.data)
        config = (server.data / "postgresql.conf").read_text()
        folder = _spoiled_programs(
            place, "pg_ctl", '"$real/pg_ctl" "$@" -o "-c shared_preload_libraries=nothing_such"'
        )
        file = place.top / "strongroom.toml"
        good = file.read_text()
        file.write_text(good.replace(str(place.programs), str(folder)))
        said = refused(place, 21, "--latest", "--no-confirm", says="as it was before")
        assert "nothing_such" in said
        assert inside(server.data) == before
        assert (server.data / "postgresql.conf").read_text() == config
        assert left_over(place) == []
        file.write_text(good)
        server.start()
        assert server.sql("SELECT count(*) FROM t") == "101"


@pytest.mark.trial(15)
@pytest.mark.slow
def test_a_recovery_that_is_killed_anywhere_loses_nothing() -> None:
    """Killed after so many milliseconds, again and again: the old directory is in its place or
    beside it, and what runs next finishes without help.
    """
    with cluster_of(15) as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 50000) n")
        backed_up(place)
        server.sql("INSERT INTO t VALUES (0)")
        server.stop()
        (server.data / "the old one").touch()
        for milliseconds in (350, 500, 600, 700, 800, 900, 1000, 1200, 1500):
            work = begun(place, "recover", "db", "--latest", "--no-confirm")
            time.sleep(milliseconds / 1000)
            os.killpg(work.pid, signal.SIGKILL)
            work.communicate()
            old = [one for one in place.top.glob("main*") if (one / "the old one").exists()]
            assert len(old) == 1, milliseconds
            _end_server(server.data, place)
        done = place.run("recover", "db", "--latest", "--no-confirm")
        assert done.returncode == 0, done.stderr
        assert int(server.sql("SELECT count(*) FROM t")) >= 50000
        old = [one for one in place.top.glob("main*") if (one / "the old one").exists()]
        assert len(old) == 1
        assert not list(place.top.glob("*.strongroom-*"))


def _end_server(data: Path, place: Place) -> None:
    """Stop what a killed recovery has started, as its message says."""
    if (data / "postmaster.pid").exists():
        done = place.run("recover", "db", "--latest", "--no-confirm")
        if done.returncode == 6:
            assert "a server runs in" in done.stderr, done
            assert "stop" in done.stderr
            pid = int((data / "postmaster.pid").read_text().splitlines()[0])
            os.kill(pid, signal.SIGQUIT)
            assert wait_for(lambda: not (data / "postmaster.pid").exists())


@pytest.mark.trial(15)
def test_an_interruption_is_rolled_back() -> None:
    """A person who stops it finds everything as it was, or is told that it is recovered."""
    with cluster_of(16) as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 50000) n")
        backed_up(place)
        server.stop()
        before = inside(server.data)
        for milliseconds in (300, 500, 700, 900):
            work = begun(place, "recover", "db", "--latest", "--no-confirm")
            time.sleep(milliseconds / 1000)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(work.pid, signal.SIGINT)
            said = "".join(work.communicate(timeout=60))
            if "recovered in" in said:  # it was done before
                assert before != inside(server.data)
                return
            assert work.returncode == 130
            assert inside(server.data) == before
            assert left_over(place) == []


def test_an_interruption_at_the_last_start_says_that_it_is_recovered() -> None:
    """Then nothing is taken back: exit code 130, and where both clusters are."""
    with cluster_of(16) as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) n")
        backed_up(place)
        server.stop()
        text = 'case "$*" in *"-w -t "*) kill -INT $PPID; sleep 30;; esac; exec "$real/pg_ctl" "$@"'
        folder = _spoiled_programs(place, "pg_ctl", text)
        file = place.top / "strongroom.toml"
        file.write_text(file.read_text().replace(str(place.programs), str(folder)))
        work = begun(place, "recover", "db", "--latest", "--no-confirm")
        said = "".join(work.communicate(timeout=60))
        assert work.returncode == 130
        assert f"The cluster is recovered in {server.data}" in said
        (aside,) = server.data.parent.glob("main.before-recover-*Z")
        assert f"The old one is in {aside}" in said
        server.start()
        assert server.sql("SELECT count(*) FROM t") == "1000"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_no_room_is_said_before_anything() -> None:
    """On the disk of the data directory as well as on that of a tablespace."""
    with cluster_of(15) as (place, server):
        small, space = place.top / "small", place.top / "space"
        user = server.data.stat()
        for folder in (small, space):
            folder.mkdir()
            os.chown(folder, user.st_uid, user.st_gid)
        server.sql(f"CREATE TABLESPACE s LOCATION '{space}'")
        server.sql("CREATE TABLE t TABLESPACE s AS SELECT generate_series(1, 300000) n")
        backed_up(place)
        server.stop()
        shutil.move(space, place.top / "kept")
        for folder, words in (
            (small, ("--into", small / "side")),
            (space, ("--no-confirm",)),
        ):
            folder.mkdir(exist_ok=True)
            options = f"size=4m,uid={user.st_uid},gid={user.st_gid},mode=0700"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)
            try:
                refused(place, 6, "--latest", *words, says=f"the disk of {folder} has")
            finally:
                subprocess.run(["umount", folder], check=True)


def test_a_dry_run_changes_nothing_and_says_the_plan() -> None:
    """The plan names backup, WAL, timeline, room, programs and what becomes of the old one."""
    with cluster_of(18) as (place, server):
        summary = backed_up(place)
        server.stop()
        before = inside(place.top)
        text = place.good("recover", "db", "--latest", "--dry-run", "--json")
        (plan,) = [one for one in records(text) if one["message_type"] == "plan"]
        assert summary["snapshot_id"].startswith(plan["snapshot_id"])
        assert plan["data_directory"] == str(server.data)
        assert plan["moved_aside"].startswith(f"{server.data}.before-recover-")
        assert plan["wal_first"] <= plan["wal_last"]
        assert plan["space_needed"] < plan["space_free"]
        after = {name: at for name, at in inside(place.top).items() if not name.startswith(".")}
        assert after == {name: at for name, at in before.items() if not name.startswith(".")}


# -- with an archive


@pytest.fixture(scope="module")
def past() -> Iterator[tuple[Place, Server, list[dict[str, str]]]]:
    """A cluster with an archive, two base backups, and rows with what is known of each."""
    with cluster_of(15, archive=True) as (place, server):
        server.sql("CREATE TABLE t (n int)")
        rows: list[dict[str, str]] = []
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        for n in range(6):
            if n in {0, 3}:
                backed_up(place)
                time.sleep(0.05)
            text = server.sql(
                f"BEGIN; INSERT INTO t VALUES ({n}); SELECT pg_current_xact_id(); COMMIT; "
                "SELECT clock_timestamp(), pg_current_wal_lsn()"
            )
            xid, rest = text.splitlines()
            at, lsn = rest.split("|")
            rows.append({"xid": xid, "time": at, "lsn": lsn})
            server.sql(f"SELECT pg_create_restore_point('after {n}')")
            server.switch()
            time.sleep(0.05)
        server.sql("INSERT INTO t VALUES (99)")
        last = server.switch()
        assert wait_for(lambda: server.archived(last) and not server.ready())
        yield place, server, rows


def _side(place: Place, *words: str | Path) -> tuple[dict[str, Any], str]:
    """Recover beside the cluster; the summary, and which rows there are. It is gone again."""
    folder = place.top / "side"
    summary = recovered(place, *words, "--into", folder, "--port", str(SIDE))
    rows = sql_at(place, folder, SIDE, "SELECT string_agg(n::text, ' ' ORDER BY n) FROM t")
    summary["in_recovery"] = sql_at(place, folder, SIDE, "SELECT pg_is_in_recovery()")
    _gone(place, folder)
    return summary, rows


def _gone(place: Place, folder: Path) -> None:
    pid = int((folder / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGQUIT)
    assert wait_for(lambda: not (folder / "postmaster.pid").exists())
    shutil.rmtree(folder)
    assert left_over(place) == []


Past = tuple[Place, Server, list[dict[str, str]]]


@pytest.mark.trial(6, 8)
def test_every_kind_of_target(past: Past) -> None:
    """A time, an LSN, a transaction, a name, each with what was committed before and no more."""
    place, _, rows = past
    summary, found = _side(place, "--to-time", rows[1]["time"])
    assert found == "0 1"
    assert summary["stopped"].startswith("recovery stopping before commit")
    assert summary["last_transaction"] <= rows[1]["time"].replace(" ", "T").replace("+00", "Z")
    second = ("--snapshot", in_order(place)[1])
    assert _side(place, "--to-lsn", rows[4]["lsn"])[1] == "0 1 2 3 4"
    assert _side(place, "--to-xid", rows[4]["xid"], *second)[1] == "0 1 2 3 4"
    assert _side(place, "--to-xid", rows[4]["xid"], "--exclusive", *second)[1] == "0 1 2 3"
    assert _side(place, "--to-name", "after 3", *second)[1] == "0 1 2 3"
    record = record_of(place, second[1])
    assert _side(place, "--to-name", record["restore_point"], *second)[1] == "0 1 2"
    assert _side(place, "--latest")[1] == "0 1 2 3 4 5 99"


@pytest.mark.trial(6)
def test_a_pause_stays_read_only(past: Past) -> None:
    """What is reached can be looked at, and nothing is written."""
    place, _, rows = past
    summary, found = _side(place, "--to-time", rows[2]["time"], "--pause")
    assert found == "0 1 2"
    assert summary["paused"]
    assert summary["in_recovery"] == "t"


@pytest.mark.trial(6)
def test_the_newest_backup_before_the_target_is_chosen(past: Past) -> None:
    """The plan begins with the second backup only where that had ended."""
    place, _, rows = past
    ids = in_order(place)
    for n, wanted in ((1, ids[0]), (4, ids[1])):
        text = place.good(
            "recover",
            "db",
            "--to-time",
            rows[n]["time"],
            "--dry-run",
            "--json",
            "--into",
            place.top / "side",
        )
        (plan,) = [one for one in records(text) if one["message_type"] == "plan"]
        assert plan["snapshot_id"] == wanted


@pytest.mark.trial(7, 8)
def test_what_cannot_be_reached_is_refused_with_what_can(past: Past) -> None:
    """Before the first backup, in the future, after the archive's end, beyond the WAL, without a
    backup named for a transaction; never a file is written.
    """
    place, _, rows = past
    into = ("--into", place.top / "side")
    names = sorted(path.name for path in place.top.iterdir())
    said = refused(place, 15, "--to-time", "2020-01-01", *into, says="no base backup ended before")
    assert "What can be reached" in said
    refused(place, 6, "--to-time", FAR, *into, says="in the future")
    refused(place, 15, "--to-lsn", "0/100", *into, says="no base backup ended before")
    refused(place, 6, "--to-lsn", "FF/0", *into, says="cannot be reached")
    time.sleep(0.01)
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime())
    refused(place, 6, "--to-time", now, *into, says="cannot be reached")
    refused(place, 2, "--to-xid", rows[0]["xid"], *into, says="--snapshot")
    refused(place, 2, "--to-lsn", "nonsense", *into, says="is no LSN")
    refused(place, 15, "--latest", "--timeline", "7", *into, says="no timeline 7")
    refused(place, 2, "--latest", "--to-lsn", "0/1", *into, says="say one target")
    assert sorted(path.name for path in place.top.iterdir()) == names


@pytest.mark.trial(10)
def test_a_hole_in_the_archive_is_named_before_anything(past: Past) -> None:
    """The segment, and where WAL ends without it; what lies before the hole can be reached."""
    place, _, rows = past
    text = place.good(
        "recover",
        "db",
        "--to-lsn",
        rows[1]["lsn"],
        "--dry-run",
        "--json",
        "--into",
        place.top / "side",
    )
    (plan,) = [one for one in records(text) if one["message_type"] == "plan"]
    number = int(rows[2]["lsn"].split("/")[1], 16) >> 20
    name = f"0000000100000000{number:08X}"
    (found,) = (place.repository / "wal").rglob(name.lower())
    first, second = in_order(place)
    assert plan["snapshot_id"] == first
    kept = found.read_bytes()
    found.unlink()
    try:
        into = ("--into", place.top / "side", "--snapshot", first)
        said = refused(place, 6, "--latest", *into, says=name)
        assert "Nothing was changed" in said
        refused(place, 6, "--to-lsn", rows[3]["lsn"], *into, says=name)
        assert _side(place, "--to-lsn", rows[1]["lsn"], "--snapshot", first)[1] == "0 1"
        assert _side(place, "--latest", "--snapshot", second)[1] == "0 1 2 3 4 5 99"
    finally:
        found.write_bytes(kept)
        os.chown(found, place.top.stat().st_uid, place.top.stat().st_gid)


@pytest.mark.trial(2)
def test_a_backup_waits_for_its_wal(past: Past) -> None:
    """Where the archive does not get it, there is no snapshot, and the error names the segment."""
    place, server, _ = past
    listed = place.good("snapshots", "--json")
    server.sql("ALTER SYSTEM SET archive_command = 'false'")
    server.sql("SELECT pg_reload_conf()")
    configure(place, server, '{ wal = "archive", wait = "2s" }')
    try:
        done = place.run("backup", "db")
        assert done.returncode == 1, done
        assert "did not come into the archive within 2 seconds" in done.stderr
        assert place.good("snapshots", "--json") == listed
    finally:
        server.sql("ALTER SYSTEM RESET archive_command")
        server.sql("SELECT pg_reload_conf()")
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        assert wait_for(lambda: not server.ready())


def _as_root(place: Place, *words: str | Path) -> subprocess.CompletedProcess[str]:
    home = place.top.parent / "of root"
    home.mkdir(exist_ok=True)
    program = home / "strongroom"
    text = place.program.read_text()
    program.write_text(text.replace(f"HOME={place.top}", f"HOME='{home}'"))
    return subprocess.run(
        ["/bin/sh", str(program), *map(str, words)],
        cwd=place.top,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"]},
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_root_recovers_as_the_owner_of_the_data_directory() -> None:
    """PostgreSQL does not run as root, nor does what fetches its WAL; whether that can is found out
    before anything is changed.
    """
    with cluster_of(15, archive=True) as (place, server):
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        server.sql("CREATE TABLE t (n int)")
        backed_up(place)
        server.sql("INSERT INTO t VALUES (1)")
        server.switch()
        server.sql("INSERT INTO t VALUES (2)")
        assert wait_for(lambda: not server.ready())
        server.stop(signal.SIGQUIT)
        user = server.data.stat().st_uid
        before = inside(server.data)
        (place.top / "key").chmod(0)
        done = _as_root(place, "recover", "db", "--latest", "--no-confirm")
        assert (done.returncode, "could not fetch WAL as its user" in done.stderr) == (6, True), (
            done
        )
        assert inside(server.data) == before
        os.chown(place.top / "key", user, user)
        (place.top / "key").chmod(0o600)
        done = _as_root(place, "recover", "db", "--latest", "--no-confirm", "--json")
        assert done.returncode == 0, done
        assert server.sql("SELECT string_agg(n::text, ' ') FROM t") == "1 2"
        pid = int((server.data / "postmaster.pid").read_text().splitlines()[0])
        assert Path(f"/proc/{pid}").stat().st_uid == user
        owners = {path.lstat().st_uid for path in server.data.rglob("*")}
        assert owners == {user}
        (summary,) = [one for one in records(done.stdout) if one["message_type"] == "summary"]
        assert summary["timeline"] == 2


@pytest.mark.trial(17)
def test_again_and_again_along_the_timelines() -> None:
    """After a recovery the archive goes on, on a new timeline; the next recovery follows that one,
    unless it is told to go the other way. The history is archived, and no file overwritten.
    """
    with cluster_of(16, archive=True) as (place, server):
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        server.sql("CREATE TABLE t (n int)")
        backed_up(place)
        at = ""
        for n in (1, 2):
            server.sql(f"INSERT INTO t VALUES ({n})")
            server.switch()
            at = at or server.sql("SELECT clock_timestamp()")
        assert wait_for(lambda: not server.ready())
        server.stop()
        summary = recovered(place, "--to-time", at, "--no-confirm")
        assert (summary["timeline"], server.sql("SELECT sum(n) FROM t")) == (2, "1")
        server.sql("INSERT INTO t VALUES (10)")
        server.switch()
        server.sql("INSERT INTO t VALUES (20)")
        assert wait_for(lambda: not server.ready())
        end_of(server)
        summary = recovered(place, "--latest", "--no-confirm")
        assert (summary["timeline"], server.sql("SELECT sum(n) FROM t")) == (3, "31")
        assert wait_for(lambda: not server.ready())
        _, found = _side(place, "--latest", "--timeline", "1")
        assert found == "1 2"
        assert (server.wal / "00000003.history").exists()
        assert len(list(place.top.glob("main.before-recover-*"))) == 2
        assert not list(place.top.rglob("strongroom_wal_ahead"))


def end_of(server: Server) -> None:
    """End a server that the program started, in order."""
    pid = int((server.data / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGINT)
    assert wait_for(lambda: not (server.data / "postmaster.pid").exists())


def test_the_independent_reader_restores_a_base_backup() -> None:
    """What recover.py gives back is the data directory, file for file."""
    with cluster_of(15) as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 20000) n")
        backed_up(place)
        whole = "latest:/cluster/db/data"
        place.good("restore", whole, "--to", place.top / "ours", "--no-owner")
        reader = Path(__file__).parents[2] / "recover.py"
        words = ["latest", place.top / "theirs", "--key-file", place.top / "key"]
        done = subprocess.run(
            [sys.executable, str(reader), "restore", *map(str, (place.repository, *words))],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done
        theirs = place.top / "theirs/cluster/db/data"
        names = sorted(str(p.relative_to(theirs)) for p in theirs.rglob("*") if p.is_file())
        ours = place.top / "ours"
        assert names == sorted(str(p.relative_to(ours)) for p in ours.rglob("*") if p.is_file())
        assert len(names) > 900
        for name in names:
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


@pytest.mark.trial(18)
def test_a_configuration_outside_of_the_data_directory() -> None:
    """As Debian has it: said at the backup; used as it is in the cluster's place, missing there it
    is asked for; an instance beside it does without.
    """
    with cluster_of(15) as (place, server):
        server.sql("CREATE TABLE t AS SELECT generate_series(1, 10) n")
        server.stop()
        etc = place.top / "etc"
        etc.mkdir()
        user = server.data.stat()
        os.chown(etc, user.st_uid, user.st_gid)
        for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
            shutil.move(server.data / name, etc / name)
        with (etc / "postgresql.conf").open("a") as file:
            file.write(f"data_directory = '{server.data}'\nhba_file = '{etc}/pg_hba.conf'\n")
            file.write(f"ident_file = '{etc}/pg_ident.conf'\nmax_connections = 33\n")
        own = [str(place.programs / "pg_ctl"), "-w", "-D", str(etc), "-l", str(place.top / "log")]
        subprocess.run([*own, "start"], check=True, capture_output=True, **as_nobody(place.top))
        done = place.run("backup", "db")
        assert done.returncode == 0, done
        assert f"config_file is {etc}/postgresql.conf, outside" in done.stderr
        end_of(server)
        side, found = _side(place, "--latest")
        assert found == " ".join(map(str, range(1, 11)))
        assert side["timeline"] == 2
        shutil.move(etc, place.top / "elsewhere")
        refused(place, 6, "--latest", "--no-confirm", says="is not here")
        shutil.move(place.top / "elsewhere", etc)
        recovered(place, "--latest", "--no-confirm")
        assert server.sql("SHOW max_connections") == "33"
        assert server.sql("SHOW config_file") == f"{etc}/postgresql.conf"


def test_wal_that_was_not_archived_is_archived_before_anything() -> None:
    """The archive was broken for the last segments, and the server died: everything committed is
    there afterwards, and in the archive; the segment that was being written as a partial one.
    """
    with cluster_of(15, archive=True) as (place, server):
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        server.sql("CREATE TABLE t (n int)")
        backed_up(place)
        server.sql("INSERT INTO t VALUES (1)")
        server.switch()
        assert wait_for(lambda: not server.ready())
        server.sql("ALTER SYSTEM SET archive_command = 'false'")
        server.sql("SELECT pg_reload_conf()")
        lost = []
        for n in (2, 3):
            server.sql(f"INSERT INTO t VALUES ({n})")
            lost.append(server.switch())
        server.sql("INSERT INTO t VALUES (4)")
        lost.append(server.sql("SELECT pg_walfile_name(pg_current_wal_lsn())"))
        server.stop(signal.SIGQUIT)
        recovered(place, "--latest", "--no-confirm")
        assert server.sql("SELECT string_agg(n::text, ' ') FROM t") == "1 2 3 4"
        archive = {path.name.upper() for path in (place.repository / "wal").rglob("*")}
        assert {*lost[:2], f"{lost[2]}.PARTIAL.1"} <= archive


@pytest.mark.trial(10)
def test_a_damaged_segment_stops_a_recovery_and_takes_it_back() -> None:
    """PostgreSQL would take garbage for the end and promote; the fetch refuses it, the log says
    so, and the old directory is as it was.
    """
    with cluster_of(15, archive=True) as (place, server):
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        server.sql("CREATE TABLE t (n int)")
        backed_up(place)
        names = []
        for n in range(3):
            server.sql(f"INSERT INTO t VALUES ({n})")
            names.append(server.switch())
        assert wait_for(lambda: not server.ready())
        server.stop()
        (found,) = (place.repository / "wal").rglob(names[1].lower())
        data = bytearray(found.read_bytes())
        data[len(data) // 2] ^= 1
        found.write_bytes(data)
        before = inside(server.data)
        said = refused(place, 21, "--latest", "--no-confirm", says="exit code 200")
        assert names[1] in said
        assert inside(server.data) == before
        assert left_over(place) == []
