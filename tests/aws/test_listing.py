"""A listing is whole, in order and byte for byte, or there is none."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from strongroom.aws.account import Account
from strongroom.aws.buckets import Bucket
from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError
from strongroom.aws.listing import Pager
from strongroom.aws.listxml import PageError, read_page
from strongroom.clock import ManualClock
from strongroom.errors import SourceError
from tests.support.aws import CREDENTIALS, REGION
from tests.support.listing_stub import ListingStub, running_stub

ERROR = b"<Error><Code>%b</Code><Message>it says</Message></Error>"


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give what a request is signed with."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def numbered(number: int) -> bytes:
    """Return a key with what must be encoded."""
    return b"a b+c/%%/%07d\x01\xc3\xbc" % number


def listed(stub: ListingStub) -> list[bytes]:
    """List the bucket of a stub; the clock stands still but for waiting."""
    clients = Clients(Account(region=REGION, endpoint=stub.endpoint))
    pager = Pager(Bucket(clients, "b", REGION, versioning=""), ManualClock())
    return [one.key for page in pager.objects() for one in page]


def test_all_keys_come_byte_for_byte() -> None:
    """Over several pages, with blanks, plus signs, percent signs and control characters."""
    with running_stub(ListingStub(2500, numbered)) as stub:
        assert listed(stub) == [numbered(number) for number in range(2500)]
        assert stub.requests == 3
        assert stub.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIA")


@pytest.mark.parametrize(
    "bad",
    [
        (503, ERROR % b"SlowDown"),
        (500, b""),
        (200, b""),
        (200, ERROR % b"InternalError"),
        lambda right: (200, right[:-60]),
        lambda right: (200, right.replace(b"<IsTruncated>true</IsTruncated>", b"")),
        lambda right: (200, b"<html><body>hello</body></html>" + right[:0]),
        *(
            lambda right, name=name: (200, right.replace(b"UTF-8", name))
            for name in (b"EUC-JP", b"no-such", b"\xff", b"UTF-16", b"base64")
        ),
        *(
            lambda right, size=size: (200, right.replace(b"<Size>7<", b"<Size>%b<" % size))
            for size in (b"-7", b"1_0", "\u00b2".encode(), b"7" * 5000, b"")
        ),
    ],
)
def test_a_page_that_is_not_whole_is_asked_for_again(bad: object) -> None:
    """What is missing in a page must not look like what was deleted."""
    with running_stub(ListingStub(1500, numbered)) as stub:
        stub.replies = [bad]  # type: ignore[list-item]
        assert len(listed(stub)) == 1500
        assert stub.requests == 3


def test_a_bucket_is_listed_again_by_who_listed_it() -> None:
    """A restore lists once to plan and once to write, and may not read the first to its end."""
    with running_stub(ListingStub(2500, numbered)) as stub:
        clients = Clients(Account(region=REGION, endpoint=stub.endpoint))
        pager = Pager(Bucket(clients, "b", REGION, versioning=""), ManualClock())
        first = pager.objects()
        assert len(next(first)) == 1000
        del first
        assert sum(len(page) for page in pager.objects()) == 2500
        assert sum(len(page) for page in pager.objects()) == 2500


def test_a_page_that_is_never_whole_ends_it() -> None:
    """After some tries, with what was wrong."""
    with running_stub(ListingStub(10, numbered)) as stub:
        stub.replies = [(200, b"<ListBucketResult>")] * 6
        with pytest.raises(SourceError, match=r"failed 6 times.*no whole XML"):
            listed(stub)


def test_a_no_is_not_asked_for_again() -> None:
    """It has the name that S3 gave it."""
    with running_stub(ListingStub(10, numbered)) as stub:
        stub.replies = [(403, ERROR % b"AccessDenied")]
        with pytest.raises(AwsError, match="it says") as caught:
            listed(stub)
        assert (caught.value.said, stub.requests) == ("AccessDenied", 1)


@pytest.mark.parametrize("wrong", [lambda n: b"%07d" % -n, lambda n: b"%07d" % (n // 2)])
def test_keys_out_of_order_end_it(wrong: object) -> None:
    """A merge with another listing would take them for others."""
    stub = ListingStub(10, wrong)  # type: ignore[arg-type]
    with running_stub(stub), pytest.raises(SourceError, match="not in the order"):
        listed(stub)


def test_a_page_that_repeats_the_one_before_ends_it() -> None:
    """A server that ignores the token would be asked for ever."""
    with running_stub(ListingStub(3000, numbered)) as stub:
        first = stub.page({})
        stub.replies = [None, (200, first)]
        with pytest.raises(SourceError, match="not in the order"):
            listed(stub)


def test_a_listing_without_an_end_ends() -> None:
    """Pages of nothing that all name the same place to go on."""
    page = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>7</NextContinuationToken></ListBucketResult>"
    )
    with running_stub(ListingStub(10, numbered)) as stub:
        stub.replies = [(200, page)] * 10
        with pytest.raises(SourceError, match="has no end"):
            listed(stub)
        assert stub.requests <= 3


def test_a_page_of_versions() -> None:
    """Only the latest count, and none whose latest is a delete marker."""
    page = read_page(
        b"<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>b</NextKeyMarker>"
        b"<NextVersionIdMarker>7</NextVersionIdMarker>"
        b"<Version><Key>a</Key><VersionId>2</VersionId><IsLatest>true</IsLatest><Size>1</Size>"
        b"<LastModified>x</LastModified><Owner><ID>Key</ID></Owner></Version>"
        b"<Version><Key>a</Key><VersionId>1</VersionId><IsLatest>false</IsLatest><Size>1</Size>"
        b"<LastModified>x</LastModified></Version>"
        b"<DeleteMarker><Key>b</Key><VersionId>9</VersionId><IsLatest>true</IsLatest>"
        b"<LastModified>x</LastModified></DeleteMarker>"
        b"<Version><Key>b</Key><VersionId>8</VersionId><IsLatest>false</IsLatest><Size>1</Size>"
        b"<LastModified>x</LastModified></Version></ListVersionsResult>"
    )
    assert [(one.key, one.version) for one in page.objects] == [(b"a", "2")]
    assert page.after == {"key-marker": b"b", "version-id-marker": b"7"}
    assert page.markers == 1


def test_more_without_a_place_to_go_on_is_no_page() -> None:
    """Else the listing would begin anew, or end."""
    with pytest.raises(PageError, match="not where"):
        read_page(b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_keys_in_flat_memory() -> None:
    """What is kept does not grow with the listing, and all of it stays below 250 MB; in a process
    of its own, since another test of this one may have needed more.
    """
    with (
        running_stub(ListingStub(1_000_000, numbered)) as stub,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as own,
    ):
        count, early, late = own.submit(listed_in_all, stub.endpoint).result()
    assert count == 1_000_000
    assert late - early < 32 << 10
    assert late < 250_000


def listed_in_all(endpoint: str) -> tuple[int, int, int]:
    """List a bucket; return how many keys came, and peak memory early and at the end, in KiB."""
    pager = Pager(
        Bucket(Clients(Account(region=REGION, endpoint=endpoint)), "b", REGION, versioning=""),
        ManualClock(),
    )
    count, early = 0, 0
    for page in pager.objects():
        count += len(page)
        early = early if count > 50_000 else peak_kib()
    return count, early, peak_kib()


def peak_kib() -> int:
    """Return the most memory that this program ever had, in KiB.

    ``ru_maxrss`` would count what the process had before it ran this program.
    """
    status = Path("/proc/self/status").read_text().split()
    return int(status[status.index("VmHWM:") + 1])
