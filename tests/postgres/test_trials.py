"""What a person who knows PostgreSQL tries in the first hour, where no other test shows it.

``docs/trials.md`` has all of the trials, and the tests of each.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.postgres.cluster_kit import (
    backed_up,
    begun,
    cluster_of,
    configure,
    record_of,
    records,
    sql_at,
)
from tests.support.wal_server import Place, Server, as_nobody, wait_for

pytestmark = pytest.mark.spec("C5", "C7")

SIDE = 5596
ARCHIVE = '{ wal = "archive", wait = "60s" }'
ZONE = "Asia/Kathmandu"  # 5:45 ahead: taken for any other zone it is another moment


@dataclass
class Shop:
    """A cluster with an archive whose table ``orders`` was dropped.

    ``before``: a moment before that, by the server's clock; ``last``: the last segment of all.
    """

    place: Place
    server: Server
    before: datetime
    last: str

    def side(self, *target: str | Path) -> str:
        """Recover beside the cluster; what was said. The instance runs."""
        where = ("--into", self.place.top / "side", "--port", str(SIDE))
        return self.place.good("recover", "db", *target, *where)

    def ask(self, text: str) -> str:
        """Ask the instance beside the cluster."""
        return sql_at(self.place, self.place.top / "side", SIDE, text)

    def end(self) -> None:
        """Remove it."""
        folder = self.place.top / "side"
        pid = int((folder / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        assert wait_for(lambda: not (folder / "postmaster.pid").exists())
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """Return a cluster of 18 with a past."""
    with cluster_of(18, archive=True) as (place, server):
        configure(place, server, ARCHIVE)
        server.sql("CREATE TABLE orders (n int); CREATE TABLE kept (n int)")
        backed_up(place)
        server.sql("INSERT INTO orders VALUES (1), (2), (3)")
        before = datetime.fromisoformat(server.sql("SELECT clock_timestamp(), pg_sleep(0.05)")[:-1])
        server.sql("DROP TABLE orders")
        server.sql("INSERT INTO kept VALUES (4)")
        last = server.switch()
        assert wait_for(lambda: not server.ready())
        yield Shop(place, server, before, last)


def listed(place: Place) -> list[str]:
    """Return the snapshots that are listed, the newest first."""
    found = [one for one in records(place.good("snapshots", "--json")) if "id" in one]
    return [one["id"] for one in sorted(found, key=lambda one: str(one["time"]), reverse=True)]


@pytest.mark.trial(5, 6, 22)
def test_a_dropped_table_comes_back_from_before_in_local_time(shop: Shop) -> None:
    """A time without a zone is that of this machine, and what it is taken for is said; the recovery
    says how long it took and which transaction is the last. The instance stands apart, and the
    table goes from there into the cluster as the documentation has it.
    """
    place, side = shop.place, shop.place.top / "side"
    local = shop.before.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m-%d %H:%M:%S.%f")
    target = ("recover", "db", "--to-time", local, "--into", str(side), "--port", str(SIDE))
    done = subprocess.run(
        ["env", f"TZ={ZONE}", str(place.program), *target],
        capture_output=True,
        text=True,
        check=False,
        **as_nobody(place.top),
    )
    assert done.returncode == 0, done
    utc = shop.before.astimezone(UTC)
    assert f"(you wrote {local})" in done.stdout
    assert utc.strftime("%H:%M:%S") in done.stdout or local[11:19] in done.stdout
    assert "recovered in" in done.stdout
    assert "before the target" in done.stdout
    assert f"psql -h {side} -p {SIDE}" in done.stdout
    assert shop.ask("SHOW archive_mode; SHOW listen_addresses; SHOW port") == f"off\n\n{SIDE}"
    assert shop.ask("SELECT count(*) FROM orders") == "3"
    assert shop.ask("SELECT count(*) FROM kept") == "0"
    dump = [place.programs / "pg_dump", "-h", side, "-p", str(SIDE), "-U", "postgres"]
    text = subprocess.run(
        [*map(str, dump), "--table=public.orders", "postgres"], capture_output=True, check=True
    )
    shop.end()
    shop.server.sql(text.stdout.decode())
    assert shop.server.sql("SELECT sum(n) FROM orders") == "6"
    assert shop.server.sql("SELECT sum(n) FROM kept") == "4"
    shop.server.sql("DROP TABLE orders")


@pytest.mark.trial(7, 8)
def test_the_earliest_moment_is_the_end_of_the_backup(shop: Shop) -> None:
    """A target inside the backup is refused before anything is written; its end is reached."""
    record = record_of(shop.place, listed(shop.place)[-1])
    high, low = record["stop_lsn"].split("/")
    inside = f"{high}/{int(low, 16) - 8:X}"
    names = sorted(path.name for path in shop.place.top.iterdir())
    where = ("--into", shop.place.top / "side")
    done = shop.place.run("recover", "db", "--to-lsn", inside, *where)
    assert done.returncode == 15, done
    assert "no base backup ended before" in done.stderr
    assert record["stop_lsn"] in done.stderr
    assert sorted(path.name for path in shop.place.top.iterdir()) == names
    shop.side("--to-lsn", record["stop_lsn"])
    assert shop.ask("SELECT count(*) FROM orders") == "0"
    shop.end()


@pytest.mark.trial(14)
def test_a_segment_of_a_server_is_archived_again(shop: Shop) -> None:
    """The same bytes: 0, as often as one likes. Others: 1, and what is archived stays."""
    place, path = shop.place, shop.server.wal / shop.last
    push = ("wal", "push", "--source", "db")
    kept = path.read_bytes()
    assert place.run(*push, path).returncode == 0
    changed = place.top / "pg_wal" / shop.last
    changed.parent.mkdir()
    changed.write_bytes(kept[:9000] + bytes([kept[9000] ^ 1]) + kept[9001:])
    changed.chmod(0o644)
    done = place.run(*push, changed)
    assert done.returncode == 1, done
    assert "with other content" in done.stderr
    fetched = place.top / "fetched"
    system = record_of(place)["system_id"]
    place.good("wal", "fetch", "--system-id", system, shop.last, fetched)
    assert fetched.read_bytes() == kept


@pytest.mark.trial(20)
def test_a_wrong_key_is_said_before_anything(shop: Shop) -> None:
    """Exit code 12, and one line; nothing is written. For restore_command it is 200."""
    place = shop.place
    other, key = place.top / "other", place.top / "other_key"
    elsewhere = _variant(place, "elsewhere", {place.repository: other, place.top / "key": key})
    assert elsewhere("init").returncode == 0
    wrong = _variant(place, "wrong", {place.top / "key": key})
    names = sorted(path.name for path in place.top.iterdir())
    done = wrong("recover", "db", "--latest", "--into", str(place.top / "side"))
    assert done.returncode == 12, done
    assert "key" in done.stderr
    assert sorted(path.name for path in place.top.iterdir()) == names
    system = record_of(place)["system_id"]
    fetch = ("wal", "fetch", "--system-id", system, shop.last, str(place.top / "out"))
    assert wrong(*fetch).returncode == 200


def _variant(
    place: Place, name: str, changes: dict[Path, Path]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs the program with other paths in its environment."""
    program = place.top / name
    text = place.program.read_text()
    for old, new in changes.items():
        text = text.replace(f"={old}", f"={new}")
    program.write_text(text)
    program.chmod(0o755)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(program), *words],
            capture_output=True,
            text=True,
            check=False,
            **as_nobody(place.top),
        )

    return run


