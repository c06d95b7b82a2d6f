"""What a store in a bucket learns of AWS: a key, a region, and what time it is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from strongroom.aws.bucket import Bucket
from strongroom.aws.clients import Clients
from strongroom.clock import SystemClock
from strongroom.errors import StoreError, StoreUnavailableError
from tests.support.aws import KEY, REGION, SECRET, AwsServer
from tests.support.s3 import new_bucket

pytestmark = pytest.mark.spec("B1", "D3")


def bucket_of(server: AwsServer, name: str, **changes: str) -> Bucket:
    """Return a bucket by name; ``changes``: what the account says otherwise."""
    return Bucket(Clients(replace(server.account, **changes)), name)


def test_the_region_that_was_named_counts(aws: AwsServer) -> None:
    """Nobody is asked."""
    assert bucket_of(aws, "nowhere", region="eu-central-1").region() == "eu-central-1"


def test_a_region_that_nobody_named_is_found(
    aws: AwsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket says where it is."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    assert bucket_of(aws, new_bucket(aws), region="").region() == REGION


def test_the_time_is_that_of_the_server(aws: AwsServer) -> None:
    """Whole seconds, and here both are one machine's."""
    before = SystemClock().now_ns()
    there = bucket_of(aws, new_bucket(aws)).time_ns()
    assert there % 1_000_000_000 == 0
    assert before - 1_000_000_000 <= there <= SystemClock().now_ns()


def test_a_key_is_had_and_not_shown(aws: AwsServer) -> None:
    """That of the profile or the variables, or a passing one of the role."""
    key = bucket_of(aws, "any").credential()
    assert key[:] == (KEY, SECRET, None)
    assert SECRET not in repr(key)
    role = "arn:aws:iam::123456789012:role/backup"
    passing = bucket_of(aws, "any", role=role).credential()
    assert passing.access_key != KEY
    assert passing.token


def test_nobody_gave_a_key(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 13, and where keys come from."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StoreError, match="no credentials for s3://any") as caught:
        bucket_of(aws, "any").credential()
    assert caught.value.code == 13
    assert "profile" in caught.value.hint


def test_no_bucket_and_no_server(aws: AwsServer) -> None:
    """The one is final, the other may be different later."""
    with pytest.raises(StoreError) as caught:
        bucket_of(aws, "nowhere-at-all").time_ns()
    assert type(caught.value) is StoreError
    with pytest.raises(StoreUnavailableError):
        bucket_of(aws, "any", endpoint="http://127.0.0.1:1").time_ns()
