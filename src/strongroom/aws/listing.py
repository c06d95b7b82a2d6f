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
        if self._bucket.versioned:
            asked: dict[str, bytes] = {"versions": b""}
        else:
            asked = {"list-type": b"2"}
        asked |= {"encoding-type": b"url", "max-keys": b"%d" % _AT_ONCE, "prefix": prefix}
        last: bytes | None = None
        with (
            ThreadPoolExecutor(1, thread_name_prefix="listing") as ahead,
            closing(Getter(self._bucket, self._clock)) as getter,
        ):
            coming = ahead.submit(self._page, getter, asked)
            while True:
                page = coming.result()
                if page.after:
                    coming = ahead.submit(self._page, getter, asked | page.after)
                last = self._checked(page.objects, prefix, last)
                if page.objects:
                    yield page.objects
                if not page.after:
                    return

    def _checked(self, found: list[Listed], prefix: bytes, last: bytes | None) -> bytes | None:
        for one in found:
            if (last is not None and one.key <= last) or not one.key.startswith(prefix):
                shown = one.key.decode("utf-8", "backslashreplace")
                raise SourceError(
                    f"the listing of {self._bucket} is not in the order of its keys, at {shown!r}",
                    hint="A listing like this cannot be compared with another. Directory buckets "
                    "of S3 Express list like this, and some servers that are not AWS's.",
                )
            last = one.key
        return last

    def _page(self, getter: Getter, asked: Mapping[str, bytes]) -> Page:
        """Ask until a page comes whole; ``SourceError``."""
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in sorted(asked.items()))
        what = Asked(f"listing {self._bucket}", "", query, _HEADERS)
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
                page = read_page(data)
            except PageError as error:
                why = f"an answer that cannot be read ({status}): {error}"
                continue
            if not page.error and status == 200:  # noqa: PLR2004 - OK
                self.pages += 1
                return page
            why = f"{page.error} ({status}): {page.message}"
            if not is_for_now(status, page.error):
                raise AwsError(
                    f"listing {self._bucket} failed: {why}",
                    said=page.error,
                    hint=hint_of(page.error),
                )
        raise SourceError(
            f"listing {self._bucket} failed {ATTEMPTS} times, at last: {why}",
            hint="Look at the network and the endpoint, then run it again.",
        )
