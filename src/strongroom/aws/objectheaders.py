"""What S3 says with an object in headers, by the names of ``attributes``, and its tags.

GetObject, and GetObjectTagging, of the S3 API reference.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final
from xml.etree import ElementTree as ET

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
# a whole answer without a tag, as most are: no parser has to be begun to say so
_NO_TAGS: Final = re.compile(
    rb"""\s*(<\?xml[^<>]*\?>)?\s*<Tagging(\sxmlns="[^"<>]*")?>\s*<TagSet\s*(/>|>\s*</TagSet>)"""
    rb"""\s*</Tagging>\s*"""
)
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
    if _NO_TAGS.fullmatch(data):
        return []
    try:
        root = ET.fromstring(data)  # noqa: S314 - a server that we trust with more than this
    except (ET.ParseError, LookupError, ValueError) as error:  # the last two: of its encoding
        raise LineError(f"the answer about its tags is no whole XML: {error}") from error
    if _local(root) != "Tagging":
        raise LineError(f"the answer about its tags is <{_local(root)}>, and about no tags")
    return [_tag(one) for below in root for one in below]


def _tag(one: ET.Element) -> dict[str, str]:
    found = {_local(part): part.text or "" for part in one}
    if found.keys() != {"Key", "Value"}:
        raise LineError("the answer about its tags has one without a key or a value")
    return found


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
