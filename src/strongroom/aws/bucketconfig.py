"""How a bucket is set up, as one JSON document."""

from __future__ import annotations

import json
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
    for name, request, part in _ASKED:
        try:
            with refusals(f"reading {name} of {bucket}", str(bucket.clients.account)):
                answer = dict(getattr(bucket.client, request)(Bucket=bucket.name))
        except AwsError as error:
            if error.said in _DENIED:
                denied.append(name)
            elif not _is_unset(error.said):
                raise
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


def _is_unset(said: str) -> bool:
    return said.startswith("NoSuch") or "NotFound" in said or said in _NOT_THERE
