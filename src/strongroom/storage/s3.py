"""A store in a bucket of S3, or of a server that speaks like it.

What is asked of S3 beyond the oldest of it is a conditional PUT (``If-None-Match: *``), and that a
listing shows what was put before, as AWS's does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from strongroom.clock import Clock
from strongroom.errors import (
    ObjectExistsError,
    ObjectMissingError,
    RangeError,
    StoreError,
    StoreUnavailableError,
)
from strongroom.model.fs import Buffer
from strongroom.model.randomness import Randomness
from strongroom.model.store import ObjectInfo
from strongroom.storage.arguments import check_range, flat, listing_prefix, object_key
from strongroom.storage.s3_client import PATIENT, Access, Clients, Limits
from strongroom.storage.s3_errors import (
    AGAIN_CODES,
    CONFLICTS,
    MISSING,
    UNSATISFIABLE,
    answer_of,
    is_answer,
    meaning,
)

if TYPE_CHECKING:
    from obstore import ObjectMeta

_MARK: Final = "strongroom-put"  # user metadata: which put made the object
_MARK_BYTES: Final = 16
_LARGEST: Final = 5 << 40  # of any object in S3
_PAGE: Final = 1000
_SECOND: Final = 1_000_000_000


class S3Store:
    """Each object is one of the bucket, below a prefix, put by one conditional PUT.

    Safe in any number of threads of one process; another process makes its own. Times are whole
    seconds, those of the bucket's server. What was put is durable when the put returns, its name
    as well, so ``sync`` has nothing to do.

    No answer of "exists already" is believed: each put marks its object, and a look at the mark
    tells an object of somebody else's from our own, which a proxy may have sent twice. A put
    without an answer is a ``StoreUnavailableError``, and never tried again here.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str,
        access: Access,
        clock: Clock,
        randomness: Randomness,
        *,
        limits: Limits = PATIENT,
    ) -> None:
        """Take where it is; nothing is asked of anybody before the first request."""
        self._bucket = bucket
        self._url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._access = access
        self._randomness = randomness
        self._clients = Clients(bucket, prefix, access, clock, limits)
        self._conditional = True

    def __reduce__(self) -> NoReturn:
        """Refuse: a process makes its own store, from the address."""
        raise TypeError("a store in a bucket holds secrets, and is not handed on")

    @property
    def url(self) -> str:
        """See ``Store``."""
        return self._url

    def get(self, key: str) -> bytes:
        """See ``Store``."""
        object_key(key)
        with self._asking("read", key):
            reply = self._clients.reading().get(key)
            data = reply.bytes().to_bytes()
            size = reply.meta["size"]
        self._expect(key, data, size)
        return data

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        """See ``Store``."""
        object_key(key)
        check_range(offset, length)
        end = offset + length
        if length == 0 or end > _LARGEST:  # which cannot be asked for
            return self._range_error(key, offset, length, self.size(key))
        try:
            with self._asking("read", key):
                reply = self._clients.reading().get(key, options={"range": (offset, end)})
                data = reply.bytes().to_bytes()
                size = reply.meta["size"]
        except _UnsatisfiableError:
            return self._range_error(key, offset, length, self.size(key))
        if end > size:
            return self._range_error(key, offset, length, size)
        self._expect(key, data, length)
        return data

    def size(self, key: str) -> int:
        """See ``Store``."""
        object_key(key)
        with self._asking("look at", key):
            return self._clients.reading().head(key)["size"]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See ``Store``; what others put there under a name that cannot be ours is passed by."""
        return self._listed(listing_prefix(prefix))

    def put(self, key: str, value: Buffer) -> None:
        """See ``Store``."""
        object_key(key)
        body = flat(value)
        mark = self._randomness.take(_MARK_BYTES).hex()
        if not self._conditional:
            self._put_over(key, body, mark)
            return
        try:
            with self._asking("store", key):
                self._clients.writing(body.nbytes).put(
                    key, body, attributes={_MARK: mark}, mode="create", use_multipart=False
                )
        except _ConflictError as error:
            self._settle(key, mark, error)
        except ObjectMissingError as error:  # there is nothing else that a put could miss
            raise StoreError(error.message, hint="Look at the bucket and the endpoint.") from error

    def go_without_conditions(self) -> None:
        """Send no conditional puts from now on: look before each, and after it.

        So two puts of one key at the same time may both succeed, and the last one stays.
        """
        self._conditional = False

    def _put_over(self, key: str, body: memoryview, mark: str) -> None:
        try:
            self.size(key)
        except ObjectMissingError:
            pass
        else:
            raise ObjectExistsError(f"object {self._url}/{key} exists already")
        with self._asking("store", key):
            self._clients.writing(body.nbytes).put(
                key, body, attributes={_MARK: mark}, mode="overwrite", use_multipart=False
            )
        if self._mark(key) != mark:
            raise ObjectExistsError(f"object {self._url}/{key} was put by another at the same time")

    def delete(self, key: str) -> None:
        """See ``Store``. A bucket that keeps versions keeps this one, hidden."""
        object_key(key)
        try:
            with self._asking("delete", key):
                self._clients.reading().delete(key)
        except ObjectMissingError:
            return

    def time_ns(self) -> int:
        """See ``Store``: the time in an answer of the server."""
        return self._access.time_ns()

    def sync(self, prefixes: Sequence[str]) -> None:
        """See ``Store``: every name that a listing shows is durable already."""
        for prefix in prefixes:
            listing_prefix(prefix)

    def _settle(self, key: str, mark: str, conflict: _ConflictError) -> None:
        """Find out whose object has the key; return only if this very put made it."""
        try:
            found = self._mark(key)
        except ObjectMissingError:
            raise StoreUnavailableError(
                f"cannot store {self._url}/{key}: another request for it was under way "
                f"({conflict.message})"
            ) from conflict
        if found != mark:
            raise ObjectExistsError(f"object {self._url}/{key} exists already") from None

    def _mark(self, key: str) -> str:
        with self._asking("look at", key):
            reply = self._clients.reading().get(key, options={"head": True})
            attributes: Mapping[str, object] = dict(reply.attributes)
        return str(attributes.get(_MARK, ""))

    def _listed(self, prefix: str) -> Iterator[ObjectInfo]:
        last = ""
        for meta in self._pages(prefix):
            found = _info(meta)
            if not found.key.startswith(prefix) or not _is_ours(found.key):
                continue
            if found.key <= last:
                raise StoreError(
                    f"cannot list {self._url}/{prefix}: {found.key} comes after {last}",
                    hint="This store does not list by name, so it cannot hold a repository.",
                )
            last = found.key
            yield found

    def _pages(self, prefix: str) -> Iterator[ObjectMeta]:
        with self._asking("list", prefix):
            pages = iter(self._clients.reading().list(prefix or None, chunk_size=_PAGE))
        while True:
            with self._asking("list", prefix):
                page = next(pages, None)
            if page is None:
                return
            yield from page

    @contextmanager
    def _asking(self, doing: str, key: str) -> Iterator[None]:
        """Turn obstore's errors into those of a store."""
        failed = f"cannot {doing} {self._url}/{key}"
        try:
            yield
        except Exception as error:
            if not is_answer(error):
                raise
            if (refused := self._clients.failure) is not None:
                raise refused from error
            answer = answer_of(error)
            if answer.status in CONFLICTS and answer.code not in AGAIN_CODES:
                raise _ConflictError(f"{failed}: {answer.text}") from error
            if answer.status == UNSATISFIABLE:
                raise _UnsatisfiableError(f"{failed}: {answer.text}") from error
            if answer.status == MISSING and answer.code != "NoSuchBucket":
                raise ObjectMissingError(f"no object {self._url}/{key}") from None
            raise meaning(answer, failed, self._bucket) from error

    def _range_error(self, key: str, offset: int, length: int, size: int) -> bytes:
        """Return the empty range of an object of this size, which is there, or raise."""
        if length == 0 and offset <= size:
            return b""
        raise RangeError(
            f"object {self._url}/{key} has {size} bytes: "
            f"{length} bytes from {offset} are not all there"
        )

    def _expect(self, key: str, data: bytes, length: int) -> None:
        if len(data) != length:
            raise StoreUnavailableError(
                f"cannot read {self._url}/{key}: {len(data)} bytes came instead of {length}"
            )


class _ConflictError(StoreError):
    """A put was refused, for its key is taken or somebody else was at it."""


class _UnsatisfiableError(StoreError):
    """A range begins after the end of the object."""


def _info(meta: ObjectMeta) -> ObjectInfo:
    seconds = int(meta["last_modified"].timestamp())
    return ObjectInfo(meta["path"], meta["size"], seconds * _SECOND)


def _is_ours(key: str) -> bool:
    try:
        object_key(key)
    except ValueError:
        return False
    return True
