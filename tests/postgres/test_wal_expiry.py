"""WAL that no base backup needs goes; every moment after the oldest one that stays comes back."""

from __future__ import annotations

import pytest

from tests.postgres.cluster_kit import backed_up, cluster_of, configure, records, sql_at
from tests.postgres.test_recover import SIDE, in_order, recovered, refused
from tests.support.wal_server import Place, Server, wait_for

pytestmark = [pytest.mark.spec("C6"), pytest.mark.spec("C7")]


def _write(server: Server, number: int) -> str:
    """Write rows, end the segment, and return the position behind the rows."""
    server.sql(f"INSERT INTO t SELECT {number} FROM generate_series(1, 1000)")
    lsn = server.sql("SELECT pg_current_wal_insert_lsn()")
    server.sql("SELECT pg_switch_wal()")
    return lsn


def _pruned(place: Place, *words: str) -> dict[str, int]:
    found = records(place.good("prune", "--grace", "0s", "--json", *words))
    (summary,) = [one for one in found if one["message_type"] == "summary"]
    (judged,) = [one for one in found if one["message_type"] == "wal_expiry"]
    return {"removed": summary["wal_files_removed"], "kept": judged["files_kept"]}


def _files(place: Place) -> int:
    (cluster,) = [
        one
        for one in records(place.good("wal", "status", "db", "--json"))
        if one["message_type"] == "wal_cluster"
    ]
    return int(cluster["files"])


@pytest.mark.trial(24)
def test_wal_goes_with_the_base_backup_that_needed_it() -> None:
    """Two base backups, the first is forgotten: prune says what will go, removes it, and a recovery
    to a moment after the second has the rows up to there. A moment before it is refused, with what
    can be reached.
    """
    with cluster_of(15, archive=True) as (place, server):
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        server.sql("CREATE TABLE t (n int)")
        for number in (1, 2):
            _write(server, number)
        backed_up(place)
        before = [_write(server, number) for number in (3, 4)]
        backed_up(place)
        after = [_write(server, number) for number in (5, 6)]
        assert wait_for(lambda: not server.ready())
        first, second = in_order(place)
        kept = _pruned(place)["kept"]
        place.good("forget", first)
        text = place.good("prune", "--grace", "0s", "--dry-run")
        assert f"base backup {second}, the oldest, needs it from" in text
        plan = _pruned(place, "--dry-run")
        done = _pruned(place)
        assert done == plan
        assert done["removed"] >= 2
        assert _files(place) == kept - done["removed"]
        place.good("wal", "verify", "db")
        side = place.top / "side"
        said = refused(
            place, 15, "--to-lsn", before[1], "--into", side, says="no base backup ended before"
        )
        assert f"{second}: " in said
        recovered(place, "--to-lsn", after[0], "--into", side, "--port", str(SIDE))
        groups = "(SELECT n, count(*) c FROM t GROUP BY n) x"
        counted = f"SELECT string_agg(n || ':' || c, ' ' ORDER BY n) FROM {groups}"
        rows = sql_at(place, side, SIDE, counted)
        assert rows == "1:1000 2:1000 3:1000 4:1000 5:1000"
