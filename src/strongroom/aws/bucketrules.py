"""What a bucket does with what is deleted in it: keeps versions, locks them, ends them one day.

See "Object Lock" and "Lifecycle configuration elements" in the Amazon S3 User Guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from strongroom.aws.errors import code_of, store_refusals
from strongroom.aws.versions import BucketVersions

DAY_NS: Final = 86_400 * 1_000_000_000
_DAYS_OF_A_YEAR: Final = 365
_NO_LOCK: Final = frozenset({"ObjectLockConfigurationNotFoundError", "InvalidRequest"})
_NO_RULES: Final = frozenset({"NoSuchLifecycleConfiguration"})


@dataclass(frozen=True, slots=True)
class DefaultRetention:
    """For how long everything is locked that is put; ``mode`` is GOVERNANCE or COMPLIANCE."""

    mode: str
    span_ns: int


@dataclass(frozen=True, slots=True)
class Lock:
    """Whether versions can be locked, and the default where there is one."""

    possible: bool
    default: DefaultRetention | None = None


def lock_of(versions: BucketVersions) -> Lock:
    """Ask whether the bucket has Object Lock; ``StoreError``."""
    with store_refusals(f"asking whether s3://{versions.bucket} locks", versions.account):
        client = versions.client()
        try:
            found = client.get_object_lock_configuration(Bucket=versions.bucket)
        except client.exceptions.ClientError as error:
            if code_of(error) not in _NO_LOCK:
                raise
            return Lock(possible=False)
        finally:
            versions.count()
    stated = found.get("ObjectLockConfiguration", {})
    rule = stated.get("Rule", {}).get("DefaultRetention", {})
    days = rule.get("Days") or rule.get("Years", 0) * _DAYS_OF_A_YEAR
    default = DefaultRetention(str(rule["Mode"]), days * DAY_NS) if days else None
    return Lock(possible=stated.get("ObjectLockEnabled") == "Enabled", default=default)


def noncurrent_days(versions: BucketVersions, key: str) -> int | None:
    """Ask after how many days the lifecycle removes the version that ``key`` had.

    None: no rule does. A rule that is only of some tags or sizes, or that keeps newer versions,
    does not count: our objects have one version each, which it would keep. ``StoreError``.
    """
    with store_refusals(f"asking for the lifecycle of s3://{versions.bucket}", versions.account):
        client = versions.client()
        try:
            found = client.get_bucket_lifecycle_configuration(Bucket=versions.bucket)
        except client.exceptions.ClientError as error:
            if code_of(error) not in _NO_RULES:
                raise
            return None
        finally:
            versions.count()
    return fewest_days(found.get("Rules", ()), versions.named(key)["Key"])


def fewest_days(rules: Sequence[Mapping[str, Any]], key: str) -> int | None:
    """Return after how many days the first of these rules removes a version of a key. Pure."""
    found = []
    for rule in rules:
        expiry = rule.get("NoncurrentVersionExpiration", {})
        scope = rule.get("Filter", {})
        within = scope.get("And", scope)
        narrow = any(name not in {"Prefix", "And"} for name in within)
        prefix = within.get("Prefix", rule.get("Prefix", ""))
        days = expiry.get("NoncurrentDays")
        counts = rule.get("Status") == "Enabled" and not expiry.get("NewerNoncurrentVersions")
        if days and counts and not narrow and key.startswith(prefix):
            found.append(int(days))
    return min(found, default=None)
