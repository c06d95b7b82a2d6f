"""A store as it was at a moment, read from the versions of its bucket.

Of each key what counts is the newest version that is not younger than the moment; a delete marker
means that the key was not there. What such a view shows never changes, so what was listed once is
not asked for again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NoReturn

from strongroom.aws.catalog import FEW, Catalog
from strongroom.aws.errors import VERSION_GONE, code_of, store_refusals
from strongroom.aws.versions import BucketVersions, History, Version
from strongroom.clock import utc_seconds
from strongroom.errors import (
    ObjectMissingError,
    RangeError,
    RefusedError,
    StoreError,
    StoreUnavailableError,
)
from strongroom.model.fs import Buffer
from strongroom.model.store import ObjectInfo, checked_key

_ARCHIVED: Final = "InvalidObjectState"


class AsOfStore:
    """A ``Store`` that is only read; safe in any number of threads."""

    def __init__(self, versions: BucketVersions, moment_ns: int, *, few: int = FEW) -> None:
        """Take the moment as nanoseconds since 1970; nothing is asked of anybody yet.

        ``few``: see ``Catalog``.
        """
        self._versions = versions
        self._moment_ns = moment_ns
        self._catalog = Catalog(versions, self._then, few=few)

    @property
    def url(self) -> str:
        """See ``Store``."""
        return self._versions.url

    @property
    def moment(self) -> str:
        """The moment, in UTC, as people write it."""
        return utc_seconds(self._moment_ns)

    def listings(self) -> int:
        """How many requests were made besides those that ask for a value."""
        return self._versions.requests

    def version(self, key: str) -> Version | None:
        """Return the version of a key that is meant; None if it was not there. ``StoreError``."""
        return self._catalog.find(checked_key(key))

    def get(self, key: str) -> bytes:
        """See ``Store``."""
        version = self._there(key)
        return self._read(version, 0, version.size)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """See ``Store``."""
        if offset < 0 or length < 0:
            raise ValueError(f"not a range: {length} bytes from {offset}")
        version = self._there(key)
        if offset + length > version.size:
            raise RangeError(
                f"object {self.url}/{key} had {version.size} bytes: "
                f"{length} bytes from {offset} are not all there"
            )
        return self._read(version, offset, length) if length else b""

    def size(self, key: str) -> int:
        """See ``Store``."""
        return self._there(key).size

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``."""
        return (ObjectInfo(one.key, one.size, one.stored_ns) for one in self._catalog.list(prefix))

    def put(self, key: str, value: Buffer) -> NoReturn:
        """Raise ``RefusedError``."""
        del value
        raise self._refusal("store", key)

    def delete(self, key: str) -> NoReturn:
        """Raise ``RefusedError``."""
        raise self._refusal("delete", key)

    def time_ns(self) -> int:
        """Return the moment: nothing that is seen is younger."""
        return self._moment_ns

    def sync(self, prefixes: Sequence[str]) -> None:
        """Do nothing: what is seen is durable."""

    def _refusal(self, doing: str, key: str) -> RefusedError:
        return RefusedError(
            f"cannot {doing} {self.url}/{key}: this is the repository as it was at {self.moment}, "
            "which is only read",
            hint="Copy it into a new repository to go on with it: strongroom copy --as-of "
            f"{self.moment} --to NEW. A restore that saves first what it changes takes "
            "--no-pre-backup.",
        )

    def _there(self, key: str) -> Version:
        found = self.version(key)
        if found is None:
            raise ObjectMissingError(f"no object {self.url}/{key} at {self.moment}")
        return found

    def _then(self, history: History) -> Version | None:
        found = history.at(self._moment_ns)
        return None if found is None or found.deleted else found

    def _read(self, version: Version, offset: int, length: int) -> bytes:
        """Read a part of a version, which has so many bytes."""
        about = f"reading {self.url}/{version.key} as of {self.moment}"
        versions = self._versions
        named = {**versions.named(version.key), "VersionId": version.id}
        if length != version.size:
            named["Range"] = f"bytes={offset}-{offset + length - 1}"
        with store_refusals(about, versions.account):
            client = versions.client()
            try:
                data = bytes(client.get_object(**named)["Body"].read())
            except client.exceptions.ClientError as error:
                if code_of(error) in VERSION_GONE:
                    raise ObjectMissingError(
                        f"the version of {self.url}/{version.key} that was there at "
                        f"{self.moment} is gone"
                    ) from error
                if code_of(error) == _ARCHIVED:
                    raise StoreError(
                        f"{about} failed: it was moved into an archive class, from where it must "
                        "be restored first",
                        hint="Restore the versions (aws s3api restore-object --version-id), wait, "
                        "and run this again.",
                    ) from error
                raise
        if len(data) != length:
            raise StoreUnavailableError(f"{about}: {len(data)} bytes came instead of {length}")
        return data
