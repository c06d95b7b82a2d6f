"""Fakes at the ports: a source and a target in memory, for tests of the engine."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Mapping, Sequence

from strongroom.model.entry import Entry, EntryKind, sort_key
from strongroom.model.fs import Buffer
from strongroom.model.source import Content, Extra, Item, Loaded, OpenFile, Report


def file_entry(path: bytes, size: int) -> Entry:
    """Return the entry of a plain file, without content."""
    return Entry(
        path=path,
        kind=EntryKind.FILE,
        mode=0o644,
        uid=1000,
        gid=1000,
        user=b"app",
        group=b"app",
        mtime_ns=1_700_000_000_000_000_000,
        size=size,
    )


class _Whole:
    """``Content`` over bytes."""

    def __init__(self, source: MemorySource, item: Item, data: bytes) -> None:
        self._source = source
        self._item = item
        self._data = data

    def extents(self) -> Sequence[tuple[int, int, bool]]:
        return [(0, len(self._data), True)] if self._data else []

    def readinto(self, offset: int, buffer: memoryview) -> int:
        piece = self._data[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        self._source.bytes_read += len(piece)
        return len(piece)

    def finish(self, size_read: int) -> Loaded:
        entry = file_entry(self._item.path, size_read)
        return self._source.finished(Loaded(self._item, entry, b"", self._item.token))


class MemorySource:
    """Files by path; the token of a file is a checksum of its bytes."""

    kind = "files"

    def __init__(self, files: Mapping[bytes, bytes], name: str = "test") -> None:
        self.name = name
        self.files = files
        self.bytes_read = 0

    def walk(self, report: Report) -> Iterator[Sequence[Item]]:
        del report
        items = [
            Item(path, b"token %d" % zlib.crc32(self.files[path]), len(self.files[path]), None)
            for path in sorted(self.files, key=sort_key)
        ]
        for start in range(0, len(items), 100):
            yield items[start : start + 100]

    def load(self, items: Sequence[Item]) -> list[Loaded]:
        loaded = []
        for item in items:
            data = self.files[item.path]
            self.bytes_read += len(data)
            loaded.append(Loaded(item, file_entry(item.path, len(data)), data, item.token))
        return loaded

    @contextlib.contextmanager
    def open(self, item: Item) -> Iterator[Content]:
        yield _Whole(self, item, self.files[item.path])

    def finished(self, loaded: Loaded) -> Loaded:
        """Return a large item as it was captured; for others to change."""
        return loaded


class _Pieces:
    """``OpenFile`` in memory."""

    def __init__(self, target: MemoryTarget, entry: Entry) -> None:
        self._target = target
        self._entry = entry
        self._data = bytearray(entry.size)

    def write(self, offset: int, data: Buffer) -> None:
        self._data[offset : offset + len(data)] = data

    def finish(self) -> None:
        self._target.files[self._entry.path] = bytes(self._data)

    def abandon(self) -> None:
        pass


class MemoryTarget:
    """Collects what is restored."""

    def __init__(self) -> None:
        self.files: dict[bytes, bytes] = {}
        self.entries: list[Entry] = []
        self.finished = False

    def place(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        self.entries += entries
        return [entry for entry in entries if entry.kind == EntryKind.FILE]

    def write(self, files: Sequence[tuple[Entry, Buffer]]) -> int:
        for entry, data in files:
            self.files[entry.path] = bytes(data)
        return len(files)

    def open(self, entry: Entry) -> OpenFile | None:
        return _Pieces(self, entry)

    def remove(self, extras: Sequence[Extra]) -> int:
        return sum(self.files.pop(extra.path, None) is not None for extra in extras)

    def finish(self) -> None:
        self.finished = True
