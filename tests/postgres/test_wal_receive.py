"""WAL received as a stream from real servers: nothing is reported that is not in the repository."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from strongroom.crypto.keytext import text_to_key
from strongroom.postgres.wal.names import parse_lsn, parse_name
from strongroom.repository.records import SlotKind
from strongroom.repository.slots import Secret
from strongroom.repository.wal import WalArchive, archive_of
from strongroom.storage.local import LocalStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.support.kit import Kit
from tests.support.postgres import IN_TURN
from tests.support.wal_server import SEGMENT, Place, Server, as_nobody, place_of, wait_for

pytestmark = pytest.mark.spec("C6")


def _configure(place: Place, server: Server) -> None:
    (place.top / "strongroom.toml").write_text(
        f"""\
version = 1
[sources.db]
type = "postgres"
connection = {{ host = "{place.top}", port = {server.port}, user = "postgres" }}
physical = true
"""
    )


@contextmanager
def _receiving(place: Place, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    with (place.top / "receive.log").open("ab") as log:
        process = subprocess.Popen(
            [str(place.program), "wal", "receive", "--source", "db", *words],
            stdout=log,
            stderr=log,
            **as_nobody(place.top),
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _log(place: Place) -> str:
    return (place.top / "receive.log").read_text()


def _archive(place: Place, folder: Path) -> WalArchive:
    kit = Kit(LocalStore(PosixFs(), str(place.repository), SystemRandomness()), folder)
    kit.secrets = [Secret(SlotKind.KEY_FILE, text_to_key((place.top / "key").read_text()))]
    return archive_of(kit.open())


def _names(archive: WalArchive) -> set[str]:
    return {one.name.text for system in archive.systems() for one in archive.files(system)}


def _switched(server: Server) -> str:
    server.sql("INSERT INTO t SELECT g FROM generate_series(1, 2000) g")
    return server.switch()


def _slot_lsn(server: Server) -> int:
    return parse_lsn(server.sql("SELECT restart_lsn FROM pg_replication_slots")) or 0


@pytest.mark.parametrize("major", IN_TURN)
def test_segments_are_those_of_the_server(major: int, tmp_path: Path) -> None:
    """Each one that ends is archived, byte for byte as archive_command archives it: both at once do
    not get into each other's way.
    """
    with place_of(major) as place:
        kept = place.top / "kept"
        push = f"{place.program} wal push --source db %p"
        server = place.make("main", f"mkdir -p {kept} && cp %p {kept}/%f && {push}").start()
        _configure(place, server)
        server.sql("CREATE TABLE t (n int)")
        with _receiving(place) as process:
            assert wait_for(lambda: "receiving timeline 1" in _log(place)), _log(place)
            names = [_switched(server) for _ in range(3)]
            archive = _archive(place, tmp_path)
            assert wait_for(lambda: set(names) <= _names(archive)), _log(place)
            assert wait_for(lambda: not server.ready()), server.log
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        server.stop()
        (system,) = archive.systems()
        found = {one.name.text: one for one in archive.files(system)}
        for path in kept.iterdir():
            assert bytes(archive.get(found[path.name])) == path.read_bytes(), path.name
        assert "asked to stop" in _log(place)


@pytest.mark.trial(15)
def test_killed_at_random_nothing_is_missing(tmp_path: Path) -> None:
    """The server lets go only of what is in the repository: killed again and again under load, the
    receiver goes on where the slot is, and there is no gap.
    """
    with place_of(16) as place:
        server = place.make("main", "false").start()
        server.configure("archive_mode = off\n")
        _configure(place, server)
        server.sql("CREATE TABLE t (n int)")
        rng = random.Random(11)
        archive = _archive(place, tmp_path)
        last = ""
        for _ in range(4):
            with _receiving(place):
                last = _switched(server)
                last = _switched(server)
                time.sleep(rng.uniform(0.2, 1.2))
            reached = max((_number(one) for one in _names(archive)), default=-1)
            if reached >= 0:
                assert _slot_lsn(server) <= (reached + 1) * SEGMENT
        with _receiving(place):
            assert wait_for(lambda: last in _names(archive)), _log(place)
            place.good("backup", "db")
            last = _switched(server)
            assert wait_for(lambda: last in _names(archive)), _log(place)
        server.stop()
        end = f"can be recovered to any moment up to the end of {last} (timeline 1)"
        assert end in place.good("wal", "status", "db")
        assert "no damage and no gap" in place.good("wal", "verify", "db")


@pytest.mark.slow
def test_a_slot_that_was_lost_leaves_a_gap_on_record(tmp_path: Path) -> None:
    """The server let go of WAL that nobody received: that is told of, on record, named with its
    reason, and no recovery takes it for the end.
    """
    with place_of(15) as place:
        server = place.make("main", "")
        server.configure("archive_mode = off\n")
        server.start()
        _configure(place, server)
        server.sql("CREATE TABLE t (n int)")
        archive = _archive(place, tmp_path)
        with _receiving(place) as process:
            assert wait_for(lambda: "receiving timeline 1" in _log(place)), _log(place)
            known = _switched(server)
            assert wait_for(lambda: known in _names(archive)), _log(place)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        server.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        lost, *_ = [_switched(server) for _ in range(3)]
        server.sql("CHECKPOINT")
        with _receiving(place):
            assert wait_for(lambda: "a gap is on record" in _log(place)), _log(place)
            last = _switched(server)
            assert wait_for(lambda: last in _names(archive)), _log(place)
        server.stop()
        text = place.good("wal", "status", "db")
        assert f"gap: {lost}" in text
        assert "the server's slot did not keep them" in text
        assert place.run("wal", "verify", "db").returncode == 3


def _number(name: str) -> int:
    parsed = parse_name(name)
    assert parsed is not None
    return parsed.number(SEGMENT)


@pytest.mark.spec("C7")
def test_what_was_received_in_part_is_recovered(tmp_path: Path) -> None:
    """Without a switch and without archive_command: asked to stop, the receiver archives what there
    is, and a recovery has every row; also with a part archived every second.
    """
    with place_of(18) as place:
        server = place.make("main", "false", "archive_mode = off\n").start()
        _configure(place, server)
        server.sql("CREATE TABLE t (n int)")
        with _receiving(place, "--partial-every", "1s") as process:
            assert wait_for(lambda: "receiving timeline 1" in _log(place)), _log(place)
            base = server.base_backup("base")
            server.sql("INSERT INTO t VALUES (1)")
            archive = _archive(place, tmp_path)
            assert wait_for(lambda: any("partial" in one for one in _names(archive)))
            server.sql("INSERT INTO t VALUES (2)")
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        server.stop(signal.SIGQUIT)
        copy = place.copy(base, "copy")
        copy.configure(
            f'archive_mode = off\nrestore_command = \'{place.program} wal fetch "%f" "%p"\'\n'
        )
        copy.signal_recovery()
        copy.start()
        assert wait_for(lambda: copy.sql("SELECT pg_is_in_recovery()") == "f"), copy.log
        assert copy.sql("SELECT count(*) FROM t") == "2"
        copy.stop()


@pytest.mark.trial(17)
def test_a_timeline_that_ends_is_followed(tmp_path: Path) -> None:
    """Received from a standby that is promoted: the old line, the history, and the new line."""
    with place_of(18) as place:
        server = place.make("main", "false", "archive_mode = off\n").start()
        server.sql("CREATE TABLE t (n int)")
        standby = server.base_backup("standby")
        upstream = f"host={place.top} port={server.port} user=postgres"
        standby.configure(f"primary_conninfo = '{upstream}'\n")
        standby.signal_recovery("standby.signal")
        standby.start()
        _configure(place, standby)
        with _receiving(place):
            assert wait_for(lambda: "receiving timeline 1" in _log(place)), _log(place)
            _switched(server)
            server.sql("INSERT INTO t VALUES (1)")
            position = server.sql("SELECT pg_current_wal_flush_lsn()")
            caught_up = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
            assert wait_for(lambda: standby.sql(caught_up) == "t"), standby.log
            server.stop(signal.SIGQUIT)
            standby.sql("SELECT pg_promote()")
            assert wait_for(lambda: "receiving timeline 2" in _log(place)), _log(place)
            new = _switched(standby)
            archive = _archive(place, tmp_path)
            assert wait_for(lambda: new in _names(archive)), _log(place)
        standby.stop()
        assert new.startswith("00000002")
        assert "00000002.history" in _names(archive)
        assert any(name.endswith(".partial") for name in _names(archive))
        text = place.good("wal", "status", "db")
        assert "timeline 2, left timeline 1 at" in text
        assert "no damage and no gap" in place.good("wal", "verify", "db")


def test_what_cannot_be_is_said() -> None:
    """A source that is not described, a slot of another kind, a server that is not there."""
    with place_of(16) as place:
        server = place.make("main", "false", "archive_mode = off\nwal_level = logical\n").start()
        _configure(place, server)
        unknown = place.run("wal", "receive", "--source", "nothing")
        assert (unknown.returncode, "known: db" in unknown.stderr) == (2, True)
        bad = place.run("wal", "receive", "--source", "db", "--slot", "a b")
        assert (bad.returncode, "no name of a replication slot" in bad.stderr) == (2, True)
        server.sql("SELECT pg_create_logical_replication_slot('logical', 'pgoutput')")
        other = place.run("wal", "receive", "--source", "db", "--slot", "logical")
        assert other.returncode != 0
        assert "logical" in other.stderr
        server.stop()
        gone = place.run("wal", "receive", "--source", "db")
        assert gone.returncode == 14
