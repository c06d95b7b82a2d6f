"""Real servers and the agent: killed at random, broken, promoted; nothing is lost or mixed up."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from strongroom.crypto.keytext import text_to_key
from strongroom.repository.records import SlotKind
from strongroom.repository.slots import Secret
from strongroom.repository.wal import archive_of
from strongroom.storage.local import LocalStore
from strongroom.system.posix import PosixFs
from strongroom.system.randomness import SystemRandomness
from tests.postgres.cluster_kit import agent_started, agents_of, shim
from tests.support.kit import Kit
from tests.support.other_user import NOBODY
from tests.support.wal_server import Place, Server, place_of, wait_for

pytestmark = pytest.mark.spec("C6")


def _all_of(place: Place, folder: Path) -> dict[str, bytes]:
    """Read everything that is archived."""
    kit = Kit(LocalStore(PosixFs(), str(place.repository), SystemRandomness()), folder)
    kit.secrets = [Secret(SlotKind.KEY_FILE, text_to_key((place.top / "key").read_text()))]
    archive = archive_of(kit.open())
    (system_id,) = archive.systems()
    return {one.name.text: bytes(archive.get(one)) for one in archive.files(system_id)}


def _drained(server: Server) -> bool:
    return not server.ready()


@pytest.mark.trial(15)
def test_killed_at_random(tmp_path: Path) -> None:
    """The agent and the commands of the server are killed again and again under load; the archiver
    goes on by itself, and in the end every segment is there as it was.
    """
    with place_of(16) as place:
        kept = place.top / "kept"
        command = f"mkdir -p {kept} && cp %p {kept}/%f && {shim(place)}"
        server = place.make("main", command).start()
        rng = random.Random(7)
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                server.sql(
                    "CREATE TABLE x AS SELECT g, md5(g::text) FROM generate_series(1, 9000) g"
                )
                server.sql("DROP TABLE x")
                server.switch()
                time.sleep(0.1)

        with agents_of(place) as agents:
            writer = threading.Thread(target=load)
            writer.start()
            try:
                for turn in range(5):
                    time.sleep(rng.uniform(0.1, 0.9))
                    if turn == 1:  # the archiver rests for ten seconds after that
                        _kill_commands(place)
                    agents[-1].kill()
                    agents[-1].wait()
                    time.sleep(rng.uniform(0, 0.2))
                    agents.append(agent_started(place))
            finally:
                over.set()
                writer.join()
            for _ in range(30):
                server.switch_with_row()  # wakes the archiver, which rests after failures
                if wait_for(lambda: _drained(server), 2):
                    break
            assert _drained(server), server.log
        server.stop()
        assert "exit code 127" not in server.log
        found = _all_of(place, tmp_path)
        names = [path.name for path in kept.iterdir()]
        assert len(names) > 4
        for name in names:
            assert found[name] == (kept / name).read_bytes(), name
        assert "no damage and no gap" in place.good("wal", "verify", "db")


def _kill_commands(place: Place) -> None:
    """Kill what the server's archiver has started, with all that it started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"{place.top}/bin/strongroom-wal-push".encode() in command:
            with suppress(ProcessLookupError):
                os.kill(int(folder.name), signal.SIGKILL)


@pytest.mark.trial(12)
def test_an_archive_that_breaks_is_no_harm_and_drains(tmp_path: Path) -> None:
    """While the repository is away the server keeps its segments and counts failures; when it is
    back, everything is archived in parallel. The disk of the repository being full is the same.
    """
    with place_of(16) as place:
        limit = place.top / "limited"
        command = (
            f"if [ -e {limit} ]; then ulimit -f 0; fi; {place.program} wal push --source db %p"
        )
        server = place.make("main", command).start()
        first = server.switch_with_row()
        assert wait_for(lambda: server.archived(first)), server.log
        limit.touch()
        waiting = [server.switch_with_row() for _ in range(3)]
        assert wait_for(lambda: int(server.failures()) > 0), server.log
        assert set(waiting) <= set(server.ready())
        limit.unlink()
        assert wait_for(lambda: _drained(server)), server.log
        away = place.top / "away"
        place.repository.rename(away)
        gone = server.switch_with_row()
        before = int(server.failures())
        assert wait_for(lambda: int(server.failures()) > before), server.log
        assert gone in server.ready()
        away.rename(place.repository)
        assert wait_for(lambda: _drained(server)), server.log
        server.stop()
        assert {first, *waiting, gone} <= set(_all_of(place, tmp_path))
        assert "exit code 127" not in server.log
        assert not [one for one in place.repository.rglob("*") if ".tmp" in one.name]


@pytest.mark.trial(17)
@pytest.mark.spec("C7")
def test_a_promoted_standby_goes_on_in_the_same_archive() -> None:
    """Two timelines in one archive: the newest is what a recovery follows, the old one can be asked
    for, and a history that went missing is no silent way back to the old one.
    """
    with place_of(18) as place:
        push = f"{place.program} wal push --source db %p"
        server = place.make("main", push).start()
        server.sql("CREATE TABLE t (n int)")
        base = server.base_backup("base")
        for n in range(2):
            _insert_and_switch(server, str(n))

        standby = _recovering(place, base, "standby", "--standby", "standby.signal")
        standby.configure("archive_mode = on\n")
        standby.start()
        assert wait_for(lambda: standby.sql("SELECT count(*) FROM t") == "2"), standby.log
        _insert_and_switch(server, "100")
        server.stop()
        assert wait_for(lambda: standby.sql("SELECT count(*) FROM t") == "3"), standby.log
        standby.sql("SELECT pg_promote()")
        assert _insert_and_switch(standby, "200", "201").startswith("00000002")
        standby.stop()

        text = place.good("wal", "status", "db")
        assert "timeline 2, left timeline 1 at" in text
        assert "gap" not in text

        newest = _recovering(place, base, "newest").start()
        assert wait_for(lambda: newest.sql("SELECT pg_is_in_recovery()") == "f"), newest.log
        assert newest.sql("SELECT count(*) FROM t") == "5"
        newest.stop()

        current = _recovering(place, base, "current", more="recovery_target_timeline = '1'\n")
        current.start()
        assert wait_for(lambda: current.sql("SELECT pg_is_in_recovery()") == "f"), current.log
        assert current.sql("SELECT count(*) FROM t") == "3"
        current.stop()

        (history,) = place.repository.rglob("00000002.history")
        history.rename(place.top / "away")
        lost = _recovering(place, base, "lost")
        assert lost.launch().wait(60) != 0
        assert "the history of timeline 2 is missing" in lost.log


def _insert_and_switch(server: Server, *values: str) -> str:
    """Write rows, and wait until their segment is archived; its name."""
    server.sql(f"INSERT INTO t VALUES {', '.join(f'({value})' for value in values)}")
    name = server.switch()
    assert wait_for(lambda: _drained(server) and server.archived(name)), server.log
    return name


def _recovering(
    place: Place,
    base: Server,
    name: str,
    flag: str = "",
    kind: str = "recovery.signal",
    *,
    more: str = "",
) -> Server:
    server = place.copy(base, name)
    fetch = f'{place.program} wal fetch {flag} "%f" "%p"'
    server.configure(f"archive_mode = off\nrestore_command = '{fetch}'\n{more}")
    path = server.data / kind
    path.touch()
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    return server
