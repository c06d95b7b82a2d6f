"""Records that were read already, as a source: what a restore saves before it changes anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import cast

from strongroom.aws.records import JOURNAL, KIND, Captured, encoded, file_of, folder_of
from strongroom.clock import Clock
from strongroom.model.entry import sort_key
from strongroom.model.source import Content, Item, Loaded, Report
from strongroom.sources.awsconfig.whole import whole
from strongroom.sources.made import made_file


class RecordsSource:
    """A ``Source`` of records; every one is captured, whatever an earlier walk saw."""

    kind = KIND

    def __init__(self, name: str, found: Sequence[Captured], clock: Clock) -> None:
        self.name = name
        self._found = found
        self._clock = clock

    @property
    def top(self) -> bytes:
        """The folder that all of it is in."""
        return folder_of(self.name).encode()

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        """See ``Source``."""
        del report
        items = []
        for record, _, texts in self._found:
            kind, name = record["Kind"], record["Name"]
            place = "journal.json" if kind == JOURNAL else file_of(kind, name)
            files = [(place, encoded(record))]
            files += [(file_of(kind, name, suffix), text) for suffix, text in texts]
            for where, data in files:
                items.append(Item(b"%s/%s" % (self.top, where.encode()), b"", len(data), data))
        yield sorted(items, key=lambda item: sort_key(item.path))

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        """See ``Source``."""
        return [self._loaded(item, cast(bytes, item.handle)) for item in items]

    def open(self, item: Item) -> AbstractContextManager[Content]:
        """See ``Source``."""
        return whole(cast(bytes, item.handle), lambda: self._loaded(item, b""))

    def _loaded(self, item: Item, data: bytes) -> Loaded:
        entry = made_file(item.path, len(cast(bytes, item.handle)), self._clock.now_ns())
        return Loaded(item, entry, data, b"")
