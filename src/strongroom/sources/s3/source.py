"""A bucket, or what of it begins with a prefix, as a source."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import BoundedSemaphore
from types import TracebackType
from typing import Final, Self, cast

import msgspec

from strongroom.aws.bucketconfig import read_configuration
from strongroom.aws.buckets import Bucket
from strongroom.aws.getting import ATTEMPTS, Getter, wait_before
from strongroom.aws.keys import configuration_path, objects_path
from strongroom.aws.listing import Pager
from strongroom.aws.listxml import Listed
from strongroom.aws.sums import comparison_of
from strongroom.clock import Clock
from strongroom.model.entry import CHANGED_WHILE_READ, Entry
from strongroom.model.source import Content, Item, Loaded, Problem, Report
from strongroom.sources.made import made_file
from strongroom.sources.s3.reading import (
    TAGS_DENIED,
    Coming,
    ObjectError,
    Objects,
    Opened,
    Whole,
)

_AHEAD: Final = 32  # objects that a thread has asked for and not read yet
_THREADS: Final = 2  # that read at the same time: more would wait for the interpreter, not for S3
_ROOM: Final = 4 << 20  # bytes by which the objects of a batch may grow until they are read
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Options:
    """What of a bucket is saved: keys that begin with ``prefix``, with ``tags`` or without.

    ``configuration``: how the bucket is set up, too.
    """

    prefix: bytes = b""
    tags: bool = True
    configuration: bool = True


class S3Source:
    """A ``Source`` in the order of raw bytes: first how the bucket is set up, then every object.

    An object is known by its version, ETag, size and time; only others are read.
    """

    kind = "s3"

    def __init__(self, name: str, bucket: Bucket, options: S3Options, clock: Clock) -> None:
        self.name = name
        self._bucket = bucket
        self._options = options
        self._clock = clock
        self._top = objects_path(name)
        self._configuration = configuration_path(name)
        self._getter = Getter(bucket, clock)
        self._objects = Objects(self._getter, tags=options.tags)
        self._made = made_file(b"", 0, 0)  # once: whose it is would be looked up for each object
        self._reading = BoundedSemaphore(_THREADS)

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """See ``Source``; ``SourceError`` if the bucket cannot be listed."""
        if self._options.configuration:
            found = read_configuration(self._bucket)
            if found.denied:
                cause = f"of how the bucket is set up we may not read {', '.join(found.denied)}"
                report(Problem(self._configuration, cause, missing=False))
            token = hashlib.sha256(found.document).digest()
            yield [Item(self._configuration, token, len(found.document), found.document)]
        for listed in Pager(self._bucket, self._clock).objects(self._options.prefix):
            yield [Item(self._top + one.key, self._token(one), one.size, one) for one in listed]

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``; several are asked for before the first is read."""
        loaded: list[Loaded] = []
        waiting: deque[tuple[Item, Coming | Loaded]] = deque()
        room = _ROOM

        def read() -> None:
            nonlocal room
            one = self._read(*waiting.popleft(), room)
            room -= max(len(one.data) - one.item.size, 0)
            loaded.append(one)

        with self._reading:
            try:
                for item in items:
                    waiting.append((item, self._ask(item)))
                    if len(waiting) >= _AHEAD:
                        read()
                while waiting:
                    read()
            finally:
                for _, one in waiting:
                    if isinstance(one, Coming):
                        one.close()
        return loaded

    @contextmanager
    def open(self, item: Item) -> Iterator[Content]:
        """See ``Source``."""
        opened = self._objects.begin(cast(Listed, item.handle))
        with closing(_ObjectContent(self, item, opened)) as content:
            yield content

    def close(self) -> None:
        """Close the lines."""
        self._getter.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def pause(self, listed: Listed, attempt: int) -> None:
        """Wait before an object is asked for again."""
        self._clock.sleep(wait_before(attempt, repr(listed.key)))

    def begin(self, listed: Listed, start: int) -> Opened:
        """Go on to read an object that must be the same; ``ObjectError``."""
        return self._objects.begin(listed, start)

    def loaded(self, item: Item, opened: Opened, size: int) -> Loaded:
        """Return an object of which all was read in pieces."""
        attributes, with_tags = self._objects.attributes(opened)
        whole = Whole(opened.listed, b"", opened.changed, attributes, with_tags)
        return _loaded(item, whole, size, self._made)

    def _ask(self, item: Item) -> Coming | Loaded:
        if isinstance(item.handle, bytes):
            return Loaded(item, made_file(item.path, item.size, 0), item.handle, item.token)
        try:
            return self._objects.ask(cast(Listed, item.handle))
        except ObjectError as error:
            return Loaded(item, None, b"", b"", Problem(item.path, str(error)))

    def _read(self, item: Item, coming: Coming | Loaded, room: int) -> Loaded:
        if isinstance(coming, Loaded):
            return coming
        try:
            whole = self._objects.whole(coming, room)
            return _loaded(item, whole, len(whole.data), self._made)
        except ObjectError as error:
            return Loaded(item, None, b"", b"", Problem(item.path, str(error)))

    def _token(self, one: Listed) -> bytes:
        """Return what changes with an object; that its storage class changes is no reason to read.

        An object that a rule moved to an archive is still what was saved.
        """
        known = (one.version, one.etag, str(one.size), one.modified)
        return b"\0".join(text.encode() for text in ("t" if self._options.tags else "", *known))