@pytest.mark.trial(25)
def test_a_byte_flipped_in_the_repository(shop: Shop) -> None:
    """Verifying names the object and the backup; a recovery of it fails, and leaves nothing. What
    is archived as WAL is verified for itself.
    """
    place = shop.place
    packs = [path for path in (place.repository / "packs").rglob("*") if path.is_file()]
    pack = max(packs, key=lambda path: path.stat().st_size)
    kept = pack.read_bytes()
    middle = len(kept) // 2
    pack.chmod(0o644)
    pack.write_bytes(kept[:middle] + bytes([kept[middle] ^ 1]) + kept[middle + 1 :])
    names = sorted(path.name for path in place.top.iterdir())
    try:
        done = place.run("verify", "--read-data")
        assert done.returncode == 4, done
        assert pack.name in done.stdout + done.stderr
        assert listed(place)[0][:8] in done.stdout + done.stderr
        done = place.run("recover", "db", "--latest", "--into", place.top / "side")
        assert done.returncode in {4, 21}, done
        assert "damage" in done.stderr or "not whole" in done.stderr, done
        assert sorted(path.name for path in place.top.iterdir()) == names
        assert "no damage and no gap" in place.good("wal", "verify", "db")
    finally:
        pack.write_bytes(kept)


@pytest.mark.trial(24)
def test_forgetting_while_a_backup_runs(shop: Shop) -> None:
    """With a policy of one: the newest stays, a dry run says why, and a backup that runs meanwhile
    is whole. The last good one does not go with anything.
    """
    place, server = shop.place, shop.server
    backup = begun(place, "backup", "db")
    streaming = "SELECT count(*) FROM pg_stat_progress_basebackup WHERE backup_streamed > 1000000"
    assert wait_for(lambda: server.sql(streaming) == "1" or backup.poll() is not None)
    assert backup.poll() is None, backup.communicate()
    os.killpg(backup.pid, signal.SIGSTOP)
    try:
        before = listed(place)
        said = place.good("forget", "--keep-last", "1", "--dry-run")
        assert before[0][:8] in said
        place.good("forget", "--keep-last", "1")
        waited = place.run("prune", "--wait", "1s")
        assert waited.returncode == 11, waited
        assert listed(place) == before[:1]
    finally:
        os.killpg(backup.pid, signal.SIGCONT)
    said, wrong = backup.communicate(timeout=120)
    assert backup.returncode == 0, (said, wrong)
    place.good("forget", "--keep-last", "1")
    place.run("prune")
    assert len(listed(place)) == 1
    shop.side("--latest")
    assert shop.ask("SELECT sum(n) FROM kept") == "4"
    shop.end()


