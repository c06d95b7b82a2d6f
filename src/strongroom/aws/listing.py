"""The objects of a bucket in the order of their keys, page by page, in flat memory.

Asked for by ``getting``, read by ``listxml``. A page that does not come whole
is asked for again; one that contradicts the one before ends the listing, since what is missing in
a listing looks like what was deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final
from urllib.parse import quote

from strongroom.aws.buckets import Bucket
from strongroom.aws.errors import AwsError, hint_of
from strongroom.aws.getting import ATTEMPTS, Asked, Getter, is_for_now, wait_before
from strongroom.aws.listxml import Listed, Page, PageError, read_page
from strongroom.clock import Clock
from strongroom.errors import SourceError

_AT_ONCE: Final = 1000
_MOST_BYTES: Final = 64 << 20  # of a page; one of the longest keys, each byte escaped, has 4 MB
_HEADERS: Final = {"x-amz-optional-object-attributes": "RestoreStatus"}


class Pager:
    """Lists one bucket; ``pages`` counts the requests that were answered."""

    def __init__(self, bucket: Bucket, clock: Clock) -> None:
        self._bucket = bucket
        self._clock = clock
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
        after: dict[str, bytes] = {}
        with (
            ThreadPoolExecutor(1, thread_name_prefix="listing") as ahead,
            closing(Getter(self._bucket, self._clock)) as getter,
        ):
            coming = ahead.submit(self._page, getter, asked, every=every)
            while True:
                page = coming.result()
                if page.after:
                    coming = ahead.submit(self._page, getter, asked | page.after, every=every)
                if every:  # markers that stand after all versions go where their keys are
                    page.objects.sort(key=lambda one: one.key)
                last = self._checked(page.objects, prefix, last, again=every)
                if page.after and page.after == after:
                    raise SourceError(
                        f"the listing of {self._bucket} has no end: it goes on where it began",
                        hint="Look at the endpoint: a listing like this is none of AWS's.",
                    )
                after = page.after
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

    def _page(self, getter: Getter, asked: Mapping[str, bytes], *, every: bool) -> Page:
        """Ask until a page comes whole; ``SourceError``."""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(asked.items()))
        shown = f"the versions of {self._bucket} (s3:ListBucketVersions)" if every else self._bucket
        what = Asked(f"listing {shown}", "", query, _HEADERS)
        why = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._clock.sleep(wait_before(attempt, query))
            try:
                head, data = getter.begin(what).once(_MOST_BYTES)
            except OSError as error:
                why = str(error)
                continue
            status = head.status
            try:
                page = read_page(data, every=every)
            except PageError as error:
                why = f"an answer that cannot be read ({status}): {error}"
                continue
            if not page.error and status == 200:  # noqa: PLR2004 - OK
                self.pages += 1
                return page
            why = f"{page.error} ({status}): {page.message}"
            if not is_for_now(status, page.error):
                raise AwsError(
                    f"{what.doing} failed: {why}",
                    said=page.error,
                    hint=hint_of(page.error),
                )
        raise SourceError(
            f"{what.doing} failed {ATTEMPTS} times, at last: {why}",
            hint="Look at the network and the endpoint, then run it again.",
        )
