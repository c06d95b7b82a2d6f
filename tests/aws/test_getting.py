"""Requests of our own: all on their way at once, asked for again where that helps, and refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from strongroom.aws.account import Account
from strongroom.aws.buckets import Bucket, Who
from strongroom.aws.clients import Clients
from strongroom.aws.errors import AwsError
from strongroom.aws.getting import ATTEMPTS, Asked, Getter
from strongroom.aws.lines import Server
from strongroom.aws.signing import Credentials, quoted
from strongroom.clock import ManualClock
from strongroom.errors import SourceError, UsageError
from tests.support.aws import REGION
from tests.support.buckets import ODD_KEYS
from tests.support.object_stub import ObjectStub, Reply, Seen, good, refused, running_objects
from tests.support.tls import certificate

pytestmark = pytest.mark.usefixtures("aws_credentials")
KEY = Asked("reading k", "/k", "", {})
CUT = Reply(good(b"hello")[:-2], ends=True)


@pytest.fixture(scope="module")
def clients() -> Iterator[tuple[ObjectStub, Clients]]:
    """Give one server, and one set of clients of it, which take long to make."""
    with running_objects() as found:
        yield found, Clients(Account(region=REGION, endpoint=found.endpoint))


@pytest.fixture
def stub(clients: tuple[ObjectStub, Clients]) -> ObjectStub:
    """Give a server that has not been told yet what to answer."""
    clients[0].forget()
    return clients[0]


@pytest.fixture
def getter(stub: ObjectStub, clients: tuple[ObjectStub, Clients]) -> Iterator[Getter]:
    """Give what asks the stub; its clock stands still but for waiting."""
    del stub
    found = Getter(Bucket(clients[1], "b", REGION, versioning=""), ManualClock())
    yield found
    found.close()


def getter_of(endpoint: str, server: Server) -> Getter:
    """Return what asks for a bucket ``b``."""
    bucket = Bucket(Clients(Account(region=REGION, endpoint=endpoint)), "b", REGION, versioning="")
    return Getter(bucket, ManualClock(), server)


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_is_asked_for_byte_for_byte(stub: ObjectStub, getter: Getter, key: str) -> None:
    """Nothing on the way takes ``..`` or ``//`` for a path, or a plus sign for a blank."""
    target = f"/b/{quoted(key.encode())}"
    stub.replies = [good(b"hello")]
    asked = Asked("reading", f"/{quoted(key.encode())}", "versionId=a%2Fb", {})
    assert getter.begin(asked).whole(10).data == b"hello"
    assert stub.seen[-1].target == f"{target}?versionId=a%2Fb"


def test_what_may_be_changed_on_the_way_is_not_signed(stub: ObjectStub, getter: Getter) -> None:
    """A proxy says who it is, and what it can unpack; the object comes as it is kept."""
    stub.replies = [good(b"hello")]
    getter.begin(KEY._replace(headers={"if-match": '"1"'})).whole(10)
    headers = stub.seen[-1].headers
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert signed == "host;if-match;x-amz-content-sha256;x-amz-date"
    assert headers.keys() == {*signed.split(";"), "authorization", "accept-encoding", "user-agent"}
    assert headers["accept-encoding"] == "identity"


def test_all_are_on_their_way_at_once(stub: ObjectStub, getter: Getter) -> None:
    """Each on its own line; the lines are used again."""
    stub.answer = lambda seen: good(seen.target.encode())
    for _ in range(3):
        asked = [getter.begin(KEY._replace(path=f"/{number}")) for number in range(5)]
        assert [one.whole(99).data for one in asked] == [b"/b/%d" % number for number in range(5)]
    assert (stub.lines, len(stub.seen)) == (5, 15)


def test_a_line_is_closed_if_nobody_can_tell_who_we_are(stub: ObjectStub, getter: Getter) -> None:
    """It was taken for a request that is not sent."""

    class Expired:
        """Credentials that cannot be renewed."""

        def get_frozen_credentials(self) -> Credentials:
            """Refuse."""
            raise AwsError("the credentials have expired", said="ExpiredToken")

    stub.answer = lambda _seen: good(b"hello")
    getter.begin(KEY).whole(10)
    lines = getter.place.lines
    line = lines.free()
    assert line is not None
    lines.give_back(line)
    getter.place = getter.place._replace(who=Who(Expired(), "here"))
    with pytest.raises(AwsError, match="have expired"):
        getter.begin(KEY)
    assert (line.is_free, lines.free()) == (False, None)