@pytest.mark.trial(26)
def test_memory_and_passwords_of_a_base_backup(shop: Shop) -> None:
    """Less than 300 MB at its most, and the password in no process: neither in its words nor in
    its environment.
    """
    place, server = shop.place, shop.server
    server.sql("CREATE ROLE saver LOGIN REPLICATION PASSWORD 'hush-hush'")
    file, password = place.top / "strongroom.toml", place.top / "password"
    password.write_text("hush-hush\n")
    os.chown(password, server.data.stat().st_uid, server.data.stat().st_gid)
    password.chmod(0o600)
    text = file.read_text()
    changed = text.replace('"postgres" }', f'"saver", password = {{ file = "{password}" }} }}')
    assert changed != text
    file.write_text(changed)
    seen: set[bytes] = set()
    try:
        backup = begun(place, "backup", "db")
        most = 0
        while backup.poll() is None:
            seen |= _words(backup.pid)
            with suppress(OSError, StopIteration):
                lines = Path(f"/proc/{backup.pid}/status").read_text().splitlines()
                peak = next(line for line in lines if line.startswith("VmHWM"))
                most = max(most, int(peak.split()[1]))
        assert backup.returncode == 0, backup.communicate()
        shown = "".join(backup.communicate())
    finally:
        file.write_text(text)
    assert len(seen) > 1
    assert not any(b"hush" in one for one in seen)
    assert "hush" not in shown
    assert 0 < most < 300_000


def _words(pid: int) -> set[bytes]:
    """Return the words and the environment of a process and of those that it started."""
    found: set[bytes] = set()
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        with suppress(OSError):
            found.add(Path(f"/proc/{one}/cmdline").read_bytes())
            found.add(Path(f"/proc/{one}/environ").read_bytes())
            children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
            waiting += map(int, children)
    return found


@pytest.mark.trial(13)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_a_pg_wal_that_fills_up_loses_nothing() -> None:
    """While nothing is archived the server's disk fills, and it stops; strongroom drops nothing by
    itself. With room and an archive again it starts, archives what waited, and every row that was
    confirmed is there.
    """
    with cluster_of(16, archive=True) as (place, server):
        server.sql("CREATE TABLE t (n int, filled text)")
        server.sql("ALTER SYSTEM SET archive_command = 'false'")
        server.stop()
        small = place.top / "small"
        shutil.move(server.wal, small.with_suffix(".kept"))
        small.mkdir()
        owner = server.data.stat()
        options = f"size=12m,uid={owner.st_uid},gid={owner.st_gid},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", small], check=True)
        try:
            wal = [*map(str, small.with_suffix(".kept").iterdir())]
            subprocess.run(["cp", "-a", *wal, str(small)], check=True)
            server.wal.symlink_to(small)
            server.start()
            confirmed = 0
            with suppress(AssertionError):
                while confirmed < 100:
                    server.sql(f"INSERT INTO t SELECT {confirmed}, repeat('x', 400000)")
                    server.switch()
                    confirmed += 1
            assert 3 < confirmed < 100
            assert server.process is not None
            server.process.wait(60)
            assert "No space left on device" in server.log
            subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
            with (server.data / "postgresql.auto.conf").open("w") as file:
                file.write("")
            server.start()
            assert server.sql("SELECT count(DISTINCT n) FROM t") >= str(confirmed)
            assert wait_for(lambda: not server.ready()), server.log
            server.stop()
            assert "no damage and no gap" in place.good("wal", "verify", "db")
        finally:
            place.stop()
            subprocess.run(["umount", small], check=True)
