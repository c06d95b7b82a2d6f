"""Reading one object: the version that was listed, checked by the sums that S3 keeps of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from strongroom.aws.attributes import Attributes, attributes_of, parts_in
from strongroom.aws.buckets import Bucket
from strongroom.aws.errors import AwsError, is_about_us, refusals
from strongroom.aws.listxml import Listed

_ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_GONE: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound", "MethodNotAllowed"})
_OTHER: Final = frozenset({"412", "PreconditionFailed"})
_DENIED: Final = frozenset({"403", "AccessDenied"})
_STATE: Final = "InvalidObjectState"
TAGS_DENIED: Final = (
    "its tags may not be read: allow s3:GetObjectTagging and s3:GetObjectVersionTagging, "
    "or say tags = false"
)


class ObjectError(OSError):
    """One object cannot be had; the message is for people."""


class Opened(NamedTuple):
    """An object that is being read: what it is now, S3's answer, and whether it changed."""

    listed: Listed
    answer: dict[str, Any]
    changed: bool


class Objects:
    """Reads objects of one bucket, from any thread. ``tags``: whether their tags are wanted."""

    def __init__(self, bucket: Bucket, *, tags: bool) -> None:
        self._bucket = bucket
        self._client = bucket.client
        self._tags = tags

    def begin(self, listed: Listed, start: int = 0) -> Opened:
        """Ask for an object, once more if it is another by now; ``ObjectError``.

        From byte ``start`` on it must still be the same.
        """
        if listed.storage_class in _ARCHIVED and not listed.readable:
            raise ObjectError(
                f"it is archived ({listed.storage_class}): restore it in S3 first, for some days"
            )
        try:
            return Opened(listed, self._get(listed, start), changed=False)
        except AwsError as error:
            if error.said == _STATE:
                raise ObjectError(
                    "it is archived: restore it in S3 first, for some days"
                ) from error
            if start or error.said not in _OTHER | _GONE:
                raise _about(error) from error
        now = self._look(listed)
        try:
            return Opened(now, self._get(now, 0), changed=True)
        except AwsError as error:
            raise ObjectError("it changes faster than it can be read") from error

    def attributes(self, opened: Opened) -> tuple[Attributes, bool]:
        """Return what S3 says of an object, and whether its tags are among it."""
        answer, listed = opened.answer, opened.listed
        tags, known = self._tags_of(listed) if self._tags else ([], True)
        size = self._part_size(listed) if parts_in(listed.etag) > 1 else 0
        return attributes_of(answer, listed, tags, size), known

    def _tags_of(self, listed: Listed) -> tuple[list[dict[str, str]], bool]:
        """Ask for the tags of an object; whether they may be read.

        S3 tells with an object how many tags it has "when you have the relevant permission to read
        object tags" (GetObject, ``x-amz-tagging-count``), and only if it has any. A policy may
        deny it for one object and not for the next, so no answer without a number says that there
        are none.
        """
        try:
            with self._errors(f"reading the tags of {listed.key!r}"):
                answer = self._client.get_object_tagging(**self._named(listed))
        except AwsError as error:
            if error.said not in _DENIED:
                raise _about(error) from error
            return [], False
        return list(answer["TagSet"]), True

    def _part_size(self, listed: Listed) -> int:
        try:
            with self._errors(f"asking for the parts of {listed.key!r}"):
                answer = self._client.head_object(**self._named(listed), PartNumber=1)
        except AwsError as error:
            raise _about(error) from error
        size = int(answer["ContentLength"])
        return size if size < listed.size else 0

    def _get(self, listed: Listed, start: int) -> dict[str, Any]:
        more: dict[str, Any] = {"Range": f"bytes={start}-"} if start else {}
        if not start:
            more["ChecksumMode"] = "ENABLED"
        if listed.etag:
            more["IfMatch"] = listed.etag
        with self._errors(f"reading {listed.key!r}"):
            return dict(self._client.get_object(**self._named(listed), **more))

    def _look(self, listed: Listed) -> Listed:
        """Return what a key is now; ``ObjectError``."""
        try:
            with self._errors(f"looking for {listed.key!r}"):
                found = self._client.head_object(Bucket=self._bucket.name, Key=_text(listed.key))
        except AwsError as error:
            if error.said in _GONE:
                raise ObjectError("it was deleted while the backup ran") from error
            raise _about(error) from error
        version = str(found.get("VersionId", ""))
        return Listed(
            listed.key,
            int(found["ContentLength"]),
            str(found["ETag"]),
            found["LastModified"].isoformat(),
            str(found.get("StorageClass", "STANDARD")),
            "" if version == "null" else version,
        )

    def _named(self, listed: Listed) -> dict[str, str]:
        named = {"Bucket": self._bucket.name, "Key": _text(listed.key)}
        return named | ({"VersionId": listed.version} if listed.version else {})

    def _errors(self, doing: str) -> Any:  # noqa: ANN401 - a context
        return refusals(doing, str(self._bucket))


def _about(error: AwsError) -> Exception:
    """Return what to raise: what is about us ends everything, what is about one object does not."""
    return error if is_about_us(error.said) else ObjectError(error.message)


def _text(key: bytes) -> str:
    try:
        return key.decode()
    except UnicodeDecodeError as error:
        raise ObjectError("its key is no UTF-8, which no request can name") from error


def read_all(body: Any, size: int, broken: Callable[[Exception], bool]) -> bytes:  # noqa: ANN401
    """Read what is left of an answer; ``ObjectError`` unless it is ``size`` bytes."""
    try:
        data = bytes(body.read())
    except Exception as error:
        if broken(error):
            raise ObjectError(f"reading it failed: {error}") from error
        raise
    if len(data) != size:
        raise ObjectError(f"{len(data):,} bytes came, and it has {size:,}")
    return data