def test_a_line_that_ended_meanwhile_is_no_failure(stub: ObjectStub, getter: Getter) -> None:
    """A server may close what nobody used for a time: the request goes on a new line at once."""
    stub.replies = [Reply(good(b"one"), ends=True), good(b"two")]
    assert getter.begin(KEY).whole(10).data == b"one"
    assert getter.begin(KEY).whole(10).data == b"two"
    assert (stub.lines, getter.clock.elapsed()) == (2, 0.0)


@pytest.mark.parametrize(
    "bad",
    [
        refused("503 Slow Down", "SlowDown"),
        refused("500 Internal Server Error", "InternalError"),
        refused("400 Bad Request", "RequestTimeout"),
        good(b"", status="408 Request Timeout"),
        good(b"", status="502 Bad Gateway"),
        Reply(b"", ends=True),
        Reply(b"<html>", ends=True),
        CUT,
    ],
)
def test_what_is_broken_for_now_is_asked_for_again(
    stub: ObjectStub, getter: Getter, bad: Reply | bytes
) -> None:
    """After a wait, which grows and is not the same for every object."""
    stub.replies = [bad, bad, good(b"hello")]
    assert getter.begin(KEY).whole(10).data == b"hello"
    assert len(stub.seen) == 3
    assert 0.75 <= getter.clock.elapsed() <= 1.5


def test_who_is_refused_for_now_asks_again_on_the_same_line(
    stub: ObjectStub, getter: Getter
) -> None:
    """Each line is an open file: as many as there are requests do, however often these are sent."""
    tries: Counter[str] = Counter()

    def answer(seen: Seen) -> bytes:
        tries[seen.target] += 1
        slow = tries[seen.target] < 5
        return refused("503 Slow Down", "SlowDown") if slow else good(b"hello")

    stub.answer = answer
    asked = [getter.begin(KEY._replace(path=f"/{number}")) for number in range(10)]
    assert {one.whole(10).data for one in asked} == {b"hello"}
    assert (stub.lines, len(stub.seen)) == (10, 50)


def test_in_the_end_it_is_given_up(stub: ObjectStub, getter: Getter) -> None:
    """A no has S3's name; no answer at all is a source that cannot be reached."""
    stub.answer = lambda _seen: refused("503 Slow Down", "SlowDown", "x-amz-request-id: R7")
    with pytest.raises(AwsError, match=r"reading k failed \(s3://b\): SlowDown \(503\)") as caught:
        getter.begin(KEY).whole(10)
    assert (caught.value.said, len(stub.seen)) == ("SlowDown", ATTEMPTS)
    assert "R7" in caught.value.hint
    stub.answer = lambda _seen: Reply(b"", ends=True)
    with pytest.raises(SourceError, match="6 times, at last: the line ended") as gone:
        getter.begin(KEY).whole(10)
    assert not isinstance(gone.value, AwsError)


def test_an_answer_that_always_breaks(stub: ObjectStub, getter: Getter) -> None:
    """Somebody answers, so it is about this object: the error says what came."""
    stub.answer = lambda _seen: CUT
    with pytest.raises(OSError, match="2 bytes to come"):
        getter.begin(KEY).whole(10)
    assert len(stub.seen) == ATTEMPTS


