"""A bucket as it was: what its versions say, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from strongroom.aws.account import Account
from strongroom.aws.asof import AsOfStore
from strongroom.aws.clients import Clients
from strongroom.aws.listxml import read_page
from strongroom.aws.versions import BucketVersions, History, Version, newest_first
from strongroom.clock import ManualClock
from strongroom.errors import (
    ObjectMissingError,
    RangeError,
    RefusedError,
    StoreError,
    StoreUnavailableError,
)
from tests.support.aws import REGION, AwsServer
from tests.support.listing_stub import ListingStub, running_stub
from tests.support.s3 import clients_of, new_bucket
from tests.support.s3_proxy import running_proxy

pytestmark = pytest.mark.spec("D3")

_SECOND_NS: Final = 1_000_000_000
SERVERS: Final = ["moto", "localstack"]


class Kept:
    """A bucket that keeps versions, and what it was at moments."""

    def __init__(self, server: AwsServer) -> None:
        self.server = server
        self.bucket = new_bucket(server)
        self.client: Any = clients_of(server.account).client("s3")
        self.keep("Enabled")

    def keep(self, status: str) -> None:
        """Turn versions on or off."""
        self.client.put_bucket_versioning(
            Bucket=self.bucket, VersioningConfiguration={"Status": status}
        )

    def put(self, key: str, data: bytes) -> str:
        """Put an object below the prefix; its version."""
        done = self.client.put_object(Bucket=self.bucket, Key=f"app/{key}", Body=data)
        return str(done.get("VersionId", "null"))

    def delete(self, key: str) -> None:
        """Delete it, as anybody does."""
        self.client.delete_object(Bucket=self.bucket, Key=f"app/{key}")

    def tick(self) -> int:
        """Return a moment after all that was done, and before all that is done next."""
        now = time.time()
        time.sleep(1 - now % 1 + 0.02)
        return int(now) * _SECOND_NS

    def at(self, moment_ns: int, few: int = 4000) -> AsOfStore:
        """Return the store as it was."""
        found = BucketVersions(
            clients_of(self.server.account), self.bucket, "app", ManualClock(moment_ns)
        )
        return AsOfStore(found, moment_ns, few=few)


@pytest.fixture(name="kept", params=SERVERS)
def _kept(request: pytest.FixtureRequest) -> Kept:
    return Kept(request.getfixturevalue(request.param))


def test_each_key_is_what_it_was(kept: Kept) -> None:
    """Deleted, overwritten, put before versions were kept, put later: by version, not by name."""
    kept.keep("Suspended")
    kept.put("packs/aa/null", b"before versions")
    kept.keep("Enabled")
    kept.put("packs/aa/gone", b"0123456789")
    kept.put("packs/ab/changed", b"first")
    kept.put("config", b"the config")
    kept.client.put_object(Bucket=kept.bucket, Key="apps/config", Body=b"of another")
    kept.client.put_object(Bucket=kept.bucket, Key="app/Not Ours", Body=b"")
    first = kept.tick()
    kept.delete("packs/aa/gone")
    kept.delete("packs/aa/null")
    kept.put("packs/ab/changed", b"second one")
    kept.put("packs/ab/later", b"later")
    second = kept.tick()
    kept.put("packs/aa/gone", b"back")
    store = kept.at(first)
    listed = {one.key: one.size for one in store.list("")}
    assert list(listed.items()) == [
        *(("config", 10), ("packs/aa/gone", 10)),
        *(("packs/aa/null", 15), ("packs/ab/changed", 5)),
    ]
    assert store.get("packs/aa/gone") == b"0123456789"
    assert store.get("packs/aa/null") == b"before versions"
    assert store.get("packs/ab/changed") == b"first"
    after = kept.at(second)
    assert after.get("packs/ab/changed") == b"second one"
    assert [one.key for one in after.list("packs/")] == ["packs/ab/changed", "packs/ab/later"]
    with pytest.raises(ObjectMissingError):
        after.get("packs/aa/gone")
    with pytest.raises(ObjectMissingError):
        kept.at(first - 3600 * _SECOND_NS).get("config")


def test_ranges_and_sizes_need_no_look_at_the_object(kept: Kept) -> None:
    """A range beyond the end is refused as a store refuses it, an empty one is empty."""
    kept.put("packs/aa/one", b"0123456789")
    store = kept.at(kept.tick())
    assert store.size("packs/aa/one") == 10
    assert store.get_range("packs/aa/one", 3, 4) == b"3456"
    assert store.get_range("packs/aa/one", 0, 10) == b"0123456789"
    assert store.get_range("packs/aa/one", 10, 0) == b""
    for offset, length in ((5, 6), (11, 0)):
        with pytest.raises(RangeError):
            store.get_range("packs/aa/one", offset, length)
    with pytest.raises(ValueError, match="not a range"):
        store.get_range("packs/aa/one", -1, 2)


def test_a_version_that_is_gone_is_missing(moto: AwsServer) -> None:
    """What a lifecycle removed after it was listed is an object that is not there."""
    kept = Kept(moto)
    version = kept.put("packs/aa/one", b"1")
    store = kept.at(kept.tick())
    assert [one.key for one in store.list("packs/")] == ["packs/aa/one"]
    kept.client.delete_object(Bucket=kept.bucket, Key="app/packs/aa/one", VersionId=version)
    with pytest.raises(ObjectMissingError):
        store.get("packs/aa/one")


def test_one_listing_serves_many_reads(moto: AwsServer) -> None:
    """The first four keys are looked for by themselves; then of a small folder all is listed, of a
    large one what lies beside. Missing keys of what is known cost nothing, and threads do not list
    the same twice.
    """
    kept = Kept(moto)
    keys = [f"packs/{number % 4:02x}/{number:04x}" for number in range(20)]
    for key in keys:
        kept.put(key, key.encode())
    moment = kept.tick()
    for few, listings in ((4000, 4 + 1), (10, 4 + 5)):
        store = kept.at(moment, few)
        with ThreadPoolExecutor(8) as threads:
            assert [one.decode() for one in threads.map(store.get, keys)] == keys
        with pytest.raises(ObjectMissingError):
            store.size("packs/00/ffff")
        assert store.listings() == listings, few
        assert [one.key for one in store.list("packs/01/")] == sorted(keys[1::4])
        assert store.listings() == listings
        assert [one.key for one in store.list("packs/")] == sorted(keys)


def test_a_large_folder_hides_nothing_that_lies_in_it_directly(moto: AwsServer) -> None:
    """Whether keys of its folders or keys of its own are looked for first."""
    kept = Kept(moto)
    deep = [f"wal/{number % 3}/{number:04x}" for number in range(20)]
    flat = [f"wal/{number:04x}" for number in range(20)]
    for key in (*deep, *flat):
        kept.put(key, key.encode())
    moment = kept.tick()
    for keys in ((*deep, *flat), (*flat, *deep)):
        store = kept.at(moment, few=10)
        assert [store.get(key).decode() for key in keys] == list(keys)
        with pytest.raises(ObjectMissingError):
            store.size("wal/ffff")


def test_the_past_is_not_written_to() -> None:
    """``put`` and ``delete`` ask nobody, refuse, and say how to go on."""
    nobody: Callable[..., Any] = BucketVersions
    clients = clients_of(AwsServer("http://127.0.0.1:9").account)
    store = AsOfStore(nobody(clients, "b", "app", ManualClock()), 1_764_000_000 * _SECOND_NS)
    with pytest.raises(RefusedError, match="as it was at 2025-11-24T16:00:00Z") as refused:
        store.put("packs/aa/one", b"1")
    assert "strongroom copy --as-of 2025-11-24T16:00:00Z" in refused.value.hint
    with pytest.raises(RefusedError):
        store.delete("packs/aa/one")
    assert store.time_ns() == 1_764_000_000 * _SECOND_NS


def test_within_a_second_the_order_of_the_listing_decides() -> None:
    """S3 lists the newest version of a key first; its times are whole seconds."""
    second = 1_764_000_000 * _SECOND_NS
    listed = [
        Version("k", "3", 0, second, deleted=True),
        Version("k", "2", 2, second, deleted=False),
        Version("k", "1", 1, second - 5 * _SECOND_NS, deleted=False),
    ]
    found = History("k", newest_first(listed))
    ids = [one.id if (one := found.at(second + after)) else None for after in (-1, 0, 1)]
    assert ids == ["1", "3", "3"]
    assert found.at(second - 6 * _SECOND_NS) is None
    marker, version = listed[0]._replace(latest=True), listed[1]
    assert newest_first([version, marker]) == [marker, version]  # a server with markers last
    back = version._replace(latest=True)
    assert newest_first([back, listed[0]]) == [back, listed[0]]


def test_a_page_is_read_with_its_delete_markers() -> None:
    """All versions and markers in the order of the page where they are wanted, else the latest."""
    page = b"""<ListVersionsResult><IsTruncated>false</IsTruncated>
      <DeleteMarker><Key>a</Key><VersionId>3</VersionId><IsLatest>true</IsLatest>
        <LastModified>2026-01-02T03:04:06.000Z</LastModified></DeleteMarker>
      <Version><Key>a</Key><VersionId>2</VersionId><IsLatest>false</IsLatest><Size>5</Size>
        <LastModified>2026-01-02T03:04:05.000Z</LastModified></Version>
      <Version><Key>b</Key><VersionId>null</VersionId><IsLatest>true</IsLatest><Size>7</Size>
        <LastModified>2026-01-02T03:04:05.000Z</LastModified></Version></ListVersionsResult>"""
    found = read_page(page, every=True)
    listed = [(one.key, one.version, one.size, one.deleted) for one in found.objects]
    assert listed == [(b"a", "3", 0, True), (b"a", "2", 5, False), (b"b", "", 7, False)]
    latest = read_page(page)
    assert [one.key for one in latest.objects] == [b"b"]
    assert found.markers == latest.markers == 1


def test_a_key_whose_versions_lie_on_two_pages_is_one_history(aws_credentials: None) -> None:
    """Markers that a page has after its versions belong to their keys all the same."""
    del aws_credentials
    one = (
        "<{kind}><Key>app/{key}</Key><VersionId>{id}</VersionId><IsLatest>{latest}</IsLatest>"
        "<Size>1</Size><LastModified>2026-01-02T03:04:{second:02}.000Z</LastModified></{kind}>"
    )

    def page(more: str, *things: tuple[str, str, str, int, str]) -> tuple[int, bytes]:
        body = "".join(
            one.format(kind=kind, key=key, id=name, second=second, latest=latest)
            for kind, key, name, second, latest in things
        )
        return 200, f"<ListVersionsResult>{more}{body}</ListVersionsResult>".encode()

    stub = ListingStub(0, lambda _number: b"")
    stub.replies = [
        page(
            "<IsTruncated>true</IsTruncated><NextKeyMarker>app/b</NextKeyMarker>"
            "<NextVersionIdMarker>3</NextVersionIdMarker>",
            ("Version", "a", "1", 1, "false"),
            ("Version", "b", "3", 3, "false"),
            ("DeleteMarker", "a", "2", 2, "true"),
            ("DeleteMarker", "b", "4", 4, "true"),
        ),
        page(
            "<IsTruncated>false</IsTruncated>",
            ("Version", "b", "1", 1, "false"),
            ("DeleteMarker", "b", "2", 2, "false"),
        ),
    ]
    with running_stub(stub) as running:
        account = Account(region=REGION, endpoint=running.endpoint)
        found = BucketVersions(Clients(account), "b", "app", ManualClock())
        listed = [(one.key, [v.id for v in one.versions]) for one in found.histories("")]
    assert listed == [("a", ["2", "1"]), ("b", ["4", "3", "2", "1"])]
    assert found.requests == 2


def test_what_a_read_is_refused_for_is_what_a_store_says(moto: AwsServer) -> None:
    """A server that is busy may be asked again; an archived version must be brought back first."""
    kept = Kept(moto)
    kept.put("packs/aa/one", b"1")
    kept.client.put_object(
        Bucket=kept.bucket, Key="app/packs/aa/cold", Body=b"2", StorageClass="GLACIER"
    )
    moment = kept.tick()
    with pytest.raises(StoreError, match="archive class"):
        kept.at(moment).get("packs/aa/cold")
    with running_proxy(moto.endpoint) as proxy:
        busy = b"<Error><Code>SlowDown</Code><Message>reduce</Message></Error>"
        proxy.meddle = lambda _method, path: (503, busy) if "versionId" in path else None
        account = Account(region=REGION, endpoint=proxy.endpoint)
        once = Clients(account, attempts=1)
        store = AsOfStore(BucketVersions(once, kept.bucket, "app", ManualClock()), moment)
        assert store.size("packs/aa/one") == 1
        with pytest.raises(StoreUnavailableError, match="SlowDown"):
            store.get("packs/aa/one")
