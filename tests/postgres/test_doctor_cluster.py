"""``strongroom doctor postgres`` of a cluster: what a base backup and its WAL need.

A backup ends with the code that it says, and what it tells to run mends it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import Any

import msgspec
import pytest

from strongroom.postgres.clusterfacts import Archiver, ClusterFacts, Slot, Waiting
from strongroom.postgres.clusterfindings import (
    of_archiving,
    of_clock,
    of_server_programs,
    of_slots,
    of_space,
)
from strongroom.postgres.findings import Level
from tests.postgres.cluster_kit import begun, cluster_of, configure, records
from tests.support.wal_server import Place, Server, as_nobody, wait_for

pytestmark = [pytest.mark.spec("F4", "C5"), pytest.mark.trial(1)]

Found = list[dict[str, Any]]
ARCHIVE = '{ wal = "archive", wait = "1s" }'


def examined(place: Place, code: int) -> Found:
    """Run the doctor, which must end with this code; all that it found."""
    done = place.run("doctor", "postgres", "db", "--json")
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    return [one for one in records(done.stdout) if one["message_type"] == "finding"]


def both(place: Place, code: int) -> Found:
    """The doctor and a backup end with the same code."""
    found = examined(place, code)
    done = place.run("backup", "db")
    assert done.returncode == code, done
    return found


def said(found: Found, check: str, level: str = "problem") -> tuple[str, str]:
    """Return text and fix of the only finding of a check at a level."""
    (one,) = [one for one in found if (one["check"], one["level"]) == (check, level)]
    return one["text"], one["fix"] or ""


def named(found: Found, level: str) -> set[str]:
    """Return the checks with findings of a level."""
    return {one["check"] for one in found if one["level"] == level}


def altered(server: Server, **settings: str) -> None:
    """Change settings that take no restart."""
    for name, value in settings.items():
        server.sql(f"ALTER SYSTEM SET {name} = '{value}'")
    server.sql("SELECT pg_reload_conf(), pg_sleep(0.1)")


@pytest.mark.parametrize(
    "major", [*(pytest.param(major, marks=pytest.mark.slow) for major in (15, 16)), 18]
)
def test_from_nothing_to_a_whole_backup(major: int) -> None:
    """As somebody does it on the first day: a role without any right, and no archive. Each problem
    has the statement that mends it; when all were run, the doctor is content and a backup whole.
    """
    began = time.monotonic()
    with cluster_of(major) as (place, server):
        server.sql("CREATE ROLE backup LOGIN")
        configure(place, server, ARCHIVE)
        file = place.top / "strongroom.toml"
        file.write_text(file.read_text().replace('"postgres" }', '"backup" }'))
        found = both(place, 14)
        text, fix = said(found, "replication")
        assert "may not replicate" in text
        server.sql(fix)
        found = examined(place, 1)
        assert named(found, "problem") == {"archiving"}
        text, fix = said(found, "archiving")
        for statement in fix.split(";")[:2]:
            server.sql(statement.replace("strongroom wal", f"{place.program} wal"))
        server.stop()
        server.start()
        file.write_text(file.read_text().replace('"1s"', '"60s"'))
        found = examined(place, 0)
        wanted = {"settings", "archiver", "restore points", "archive_timeout"}
        assert named(found, "warning") - {"checksums", "server programs"} == wanted
        for one in found:
            if one["check"] in wanted and one["level"] == "warning":
                for statement in filter(str.strip, one["fix"].split(";")):
                    server.sql(statement)
        found = both(place, 0)
        assert named(found, "warning") <= {"checksums", "server programs"}
        listed = {one["check"] for one in found}
        assert {"replication", "wal senders", "clock", "room to save"} <= listed
        assert {"room to recover", "server programs"} <= listed
    assert time.monotonic() - began < 120


@pytest.mark.trial(12)
def test_an_archiver_that_fails() -> None:
    """Whether it counts as failed or, as a command that cannot be started, does not: what waits is
    seen. A backup that waits for its WAL fails, one that carries it does not.
    """
    with cluster_of(15, archive=True) as (place, server):
        configure(place, server, ARCHIVE)
        altered(server, archive_timeout="60s")
        server.switch_with_row()
        assert wait_for(lambda: not server.ready())
        text, _ = said(examined(place, 0), "archiver", "ok")
        assert text.startswith("the last was 0000000100000000000000")
        altered(server, archive_command="/nothing/there %p")
        for _ in range(3):
            server.switch_with_row()
        assert wait_for(lambda: "exit code 127" in server.log or "not found" in server.log)
        assert server.failures() == "0"
        found = both(place, 1)
        text, fix = said(found, "archiver")
        assert "files wait" in text
        assert "log of the server" in fix
        assert "does not look like" in said(found, "archive_command", "warning")[0]
        configure(place, server)
        altered(server, archive_command="false")
        assert wait_for(lambda: server.failures() != "0")
        text, _ = said(both(place, 0), "archiver", "warning")
        assert "was not archived" in text
        assert "files wait" in text


def test_a_server_that_lets_nobody_replicate() -> None:
    """No WAL to recover with, no connection left, no line in pg_hba.conf: 14 each time."""
    with cluster_of(18, "wal_level = minimal\nmax_wal_senders = 0\n") as (place, server):
        found = both(place, 14)
        assert said(found, "wal_level")[1].startswith("ALTER SYSTEM SET wal_level = 'replica'")
        assert said(found, "wal senders")[1].startswith("ALTER SYSTEM SET max_wal_senders = 2")
        server.configure("wal_level = replica\nmax_wal_senders = 1\n")
        server.stop()
        server.start()
        work = begun(place, "wal", "receive", "--source", "db")
        assert wait_for(lambda: server.sql("SELECT count(*) FROM pg_stat_replication") == "1")
        found = both(place, 14)
        assert "1 of 1 are in use" in said(found, "wal senders")[0]
        assert "streamed" in said(found, "archiving", "ok")[0]
        os.killpg(work.pid, signal.SIGTERM)
        work.communicate(timeout=60)
        assert wait_for(lambda: server.sql("SELECT count(*) FROM pg_stat_replication") == "0")
        slot, fix = said(examined(place, 0), "slot strongroom", "warning")
        assert "nothing bounds it" in slot
        assert "pg_drop_replication_slot('strongroom')" in fix
        hba = server.data / "pg_hba.conf"
        lines = hba.read_text().splitlines()
        hba.write_text("\n".join(line for line in lines if "replication" not in line) + "\n")
        server.sql("SELECT pg_reload_conf(), pg_sleep(0.1)")
        text, fix = said(both(place, 14), "replication")
        assert "pg_hba.conf" in text
        assert "host replication postgres" in fix


def test_a_slot_whose_wal_is_gone() -> None:
    """What the server gave up is a gap, and is said with what removes the slot."""
    more = "max_slot_wal_keep_size = 1MB\nmax_replication_slots = 1\nmax_wal_size = 2MB\n"
    with cluster_of(16, more) as (place, server):
        server.sql("SELECT pg_create_physical_replication_slot('old', true)")
        found = examined(place, 0)
        assert "all 1 are taken" in said(found, "replication slots", "warning")[0]
        for _ in range(6):
            server.switch_with_row()
        server.sql("CHECKPOINT")
        server.sql("CHECKPOINT")
        text, fix = said(examined(place, 0), "slot old", "warning")
        assert "gave up its WAL" in text
        server.sql(fix.split(";")[0])
        assert "slot old" not in {one["check"] for one in examined(place, 0)}


def test_the_cluster_itself() -> None:
    """No checksums, no full pages, tablespaces, configuration elsewhere: each with what to do."""
    with cluster_of(15, "full_page_writes = off\n") as (place, server):
        space = place.top / "space"
        space.mkdir()
        user = server.data.stat()
        os.chown(space, user.st_uid, user.st_gid)
        server.sql(f"CREATE TABLESPACE s LOCATION '{space}'")
        elsewhere = place.top / "pg_hba.conf"
        elsewhere.write_text("local all all trust\nlocal replication all trust\n")
        elsewhere.chmod(0o644)
        server.configure(f"hba_file = '{elsewhere}'\n")
        server.stop()
        server.start()
        found = both(place, 0)
        assert "pg_checksums --enable" in said(found, "checksums", "warning")[1]
        assert "full_page_writes" in said(found, "full_page_writes", "warning")[1]
        assert str(elsewhere) in said(found, "configuration", "warning")[0]
        assert str(space) in said(found, "tablespaces", "ok")[0]
        assert "pg_verifybackup 15." in said(found, "server programs", "ok")[0]
        server.stop()
        program = str(place.programs / "pg_checksums")
        enable = [program, "--enable", "--no-sync", "-D", str(server.data)]
        subprocess.run(enable, check=True, capture_output=True, **as_nobody(place.top))
        server.start()
        assert "checksums" in named(examined(place, 0), "ok")


def test_without_a_server() -> None:
    """Exit code 14, in one line; for people as well."""
    with cluster_of(15) as (place, server):
        server.stop()
        text, fix = said(both(place, 14), "cluster")
        assert "connecting to PostgreSQL" in text
        assert fix
        done = place.run("doctor", "postgres", "db")
        assert done.stdout.startswith("problem cluster: ")


# -- what no server here can be brought to


FACTS = ClusterFacts(
    name="backup",
    superuser=False,
    replication=True,
    standby=False,
    system=1,
    timeline=1,
    lsn=1,
    now_ns=1_000_000_000_000,
    settings={"archive_mode": "on", "archive_command": "strongroom wal push --source db %p"},
    senders=0,
    slots=(),
    archiver=Archiver(None, None, 0, None, None),
    tablespaces=(),
    damaged=(),
    size=1000,
    may_list_waiting=True,
    may_name_moments=True,
    waiting=Waiting(0, 0.0),
)


@pytest.mark.parametrize(
    ("archiver", "waiting", "level"),
    [
        (Archiver(None, None, 0, None, None), Waiting(0, 0), Level.OK),
        (Archiver("A", 5.0, 3, "A", 9.0), Waiting(0, 0), Level.OK),  # failed, and then did not
        (Archiver("A", 9.0, 3, "B", 5.0), Waiting(1, 1), Level.PROBLEM),
        (Archiver(None, None, 3, "A", 5.0), Waiting(1, 1), Level.PROBLEM),
        (Archiver("A", 9.0, 0, None, None), Waiting(2, 3), Level.OK),
        (Archiver("A", 9.0, 0, None, None), Waiting(1, 61), Level.PROBLEM),
        (Archiver("A", 9.0, 0, None, None), Waiting(3, 1), Level.PROBLEM),
    ],
)
def test_when_an_archiver_fails(archiver: Archiver, waiting: Waiting, level: Level) -> None:
    """Its last word counts, and what waits for long, or in numbers."""
    facts = msgspec.structs.replace(FACTS, archiver=archiver, waiting=waiting)
    (found,) = [one for one in of_archiving(facts, "db", needed=True) if one.check == "archiver"]
    assert found.level is level, found


def test_a_standby_leaves_archiving_to_its_primary() -> None:
    """Unless it archives always; a mode that is on says nothing there."""
    for mode, check in (("off", "archiving"), ("on", "archiving"), ("always", "archiver")):
        settings = {**FACTS.settings, "archive_mode": mode, "archive_timeout": "60"}
        facts = msgspec.structs.replace(FACTS, standby=True, settings=settings)
        (found,) = of_archiving(facts, "db", needed=True)
        assert (found.check, found.level) == (check, Level.OK)


def test_a_slot_that_nobody_reads() -> None:
    """It is unwise if nothing bounds it, or if it keeps a gigabyte; not while it is read."""
    settings = {"max_replication_slots": "4", "max_slot_wal_keep_size": "1000"}
    for active, retained, limit, level in (
        (True, 5 << 30, "-1", Level.OK),
        (False, 5, "1000", Level.OK),
        (False, 5, "-1", Level.WARNING),
        (False, 1 << 30, "1000", Level.WARNING),
    ):
        slot = Slot("s", physical=True, active=active, lost=False, retained=retained)
        facts = msgspec.structs.replace(
            FACTS, slots=(slot,), settings={**settings, "max_slot_wal_keep_size": limit}
        )
        (found,) = of_slots(facts, with_wal=False)
        assert found.level is level, found


def test_clocks_room_and_programs() -> None:
    """Five seconds apart, less room than the databases take, no programs of that version."""
    assert of_clock(FACTS, 1_004_000_000_000).level is Level.OK
    assert of_clock(FACTS, 1_006_000_000_000).level is Level.WARNING
    assert of_clock(FACTS, 994_000_000_000).level is Level.WARNING
    assert of_space("room", "/data", 999, FACTS, "more").level is Level.WARNING
    assert of_space("room", "/data", 1000, FACTS, "more").level is Level.OK
    found = of_server_programs([], 18, None)
    assert found.level is Level.WARNING
    assert "postgresql-18" in found.fix


def test_findings_have_a_code_only_if_they_are_problems() -> None:
    """So that the exit code is that of a backup."""
    facts = msgspec.structs.replace(FACTS, settings={})
    found = [*of_archiving(facts, "db", needed=True), *of_archiving(facts, "db", needed=False)]
    assert [(one.level is Level.PROBLEM, one.code != 0) for one in found] == [
        (True, True),
        (False, False),
    ]
    assert json.dumps(found[0].fix)
