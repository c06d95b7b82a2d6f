"""What S3 says with an object in headers, by the names of ``attributes``, and its tags.

GetObject, and GetObjectTagging, of the S3 API reference.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from xml.parsers import expat

from strongroom.aws.wire import Head, LineError

_NAMES: Final = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-type": "ContentType",
    "expires": "ExpiresString",
    "etag": "ETag",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-object-lock-mode": "ObjectLockMode",
    "x-amz-object-lock-retain-until-date": "ObjectLockRetainUntilDate",
    "x-amz-object-lock-legal-hold": "ObjectLockLegalHoldStatus",
    "x-amz-checksum-type": "ChecksumType",
    "x-amz-checksum-crc32": "ChecksumCRC32",
    "x-amz-checksum-crc32c": "ChecksumCRC32C",
    "x-amz-checksum-crc64nvme": "ChecksumCRC64NVME",
    "x-amz-checksum-sha1": "ChecksumSHA1",
    "x-amz-checksum-sha256": "ChecksumSHA256",
    "x-amz-version-id": "VersionId",
}
_LOCKED_UNTIL: Final = "ObjectLockRetainUntilDate"
_BUCKET_KEY: Final = "x-amz-server-side-encryption-bucket-key-enabled"


def answer_of(head: Head) -> dict[str, Any]:
    """Return what S3 says of an object as botocore's answer has it; ``LineError``."""
    headers = head.headers
    found: dict[str, Any] = {
        _NAMES[name]: value for name, value in headers.items() if name in _NAMES
    }
    if until := found.get(_LOCKED_UNTIL):
        try:
            found[_LOCKED_UNTIL] = datetime.fromisoformat(until)
        except ValueError as error:
            raise LineError(f"until when it is locked is no time: {until!r}") from error
    if headers.get(_BUCKET_KEY, "").lower() == "true":
        found["BucketKeyEnabled"] = True
    found["Metadata"] = head.metadata
    return found


def read_tags(data: bytes) -> list[dict[str, str]]:
    """Return the tags that an answer names, as ``Key`` and ``Value``; ``LineError``."""
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)  # noqa: FBT003 - expat's own way to say that this is all
    except expat.ExpatError as error:
        raise LineError(f"the answer about its tags is no whole XML: {error}") from error
    if reader.root != "Tagging" or any(tag.keys() != {"Key", "Value"} for tag in reader.tags):
        raise LineError("the answer about its tags is not about tags")
    return reader.tags


class _Reader:
    def __init__(self) -> None:
        parser = self.parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._take
        self.root = ""
        self.tags: list[dict[str, str]] = []
        self._text = ""

    def _begin(self, name: str, _attributes: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        self.root = self.root or name
        self._text = ""
        if name == "Tag":
            self.tags.append({})

    def _take(self, text: str) -> None:
        self._text += text

    def _end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        if name in {"Key", "Value"} and self.tags:
            self.tags[-1][name] = self._text
        self._text = ""
