"""A store as it was at a moment, read from the versions of its bucket.

Of each key what counts is the newest version that is not younger than the moment; a delete marker
means that the key was not there. What such a view shows never changes, so what was listed once is
not asked for again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, NoReturn

from strongroom.aws.errors import code_of, store_refusals
from strongroom.aws.versions import BucketVersions, Version
from strongroom.clock import as_utc
from strongroom.errors import (
    ObjectMissingError,
    RangeError,
    RefusedError,
    StoreError,
    StoreUnavailableError,
)
from strongroom.model.fs import Buffer
from strongroom.model.store import ObjectInfo, checked_key

_GONE: Final = frozenset({"NoSuchVersion", "NoSuchKey", "404", "MethodNotAllowed"})
_ARCHIVED: Final = "InvalidObjectState"
_FEW: Final = 4000


class AsOfStore:
    """A ``Store`` that is only read; safe in any number of threads."""

    def __init__(self, versions: BucketVersions, moment_ns: int, *, few: int = _FEW) -> None:
        """Take the moment as nanoseconds since 1970; nothing is asked of anybody yet.

        ``few``: how many keys of a top folder are listed for the sake of one, before only the
        folder is listed that the one is in.
        """
        self._versions = versions
        self._few = few
        self._moment_ns = moment_ns
        self._known: dict[str, Version] = {}
        self._whole: set[str] = set()  # prefixes of which everything is known
        self._large: set[str] = set()
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    @property
    def url(self) -> str:
        """See ``Store``."""
        return self._versions.url

    @property
    def moment(self) -> str:
        """The moment, in UTC, as people write it."""
        return as_utc(self._moment_ns).isoformat(timespec="seconds").replace("+00:00", "Z")

    def listings(self) -> int:
        """How many requests were made besides those that ask for a value."""
        return self._versions.requests

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
        if not self._is_whole(prefix):
            yield from self._listed(prefix)
            return
        with self._lock:
            found = [one for key, one in self._known.items() if key.startswith(prefix)]
        for one in sorted(found):
            yield _info(one)

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

    # -- which version

    def _there(self, key: str) -> Version:
        checked_key(key)
        found = self._looked_up(key)
        if found is None:
            raise ObjectMissingError(f"no object {self.url}/{key} at {self.moment}")
        return found

    def _looked_up(self, key: str) -> Version | None:
        """Find a key by listing what lies beside it: one request serves many that follow.

        All of a top folder, if that is few; else the folder that the key is in.
        """
        folder, slash, _ = key.rpartition("/")
        if not slash:
            self._load(key)
        else:
            top = key.partition("/")[0] + "/"
            self._load(top, None if top == folder + "/" else self._few)
            if top in self._large:
                self._load(folder + "/")
        with self._lock:
            return self._known.get(key)

    def _load(self, prefix: str, most: int | None = None) -> None:
        """List what begins with ``prefix``, once, by whichever thread is first."""
        with self._lock:
            if prefix in self._large:
                return
            lock = self._locks.setdefault(prefix, threading.Lock())
        with lock:
            if self._is_whole(prefix) or prefix in self._large:
                return
            count = sum(1 for _ in islice(self._listed(prefix), most))
            if most is not None and count == most:
                with self._lock:
                    self._large.add(prefix)

    def _is_whole(self, prefix: str) -> bool:
        with self._lock:
            ends = (end for end in range(len(prefix)) if prefix[end] == "/")
            above = [prefix[: end + 1] for end in ends]
            return any(one in self._whole for one in ("", prefix, *above))

    def _listed(self, prefix: str) -> Iterator[ObjectInfo]:
        """List, and know what was listed from now on."""
        for history in self._versions.histories(prefix):
            found = history.at(self._moment_ns)
            if found is None or found.deleted:
                continue
            with self._lock:
                self._known[found.key] = found
            yield _info(found)
        with self._lock:
            self._whole.add(prefix)

    # -- its bytes

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
                if code_of(error) in _GONE:
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


def _info(version: Version) -> ObjectInfo:
    return ObjectInfo(version.key, version.size, version.stored_ns)
