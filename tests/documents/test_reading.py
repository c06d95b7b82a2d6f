"""An object is read as S3 keeps it, or a problem says why not; nothing else is lost by it."""

from __future__ import annotations

import json
import re
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from strongroom.aws.account import Account
from strongroom.aws.attributes import attributes_of
from strongroom.aws.buckets import Bucket, find_bucket
from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError
from strongroom.aws.getting import ATTEMPTS
from strongroom.aws.listing import Pager
from strongroom.aws.listxml import Listed
from strongroom.aws.signing import Signer
from strongroom.clock import ManualClock
from strongroom.errors import SourceError
from strongroom.model.source import Item, Loaded
from strongroom.sources.s3.source import S3Options, S3Source
from tests.support.aws import CREDENTIALS, REGION, AwsServer
from tests.support.buckets import ODD_KEYS, fill, make_bucket
from tests.support.object_stub import ObjectStub, Reply, Seen, good, refused, running_objects

pytestmark = [pytest.mark.usefixtures("aws_credentials"), pytest.mark.spec("D1")]
DATA = b"hello world" * 100
TIME = "2026-01-02T03:04:05.000Z"
LARGE = 300_000
ETAG = 'ETag: "1"'  # of what was listed
ODD_XML = b'<?xml version="1.0" encoding="EUC-JP"?><Tagging><TagSet><Tag/></TagSet></Tagging>'
Answer = Callable[[Seen], Reply | bytes]


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[ObjectStub, Clients]]:
    """Give one server, and one set of clients of it, which take long to make."""
    with running_objects() as found:
        yield found, Clients(Account(region=REGION, endpoint=found.endpoint))


@pytest.fixture
def stub(served: tuple[ObjectStub, Clients]) -> ObjectStub:
    """Give a server whose objects all have the bytes ``DATA``, and no tags."""
    served[0].forget()
    served[0].answer = right
    return served[0]


@pytest.fixture
def source(served: tuple[ObjectStub, Clients], stub: ObjectStub) -> Iterator[S3Source]:
    """Give a source of a bucket ``b`` at that server."""
    del stub
    bucket = Bucket(served[1], "b", REGION, versioning="")
    with S3Source("documents", bucket, S3Options(), ManualClock()) as found:
        yield found


def crc(data: bytes) -> str:
    """Return the header that S3 has with an object of these bytes."""
    return f"x-amz-checksum-crc32: {b64encode(zlib.crc32(data).to_bytes(4, 'big')).decode()}"


def right(seen: Seen) -> bytes:
    """Answer as S3 does."""
    if "tagging" in seen.target:
        return good(b"<Tagging><TagSet></TagSet></Tagging>")
    return good(DATA, ETAG, crc(DATA))


def item(key: str, size: int = len(DATA)) -> Item:
    """Return an object as it was listed."""
    listed = Listed(key.encode(), size, '"1"', TIME, "STANDARD")
    return Item(b"s3/documents/objects/" + key.encode(), b"token", size, listed)


def only(key: str, answer: Answer) -> Answer:
    """Return what answers so for one key, and right for the others."""
    return lambda seen: answer(seen) if seen.target.startswith(f"/b/{key}") else right(seen)


def causes(loaded: list[Loaded]) -> dict[str, str]:
    """Return the problems by their keys."""
    return {
        one.item.path.decode().rpartition("/")[2]: one.problem.cause
        for one in loaded
        if one.problem is not None
    }


def test_many_come_in_their_order(stub: ObjectStub, source: S3Source) -> None:
    """With the sum compared, the tags asked for, and only while the object is what was listed."""
    items = [item(f"{number:03}") for number in range(100)]
    loaded = source.load(items)
    assert [one.item for one in loaded] == items
    assert {one.data for one in loaded} == {DATA}
    assert causes(loaded) == {}
    assert len(stub.seen) == 200
    asked = [one for one in stub.seen if "tagging" not in one.target]
    assert {one.headers["if-match"] for one in asked} == {'"1"'}
    assert {one.headers["x-amz-checksum-mode"] for one in asked} == {"ENABLED"}
    assert stub.lines <= 64


