"""The truth about recovery to a moment: every row committed before it is there, and none after.

One session commits numbered rows and notes time and place before and after each, while pgbench
keeps the server busy, and server, agent and backups are killed again and again; then moments are
drawn, and the cluster is recovered to each.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import pytest

from tests.postgres.cluster_kit import (
    agent_started,
    agents_of,
    backed_up,
    begun,
    cluster_of,
    configure,
    port_of,
    shim,
    sql_at,
)
from tests.support.wal_server import Place, Server, as_nobody, wait_for

pytestmark = pytest.mark.spec("C7")

SIDE = 5597
LAST = -1
_NOW = "SELECT clock_timestamp(), pg_current_wal_insert_lsn();\n"
_BALANCED = """SELECT (SELECT sum(abalance) FROM pgbench_accounts)
    = (SELECT coalesce(sum(delta), 0) FROM pgbench_history)"""


@dataclass(frozen=True)
class Row:
    """A row: server time and place in the WAL before its insert, and after its commit.

    Without ``ended`` nobody knows whether it was committed: the server died meanwhile.
    """

    number: int
    began: str
    began_lsn: int
    ended: str = ""
    ended_lsn: int = 0


class Writer:
    """Commits rows one after the other, and connects again when the server is back."""

    def __init__(self, server: Server, first: int) -> None:
        """Begin with this number."""
        self.rows: list[Row] = []
        self._server = server
        self._first = first
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        """Begin to write."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, after the row that is on its way."""
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        words = ["-X", "-A", "-t", "-q", "-h", str(self._server.place.top)]
        words += ["-p", str(port_of(self._server)), "-U", "postgres", "postgres"]
        while not self._stop.is_set():
            psql = subprocess.Popen(
                [str(self._server.place.programs / "psql"), *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            while not self._stop.is_set() and self._written(psql):
                time.sleep(0.004)
            psql.kill()
            with suppress(BrokenPipeError):  # what it did not take is still to be written
                psql.communicate()
            time.sleep(0.02)

    def _written(self, psql: subprocess.Popen[str]) -> bool:
        """Commit a row; whether the server said that it did."""
        began = _asked(psql, _NOW)
        if began is None:
            return False
        row = Row(self._first + len(self.rows), *began)
        self.rows.append(row)
        ended = _asked(psql, f"INSERT INTO truth VALUES ({row.number});\n{_NOW}")
        if ended is None:
            return False
        self.rows[-1] = Row(row.number, *began, *ended)
        return True


def _asked(psql: subprocess.Popen[str], text: str) -> tuple[str, int] | None:
    assert psql.stdin is not None
    assert psql.stdout is not None
    try:
        psql.stdin.write(text)
        psql.stdin.flush()
    except BrokenPipeError:
        return None
    time_text, bar, lsn = psql.stdout.readline().strip().partition("|")
    return (time_text, _lsn(lsn)) if bar else None


def _lsn(text: str) -> int:
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def _killed(server: Server) -> None:
    """Kill the postmaster, whose children end then, and start the server again."""
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    for _ in range(100):
        process = server.launch()
        if wait_for(lambda: process.poll() is not None or server.answers()) and (  # noqa: B023 - at once
            process.poll() is None
        ):
            return
        time.sleep(0.1)  # a child of the one before is not gone yet
    pytest.fail(server.log)


def _in_trouble(place: Place, server: Server, draw: random.Random, kills: Sequence[str]) -> None:
    """Kill what is named, in this order, at drawn moments, under load."""
    load = [place.programs / "pgbench", "-h", place.top, "-p", str(port_of(server))]
    load += ["-U", "postgres", "-n", "-T", "600", "-R", "60", "postgres"]
    with agents_of(place) as agents:
        for what in kills:
            pgbench = subprocess.Popen(
                list(map(str, load)),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **as_nobody(place.top),
            )
            backup = begun(place, "backup", "db") if what == "backup" else None
            time.sleep(draw.uniform(0.2, 0.9))
            if backup is not None:
                os.killpg(backup.pid, signal.SIGKILL)
                backup.communicate()
            elif what == "agent":
                agents[-1].kill()
                agents[-1].wait()
                agents.append(agent_started(place))
            else:
                _killed(server)
            pgbench.kill()
            pgbench.wait()
            time.sleep(draw.uniform(0.05, 0.2))
        server.switch()
        server.sql(f"INSERT INTO truth VALUES ({LAST})")
        last = server.switch()
        for _ in range(60):  # the archiver rests after failures, and is woken by a switch
            if wait_for(lambda: server.archived(last) and not server.ready(), 2):
                return
            server.switch_with_row()
    pytest.fail(f"not archived: {server.ready()}; {server.log}")


def _rows_at(place: Place, *target: str) -> set[int]:
    folder = place.top / "side"
    place.good("recover", "db", *target, "--into", folder, "--port", str(SIDE))
    text = sql_at(place, folder, SIDE, "SELECT n FROM truth")
    assert sql_at(place, folder, SIDE, _BALANCED) == "t"
    pid = int((folder / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGQUIT)
    assert wait_for(lambda: not (folder / "postmaster.pid").exists())
    shutil.rmtree(folder)
    return {int(line) for line in text.split()}


def _check_time(place: Place, rows: Sequence[Row], moment: str) -> None:
    there = _rows_at(place, "--to-time", moment)
    assert {one.number for one in rows if one.ended and one.ended <= moment} <= there
    assert not {one.number for one in rows if one.began > moment} & there


def _check_lsn(place: Place, rows: Sequence[Row], lsn: int) -> None:
    there = _rows_at(place, "--to-lsn", f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}")
    assert {one.number for one in rows if one.ended and one.ended_lsn <= lsn} <= there
    assert not {one.number for one in rows if one.began_lsn > lsn} & there


@pytest.mark.trial(6, 15)
@pytest.mark.parametrize(
    ("major", "rounds", "targets"),
    [
        (15, 1, 2),
        pytest.param(18, 2, 20, marks=pytest.mark.slow),
        pytest.param(
            16, 8, 200, marks=[pytest.mark.slow, pytest.mark.timeout(7200)], id="16-the-long-form"
        ),
    ],
)
def test_every_row_before_the_target_and_none_after(major: int, rounds: int, targets: int) -> None:
    """Drawn times and places, between commits and right at them, though server, agent and backups
    were killed. At the end every row that was ever confirmed is there.
    """
    draw = random.Random(24)
    with cluster_of(major, archive=True) as (place, server):
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        server.sql(f"ALTER SYSTEM SET archive_command = '{shim(place)}'")
        server.sql("SELECT pg_reload_conf()")
        server.pgbench("-i", "-s", "1", "-q")
        server.sql("CREATE TABLE truth (n int)")
        backed_up(place)
        rows: list[Row] = []
        for _ in range(rounds):
            kills = ["server", "agent", "backup"]
            draw.shuffle(kills)
            with Writer(server, len(rows)) as writer:
                _in_trouble(place, server, draw, kills)
            rows += writer.rows
            started = server.sql("SELECT pg_postmaster_start_time()")
            assert any(row.ended > started for row in writer.rows)
            assert any(row.ended and row.ended < started for row in writer.rows)
            if rounds > 1:
                backed_up(place)
        server.switch()
        assert wait_for(lambda: not server.ready())
        known = [row for row in rows if row.ended]
        assert len(known) > 50
        chosen = draw.sample(known[5:-5], targets)
        for number, row in enumerate(chosen):
            if number % 2:
                _check_lsn(place, rows, row.ended_lsn)
            else:
                _check_time(place, rows, row.ended)
        there = _rows_at(place, "--latest")
        assert {row.number for row in known} | {LAST} <= there
        assert there <= {row.number for row in rows} | {LAST}
