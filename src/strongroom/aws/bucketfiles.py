"""Files of any size in a bucket: put once, in parts where they are large, and read back.

No repository lies in these: they are for what other programs read as well, such as archives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol

from strongroom.aws.bucket import ANYWHERE
from strongroom.aws.clients import Clients
from strongroom.aws.errors import code_of, store_refusals
from strongroom.errors import ObjectExistsError, StoreError

PART: Final = 32 << 20
_MOST_PARTS: Final = 9000  # of the 10,000 that S3 takes
_MEBIBYTE: Final = 1 << 20
_TAKEN: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})
_MISSING: Final = frozenset({"NoSuchKey", "404"})


class Readable(Protocol):
    """What gives bytes from its beginning on."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        ...


class BucketFiles:
    """Files below a prefix of a bucket; errors are those of a store."""

    def __init__(self, clients: Clients, bucket: str, prefix: str, *, part: int = PART) -> None:
        """Take where they are, and how many bytes go at once; nothing is asked of anybody yet."""
        self._part = part
        self._clients = clients
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._where = str(clients.account)

    @property
    def url(self) -> str:
        """Where they are, for people."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def get(self, name: str, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes of a file; None if it is not there."""
        with self._asking("reading", name) as there:
            try:
                body = self._client().get_object(**there)["Body"]
            except self._client().exceptions.ClientError as error:
                if code_of(error) in _MISSING:
                    return None
                raise
            return bytes(body.read(limit))

    def put(self, name: str, file: Readable, size: int, moved: Callable[[int], None]) -> None:
        """Put a file of ``size`` bytes under a name; ``moved`` is told how many went.

        ``ObjectExistsError`` if the name is taken, be it by a request of ours that came twice.
        """
        with self._asking("storing", name) as there:
            try:
                if size <= self._part:
                    body = _exactly(file, size)
                    self._client().put_object(**there, Body=body, IfNoneMatch="*")
                    moved(size)
                else:
                    self._put_parts(there, file, size, moved)
            except self._client().exceptions.ClientError as error:
                if code_of(error) in _TAKEN:
                    raise ObjectExistsError(f"{self.url}/{name} exists already") from error
                raise

    def digest(self, name: str) -> str:
        """Read a file back; its SHA-256 in hexadecimal."""
        found = hashlib.sha256()
        with self._asking("reading back", name) as there:
            self._read(there, found.update)
        return found.hexdigest()

    def read(self, name: str, take: Callable[[bytes], object]) -> bool:
        """Give a file to ``take`` piece by piece; False if it is not there."""
        with self._asking("reading", name) as there:
            try:
                self._read(there, take)
            except self._client().exceptions.ClientError as error:
                if code_of(error) in _MISSING:
                    return False
                raise
        return True

    def names(self, folder: str = "") -> list[str]:
        """Return the names of the files in a folder, and those of its folders with a slash."""
        prefix = f"{self._prefix}{folder}/" if folder else self._prefix
        found: list[str] = []
        with self._asking("listing", folder):
            pages = self._client().get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/"):
                found += [one["Key"][len(prefix) :] for one in page.get("Contents", ())]
                found += [one["Prefix"][len(prefix) :] for one in page.get("CommonPrefixes", ())]
        return found

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._asking("removing", name) as there:
            self._client().delete_object(**there)

    def _read(self, there: dict[str, str], take: Callable[[bytes], object]) -> None:
        body = self._client().get_object(**there)["Body"]
        while piece := body.read(_MEBIBYTE):
            take(piece)

    def _put_parts(
        self, there: dict[str, str], file: Readable, size: int, moved: Callable[[int], None]
    ) -> None:
        """Put a large file: it is there when all parts are, and not if the name is taken."""
        client = self._client()
        length = max(self._part, -(-size // (_MOST_PARTS * _MEBIBYTE)) * _MEBIBYTE)
        upload = {**there, "UploadId": client.create_multipart_upload(**there)["UploadId"]}
        try:
            parts = []
            for number, offset in enumerate(range(0, size, length), 1):
                body = _exactly(file, min(length, size - offset))
                done = client.upload_part(**upload, PartNumber=number, Body=body)
                sums = {key: done[key] for key in done if key.startswith("Checksum")}
                parts.append({"PartNumber": number, "ETag": done["ETag"], **sums})
                moved(len(body))
            client.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException:
            with suppress(Exception):  # the error that brought us here matters more
                client.abort_multipart_upload(**upload)
            raise

    def _client(self) -> Any:  # noqa: ANN401 - boto3 makes its types when it runs
        return self._clients.client("s3", self._clients.region() or ANYWHERE)

    @contextmanager
    def _asking(self, doing: str, name: str) -> Iterator[dict[str, str]]:
        with store_refusals(f"{doing} {self.url}/{name}", self._where):
            yield {"Bucket": self._bucket, "Key": self._prefix + name}


def _exactly(file: Readable, size: int) -> bytes:
    """Read so many bytes, which a file that nobody changes has."""
    pieces = []
    while size and (piece := file.read(min(size, _MEBIBYTE))):
        pieces.append(piece)
        size -= len(piece)
    if size:
        raise StoreError("a file became shorter while it was stored")
    return b"".join(pieces)