class _ObjectContent:
    """An object that is read in pieces; offsets only go on. A line that breaks is taken up."""

    def __init__(self, source: S3Source, item: Item, opened: Opened) -> None:
        self._source = source
        self._item = item
        self._opened = opened
        self._request = opened.request
        self._sum = comparison_of(opened.head.headers)

    def extents(self) -> Sequence[tuple[int, int, bool]]:
        """See ``Content``."""
        size = self._opened.listed.size
        return [(0, size, True)] if size else []

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See ``Content``."""
        wanted = min(len(buffer), self._opened.listed.size - offset)
        done = 0
        for attempt in range(ATTEMPTS):
            try:
                while done < wanted and (data := self._request.read(wanted - done)):
                    buffer[done : done + len(data)] = data
                    done += len(data)
                    if self._sum is not None:
                        self._sum.update(data)
            except OSError as error:
                if attempt == ATTEMPTS - 1:
                    raise ObjectError(f"reading it failed: {error}") from error
            if done >= wanted or attempt == ATTEMPTS - 1:
                break
            self._reopen(offset + done, attempt + 1)
        return done

    def _reopen(self, start: int, attempt: int) -> None:
        self._request.close()
        self._source.pause(self._opened.listed, attempt)
        self._request = self._source.begin(self._opened.listed, start).request

    def finish(self, size_read: int) -> Loaded:
        """See ``Content``."""
        if size_read != self._opened.listed.size:
            raise ObjectError(f"{size_read:,} bytes came of {self._opened.listed.size:,}")
        try:
            more = self._request.read(1)
            if self._sum is not None and not more:
                self._sum.finish()
        except OSError as error:
            raise ObjectError(f"reading it failed: {error}") from error
        if more:
            raise ObjectError(f"more than its {size_read:,} bytes came")
        return self._source.loaded(self._item, self._opened, size_read)

    def close(self) -> None:
        """Close the line."""
        self._request.close()


def _loaded(item: Item, whole: Whole, size: int, made: Entry) -> Loaded:
    entry: Entry = msgspec.structs.replace(
        made,
        path=item.path,
        size=size,
        mtime_ns=_time(whole.listed.modified),
        xattrs=whole.attributes,
        flags=CHANGED_WHILE_READ if whole.changed else 0,
    )
    if not whole.with_tags:
        problem = Problem(item.path, TAGS_DENIED, missing=False)
        return Loaded(item, entry, whole.data, b"", problem)
    return Loaded(item, entry, whole.data, b"" if whole.changed else item.token)


def _time(text: str) -> int:
    """Return nanoseconds since 1970 of a time as S3 writes it; ``ObjectError`` if it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ObjectError(f"its time is none: {text[:40]!r}") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * _SECOND + moment.microsecond * 1000