def test_silence_ends_a_try(stub: ObjectStub) -> None:
    """In the middle of a body; the seconds are a limit of the line."""
    getter = getter_of(stub.endpoint, Server(stub.endpoint, read_seconds=0.2))
    stub.replies = [Reply(good(b"hello")[:-2], stalls=True), good(b"hello")]
    assert getter.begin(KEY).whole(10).data == b"hello"
    assert len(stub.seen) == 2
    getter.close()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("301 Moved", "PermanentRedirect"),
        ("400 Bad Request", "AuthorizationHeaderMalformed"),
        ("403 Forbidden", "AccessDenied"),
        ("404 Not Found", "NoSuchKey"),
        ("412 Precondition Failed", "PreconditionFailed"),
    ],
)
def test_a_no_is_not_asked_for_again(
    stub: ObjectStub, getter: Getter, status: str, code: str
) -> None:
    """It has the name that S3 gave it, and the line is good for the next."""
    stub.replies = [refused(status, code), good(b"hello")]
    with pytest.raises(AwsError, match="it says") as caught:
        getter.begin(KEY).whole(10)
    assert (caught.value.said, len(stub.seen)) == (code, 1)
    assert getter.begin(KEY).whole(10).data == b"hello"
    assert stub.lines == 1


def test_a_server_is_checked_by_its_certificate(tmp_path: Path) -> None:
    """Also behind a proxy, which only passes on what it cannot read."""
    stub = ObjectStub()
    stub.tls, file = certificate(tmp_path)
    stub.answer = lambda _seen: good(b"hello")
    with running_objects(stub):
        direct = getter_of(stub.endpoint, Server(stub.endpoint, file))
        assert direct.begin(KEY).whole(10).data == b"hello"
        direct.close()
        proxy = stub.endpoint.replace("https://", "http://user:p%40ss@")
        behind = getter_of(stub.endpoint, Server(stub.endpoint, file, proxy))
        assert behind.begin(KEY).whole(10).data == b"hello"
        behind.close()
        connect, asked = stub.seen[-2:]
        assert connect.headers["proxy-authorization"] == "Basic dXNlcjpwQHNz"
        assert connect.target == stub.endpoint.removeprefix("https://")
        assert "proxy-authorization" not in asked.headers
        unknown = getter_of(stub.endpoint, Server(stub.endpoint))
        with pytest.raises(SourceError, match="CERTIFICATE_VERIFY_FAILED"):
            unknown.begin(KEY).whole(10)


def test_a_server_is_checked_by_its_name(tmp_path: Path) -> None:
    """A certificate that is trusted, but of somebody else, is not enough; nor behind a proxy."""
    stub = ObjectStub()
    stub.tls, file = certificate(tmp_path)
    with running_objects(stub):
        other = stub.endpoint.replace("127.0.0.1", "localhost")
        proxy = stub.endpoint.replace("https://", "http://")
        for server in (Server(other, file), Server(other, file, proxy)):
            with (
                closing(getter_of(other, server)) as getter,
                pytest.raises(SourceError, match="certificate is not valid for 'localhost'"),
            ):
                getter.begin(KEY).whole(10)
        assert {one.method for one in stub.seen} == {"CONNECT"}  # the proxy, and nobody else


def test_lines_of_tls_are_used_again(tmp_path: Path) -> None:
    """What TLS itself sends after a connection is made, such as tickets, is not for us."""
    stub = ObjectStub()
    stub.tls, file = certificate(tmp_path)
    stub.answer = lambda _seen: good(b"hello")
    with (
        running_objects(stub),
        closing(getter_of(stub.endpoint, Server(stub.endpoint, file))) as getter,
    ):
        assert [getter.begin(KEY).whole(10).data for _ in range(5)] == [b"hello"] * 5
    assert stub.lines == 1


def test_without_tls_a_proxy_is_told_the_whole_url(stub: ObjectStub) -> None:
    """And who we are to it, in a header that is not signed."""
    proxy = stub.endpoint.replace("http://", "http://user:pass@")
    getter = getter_of("http://s3.test:8000", Server("http://s3.test:8000/base/", "", proxy))
    stub.replies = [good(b"hello")]
    assert getter.begin(KEY).whole(10).data == b"hello"
    seen = stub.seen[-1]
    assert (seen.target, seen.headers["host"]) == ("http://s3.test:8000/base/b/k", "s3.test:8000")
    assert seen.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    assert "proxy" not in seen.headers["authorization"]
    getter.close()


def test_a_proxy_that_wants_tls_itself_is_refused() -> None:
    """With what to do."""
    with pytest.raises(UsageError, match="over https"):
        getter_of("https://s3.test", Server("https://s3.test", "", "https://proxy:1"))
