"""Putting objects into a bucket as they were, and taking away what is not wanted."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from strongroom.aws.attributes import Stated, attributes_of
from strongroom.aws.buckets import Bucket
from strongroom.aws.errors import AwsError, refusals
from strongroom.aws.listxml import Listed
from strongroom.errors import StrongroomError

WHOLE: Final = 64 << 20  # up to this size an object is put in one request
_LEAST_PART: Final = 5 << 20
_MOST_PARTS: Final = 9_000  # S3 takes 10,000
_AT_ONCE: Final = 4
_MOST_DELETED: Final = 1000
_SUMS: Final = ("ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME")
_NOT_IN_XML: Final = re.compile(rb"[\x00-\x1f]")


class Made(NamedTuple):
    """What a key is now: its version, empty where no versions are kept, and its ETag."""

    key: bytes
    version: str
    etag: str = ""


class BucketTarget:
    """A bucket that is restored into; called from any thread. Errors: ``AwsError``."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._client = bucket.client

    def put(self, key: bytes, stated: Stated, data: bytes) -> Made:
        """Put an object in one request; the server compares a checksum of its bytes."""
        with self._errors(f"writing {key!r}"):
            answer = self._client.put_object(
                **self._named(key), Body=data, **stated.settings(), **_tagging(stated)
            )
        return _made(key, answer)

    def put_parts(
        self,
        key: bytes,
        stated: Stated,
        size: int,
        threads: Executor,
        read: Callable[[Callable[[bytes | memoryview], object]], object],
    ) -> Made:
        """Put a large object in parts; ``read`` gives its bytes in order to whom it is given."""
        named = self._named(key)
        with self._errors(f"writing {key!r}"):
            begun = self._client.create_multipart_upload(
                **named, **stated.settings(), **_tagging(stated)
            )
        upload = _Upload(self._client, {**named, "UploadId": begun["UploadId"]}, threads)
        upload.part_size = part_size(stated, size)
        try:
            with self._errors(f"writing {key!r}"):
                read(upload.write)
                return _made(key, upload.complete())
        except BaseException:
            upload.cancel()
            with suppress(StrongroomError), self._errors(f"giving up {key!r}"):
                self._client.abort_multipart_upload(**named, UploadId=begun["UploadId"])
            raise

    def delete(self, keys: Sequence[bytes], versions: Sequence[str] = ()) -> list[Made]:
        """Delete objects, or these versions of them; what S3 made of each.

        What could not be deleted is not in it.
        """
        made: list[Made] = []
        together: list[dict[str, str]] = []
        for number, key in enumerate(keys):
            one = {"Key": key.decode()} | ({"VersionId": versions[number]} if versions else {})
            if _NOT_IN_XML.search(key):  # which is how several are named in one request
                made += self._delete_one(key, one)
            else:
                together.append(one)
        for start in range(0, len(together), _MOST_DELETED):
            objects = together[start : start + _MOST_DELETED]
            with self._errors("deleting"):
                answer = self._client.delete_objects(
                    Bucket=self.bucket.name, Delete={"Objects": objects}
                )
            made += [
                Made(one["Key"].encode(), _version(one, "DeleteMarkerVersionId"))
                for one in answer.get("Deleted", ())
            ]
        return made

    def _delete_one(self, key: bytes, named: dict[str, str]) -> list[Made]:
        try:
            with self._errors(f"deleting {key!r}"):
                answer = self._client.delete_object(Bucket=self.bucket.name, **named)
        except AwsError:
            return []  # whoever asked sees that it is not among what was deleted
        return [Made(key, _version(answer, "VersionId"))]

    def stated(self, listed: Listed) -> Stated:
        """Return what S3 says of an object that is there."""
        named = self._named(listed.key)
        if listed.version:
            named["VersionId"] = listed.version
        with self._errors(f"looking at {listed.key!r}"):
            answer = self._client.head_object(**named)
            tags = self._client.get_object_tagging(**named)["TagSet"]
        return Stated(attributes_of(answer, listed, tags))

    def read(self, key: bytes) -> Any:  # noqa: ANN401 - botocore's stream
        """Return the bytes of an object as a stream, which compares them with S3's checksum."""
        with self._errors(f"reading {key!r}"):
            answer = self._client.get_object(**self._named(key), ChecksumMode="ENABLED")
        return answer["Body"]

    def _named(self, key: bytes) -> dict[str, str]:
        return {"Bucket": self.bucket.name, "Key": key.decode()}

    def _errors(self, doing: str) -> Any:  # noqa: ANN401 - a context
        return refusals(doing, str(self.bucket))


class _Upload:
    """Cuts bytes into parts and sends them, a few at once."""

    part_size: int

    def __init__(self, client: Any, named: dict[str, str], threads: Executor) -> None:  # noqa: ANN401
        self._client = client
        self._named = named
        self._threads = threads
        self._buffer = bytearray()
        self._running: deque[Future[dict[str, Any]]] = deque()
        self._parts: list[dict[str, Any]] = []
        self._begun = 0

    def write(self, data: bytes | memoryview) -> None:
        self._buffer += data
        while len(self._buffer) >= self.part_size:
            self._send(bytes(self._buffer[: self.part_size]))
            del self._buffer[: self.part_size]

    def complete(self) -> dict[str, Any]:
        if self._buffer or not self._begun:
            self._send(bytes(self._buffer))
        while self._running:
            self._parts.append(self._running.popleft().result())
        answer = self._client.complete_multipart_upload(
            **self._named, MultipartUpload={"Parts": self._parts}
        )
        return dict(answer)

    def cancel(self) -> None:
        for future in self._running:
            future.cancel()
        for future in self._running:
            if not future.cancelled():
                future.exception()

    def _send(self, data: bytes) -> None:
        self._begun += 1
        self._running.append(self._threads.submit(self._part, self._begun, data))
        if len(self._running) >= _AT_ONCE:
            self._parts.append(self._running.popleft().result())

    def _part(self, number: int, data: bytes) -> dict[str, Any]:
        """Send a part; what S3 is told of it at the end: its ETag, and the sum it was sent with."""
        answer = self._client.upload_part(**self._named, PartNumber=number, Body=data)
        sums = {name: answer[name] for name in _SUMS if answer.get(name)}
        return {"PartNumber": number, "ETag": answer["ETag"], **sums}


def in_parts(stated: Stated, size: int) -> bool:
    """Whether an object is put in parts: it is large, or was made so and is to get its ETag."""
    return size > WHOLE or 0 < stated.part_size < size


def part_size(stated: Stated, size: int) -> int:
    """Return how large parts are: as they were, so that the ETag is the same, where that goes."""
    least = max(_LEAST_PART, -(-size // _MOST_PARTS))
    return stated.part_size if stated.part_size >= least else max(least, WHOLE)


def _tagging(stated: Stated) -> dict[str, str]:
    tags = stated.tags
    return {"Tagging": urlencode(tags)} if tags else {}


def _made(key: bytes, answer: dict[str, Any]) -> Made:
    return Made(key, _version(answer, "VersionId"), str(answer.get("ETag", "")))


def _version(answer: dict[str, Any], name: str) -> str:
    """Return a version; empty for ``null``, which is what there is one of where none are kept."""
    version = str(answer.get(name, ""))
    return "" if version == "null" else version
