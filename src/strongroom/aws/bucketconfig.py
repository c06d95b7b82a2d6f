"""How a bucket is set up, as one JSON document."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple

from strongroom.aws.buckets import Bucket
from strongroom.aws.errors import AwsError, refusals

# what it is called in the document, the request, and what of the answer counts (all if empty)
_ASKED: Final = (
    ("versioning", "get_bucket_versioning", ""),
    ("encryption", "get_bucket_encryption", "ServerSideEncryptionConfiguration"),
    ("lifecycle", "get_bucket_lifecycle_configuration", "Rules"),
    ("policy", "get_bucket_policy", "Policy"),
    ("public_access_block", "get_public_access_block", "PublicAccessBlockConfiguration"),
    ("ownership", "get_bucket_ownership_controls", "OwnershipControls"),
    ("cors", "get_bucket_cors", "CORSRules"),
    ("tagging", "get_bucket_tagging", "TagSet"),
    ("website", "get_bucket_website", ""),
    ("notification", "get_bucket_notification_configuration", ""),
    ("replication", "get_bucket_replication", "ReplicationConfiguration"),
    ("object_lock", "get_object_lock_configuration", "ObjectLockConfiguration"),
    ("logging", "get_bucket_logging", "LoggingEnabled"),
)
NOT_CAPTURED: Final = (
    "access control lists of the bucket and of objects",
    "versions of objects that are not the latest, and delete markers",
    "annotations of objects",
    "inventory, metrics, analytics and intelligent tiering configurations",
    "access points, and tags or locks that changed while the object did not",
)
_AT_ONCE: Final = 4
_NOT_THERE: Final = frozenset(
    {"NotImplemented", "MethodNotAllowed", "UnsupportedOperation", "InvalidBucketState"}
)
_DENIED: Final = frozenset({"AccessDenied", "403", "AllAccessDisabled"})


class Configuration(NamedTuple):
    """The document, and what of it we may not read."""

    document: bytes
    denied: tuple[str, ...]


def read_configuration(bucket: Bucket) -> Configuration:
    """Ask for all of it; ``SourceError`` if nobody answers."""
    found: dict[str, Any] = {}
    denied: list[str] = []
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="configuration") as threads:
        answers = list(threads.map(lambda one: _answer(bucket, *one[:2]), _ASKED))
    for (name, _, part), answer in zip(_ASKED, answers, strict=True):
        if answer is None:
            denied.append(name)
            continue
        answer.pop("ResponseMetadata", None)
        value = answer.get(part) if part else answer
        if name == "policy" and isinstance(value, str):
            value = json.loads(value)
        if value:
            found[name] = value
    document = {
        "bucket": bucket.name,
        "region": bucket.region,
        "configuration": found,
        "denied": denied,
        "not_captured": list(NOT_CAPTURED),
    }
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    return Configuration(text.encode() + b"\n", tuple(denied))


def _answer(bucket: Bucket, name: str, request: str) -> dict[str, Any] | None:
    """Return what S3 says, nothing where nothing is set; None if we may not know."""
    try:
        with refusals(f"reading {name} of {bucket}", bucket.clients.account):
            return dict(getattr(bucket.client, request)(Bucket=bucket.name))
    except AwsError as error:
        if error.said in _DENIED:
            return None
        if _is_unset(error.said):
            return {}
        raise


def _is_unset(said: str) -> bool:
    return said.startswith("NoSuch") or "NotFound" in said or said in _NOT_THERE
