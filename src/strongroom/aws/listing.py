"""The objects of a bucket in the order of their keys, page by page, in flat memory.

Signed by botocore and sent by its own HTTP; read by ``listxml``. A page that does not come whole
is asked for again; one that contradicts the one before ends the listing, since what is missing in
a listing looks like what was deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import quote

from strongroom.aws.buckets import Bucket
from strongroom.aws.errors import AwsError, hint_of
from strongroom.aws.listxml import Listed, Page, PageError, read_page
from strongroom.clock import Clock
from strongroom.errors import SourceError

_AT_ONCE: Final = 1000
_ATTEMPTS: Final = 6
_FIRST_WAIT: Final = 0.25  # seconds; doubled each time
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_AGAIN_IF: Final = frozenset({"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout"})
_HEADERS: Final = {"x-amz-optional-object-attributes": "RestoreStatus"}


class Pager:
    """Lists one bucket; ``pages`` counts the requests that were answered."""

    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        from botocore.auth import S3SigV4Auth  # noqa: PLC0415 - loaded for whoever uses AWS only
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415
        from botocore.exceptions import HTTPClientError  # noqa: PLC0415

        self._bucket = bucket
        self._clock = clock
        self._http = bucket.http()
        self._sign = S3SigV4Auth
        self._request = AWSRequest
        self._broken = HTTPClientError
        self.pages = 0

    def objects(self, prefix: bytes = b"") -> Iterator[list[Listed]]:
        """Yield the latest version of every object, a page at a time; the next is on its way.

        ``SourceError`` if the bucket cannot be listed, or its listing cannot be true.
        """
        return self._pages(prefix, versions=self._bucket.versioned, every=False)

    def versions(self, prefix: bytes = b"") -> Iterator[list[Listed]]:
        """Yield every version of every object, and every delete marker, a page at a time.

        Keys come in order; of one key the newest is first in S3, and a page of another server may
        have its delete markers last. ``SourceError`` as above.
        """
        return self._pages(prefix, versions=True, every=True)

    def _pages(self, prefix: bytes, *, versions: bool, every: bool) -> Iterator[list[Listed]]:
        asked: dict[str, bytes] = {"versions": b""} if versions else {"list-type": b"2"}
        asked |= {"encoding-type": b"url", "max-keys": b"%d" % _AT_ONCE, "prefix": prefix}
        last: bytes | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="listing") as ahead:
            coming = ahead.submit(self._page, asked, every=every)
            while True:
                page = coming.result()
                if page.after:
                    coming = ahead.submit(self._page, asked | page.after, every=every)
                if every:  # markers that stand after all versions go where their keys are
                    page.objects.sort(key=lambda one: one.key)
                last = self._checked(page.objects, prefix, last, again=every)
                if page.objects:
                    yield page.objects
                if not page.after:
                    return

    def _checked(
        self, found: list[Listed], prefix: bytes, last: bytes | None, *, again: bool
    ) -> bytes | None:
        """Return the last key; ``again``: one may come several times."""
        for one in found:
            is_back = last is not None and (one.key < last if again else one.key <= last)
            if is_back or not one.key.startswith(prefix):
                shown = one.key.decode("utf-8", "backslashreplace")
                raise SourceError(
                    f"the listing of {self._bucket} is not in the order of its keys, at {shown!r}",
                    hint="A listing like this cannot be compared with another. Directory buckets "
                    "of S3 Express list like this, and some servers that are not AWS's.",
                )
            last = one.key
        return last

    def _page(self, asked: Mapping[str, bytes], *, every: bool) -> Page:
        """Ask until a page comes whole; ``SourceError``."""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(asked.items()))
        url = f"{self._bucket.url}?{query}"
        what = f"the versions of {self._bucket} (s3:ListBucketVersions)" if every else self._bucket
        wait, why = _FIRST_WAIT, ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._clock.sleep(wait)
                wait *= 2
            try:
                status, data = self._send(url)
            except self._broken as error:
                why = str(error)
                continue
            try:
                page = read_page(data, every=every)
            except PageError as error:
                why = f"an answer that cannot be read ({status}): {error}"
                continue
            if not page.error and status == 200:  # noqa: PLR2004 - OK
                self.pages += 1
                return page
            why = f"{page.error} ({status}): {page.message}"
            if status not in _AGAIN and page.error not in _AGAIN_IF:
                raise AwsError(
                    f"listing {what} failed: {why}",
                    said=page.error,
                    hint=hint_of(page.error),
                )
        raise SourceError(
            f"listing {what} failed {_ATTEMPTS} times, at last: {why}",
            hint="Look at the network and the endpoint, then run it again.",
        )

    def _send(self, url: str) -> tuple[int, bytes]:
        request: Any = self._request(method="GET", url=url, headers=dict(_HEADERS))
        credentials = self._bucket.credentials()
        if credentials is not None:
            self._sign(credentials, "s3", self._bucket.region).add_auth(request)
        answer = self._http.send(request.prepare())
        return answer.status_code, answer.content