def test_as_many_are_on_their_way_as_is_said(stub: ObjectStub, source: S3Source) -> None:
    """32 objects and their tags for each of the two threads that read: no answer comes before all
    of them were asked for, and never are more.
    """
    wanted, all_asked = 2 * 32 * 2, threading.Event()
    counting = threading.Lock()
    count = 0

    def answer(seen: Seen) -> bytes:
        nonlocal count
        with counting:
            count += 1
            if count == wanted:
                all_asked.set()
        if not all_asked.wait(20):
            return refused("403 Forbidden", "AccessDenied")
        return right(seen)

    stub.answer = answer
    batches = [[item(f"{letter}{number:03}") for number in range(80)] for letter in "abc"]
    with ThreadPoolExecutor(3) as threads:
        loaded = [one for batch in threads.map(source.load, batches) for one in batch]
    assert causes(loaded) == {}
    assert [one.item for one in loaded] == [one for batch in batches for one in batch]
    assert stub.lines == wanted


def test_credentials_are_renewed_between_two_requests(
    stub: ObjectStub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run may take longer than they last: what is asked then is signed with the new ones, and if
    there are none it ends.
    """
    kept, config = tmp_path / "credentials", tmp_path / "config"
    config.write_text(f"[profile passing]\ncredential_process = cat {kept}\n")
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()  # botocore renews such at once

    def renew(name: str) -> None:
        found = {"AccessKeyId": name, "SecretAccessKey": f"secret {name}", "SessionToken": name}
        kept.write_text(json.dumps({"Version": 1, "Expiration": soon, **found}))

    account = Account(region=REGION, profile="passing", endpoint=stub.endpoint)
    bucket = Bucket(Clients(account), "b", REGION, versioning="")
    clock = ManualClock()
    renew("FIRST")
    with S3Source("documents", bucket, S3Options(tags=False), clock) as source:
        for name in ("FIRST", "SECOND"):
            renew(name)
            [loaded] = source.load([item("a")])
            assert loaded.data == DATA
            headers = stub.seen[-1].headers
            named = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
            given = {one: headers[one] for one in named.split(";")}
            key = ReadOnlyCredentials(name, f"secret {name}", name)
            signed = Signer(REGION).signed("GET", "/b/a", "", given, key, clock.now_ns())
            assert headers["authorization"] == signed["Authorization"]
            assert headers["x-amz-security-token"] == name
        kept.unlink()
        with pytest.raises(AwsError, match="renewing credentials failed"):
            source.load([item("a")])


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda _: good(DATA, ETAG, crc(b"other")), "its CRC32 is .*these are other bytes"),
        (lambda _: good(DATA[1:], ETAG), "1099 bytes came, and it has 1,100"),
        (lambda _: good(DATA * 1000, ETAG), "1100000 bytes came, and it has 1,100"),
        (lambda _: Reply(good(DATA, ETAG)[:-9], ends=True), "reading it failed: .*9 bytes to come"),
        (lambda _: refused("403 Forbidden", "AccessDenied"), "AccessDenied"),
        (lambda _: refused("403 Forbidden", "InvalidObjectState"), "it is archived"),
        (lambda _: refused("500 Error", "InternalError"), "InternalError"),
        (lambda _: refused("404 Not Found", "NoSuchKey"), "deleted while the backup ran"),
        (
            lambda seen: (
                refused("404 Not Found", "NoSuchKey")
                if seen.method == "HEAD" or "tagging" in seen.target
                else right(seen)
            ),
            "deleted while the backup ran",
        ),
        (
            lambda seen: good(b"<html/>") if "tagging" in seen.target else right(seen),
            "reading its tags failed: .*about no tags",
        ),
        (
            lambda seen: good(ODD_XML) if "tagging" in seen.target else right(seen),
            "reading its tags failed: .*no whole XML",
        ),
        (
            lambda seen: (
                good(b"", 'ETag: "2"', "Last-Modified: yesterday or so")
                if seen.method == "HEAD"
                else refused("412 Precondition Failed", "PreconditionFailed")
            ),
            "what it is now cannot be read",
        ),
        (
            lambda seen: (
                good(b"", "Last-Modified: Fri, 02 Jan 2026 03:04:06 GMT")
                if seen.method == "HEAD"
                else refused("412 Precondition Failed", "PreconditionFailed")
            ),
            "S3 does not say what it is now: ETag",
        ),
    ],
)
def test_one_that_cannot_be_read_is_a_problem(
    stub: ObjectStub, source: S3Source, answer: Answer, cause: str
) -> None:
    """What came wrong is not saved; the objects around it are."""

    def headless(seen: Seen) -> Reply | bytes:
        found = answer(seen)
        if seen.method != "HEAD" or isinstance(found, Reply):
            return found
        return found[: found.index(b"\r\n\r\n") + 4]

    stub.answer = only("b", headless)
    loaded = source.load([item(key) for key in "abc"])
    assert [bool(one.entry) for one in loaded] == [True, False, True]
    assert [one.data for one in loaded] == [DATA, b"", DATA]
    told = causes(loaded)
    assert told.keys() == {"b"}
    assert re.search(cause, told["b"]), told["b"]


@pytest.mark.parametrize(
    ("odd", "cause"),
    [
        ({"etag": '"1"\r\nx-amz-acl: public-read'}, "its ETag is none"),
        ({"modified": "yesterday"}, "its time is none: 'yesterday'"),
    ],
)
def test_what_is_listed_oddly_is_a_problem_of_one(
    stub: ObjectStub, source: S3Source, odd: dict[str, str], cause: str
) -> None:
    """It ends nothing, and begins no header of its own."""
    listed = Listed(b"b", len(DATA), '"1"', TIME, "STANDARD")._replace(**odd)  # type: ignore[arg-type]
    wrong = item("b")._replace(handle=listed)
    loaded = source.load([item("a"), wrong, item("c")])
    assert [one.data for one in loaded] == [DATA, b"", DATA]
    assert cause in causes(loaded)["b"]
    assert not any("x-amz-acl" in one.headers for one in stub.seen)


def test_one_that_is_another_by_now_is_read_as_it_is(stub: ObjectStub, source: S3Source) -> None:
    """It is marked, and its token never matches, so that the next backup reads it again."""

    def answer(seen: Seen) -> bytes:
        if seen.method == "HEAD":
            made = 'ETag: "2"', "Last-Modified: Fri, 02 Jan 2026 03:04:06 GMT"
            return good(b"", *made).replace(b"Length: 0", b"Length: 5")
        if seen.headers.get("if-match") == '"1"':
            return refused("412 Precondition Failed", "PreconditionFailed")
        return right(seen) if "tagging" in seen.target else good(b"other", 'ETag: "2"')

    stub.answer = only("b", answer)
    loaded = source.load([item(key) for key in "abc"])
    assert causes(loaded) == {}
    assert [(one.data, one.token) for one in loaded] == [
        (DATA, b"token"),
        (b"other", b""),
        (DATA, b"token"),
    ]


@pytest.mark.parametrize(("size", "read"), [(4 << 20, 1), (3 << 20, 1), (1 << 20, 3), (1 << 40, 0)])
def test_what_grew_meanwhile_takes_no_more_memory_than_there_is(
    stub: ObjectStub, source: S3Source, size: int, read: int
) -> None:
    """All of a batch together; what does not fit any more is left to the next backup."""
    large = bytes(min(size, 5 << 20))

    def answer(seen: Seen) -> bytes:
        if seen.method == "HEAD":
            made = 'ETag: "2"', "Last-Modified: Fri, 02 Jan 2026 03:04:06 GMT"
            return good(b"", *made).replace(b"Length: 0", b"Length: %d" % size)
        if "tagging" in seen.target:
            return right(seen)
        if seen.headers["if-match"] == '"1"':
            return refused("412 Precondition Failed", "PreconditionFailed")
        return good(large, 'ETag: "2"')

    stub.answer = answer
    loaded = source.load([item(key) for key in "abc"])
    assert [len(one.data) for one in loaded] == [size] * read + [0] * (3 - read)
    assert len([one for one in stub.seen if one.headers.get("if-match") == '"2"']) == read
    assert all("grew too large" in cause for cause in causes(loaded).values())
    assert len(causes(loaded)) == 3 - read


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId", "RequestTimeTooSkewed"])
def test_what_is_about_us_ends_it(stub: ObjectStub, source: S3Source, code: str) -> None:
    """No other object would be answered either."""
    stub.answer = only("b", lambda _seen: refused("403 Forbidden", code))
    with pytest.raises(AwsError, match=code):
        source.load([item(key) for key in "abc"])


def test_nobody_answers_any_more(stub: ObjectStub, source: S3Source) -> None:
    """It is the bucket that cannot be reached, and not each of its objects."""
    stub.answer = lambda _seen: Reply(b"", ends=True)
    with pytest.raises(SourceError, match=f"failed .* {ATTEMPTS} times"):
        source.load([item(key) for key in "abc"])


def test_an_end_waits_for_nobody(served: tuple[ObjectStub, Clients], stub: ObjectStub) -> None:
    """As when a backup is interrupted while the server says nothing."""
    asked = threading.Event()

    def silent(_seen: Seen) -> Reply:
        asked.set()
        return Reply(b"", stalls=True)

    stub.answer = silent
    source = S3Source(
        "d", Bucket(served[1], "b", REGION, versioning=""), S3Options(), ManualClock()
    )
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(source.load, [item(key) for key in "abc"])
        assert asked.wait(10)
        source.close()
        with pytest.raises(SourceError, match="given up"):
            loading.result(10)


def large(broken: Answer) -> Answer:
    """Return what answers as S3 does for a large object, but first as ``broken`` says."""
    data = DATA * (LARGE // len(DATA) + 1)

    def answer(seen: Seen) -> Reply | bytes:
        if "tagging" in seen.target:
            return right(seen)
        begin = seen.headers.get("range", "bytes=0-")[6:-1]
        if begin != "0":
            rest = data[int(begin) : LARGE]
            place = f"Content-Range: bytes {begin}-{LARGE - 1}/{LARGE}"
            return good(rest, ETAG, place, status="206 Partial Content")
        return broken(seen)

    return answer


def read(source: S3Source) -> tuple[bytes, Loaded]:
    """Read a large object in pieces, as a backup does."""
    buffer = bytearray(LARGE)
    with source.open(item("big", LARGE)) as content:
        offset = 0
        for start, length, _ in content.extents():
            while offset < start + length:
                piece = memoryview(buffer)[offset : offset + 70_000]
                came = content.readinto(offset, piece)
                if not came:
                    break
                offset += came
        return bytes(buffer[:offset]), content.finish(offset)


WHOLE = (DATA * (LARGE // len(DATA) + 1))[:LARGE]


def test_a_large_one_goes_on_where_it_broke(stub: ObjectStub, source: S3Source) -> None:
    """On another line, only if it is the same; the sum is of all of it."""
    stub.answer = large(lambda _seen: Reply(good(WHOLE, ETAG, crc(WHOLE))[:-150_000], ends=True))
    data, loaded = read(source)
    assert data == WHOLE
    assert loaded.problem is None
    again = next(one for one in stub.seen if "range" in one.headers)
    assert again.headers["if-match"] == '"1"'


@pytest.mark.parametrize(
    ("broken", "cause"),
    [
        (lambda _: good(WHOLE, ETAG, crc(b"other")), "these are other bytes"),
        (
            lambda _: Reply(good(WHOLE, ETAG, crc(b""))[:-99_000], ends=True),
            "these are other bytes",
        ),
        (lambda _: good(WHOLE + b"x", ETAG), "more than its 300,000 bytes"),
        (lambda _: refused("403 Forbidden", "AccessDenied"), "AccessDenied"),
    ],
)
def test_a_large_one_that_cannot_be_read(
    stub: ObjectStub, source: S3Source, broken: Answer, cause: str
) -> None:
    """It is a problem of its own."""
    stub.answer = large(broken)
    with pytest.raises(OSError, match=cause):
        read(source)


def test_a_server_that_begins_anew_is_refused(stub: ObjectStub, source: S3Source) -> None:
    """Where an answer broke, its first bytes must not be taken for the rest."""
    whole = good(WHOLE, ETAG)
    replies: Iterator[Reply | bytes] = iter([Reply(whole[:-99_000], ends=True), whole])
    stub.answer = lambda seen: right(seen) if "tagging" in seen.target else next(replies)
    with pytest.raises(OSError, match="cannot go on"):
        read(source)


VERSION = "x-amz-version-id: v1"
MISFITS: list[tuple[Answer, str]] = [
    (lambda _: good(DATA, 'ETag: "2"', VERSION), 'the ETag "2", and "1" was listed'),
    (lambda _: good(DATA, VERSION), 'the ETag of nothing, and "1" was listed'),
    (lambda _: good(DATA, ETAG, "x-amz-version-id: v2"), "of version v2, and v1 was listed"),
    (lambda _: good(DATA, ETAG), "of version none, and v1 was listed"),
    (
        lambda _: good(DATA, ETAG, VERSION, status="206 Partial Content"),
        "nothing that is named came, and all of it was asked for",
    ),
]


@pytest.mark.parametrize(("answer", "cause"), MISFITS)
def test_what_is_an_answer_to_something_else_is_not_saved(
    stub: ObjectStub, source: S3Source, answer: Answer, cause: str
) -> None:
    """Of as many bytes, and with a sum that fits them: what stands in between mixed two up."""
    listed = Listed(b"b", len(DATA), '"1"', TIME, "STANDARD", "v1")
    versioned = item("b")._replace(handle=listed)
    stub.answer = lambda seen: right(seen) if "tagging" in seen.target else answer(seen)
    [loaded] = source.load([versioned])
    assert (loaded.entry, loaded.data) == (None, b"")
    assert cause in causes([loaded])["b"]
    once: Iterator[Answer] = iter([answer, lambda _: good(DATA, ETAG, VERSION)])
    stub.answer = lambda seen: right(seen) if "tagging" in seen.target else next(once)(seen)
    [loaded] = source.load([versioned])  # asked for again, it is right
    assert (loaded.data, loaded.problem) == (DATA, None)


def test_tags_of_another_version_are_not_taken(stub: ObjectStub, source: S3Source) -> None:
    """S3 says with tags whose they are."""
    listed = Listed(b"b", len(DATA), '"1"', TIME, "STANDARD", "v1")
    tags = b"<Tagging><TagSet></TagSet></Tagging>"
    stub.answer = lambda seen: (
        good(tags, "x-amz-version-id: v2")
        if "tagging" in seen.target
        else good(DATA, ETAG, VERSION)
    )
    [loaded] = source.load([item("b")._replace(handle=listed)])
    assert "reading its tags failed: the answer is of version v2" in causes([loaded])["b"]


@pytest.mark.parametrize("place", ["bytes 150001-299999/300000", "bytes 150000-299999/300001", ""])
def test_a_rest_from_elsewhere_is_not_taken(stub: ObjectStub, source: S3Source, place: str) -> None:
    """Where a large object broke, what comes must begin there and be of as many bytes."""

    def answer(seen: Seen) -> Reply | bytes:
        if "range" in seen.headers:
            named = [f"Content-Range: {place}"] if place else []
            return good(WHOLE[150_000:], ETAG, *named, status="206 Partial Content")
        return Reply(good(WHOLE, ETAG)[:-150_000], ends=True)

    stub.answer = answer
    with pytest.raises(OSError, match=r"came, and bytes 150000-299999/300000 was asked for"):
        read(source)


ENCRYPTED: dict[str, dict[str, Any]] = {  # localstack would ask KMS, which does not run
    "moto": {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True},
    "localstack": {"ServerSideEncryption": "AES256"},
}


@pytest.mark.parametrize("name", ["moto", pytest.param("localstack", marks=pytest.mark.slow)])
@pytest.mark.parametrize("versioned", [False, True])
def test_as_botocore_reads_it(
    s3_servers: Callable[[str], AwsServer],
    name: str,
    versioned: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Bytes, headers, metadata, tags, and every other thing that is said of an object."""
    aws = s3_servers(name)
    s3, odd = aws.client("s3"), f"odd-{versioned}".lower()
    make_bucket(s3, odd, versioned=versioned)
    # moto lists versions without encoding their keys, and XML has no control characters
    keys = [key for key in ODD_KEYS if key.isprintable() or not versioned]
    fill(s3, odd, keys)
    s3.put_object(
        Bucket=odd,
        Key="all",
        Body=b"zipped",
        ContentEncoding="gzip",
        ContentLanguage="de",
        Expires="Fri, 01 Jan 2027 00:00:00 GMT",
        WebsiteRedirectLocation="/other",
        StorageClass="STANDARD_IA",
        ChecksumAlgorithm="SHA256",
        Metadata={"a-b": "x  y"},
        **ENCRYPTED[name],
    )
    bucket = find_bucket(Clients(aws.account), odd)
    with S3Source("odd", bucket, S3Options(configuration=False), ManualClock()) as source:
        items = [one for page in source.walk(lambda _problem: None) for one in page]
        loaded = {one.item.path: one for one in source.load(items)}
    listed = [one for page in Pager(bucket, ManualClock()).objects() for one in page]
    assert len(loaded) == len(listed) == len(keys) + 1
    for one in listed:
        ours = loaded[b"s3/odd/objects/" + one.key]
        named = {"Bucket": odd, "Key": one.key.decode()}
        if one.version:
            named["VersionId"] = one.version
        answer = s3.get_object(**named, ChecksumMode="ENABLED")
        tags = s3.get_object_tagging(**named)["TagSet"]
        assert ours.problem is None
        assert ours.entry is not None
        assert ours.data == answer["Body"].read()
        assert ours.entry.xattrs == attributes_of(answer, one, tags)
