"""The versions of a bucket that keeps them: of each key what it was, and when.

``ListObjectVersions`` of the S3 API reference. Times are those of the bucket, in whole seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple

from strongroom.aws import buckets
from strongroom.aws.bucket import Bucket
from strongroom.aws.clients import Clients
from strongroom.aws.errors import store_refusals
from strongroom.aws.listing import Pager
from strongroom.aws.listxml import Listed
from strongroom.clock import Clock
from strongroom.errors import StoreError
from strongroom.model.store import checked_key

NULL: Final = "null"  # how S3 calls what was put while no versions were kept
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Version(NamedTuple):
    """What a key was from a moment on: an object of ``size`` bytes, or ``deleted``.

    ``stored_ns``: nanoseconds since 1970, by the bucket's clock. ``latest``: it still is.
    ``etag``: the text of the listing, which is the same for the same bytes unless KMS encrypts.
    """

    key: str
    id: str
    size: int
    stored_ns: int
    deleted: bool
    latest: bool = False
    etag: str = ""


class History(NamedTuple):
    """All versions of one key, the newest first."""

    key: str
    versions: Sequence[Version]

    def at(self, moment_ns: int) -> Version | None:
        """Return what the key was at a moment; None if it was not there yet."""
        return next((one for one in self.versions if one.stored_ns <= moment_ns), None)


class BucketVersions:
    """The versions of everything below a prefix; several threads may use it.

    Errors are those of a store. ``requests`` counts those that were answered.
    """

    def __init__(self, clients: Clients, name: str, prefix: str, clock: Clock) -> None:
        """Take where they are; nothing is asked of anybody yet."""
        self._clients = clients
        self._near = Bucket(clients, name)
        self._prefix = f"{prefix}/" if prefix else ""
        self._clock = clock
        self._name = name
        self._where = str(clients.account)
        self._lock = threading.Lock()
        self.requests = 0

    @property
    def url(self) -> str:
        """Where they are, for people."""
        return f"s3://{self._name}/{self._prefix}".rstrip("/")

    @property
    def bucket(self) -> str:
        """The name of the bucket."""
        return self._name

    @property
    def account(self) -> str:
        """Who asks, for people."""
        return self._where

    def client(self) -> Any:  # noqa: ANN401 - boto3 makes its types when it runs
        """Return a client of S3 for the bucket's region."""
        return self._clients.client("s3", self._near.region())

    def named(self, key: str) -> dict[str, str]:
        """Return what a request says about a key."""
        return {"Bucket": self._name, "Key": self._prefix + key}

    def count(self, requests: int = 1) -> None:
        """Add requests that were answered to what ``requests`` says."""
        with self._lock:
            self.requests += requests

    def are_kept(self) -> bool:
        """Ask whether the bucket keeps versions, or once did."""
        with store_refusals(f"asking whether s3://{self._name} keeps versions", self._where):
            found = self.client().get_bucket_versioning(Bucket=self._name)
            self.count()
        return bool(found.get("Status"))

    def histories(self, prefix: str) -> Iterator[History]:
        """Yield every key that begins with ``prefix``, in order; those that are not ours are not.

        An object of somebody else's may be among them, if a store could hold its key.
        """
        for name, versions in groupby(self._versions(prefix), key=lambda one: one.key):
            if _is_key(name):
                yield History(name, newest_first(versions))

    def _versions(self, prefix: str) -> Iterator[Version]:
        begin = (self._prefix + prefix).encode()
        where = f"listing the versions of {self.url}/{prefix}"
        with store_refusals(where, self._where):
            region = self._near.region()
            place = buckets.Bucket(self._clients, self._name, region, versioning="")
            pager = Pager(place, self._clock)
            pages = pager.versions(begin)
        while True:
            before = pager.pages
            with store_refusals(where, self._where):
                page = next(pages, None)
            self.count(pager.pages - before)
            if page is None:
                return
            for one in page:
                yield _version(one, len(self._prefix))


def _version(one: Listed, skip: int) -> Version:
    try:
        stored = datetime.fromisoformat(one.modified) - _EPOCH
    except (ValueError, TypeError) as error:
        raise StoreError(f"a version without a time was listed: {one.modified!r}") from error
    return Version(
        one.key[skip:].decode("utf-8", "surrogateescape"),
        one.version or NULL,
        one.size,
        stored // timedelta(microseconds=1) * 1000,
        one.deleted,
        one.latest,
        one.etag,
    )


def newest_first(versions: Iterable[Version]) -> list[Version]:
    """Sort what is listed of one key; pure.

    S3 lists the newest first, and that decides within a second. Other servers list delete markers
    after all versions: of these it is known only whether one is the latest.
    """
    return sorted(versions, key=lambda one: (-one.stored_ns, not one.latest))


def _is_key(name: str) -> bool:
    try:
        checked_key(name)
    except ValueError:
        return False
    return True
