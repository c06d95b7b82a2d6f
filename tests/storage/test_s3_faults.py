"""What a store in a bucket makes of the answers, and the silence, of a server that is not well."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from strongroom.clock import ManualClock
from strongroom.errors import (
    ObjectExistsError,
    ObjectMissingError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    UnsupportedError,
)
from strongroom.storage.s3 import S3Store
from strongroom.storage.s3_client import Limits
from strongroom.storage.wrappers.retrying import RetryingStore
from tests.support.randomness import SeededRandomness
from tests.support.s3_stub import BUCKET, Fault, Kind, Stub, StubAccess, running_stub

pytestmark = pytest.mark.spec("B1", "D3")

QUICK = Limits(connect=1, answer=0.3, request=0.5)


@pytest.fixture(name="stub")
def _stub() -> Iterator[Stub]:
    with running_stub() as stub:
        yield stub


@pytest.fixture(name="access")
def _access(stub: Stub) -> StubAccess:
    return StubAccess(stub.endpoint)


@pytest.fixture(name="store")
def _store(access: StubAccess) -> S3Store:
    return S3Store(BUCKET, "p", access, ManualClock(), SeededRandomness(), limits=QUICK)


@pytest.fixture(name="patient")
def _patient(store: S3Store) -> RetryingStore:
    """The store as the program uses it; it waits in no time."""
    return RetryingStore(store, ManualClock(), SeededRandomness())


def test_a_conflict_with_nobody_is_tried_again(
    stub: Stub, store: S3Store, patient: RetryingStore
) -> None:
    """S3 answers 409 while another request for the key is under way: nothing is decided."""
    conflict = "ConditionalRequestConflict"
    stub.faults += [Fault(Kind.REFUSE, "PUT", status=409, code=conflict, times=2)]
    with pytest.raises(StoreUnavailableError, match=conflict):
        store.put("key", b"value")
    patient.put("key", b"value")
    assert store.get("key") == b"value"


def test_a_conflict_that_somebody_else_won(stub: Stub, store: S3Store) -> None:
    """The key is taken, whatever the number of the answer is."""
    store.put("key", b"theirs")
    stub.faults += [Fault(Kind.REFUSE, "PUT", status=409, code="ConditionalRequestConflict")]
    with pytest.raises(ObjectExistsError):
        store.put("key", b"ours")
    assert store.get("key") == b"theirs"


def test_the_same_bytes_of_somebody_else_are_not_ours(store: S3Store) -> None:
    """Exactly one of two puts succeeds, also where both put the same."""
    store.put("key", b"the same")
    with pytest.raises(ObjectExistsError):
        store.put("key", b"the same")


def test_a_put_that_a_proxy_sent_twice_succeeds(stub: Stub, store: S3Store) -> None:
    """It was stored by the first, and the 412 that comes back belongs to the second."""
    stub.faults += [Fault(Kind.FORGET, "PUT", status=412, code="PreconditionFailed")]
    store.put("key", b"value")
    assert store.get("key") == b"value"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.FORGET, "PUT", status=500),
        Fault(Kind.FORGET, "PUT", status=503, code="SlowDown"),
        Fault(Kind.SWALLOW, "PUT"),
        Fault(Kind.DAWDLE, "PUT", seconds=0.6),
    ],
    ids=["500", "slow-down", "no-answer", "late"],
)
def test_a_put_whose_answer_was_lost_counts(
    stub: Stub, store: S3Store, patient: RetryingStore, fault: Fault
) -> None:
    """The store says that it does not know; tried again, what is there is found to be ours."""
    fault.times = 1
    stub.faults += [fault]
    patient.put("key", b"value")
    puts = [path for method, path in stub.requests if method == "PUT"]
    assert len(puts) == 2
    assert store.get("key") == b"value"
    fault.times = 1
    with pytest.raises(StoreUnavailableError):
        store.put("other", b"value")
    with pytest.raises(ObjectExistsError):
        patient.put("other", b"of somebody else")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.REFUSE, "PUT", status=500),
        Fault(Kind.REFUSE, "PUT", status=503, code="SlowDown"),
        Fault(Kind.REFUSE, "PUT", status=429, code="TooManyRequests"),
        Fault(Kind.REFUSE, "PUT", status=400, code="RequestTimeout"),
        Fault(Kind.REFUSE, "PUT", status=400, code="BadDigest"),
        Fault(Kind.REFUSE, "PUT", status=409, code="OperationAborted"),
        Fault(Kind.VANISH, "PUT"),
    ],
    ids=lambda fault: f"{fault.kind.name}-{fault.status}-{fault.code}",
)
def test_what_may_go_well_the_next_time_is_tried_again(
    stub: Stub, patient: RetryingStore, fault: Fault
) -> None:
    """One request, one answer: nothing below the retrying store sends anything twice."""
    fault.times = 1
    stub.faults += [fault]
    patient.put("key", b"value")
    assert [method for method, _ in stub.requests] == ["PUT", "PUT"]


@pytest.mark.parametrize("kind", [Kind.CUT, Kind.VANISH, Kind.DAWDLE], ids=lambda kind: kind.name)
def test_a_value_that_does_not_come_is_asked_for_again(
    stub: Stub, store: S3Store, patient: RetryingStore, kind: Kind
) -> None:
    """Half a value is none, and silence ends after the time that was set."""
    store.put("key", b"0123456789")
    stub.faults += [Fault(kind, "GET", "key", times=2, seconds=0.6)]
    with pytest.raises(StoreUnavailableError):
        store.get("key")
    assert patient.get("key") == b"0123456789"


def test_a_range_of_a_wrong_length(stub: Stub, store: S3Store, patient: RetryingStore) -> None:
    """Fewer bytes than the range has are no range, whatever the length in the answer says."""
    store.put("key", b"0123456789")
    stub.faults += [Fault(Kind.SHORT, "GET", "key", times=2)]
    with pytest.raises(StoreUnavailableError, match="3 bytes came instead of 6"):
        store.get_range("key", 2, 6)
    assert patient.get_range("key", 2, 6) == b"234567"


def test_a_listing_that_breaks_off_goes_on(
    stub: Stub, store: S3Store, patient: RetryingStore
) -> None:
    """It raises, so that nobody takes a part for all; tried again, each key comes once."""
    stub.page = 3
    for number in range(8):
        store.put(f"k/{number}", b"")
    stub.faults += [Fault(Kind.CUT, "GET", f"/{BUCKET}", times=2)]
    with pytest.raises(StoreUnavailableError):
        list(store.list("k/"))
    assert [found.key for found in patient.list("k/")] == [f"k/{number}" for number in range(8)]


def test_a_listing_without_order_is_refused(stub: Stub, store: S3Store) -> None:
    """Some kinds of buckets list as they like, and a repository relies on the order."""
    stub.backwards = True
    for name in ("k/a", "k/b"):
        store.put(name, b"")
    with pytest.raises(StoreError, match="k/a comes after k/b"):
        list(store.list("k/"))


def test_what_others_put_there_is_passed_by(stub: Stub, store: S3Store) -> None:
    """A listing shows what can be ours, and says what it cannot even name."""
    store.put("k/ours", b"x")
    for name in ("p/k/Theirs", "p/k/a b", "p/k/", "p/k/.tmp-1", "p/k2", "q/k/x"):
        stub.objects[name] = b"", {}
    assert [found.key for found in store.list("k/")] == ["k/ours"]
    stub.objects["p/k//double"] = b"", {}
    with pytest.raises(StoreError, match="k//double") as caught:
        list(store.list("k/"))
    assert not isinstance(caught.value, StoreUnavailableError)


@pytest.mark.parametrize(
    ("status", "code", "error", "says"),
    [
        (403, "AccessDenied", StoreError, "s3:GetObject"),
        (403, "SignatureDoesNotMatch", StoreError, "renew them"),
        (403, "InvalidAccessKeyId", StoreError, "renew them"),
        (400, "ExpiredToken", StoreError, "renew them"),
        (403, "RequestTimeTooSkewed", StoreError, "Set the clock"),
        (403, "InvalidObjectState", StoreError, "restore-object"),
        (404, "NoSuchBucket", StoreError, "strongroom makes no bucket"),
        (400, "AuthorizationHeaderMalformed", StoreError, "another region"),
        (301, "PermanentRedirect", StoreError, "another region"),
        (501, "NotImplemented", UnsupportedError, "store validate"),
        (507, "Whatever", StoreFullError, "Make room"),
        (403, "QuotaExceeded", StoreFullError, "Make room"),
    ],
)
def test_a_no_says_what_to_do(
    stub: Stub, store: S3Store, status: int, code: str, error: type[Exception], says: str
) -> None:
    """Reading, storing, listing and deleting end with the same meaning, and none is repeated."""
    stub.faults += [
        Fault(Kind.REFUSE, method, status=status, code=code, times=9)
        for method in ("GET", "PUT", "DELETE")
    ]
    for act in (
        lambda: store.get("key"),
        lambda: store.get_range("key", 0, 1),
        lambda: store.put("key", b"value"),
        lambda: store.delete("key"),
        lambda: list(store.list("")),
    ):
        with pytest.raises(error) as caught:
            act()
        assert type(caught.value) is error
        assert says in getattr(caught.value, "hint", "")
        assert f"s3://{BUCKET}/p" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert len(stub.requests) == 5


def test_nobody_listens(access: StubAccess) -> None:
    """What the system says of it is told, without the name of any library."""
    access.endpoint = "http://127.0.0.1:1"
    store = S3Store(BUCKET, "", access, ManualClock(), SeededRandomness(), limits=QUICK)
    with pytest.raises(StoreUnavailableError, match=r"s3://stub/key: Connection refused") as caught:
        store.get("key")
    assert "endpoint" in caught.value.hint


def test_keys_are_renewed_while_it_is_open(stub: Stub, store: S3Store, access: StubAccess) -> None:
    """Requests are signed with the key that counts now; where none can be had, that is said."""
    store.put("key", b"value")
    access.key = "second"
    store.get("key")
    assert stub.keys == ["first", "second"]
    access.failure = StoreError("the session of the single sign-on has ended", hint="Log in.")
    with pytest.raises(StoreError, match="single sign-on has ended") as caught:
        store.get("key")
    assert caught.value.hint == "Log in."
    access.failure = None
    assert store.get("key") == b"value"


def test_variables_for_others_change_nothing(
    stub: Stub, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library below reads variables of its own, which would lead elsewhere."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_ENDPOINT": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "of-the-environment",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_BUCKET": "another",
    }.items():
        monkeypatch.setenv(name, value)
    store.put("key", b"value")
    assert stub.keys == ["first"]
    assert list(stub.objects) == ["p/key"]


def test_a_missing_object_is_no_missing_bucket(store: S3Store) -> None:
    """Both are 404."""
    with pytest.raises(ObjectMissingError, match=r"no object s3://stub/p/key"):
        store.get("key")


def test_a_connection_is_not_handed_to_another_process(store: S3Store) -> None:
    """It holds secrets, and would hang after a fork: both are refused before anything happens."""
    with pytest.raises(TypeError, match="secrets"):
        pickle.dumps(store)
    store._clients._process += 1
    with pytest.raises(StoreError, match="fork"):
        store.get("key")
