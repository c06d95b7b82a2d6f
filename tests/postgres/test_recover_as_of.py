"""A cluster comes back from a bucket of which everything was deleted, base backup and WAL."""

from __future__ import annotations

from typing import Final

import pytest

from tests.postgres.cluster_kit import backed_up, cluster_of, configure, sql_at
from tests.postgres.test_recover import inside, recovered
from tests.support.aws import KEY, REGION, SECRET, AwsServer
from tests.support.s3 import clients_of, moment_now, new_bucket
from tests.support.wal_server import Place, wait_for

pytestmark = [pytest.mark.spec("C7", "D3"), pytest.mark.slow]

SIDE: Final = 5599


def moved_into_a_bucket(place: Place, at: AwsServer) -> str:
    """Put all of a repository in a folder into a bucket that keeps versions; its name.

    From now on the program of the place means that one, with a profile that any process finds.
    """
    bucket = new_bucket(at)
    client = clients_of(at.account).client("s3")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for path in sorted(one for one in place.repository.rglob("*") if one.is_file()):
        key = f"app/{path.relative_to(place.repository)}"
        client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    home = place.top / ".aws"
    home.mkdir()
    (home / "credentials").write_text(
        f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n"
    )
    configuration = place.top / "strongroom.toml"
    configuration.write_text(
        f"{configuration.read_text()}\n[repositories.bucket]\n"
        f'url = "s3://{bucket}/app"\naws = {{ endpoint = "{at.endpoint}", region = "{REGION}" }}\n'
    )
    script = place.program
    script.write_text(script.read_text().replace(str(place.repository), "bucket"))
    return bucket


def delete_everything(at: AwsServer, bucket: str) -> None:
    """Delete each object."""
    client = clients_of(at.account).client("s3")
    for one in client.list_objects_v2(Bucket=bucket)["Contents"]:
        client.delete_object(Bucket=bucket, Key=one["Key"])


def test_a_cluster_is_recovered_as_of_before_the_attack(moto: AwsServer) -> None:
    """The server itself fetches WAL as of then, nothing is archived now, and WAL can be looked
    at and verified as of then.
    """
    with cluster_of(15, archive=True) as (place, server):
        server.sql("CREATE TABLE t (n int)")
        configure(place, server, '{ wal = "archive", wait = "60s" }')
        backed_up(place)
        server.sql("INSERT INTO t VALUES (1)")
        last = server.switch()
        assert wait_for(lambda: server.archived(last) and not server.ready())
        bucket = moved_into_a_bucket(place, moto)
        moment = moment_now()
        delete_everything(moto, bucket)
        as_of = ("--as-of", moment)
        assert place.run("snapshots").returncode == 10
        assert "can be recovered" in place.good("wal", "status", "db", *as_of)
        place.good("wal", "verify", "db", *as_of)
        folder = place.top / "side"
        before = inside(place.repository)
        summary = recovered(place, "--latest", *as_of, "--into", folder, "--port", str(SIDE))
        assert summary["source"] == "db"
        assert sql_at(place, folder, SIDE, "SELECT string_agg(n::text, ' ') FROM t") == "1"
        assert inside(place.repository) == before
        now = clients_of(moto.account).client("s3").list_objects_v2(Bucket=bucket)
        assert now["KeyCount"] == 0
