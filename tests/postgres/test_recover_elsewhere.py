"""A cluster comes back from the bucket that ``S3_BACKUP_BUCKET`` names, and goes on from there."""

from __future__ import annotations

import pytest

from tests.postgres.cluster_kit import backed_up, cluster_of, configure, sql_at
from tests.postgres.test_recover import recovered
from tests.postgres.test_recover_as_of import delete_everything, moved_into_a_bucket
from tests.support.aws import AwsServer
from tests.support.s3 import clients_of, new_bucket
from tests.support.wal_server import Place, wait_for

pytestmark = [pytest.mark.spec("C7", "D8"), pytest.mark.slow]

SIDE = 5600


def lost_but_for_a_replica(place: Place, at: AwsServer) -> None:
    """Let the repository lie in a bucket, of which only a replica is left.

    From now on the program names it by nothing but the variable.
    """
    original, replica = moved_into_a_bucket(place, at), new_bucket(at)
    client = clients_of(at.account).client("s3")
    for one in client.list_objects_v2(Bucket=original)["Contents"]:
        where = {"Bucket": original, "Key": one["Key"]}
        client.copy_object(Bucket=replica, Key=one["Key"], CopySource=where)
    delete_everything(at, original)
    configuration = place.top / "strongroom.toml"
    text = configuration.read_text().replace("[repositories.bucket]", "[repositories.main]")
    configuration.write_text(text)
    script = place.program
    named = "STRONGROOM_REPOSITORY=bucket"
    assert named in script.read_text()
    script.write_text(script.read_text().replace(named, f"S3_BACKUP_BUCKET={replica}"))


def test_the_server_fetches_where_the_recovery_read(moto: AwsServer) -> None:
    """WAL comes from the replica, though a server that is started later has no such variable."""
    with cluster_of(15, archive=True) as (place, server):
        server.sql("CREATE TABLE t (n int)")
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        backed_up(place)
        server.sql("INSERT INTO t VALUES (1)")
        last = server.switch()
        assert wait_for(lambda: server.archived(last) and not server.ready())
        lost_but_for_a_replica(place, moto)
        folder = place.top / "side"
        recovered(place, "--latest", "--into", folder, "--port", str(SIDE))
        assert sql_at(place, folder, SIDE, "SELECT string_agg(n::text, ' ') FROM t") == "1"
