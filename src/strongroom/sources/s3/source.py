"""A bucket, or what of it begins with a prefix, as a source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, cast

import msgspec

from strongroom.aws.bucketconfig import read_configuration
from strongroom.aws.buckets import Bucket
from strongroom.aws.keys import configuration_path, objects_path
from strongroom.aws.listing import Pager
from strongroom.aws.listxml import Listed
from strongroom.clock import Clock
from strongroom.model.entry import CHANGED_WHILE_READ, Entry
from strongroom.model.source import Content, Item, Loaded, Problem, Report
from strongroom.sources.made import made_file
from strongroom.sources.s3.reading import (
    TAGS_DENIED,
    ObjectError,
    Objects,
    Opened,
    read_all,
)

AT_ONCE: Final = 16  # objects that are read at the same time
_TRIES: Final = 5
_SECOND: Final = 1_000_000_000
_WRONG: Final = "FlexibleChecksumError"  # the bytes are not those that S3 took


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
        self._objects = Objects(bucket, tags=options.tags)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="objects")
        self._denied = ""

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
        """See ``Source``; several at once."""
        return list(self._threads.map(self._load, items))

    @contextmanager
    def open(self, item: Item) -> Iterator[Content]:
        """See ``Source``."""
        opened = self._objects.begin(cast(Listed, item.handle))
        with closing(_ObjectContent(self, item, opened)) as content:
            yield content

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

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

    def begin(self, listed: Listed, start: int) -> Opened:
        """Go on to read an object that must be the same; ``ObjectError``."""
        return self._objects.begin(listed, start)

    def loaded(self, item: Item, opened: Opened, size: int, data: bytes = b"") -> Loaded:
        """Return an object of which all was read."""
        attributes, with_tags = self._objects.attributes(opened)
        entry: Entry = msgspec.structs.replace(
            made_file(item.path, size, _time(opened.listed.modified)),
            xattrs=attributes,
            flags=CHANGED_WHILE_READ if opened.changed else 0,
        )
        if not with_tags:
            return Loaded(item, entry, data, b"", Problem(item.path, TAGS_DENIED, missing=False))
        return Loaded(item, entry, data, b"" if opened.changed else item.token)

    def _load(self, item: Item) -> Loaded:
        if isinstance(item.handle, bytes):
            return Loaded(item, made_file(item.path, item.size, 0), item.handle, item.token)
        try:
            opened = self._objects.begin(cast(Listed, item.handle))
            with closing(opened.answer["Body"]) as body:
                data = read_all(body, opened.listed.size, is_broken)
            return self.loaded(item, opened, len(data), data)
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
        self._body: Any = opened.answer["Body"]

    def extents(self) -> Sequence[tuple[int, int, bool]]:
        """See ``Content``."""
        size = self._opened.listed.size
        return [(0, size, True)] if size else []

    def readinto(self, offset: int, buffer: memoryview) -> int:
        """See ``Content``."""
        wanted = min(len(buffer), self._opened.listed.size - offset)
        done = 0
        for attempt in range(_TRIES):
            try:
                while done < wanted:
                    data = self._body.read(wanted - done)
                    if not data:
                        break
                    buffer[done : done + len(data)] = data
                    done += len(data)
            except Exception as error:
                if not is_broken(error):
                    raise
                if attempt == _TRIES - 1 or type(error).__name__ == _WRONG:
                    raise ObjectError(f"reading it failed: {error}") from error
            if done >= wanted:
                break
            self._reopen(offset + done)
        if offset + done == self._opened.listed.size:
            self._end()
        return done

    def _reopen(self, start: int) -> None:
        self._body.close()
        self._body = self._source.begin(self._opened.listed, start).answer["Body"]

    def _end(self) -> None:
        """Read the end, which is where sums are compared."""
        try:
            self._body.read()
        except Exception as error:
            if is_broken(error):
                raise ObjectError(f"reading it failed: {error}") from error
            raise

    def finish(self, size_read: int) -> Loaded:
        """See ``Content``."""
        if size_read != self._opened.listed.size:
            raise ObjectError(f"{size_read:,} bytes came of {self._opened.listed.size:,}")
        return self._source.loaded(self._item, self._opened, size_read)

    def close(self) -> None:
        """Close the line."""
        self._body.close()


def is_broken(error: Exception) -> bool:
    """Whether an error is one of a line, or of what came over it."""
    return isinstance(error, OSError) or type(error).__module__.startswith(
        ("botocore.", "urllib3.", "http.")
    )


def _time(text: str) -> int:
    """Return nanoseconds since 1970 of a time as S3 writes it."""
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * _SECOND + moment.microsecond * 1000
