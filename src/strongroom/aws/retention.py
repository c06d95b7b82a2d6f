"""How long single versions of objects cannot be removed (``GetObjectRetention`` and its pair)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from strongroom.aws.errors import VERSION_GONE, code_of, store_refusals
from strongroom.aws.versions import BucketVersions, Version
from strongroom.clock import as_utc
from strongroom.errors import ObjectMissingError

GOVERNANCE: Final = "GOVERNANCE"
COMPLIANCE: Final = "COMPLIANCE"
_NONE: Final = frozenset({"NoSuchObjectLockConfiguration", "ObjectLockConfigurationNotFoundError"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Retention(NamedTuple):
    """Until when a version stays, nanoseconds since 1970; ``mode``: whether anybody may end it."""

    mode: str
    until_ns: int


class Retentions:
    """The retention of single versions in a bucket; several threads may use it.

    Errors are those of a store; ``ObjectMissingError`` for a version that is gone.
    """

    def __init__(self, versions: BucketVersions) -> None:
        """Ask nobody yet."""
        self._versions = versions

    def of(self, version: Version) -> Retention | None:
        """Return what holds a version; None if nothing does."""
        versions = self._versions
        about = f"asking for the retention of {versions.url}/{version.key}"
        with store_refusals(about, versions.account):
            client = versions.client()
            versions.count()
            try:
                found = client.get_object_retention(
                    **versions.named(version.key), VersionId=version.id
                )["Retention"]
            except client.exceptions.ClientError as error:
                if code_of(error) in VERSION_GONE:
                    raise _gone(versions, version) from error
                if code_of(error) not in _NONE:
                    raise
                return None
        until = found["RetainUntilDate"] - _EPOCH
        return Retention(str(found["Mode"]), until // timedelta(microseconds=1) * 1000)

    def extend(self, version: Version, retention: Retention) -> None:
        """Let nobody remove a version until then; never by passing by the one that there is."""
        versions = self._versions
        about = f"extending the retention of {versions.url}/{version.key}"
        with store_refusals(about, versions.account):
            client = versions.client()
            versions.count()
            try:
                client.put_object_retention(
                    **versions.named(version.key),
                    VersionId=version.id,
                    Retention={
                        "Mode": retention.mode,
                        "RetainUntilDate": as_utc(retention.until_ns),
                    },
                )
            except client.exceptions.ClientError as error:
                if code_of(error) in VERSION_GONE:
                    raise _gone(versions, version) from error
                raise


def _gone(versions: BucketVersions, version: Version) -> ObjectMissingError:
    return ObjectMissingError(f"no object {versions.url}/{version.key} in version {version.id}")
