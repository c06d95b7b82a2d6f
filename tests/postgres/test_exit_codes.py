"""What PostgreSQL makes of a restore_command: what the codes of ``wal fetch`` are built upon.

No strongroom is in it. If a version does otherwise one day, this says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres.cluster_kit import stop_all
from tests.support.wal_server import Place, Server, place_of, wait_for

pytestmark = [pytest.mark.spec("C6", "C7"), pytest.mark.trial(10)]

ROWS = 3
PROMOTES = {
    "1": "exit 1",
    "74": "exit 74",
    "125": "exit 125",
    "garbage": "head -c 1048576 /dev/zero > %p; exit 0",
}
STOPS = {
    "126": "exit 126",
    "127": "exit 127",
    "200": "exit 200",
    "killed": "kill -9 $$",
    "truncated": "head -c 500000 {archive}/%f > %p; exit 0",
}


@pytest.fixture(
    scope="module",
    params=[*(pytest.param(major, marks=pytest.mark.slow) for major in (15, 16)), 18],
)
def past(request: pytest.FixtureRequest) -> Iterator[tuple[Place, Server, Path, str]]:
    """A base backup, an archive of plain files with a row in each segment, the middle one."""
    with place_of(request.param) as place:
        archive = place.top / "archive"
        server = place.make("main", f"mkdir -p {archive} && cp %p {archive}/%f").start()
        server.sql("CREATE TABLE t (n int)")
        base = server.base_backup("base")
        server.switch()
        names = []
        for n in range(ROWS):
            server.sql(f"INSERT INTO t VALUES ({n})")
            names.append(server.switch())
        assert wait_for(lambda: not server.ready())
        server.stop()
        yield place, base, archive, names[1]
        stop_all(place)


def _recovering(past: tuple[Place, Server, Path, str], name: str, harm: str) -> Server:
    place, base, archive, middle = past
    server = place.copy(base, name)
    harm = harm.format(archive=archive)
    server.configure(
        f"archive_mode = off\nrecovery_target_action = 'promote'\nrestore_command = "
        f"'if [ %f = {middle} ]; then {harm}; fi; cp {archive}/%f %p'\n"
    )
    server.signal_recovery()
    return server


@pytest.mark.parametrize("harm", PROMOTES)
def test_it_promotes_as_if_all_was_well(past: tuple[Place, Server, Path, str], harm: str) -> None:
    """Rows that were archived are missing, and nothing says so: hence ``wal fetch`` never does it
    unless the end is proven.
    """
    server = _recovering(past, f"p{harm}", PROMOTES[harm]).start()
    assert wait_for(lambda: server.sql("SELECT pg_is_in_recovery()") == "f"), server.log
    assert server.sql("SELECT count(*) FROM t") == "1"
    server.stop()


@pytest.mark.parametrize("harm", STOPS)
def test_it_stops(past: tuple[Place, Server, Path, str], harm: str) -> None:
    """No server comes up: hence ``wal fetch`` ends with 200 whenever it does not know."""
    server = _recovering(past, f"s{harm}", STOPS[harm])
    assert server.launch().wait(60) != 0
    assert "archive recovery complete" not in server.log
    assert "FATAL" in server.log
