"""What S3 says of an object besides its bytes, as attributes of an entry, and back.

The names are those of ``docs/format.md`` 8. ``facts`` are of the copy that was read (its version,
its time) and cannot be set; everything else makes an object the same again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from strongroom.aws.listxml import Listed

Attributes = tuple[tuple[bytes, bytes], ...]

_PREFIX: Final = "s3."
_HEADERS: Final = {
    "CacheControl": "cache-control",
    "ContentDisposition": "content-disposition",
    "ContentEncoding": "content-encoding",
    "ContentLanguage": "content-language",
    "ContentType": "content-type",
    "ExpiresString": "expires",
    "WebsiteRedirectLocation": "website-redirect",
}
_FACTS: Final = {
    "ServerSideEncryption": "sse",
    "SSEKMSKeyId": "sse-key",
    "ObjectLockMode": "lock-mode",
    "ObjectLockRetainUntilDate": "lock-until",
    "ObjectLockLegalHoldStatus": "legal-hold",
    "ChecksumType": "checksum-type",
    "VersionId": "version",
    "ETag": "etag",
}
_CHECKSUMS: Final = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
_META: Final = "meta."
_TAG: Final = "tag."
_CLASS: Final = "storage-class"
_PARTS: Final = "parts"
_MOST_DIGITS: Final = 5  # of a number of parts, of which there are 10,000 at most
STANDARD: Final = "STANDARD"
# those in which an object is put and can be read; the others are made by rules of a bucket
_SETTABLE: Final = frozenset(
    {
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER_IR",
        "REDUCED_REDUNDANCY",
    }
)


def attributes_of(
    answer: Mapping[str, Any],
    listed: Listed,
    tags: Sequence[Mapping[str, str]],
    part_size: int = 0,
) -> Attributes:
    """Return the attributes of an object, sorted; ``answer`` is that of GetObject or HeadObject."""
    found = {name: _text(answer[key]) for key, name in _HEADERS.items() if answer.get(key)}
    found |= {name: _text(answer[key]) for key, name in _FACTS.items() if answer.get(key)}
    if answer.get("BucketKeyEnabled"):
        found["bucket-key"] = "true"
    for algorithm in _CHECKSUMS:
        if value := answer.get(f"Checksum{algorithm}"):
            found[f"checksum.{algorithm.lower()}"] = _text(value)
    if listed.storage_class != STANDARD:
        found[_CLASS] = listed.storage_class
    found |= {_META + name: value for name, value in answer.get("Metadata", {}).items()}
    found |= {_TAG + tag["Key"]: tag["Value"] for tag in tags}
    if part_size:
        found[_PARTS] = f"{parts_in(listed.etag)}:{part_size}"
    pairs = [(_PREFIX + name, value) for name, value in found.items()]
    return tuple(sorted((_bytes(name), _bytes(value)) for name, value in pairs))


def parts_in(etag: str) -> int:
    """Return of how many parts an object was made, as its ETag says; 0 for one put whole."""
    _, dash, count = etag.strip('"').rpartition("-")
    is_number = count.isascii() and count.isdigit() and len(count) <= _MOST_DIGITS
    return int(count) if dash and is_number else 0


class Stated:
    """What the attributes of an entry say."""

    def __init__(self, attributes: Attributes) -> None:
        self._found = dict(_readable(attributes))

    def fact(self, name: str) -> str:
        """Return a fact of the copy that was read, such as ``etag``; empty if it is not known."""
        return self._found.get(name, "")

    @property
    def part_size(self) -> int:
        """How large the parts were of which it was made; 0 for one put whole."""
        size = self._found.get(_PARTS, "").partition(":")[2]
        return int(size) if size.isdigit() else 0

    @property
    def tags(self) -> dict[str, str]:
        """The tags."""
        return self._below(_TAG)

    def settings(self) -> dict[str, Any]:
        """Return the arguments of boto3 that make an object the same, its tags apart."""
        found: dict[str, Any] = {
            key: self._found[name] for key, name in _HEADERS.items() if name in self._found
        }
        if "ExpiresString" in found:
            found["Expires"] = found.pop("ExpiresString")
        if metadata := self._below(_META):
            found["Metadata"] = metadata
        if (stored := self._found.get(_CLASS, STANDARD)) in _SETTABLE:
            found["StorageClass"] = stored
        return found

    def lasting(self) -> dict[str, str]:
        """Return what must be the same in a copy: headers, metadata and tags."""
        headers = set(_HEADERS.values())
        return {
            name: value
            for name, value in self._found.items()
            if name in headers or name.startswith((_META, _TAG))
        }

    def shown(self) -> dict[str, str]:
        """Return all of it, for people."""
        return dict(self._found)

    def _below(self, prefix: str) -> dict[str, str]:
        return {
            name[len(prefix) :]: value
            for name, value in self._found.items()
            if name.startswith(prefix)
        }


def _readable(attributes: Attributes) -> Iterator[tuple[str, str]]:
    for name, value in attributes:
        text = name.decode("utf-8", "surrogateescape")
        if text.startswith(_PREFIX):
            yield text[len(_PREFIX) :], value.decode("utf-8", "surrogateescape")


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
