"""Reading one object: the version that was listed, checked by the sums that S3 keeps of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from strongroom.aws.attributes import Attributes, attributes_of, parts_in
from strongroom.aws.errors import AwsError, is_about_us, refusals
from strongroom.aws.getting import Asked, Getter, Request
from strongroom.aws.listxml import Listed
from strongroom.aws.objectheaders import answer_of, read_tags
from strongroom.aws.signing import quoted
from strongroom.aws.sums import comparison_of
from strongroom.aws.wire import Head

_ARCHIVED: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_GONE: Final = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound", "MethodNotAllowed"})
_OTHER: Final = frozenset({"412", "PreconditionFailed"})
_DENIED: Final = frozenset({"403", "AccessDenied"})
_PARTIAL: Final = 206
_STATE: Final = "InvalidObjectState"
_DELETED: Final = "it was deleted while the backup ran"
_MOST_TAGS: Final = 1 << 20  # bytes of an answer about tags: ten of them, of 384 letters
_SUMS: Final = {"x-amz-checksum-mode": "ENABLED"}
TAGS_DENIED: Final = (
    "its tags may not be read: allow s3:GetObjectTagging and s3:GetObjectVersionTagging, "
    "or say tags = false"
)


class ObjectError(OSError):
    """One object cannot be had; the message is for people."""


class Opened(NamedTuple):
    """An object that is being read: what it is now, what S3 says of it, and whether it changed."""

    listed: Listed
    answer: dict[str, Any]
    changed: bool
    request: Request
    head: Head


@dataclass(slots=True)
class Coming:
    """An object that was asked for, with its tags if they are wanted."""

    listed: Listed
    request: Request
    tags: Request | None

    def close(self) -> None:
        """Want no more of it."""
        self.request.close()
        if self.tags is not None:
            self.tags.close()


class Whole(NamedTuple):
    """An object that was read; ``with_tags``: whether its tags are among the attributes."""

    listed: Listed
    data: bytes
    changed: bool
    attributes: Attributes
    with_tags: bool


class Objects:
    """Reads objects of one bucket, from any thread. ``tags``: whether their tags are wanted."""

    def __init__(self, getter: Getter, *, tags: bool) -> None:
        self._getter = getter
        self._bucket = getter.place.bucket
        self._client = self._bucket.client
        self._tags = tags

    # -- small ones: asked for, and read whole later

    def ask(self, listed: Listed) -> Coming:
        """Ask for an object and its tags, and wait for neither; ``ObjectError``."""
        request = self._ask(listed, 0)
        try:
            return Coming(listed, request, self._ask_tags(listed) if self._tags else None)
        except BaseException:
            request.close()
            raise

    def whole(self, coming: Coming, room: int) -> Whole:
        """Read an object that was asked for, as it is by now; ``ObjectError``.

        It may take ``room`` bytes more of memory than it was listed with.
        """
        try:
            return self._whole(coming, changed=False)
        except AwsError as error:
            if error.said not in _OTHER | _GONE:
                raise _about(error) from error
        finally:
            coming.close()
        now = self._look(coming.listed)
        if now.size > coming.listed.size + room:
            raise ObjectError("it grew too large while the backup ran: the next one reads it")
        coming = self.ask(now)
        try:
            return self._whole(coming, changed=True)
        except AwsError as error:
            raise _unsteady(error) from error
        finally:
            coming.close()

    def _whole(self, coming: Coming, *, changed: bool) -> Whole:
        listed = coming.listed
        try:
            head, data = coming.request.whole(listed.size + 1)
            _compare(head, data, listed.size)
            answer = answer_of(head)
        except ObjectError:
            raise
        except OSError as error:
            raise ObjectError(f"reading it failed: {error}") from error
        attributes, with_tags = self._attributes(listed, answer, coming.tags)
        return Whole(listed, data, changed, attributes, with_tags)

    # -- large ones: opened, and read in pieces

    def begin(self, listed: Listed, start: int = 0) -> Opened:
        """Ask for an object, once more if it is another by now; ``ObjectError``.

        From byte ``start`` on it must still be the same.
        """
        try:
            return self._open(listed, start, changed=False)
        except AwsError as error:
            if start or error.said not in _OTHER | _GONE:
                raise _about(error) from error
        try:
            return self._open(self._look(listed), 0, changed=True)
        except AwsError as error:
            raise _unsteady(error) from error

    def attributes(self, opened: Opened) -> tuple[Attributes, bool]:
        """Return what S3 says of an object, and whether its tags are among it; ``ObjectError``."""
        tags = self._ask_tags(opened.listed) if self._tags else None
        try:
            return self._attributes(opened.listed, opened.answer, tags)
        except AwsError as error:
            raise (ObjectError(_DELETED) if error.said in _GONE else _about(error)) from error
        finally:
            if tags is not None:
                tags.close()

    def _open(self, listed: Listed, start: int, *, changed: bool) -> Opened:
        request = self._ask(listed, start)
        try:
            head = _in_place(request.opened(), start)
            return Opened(listed, answer_of(head), changed, request, head)
        except ObjectError:
            request.close()
            raise
        except OSError as error:
            request.close()
            raise ObjectError(f"reading it failed: {error}") from error
        except BaseException:
            request.close()
            raise

    # -- requests

    def _ask(self, listed: Listed, start: int) -> Request:
        if listed.storage_class in _ARCHIVED and not listed.readable:
            raise ObjectError(
                f"it is archived ({listed.storage_class}): restore it in S3 first, for some days"
            )
        if not listed.etag.isprintable():  # it would begin another header of the request
            raise ObjectError(f"its ETag is none: {listed.etag[:40]!r}")
        headers = {"range": f"bytes={start}-"} if start else dict(_SUMS)
        if listed.etag:
            headers["if-match"] = listed.etag
        doing = f"reading {listed.key!r}"
        misfit = partial(_misfit, listed, start)
        return self._getter.begin(Asked(doing, _path(listed), _version(listed), headers, misfit))

    def _ask_tags(self, listed: Listed) -> Request:
        """Ask for the tags of an object.

        S3 tells with an object how many tags it has "when you have the relevant permission to read
        object tags" (GetObject, ``x-amz-tagging-count``), and only if it has any. A policy may
        deny it for one object and not for the next, so no answer without a number says that there
        are none.
        """
        version = _version(listed)
        query = f"tagging=&{version}" if version else "tagging="
        doing = f"reading the tags of {listed.key!r}"
        misfit = partial(_misfit_of_tags, listed)
        return self._getter.begin(Asked(doing, _path(listed), query, {}, misfit))

    def _attributes(
        self, listed: Listed, answer: dict[str, Any], asked: Request | None
    ) -> tuple[Attributes, bool]:
        tags, known = _tags_in(asked) if asked is not None else ([], True)
        size = self._part_size(listed) if parts_in(listed.etag) > 1 else 0
        return attributes_of(answer, listed, tags, size), known

    def _part_size(self, listed: Listed) -> int:
        named = {"Bucket": self._bucket.name, "Key": listed.key.decode()}
        if listed.version:
            named["VersionId"] = listed.version
        with self._errors(f"asking for the parts of {listed.key!r}"):
            answer = self._client.head_object(**named, PartNumber=1)
        size = int(answer["ContentLength"])
        return size if size < listed.size else 0

    def _look(self, listed: Listed) -> Listed:
        """Return what a key is now; ``ObjectError``."""
        try:
            with self._errors(f"looking for {listed.key!r}"):
                found = self._client.head_object(Bucket=self._bucket.name, Key=listed.key.decode())
        except AwsError as error:
            if error.said in _GONE:
                raise ObjectError(_DELETED) from error
            raise _about(error) from error
        except ValueError as error:  # botocore's, of a time or a number
            raise ObjectError(f"what it is now cannot be read: {error}") from error
        if missing := {"ContentLength", "ETag", "LastModified"} - found.keys():
            raise ObjectError(f"S3 does not say what it is now: {', '.join(sorted(missing))}")
        version = str(found.get("VersionId", ""))
        return Listed(
            listed.key,
            int(found["ContentLength"]),
            str(found["ETag"]),
            found["LastModified"].isoformat(),
            str(found.get("StorageClass", "STANDARD")),
            "" if version == "null" else version,
        )

    def _errors(self, doing: str) -> Any:  # noqa: ANN401 - a context
        return refusals(doing, str(self._bucket))


def _misfit(listed: Listed, start: int, head: Head) -> str:
    """Return in what an answer is none of this object from byte ``start`` on; empty if it is.

    S3 does not send another, since ``If-Match`` and the version forbid it. What stands in between,
    such as a cache or a proxy that mixed up two requests, may.
    """
    etag, version = head.headers.get("etag", ""), head.headers.get("x-amz-version-id", "")
    if listed.etag and etag.strip('"') != listed.etag.strip('"'):
        return f"the answer has the ETag {etag or 'of nothing'}, and {listed.etag} was listed"
    if listed.version and version != listed.version:
        return f"the answer is of version {version or 'none'}, and {listed.version} was listed"
    if head.status != _PARTIAL:
        return ""
    came = head.headers.get("content-range", "nothing that is named")
    wanted = f"bytes {start}-{listed.size - 1}/{listed.size}" if start else "all of it"
    return f"{came} came, and {wanted} was asked for" if came != wanted else ""


def _misfit_of_tags(listed: Listed, head: Head) -> str:
    version = head.headers.get("x-amz-version-id", listed.version)
    if listed.version and version != listed.version:
        return f"the answer is of version {version}, and {listed.version} was listed"
    return ""


def _in_place(head: Head, start: int) -> Head:
    if start and head.status != _PARTIAL:
        raise ObjectError("the server cannot go on where an answer broke: it sends all of it")
    return head


def _compare(head: Head, data: bytes, size: int) -> None:
    if len(data) != size:
        came = head.headers.get("content-length", f"{len(data):,}")
        raise ObjectError(f"{came} bytes came, and it has {size:,}")
    if (comparison := comparison_of(head.headers)) is not None:
        comparison.update(data)
        comparison.finish()


def _tags_in(asked: Request) -> tuple[list[dict[str, str]], bool]:
    """Return the tags of an object, and whether they may be read; ``ObjectError``, ``AwsError``."""
    try:
        return read_tags(asked.whole(_MOST_TAGS).data), True
    except AwsError as error:
        if error.said not in _DENIED:
            raise
        return [], False
    except OSError as error:
        raise ObjectError(f"reading its tags failed: {error}") from error


def _about(error: AwsError) -> Exception:
    """Return what to raise: what is about us ends everything, what is about one object does not."""
    if error.said == _STATE:
        return ObjectError("it is archived: restore it in S3 first, for some days")
    return error if is_about_us(error.said) else ObjectError(error.message)


def _unsteady(error: AwsError) -> Exception:
    """Return what to raise if an object is not even what it was a moment ago."""
    if error.said in _OTHER | _GONE:
        return ObjectError("it changes faster than it can be read")
    return _about(error)


def _path(listed: Listed) -> str:
    try:
        listed.key.decode()
    except UnicodeDecodeError as error:
        raise ObjectError("its key is no UTF-8, which no request can name") from error
    return f"/{quoted(listed.key)}"


def _version(listed: Listed) -> str:
    return f"versionId={quote(listed.version, safe='')}" if listed.version else ""
