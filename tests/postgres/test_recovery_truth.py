"""The truth about recovery to a moment: every row committed before it is there, and none after.

One session commits numbered rows and notes time and place before and after each, while pgbench
keeps the server busy; then moments are drawn, and the cluster is recovered to each.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.postgres.cluster_kit import backed_up, cluster_of, configure, port_of, sql_at
from tests.support.wal_server import Place, Server, as_nobody, wait_for

pytestmark = pytest.mark.spec("C7")

SIDE = 5597
ROWS = 300
_ONE = "SELECT clock_timestamp(), pg_current_wal_insert_lsn()"


class Row(NamedTuple):
    """A committed row: server time and place in the WAL before its insert and after its commit."""

    number: int
    began: str
    began_lsn: int
    ended: str
    ended_lsn: int


def _lsn(text: str) -> int:
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


def _written(server: Server) -> list[Row]:
    """Commit the rows one after the other."""
    script = "".join(
        f"{_ONE}; INSERT INTO truth VALUES ({n}); {_ONE}; SELECT pg_sleep(0.004);\n"
        for n in range(ROWS)
    )
    lines = [line for line in server.sql(script).splitlines() if "|" in line]
    rows = []
    for n, (before, after) in enumerate(zip(lines[::2], lines[1::2], strict=True)):
        (began, began_lsn), (ended, ended_lsn) = before.split("|"), after.split("|")
        rows.append(Row(n, began, _lsn(began_lsn), ended, _lsn(ended_lsn)))
    return rows


def _rows_at(place: Place, *target: str) -> set[int]:
    folder = place.top / "side"
    place.good("recover", "db", *target, "--into", folder, "--port", str(SIDE))
    text = sql_at(place, folder, SIDE, "SELECT n FROM truth")
    balanced = """SELECT (SELECT sum(abalance) FROM pgbench_accounts)
        = (SELECT coalesce(sum(delta), 0) FROM pgbench_history)"""
    assert sql_at(place, folder, SIDE, balanced) == "t"
    pid = int((folder / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGQUIT)
    assert wait_for(lambda: not (folder / "postmaster.pid").exists())
    shutil.rmtree(folder)
    return {int(line) for line in text.split()}


@pytest.mark.trial(6)
@pytest.mark.parametrize(
    ("major", "moments"), [(15, 1), pytest.param(18, 4, marks=pytest.mark.slow)]
)
def test_every_row_before_the_target_and_none_after(major: int, moments: int) -> None:
    """Drawn times and places, between commits and right at them."""
    draw = random.Random(24)
    with cluster_of(major, archive=True) as (place, server):
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        server.pgbench("-i", "-s", "1", "-q")
        server.sql("CREATE TABLE truth (n int)")
        backed_up(place)
        words = ["-h", str(place.top), "-p", str(port_of(server)), "-U", "postgres"]
        load = subprocess.Popen(
            [str(place.programs / "pgbench"), *words, "-T", "60", "-R", "60", "postgres"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **as_nobody(Path(place.top)),
        )
        try:
            rows = _written(server)
        finally:
            load.kill()
            load.wait()
        server.switch()
        server.sql("INSERT INTO truth VALUES (-1)")
        last = server.switch()
        assert wait_for(lambda: server.archived(last) and not server.ready())
        for row in draw.sample(rows[10:-10], moments):
            there = _rows_at(place, "--to-time", row.ended)
            assert {one.number for one in rows if one.ended <= row.ended} <= there
            assert not {one.number for one in rows if one.began > row.ended} & there
        for row in draw.sample(rows[10:-10], moments):
            target = row.ended_lsn
            there = _rows_at(place, "--to-lsn", f"{target >> 32:X}/{target & 0xFFFFFFFF:X}")
            assert {one.number for one in rows if one.ended_lsn <= target} <= there
            assert not {one.number for one in rows if one.began_lsn > target} & there
        assert _rows_at(place, "--latest") == {*range(ROWS), -1}
