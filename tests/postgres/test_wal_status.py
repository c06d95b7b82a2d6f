"""What ``wal status`` says of real servers: all that a monitor needs to know."""

from __future__ import annotations

from typing import Any

import pytest

from tests.postgres.cluster_kit import backed_up, cluster_of, configure, records
from tests.support.wal_server import wait_for

pytestmark = [pytest.mark.spec("C6")]


def of_server(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what was said of the only server."""
    (said,) = [one for one in found if one["message_type"] == "wal_server"]
    return said


@pytest.mark.trial(4, 12, 27)
@pytest.mark.spec("C5")
def test_what_a_monitor_asks_for() -> None:
    """The base backup with age, size and duration, how far and until when it can be recovered; of
    the server how far the archive is behind, what waits, what failed, what slots keep.
    """
    with cluster_of(18, archive=True) as (place, server):
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        backed_up(place)
        last = server.switch_with_row()
        assert wait_for(lambda: not server.ready())
        server.sql("SELECT pg_create_physical_replication_slot('old', true)")
        found = records(place.good("wal", "status", "db", "--servers", "--json"))
        (backup,) = [one for one in found if one["message_type"] == "wal_base_backup"]
        assert backup["reaches"] == [last]
        assert backup["time"] < backup["reaches_until"]
        assert backup["bytes"] > 10_000_000
        assert 0 < backup["duration"] < 120
        assert 0 < backup["age"] < 120
        said = of_server(found)
        assert said["error"] is None
        assert said["timeline"] == 1
        assert (said["lag_bytes"], said["lag_seconds"]) == (0, 0.0)
        assert (said["waiting"], said["archiver_failures"], said["last_archived"]) == (0, 0, last)
        assert said["slots"]["old"] >= 0
        assert (said["slots_not_read"], said["slots_lost"]) == (["old"], [])

        server.sql("ALTER SYSTEM SET archive_command = 'false'")
        server.sql("SELECT pg_reload_conf()")
        server.switch_with_row()
        server.switch_with_row()
        assert wait_for(lambda: server.failures() != "0")
        said = of_server(records(place.good("wal", "status", "--servers", "--json")))
        assert said["lag_bytes"] > 1 << 20
        assert said["lag_seconds"] > 0
        assert said["waiting"] == 2
        assert said["archiver_failures"] > 0
        assert said["last_failed"] > last
        text = place.good("wal", "status", "--servers")
        assert "of WAL are not archived yet, of the last" in text
        assert "2 files wait to be archived" in text
        assert "slot old (not read) keeps" in text

        server.stop()
        done = place.run("wal", "status", "--servers", "--json")
        assert done.returncode == 3, done
        assert "connecting to PostgreSQL" in of_server(records(done.stdout))["error"]
