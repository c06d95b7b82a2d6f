"""A request is signed as botocore signs it, whatever the key is called."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest

from strongroom.aws.signing import Signer, quoted
from strongroom.errors import SourceError
from tests.support.aws import KEY, REGION, SECRET
from tests.support.buckets import ODD_KEYS


class Key(NamedTuple):
    """As botocore has it."""

    access_key: str = KEY
    secret_key: str = SECRET
    token: str | None = None


def by_botocore(path: str, query: str, headers: dict[str, str], key: Key) -> tuple[Any, int]:
    """Return the headers that botocore makes, and when it was."""
    url = f"https://s3.{REGION}.amazonaws.com{path}{'?' if query else ''}{query}"
    request = AWSRequest(method="GET", url=url, headers=dict(headers))
    S3SigV4Auth(key, "s3", REGION).add_auth(request)
    made = datetime.fromisoformat(request.headers["X-Amz-Date"])
    return request.headers, int(made.timestamp()) * 1_000_000_000


@pytest.mark.parametrize("key", ODD_KEYS)
@pytest.mark.parametrize(
    ("query", "headers", "token"),
    [
        ("", {}, None),
        ("tagging=", {}, "a/passing+token=="),
        ("tagging=&versionId=3%2FL4kqtJ%2Bl", {"if-match": '"0-7"', "range": "bytes=7-"}, None),
        ("versionId=null", {"x-amz-checksum-mode": "ENABLED"}, None),
    ],
)
def test_as_botocore_does(key: str, query: str, headers: dict[str, str], token: str | None) -> None:
    """Its signature is the judge: AWS takes it."""
    path = f"/bucket/{quoted(key.encode())}"
    who = Key(token=token)
    right, now_ns = by_botocore(path, query, headers, who)
    signer = Signer(REGION)
    host = {"host": f"s3.{REGION}.amazonaws.com"}
    for _ in range(2):  # the second with what the first found out about the day
        found = signer.signed("GET", path, query, {**host, **headers}, who, now_ns)
        assert found["Authorization"] == right["Authorization"]
        assert found["x-amz-date"] == right["X-Amz-Date"]
        assert found.get("x-amz-security-token") == token


def test_another_day_and_another_key_are_signed_anew() -> None:
    """What is remembered of a day is of that day and of that key."""
    signer = Signer(REGION)
    day = 86_400 * 1_000_000_000
    made = [
        signer.signed("GET", "/b/k", "", {"host": "h"}, key, now)["Authorization"]
        for key, now in [(Key(), 0), (Key(), day), (Key(secret_key="x"), day), (Key(), 0)]
    ]
    assert made[0] == made[3]
    assert len(set(made)) == 3
    assert "19700102/" in made[1]


def test_nobody_signs_nothing() -> None:
    """A bucket that anybody may read is asked without a name."""
    found = Signer(REGION).signed("GET", "/b/k", "", {"host": "h"}, None, 0)
    assert found.keys() == {"host", "x-amz-content-sha256"}


def test_what_would_be_another_header_is_not_sent() -> None:
    """An ETag or a token with the end of a line in it."""
    headers = {"host": "h", "if-match": '"a"\r\nx-amz-acl: public-read'}
    with pytest.raises(SourceError, match="if-match cannot be sent"):
        Signer(REGION).signed("GET", "/b/k", "", headers, Key(), 0)
