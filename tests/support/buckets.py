"""Buckets with odd keys, and what is in a bucket."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from tests.support.aws import REGION

Client = Any  # boto3 makes its types when it runs

ODD_KEYS: Final = (
    "a",
    "a/",
    "a/b",
    "a//b",
    "a-b",
    "a%d",
    "a/../b",
    "a/./b",
    "..",
    "../x",
    "./x",
    "x/.",
    "z/",
    "z//",
    "z///",
    "%",
    "%25",
    "+ +",
    "ctrl\x01\x1f\x7f",
    "tab\there",
    "\u00fc",  # one letter, and the same letter of two
    "u\u0308",
    "\u65e5\u672c/\u8a9e",
    "\U0001f5c4",
    "semi;colon&amp?x=#f<>'\"",
    "k" * 1024,
    "%" * 300,
)


class Held(NamedTuple):
    """An object as a reader sees it."""

    data: bytes
    headers: tuple[str, ...]
    metadata: dict[str, str]
    tags: list[tuple[str, str]]


def make_bucket(client: Client, name: str, *, versioned: bool = False) -> None:
    """Make a bucket."""
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if versioned:
        status = {"Status": "Enabled"}
        client.put_bucket_versioning(Bucket=name, VersioningConfiguration=status)


def fill(client: Client, bucket: str, keys: Sequence[str], seed: int = 1) -> None:
    """Put an object for each key, with headers, metadata and tags that differ."""
    dice = random.Random(seed)
    things = [(key, dice.randbytes(dice.randrange(200)), number) for number, key in enumerate(keys)]

    def put(thing: tuple[str, bytes, int]) -> None:
        key, data, number = thing
        client.put_object(
            Bucket=bucket,
            Key=key,
            Body=data,
            ContentType=("text/plain", "image/png", "application/x-odd")[number % 3],
            CacheControl=f"max-age={number}",
            ContentDisposition=f'attachment; filename="{number}"',
            Metadata={"number": str(number), "note": "a b"},
            Tagging="" if number % 2 else f"kind=k{number}&blank=a%20b%2B",
        )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, things))


def held(client: Client, bucket: str) -> dict[str, Held]:
    """Return everything in a bucket."""
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for one in page.get("Contents", ()):
            key = one["Key"]
            answer = client.get_object(Bucket=bucket, Key=key)
            tags = client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
            found[key] = Held(
                answer["Body"].read(),
                tuple(
                    str(answer.get(name))
                    for name in ("ContentType", "CacheControl", "ContentDisposition")
                ),
                answer["Metadata"],
                sorted((tag["Key"], tag["Value"]) for tag in tags),
            )
    return found
